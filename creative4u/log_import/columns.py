"""Find the columns of a log by name: one table of aliases for every importer.

Names are compared without case, spaces and punctuation, so `Product_ID`, `product id` and
`ProductId` are one name.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from creative4u.errors import InputError
from creative4u.log_import.platforms import PLATFORMS

ALIASES: dict[str, tuple[str, ...]] = {  # our name -> what logs call it, the surest first
    "image": ("image", "image_name", "file_name", "image_path", "image_file", "picture"),
    "creative_id": ("creative_id", "creative", "ad_id", "image_id"),
    "product_id": ("product_id", "item_id", "item", "product", "sku", "sku_id", "adgroup_id"),
    "query": ("query", "query_id", "search_query", "search_term", "keyword", "q"),
    "click": ("click", "clicked", "is_click", "is_clicked", "clk", "label"),
    "impressions": ("impressions", "exposures", "shows"),
    "clicks": ("clicks",),
    "ctr": ("ctr", "click_through_rate"),
    "day": ("day", "date", "dt", "ds", "timestamp", "time", "event_time", "ts"),
    "day_end": ("end_date", "date_end"),
    "user_id": ("user_id", "user", "uid", "member_id", "visitor_id"),
    "position": ("position", "pos", "rank", "slot"),
    "price": ("price", "item_price"),
    "purchase": ("purchase", "purchased", "buy", "conversion", "is_buy"),
    "title": ("title", "product_title", "item_title", "name", "product_name"),
    "category": ("category", "category_id", "cate_id", "class"),
}


@dataclass(frozen=True)
class LogFormat:
    """What the user says of a log, where its own evidence does not do.

    `platform` is a key of PLATFORMS, `columns` are our names (ALIASES) to the log's, `date_format`
    is a strptime format, `ctr_unit` is "percent" or "fraction". Raises InputError on other values.
    """

    platform: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    date_format: str | None = None
    ctr_unit: str | None = None

    def __post_init__(self) -> None:
        if self.platform is not None and self.platform not in PLATFORMS:
            raise InputError(f"--from {self.platform}: known are {', '.join(PLATFORMS)}")
        if unknown := sorted(set(self.columns) - set(ALIASES)):
            raise InputError(f"--column {unknown[0]}: known are {', '.join(ALIASES)}")
        if self.ctr_unit not in (None, "percent", "fraction"):
            raise InputError(f"--ctr-unit {self.ctr_unit}: allowed are percent and fraction")

    def names(self, ours: str) -> tuple[str, ...]:
        """What a column may be called, the platform's names first."""
        of_platform = PLATFORMS[self.platform].columns.get(ours, ()) if self.platform else ()
        return (*of_platform, *ALIASES[ours])

    def known(self, names: Iterable[str]) -> int:
        """How many of these names are known: so is the header told from title lines and rows."""
        known = {key(alias) for ours in ALIASES for alias in self.names(ours)}
        known |= {key(theirs) for theirs in self.columns.values()}
        return len(known & {key(name) for name in names})


def key(name: str) -> str:
    """A column's name as names are compared: letters and digits only, without case."""
    folded = unicodedata.normalize("NFKC", name).casefold()
    return "".join(letter for letter in folded if letter.isalnum())


def find_columns(there: Iterable[str], asked: LogFormat) -> dict[str, str]:
    """Our names to the log's, each column used once; what is not there is left out.

    `image` and `creative_id` stand in for one another where only one is found. Raises InputError
    where a chosen column is not there, or where two columns have the name that would be taken.
    """
    names = list(there)
    by_key: dict[str, list[str]] = {}
    for name in names:
        by_key.setdefault(key(name), []).append(name)
    found: dict[str, str] = {}
    for ours, theirs in asked.columns.items():
        found[ours] = theirs if theirs in names else _only(by_key.get(key(theirs), []), theirs)
        if not found[ours]:
            raise InputError(f"--column {ours}={theirs}: the log has {', '.join(names)}")
    for ours in ALIASES:
        if ours in found:
            continue
        for alias in asked.names(ours):
            free = [one for one in by_key.get(key(alias), []) if one not in found.values()]
            if free:
                found[ours] = _only(free, alias)
                break
    if asked.platform and "image" in found and "creative_id" not in asked.columns:
        found["creative_id"] = found["image"]  # ads that show one image are one creative
    for one, other in (("image", "creative_id"), ("creative_id", "image")):
        if one not in found and other in found:
            found[one] = found[other]
    return found


def _only(named: list[str], name: str) -> str:
    if len(named) > 1:
        raise InputError(f"the log has {len(named)} columns named {name}; rename all but one")
    return named[0] if named else ""


def is_known(name: str) -> bool:
    """Whether the table of aliases has this column's name."""
    return key(name) in _KNOWN


_KNOWN = {key(name) for names in ALIASES.values() for name in names}
