"""Subsample a shop by shoppers, so that each behaviour sequence stays whole.

    creative4u ctr sample WORLD --users 0.125 --out SMALL

A share of the rows would tear every shopper's behaviour apart; a share of the shoppers keeps it.
The log is copied part by part, everything else in the folder is linked.
"""

from __future__ import annotations

from pathlib import Path

import duckdb

from creative4u.ctr.log.dataset import log_parts
from creative4u.ctr.log.fields import Fields
from creative4u.errors import InputError


def sample_users(world: Path, out: Path, fields: Fields, share: float, seed: int = 7) -> int:
    """Write `out`; the rows it holds come back. The shoppers are drawn by a hash of their id.

    Raises InputError for a share outside (0, 1], a log without the user column, or out = world.
    """
    if not 0 < share <= 1:
        raise InputError(f"the share of users is above 0 and at most 1, not {share}")
    if out.resolve() == world.resolve():
        raise InputError(f"{out} is the shop itself; the sample needs a folder of its own")
    column = fields.ids[fields.place("user")].column
    (out / "log").mkdir(parents=True, exist_ok=True)
    rows = 0
    for part in log_parts(world / "log"):
        target = out / "log" / part.name
        try:
            duckdb.execute(
                f"""COPY (SELECT * FROM read_parquet('{_quoted(part)}')
                    WHERE hash("{column}", {seed}) % 1000000 < {round(share * 1_000_000)})
                    TO '{_quoted(target)}' (FORMAT parquet)"""
            )
        except duckdb.Error as error:
            raise InputError(f"{part}: {str(error).splitlines()[0]}") from error
        found = duckdb.execute("SELECT count(*) FROM read_parquet(?)", [str(target)]).fetchone()
        rows += int(found[0]) if found else 0
    for other in world.iterdir():
        link = out / other.name
        if other.name != "log" and not link.exists():
            link.symlink_to(other.resolve())
    return rows


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")
