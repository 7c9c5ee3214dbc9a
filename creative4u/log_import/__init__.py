"""Read impression logs and ad-platform exports as people really have them.

One table of column names, one reader of counts, shares and days, one list of reasons for which a
row is left out: `data import`, `data pairs` and `ctr import` all read through `open_log`.
"""
