"""Numbers in every spelling: the whole column decides, and what it does not decide is not read."""

from __future__ import annotations

from collections.abc import Sequence

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from creative4u.log_import import numbers

LOCALES = [(",", "."), (".", ","), (" ", ","), ("\u202f", ","), ("’", "."), ("'", ",")]


def read(
    values: Sequence[str | None],
    whole: bool = True,
    unit: str | None = None,
    others: Sequence[Sequence[str]] = (),
) -> list[float | None]:
    """A column of texts as counts (`whole`) or shares, beside other columns of the same table."""
    with duckdb.connect() as db:
        shapes = [_shapes(db, column) for column in others]
        found = _shapes(db, values)
        style = numbers.style_of(found, map(numbers.evidence, shapes), whole)
        sql = numbers.count("v", style) if whole else numbers.share("v", style, unit)
        return [row[0] for row in db.execute(f"SELECT {sql} FROM t").fetchall()]


def _shapes(db: duckdb.DuckDBPyConnection, values: Sequence[str | None]) -> list[str]:
    db.execute("CREATE OR REPLACE TABLE t (v VARCHAR)")
    db.executemany("INSERT INTO t VALUES (?)", [[value] for value in values])
    row = db.execute(f"SELECT {numbers.shapes('v')} FROM t").fetchone()
    return list((row or [None])[0] or ())


def written(number: float, group: str, mark: str, decimals: int) -> str:
    """A number as a locale writes it."""
    text = f"{number:,.{decimals}f}"
    return text.replace(",", "\0").replace(".", mark).replace("\0", group)


@settings(deadline=None, max_examples=30)
@given(
    values=st.lists(st.integers(0, 10**9), min_size=1, max_size=6),
    locale=st.sampled_from(LOCALES),
    decimals=st.sampled_from([0, 0, 1, 2]),
    pad=st.sampled_from(["", " ", "\u00a0"]),
)
def test_counts_of_every_locale(
    values: list[int], locale: tuple[str, str], decimals: int, pad: str
) -> None:
    texts = [pad + written(value, *locale, decimals) + pad for value in values]
    assert read(texts) == values


@settings(deadline=None, max_examples=30)
@given(
    hundredths=st.lists(st.integers(0, 9999), min_size=1, max_size=6),
    locale=st.sampled_from(LOCALES),
    sign=st.sampled_from(["%", " %", "\u00a0%", "％"]),
)
def test_shares_with_a_sign_in_every_locale(
    hundredths: list[int], locale: tuple[str, str], sign: str
) -> None:
    texts = [written(value / 100, *locale, 2) + sign for value in hundredths]
    assert read(texts, whole=False) == pytest.approx([value / 10_000 for value in hundredths])


@settings(deadline=None, max_examples=30)
@given(
    values=st.lists(st.integers(1000, 999_999), min_size=1, max_size=4),
    decimal=st.sampled_from(".,"),
)
def test_a_mark_that_may_be_either_is_told_by_another_column(
    values: list[int], decimal: str
) -> None:
    """`12.345` beside `0.5%` is a fraction, and beside `0,5%` a count."""
    texts = [f"{value // 1000}.{value % 1000:03d}" for value in values]
    beside = [[f"0{decimal}5%"]]
    due = values if decimal == "," else [v // 1000 if v % 1000 == 0 else None for v in values]
    assert read(texts, others=beside) == due


@pytest.mark.parametrize(("texts", "due"), [
    (["1,234", "123,456"], [1234, 123456]),
    (["1.234", "99"], [1234, 99]),  # a count is whole, so its mark groups digits
    (["1,23,456", "12,345"], [123456, 12345]),  # lakhs
    (["123456.0", "3456.7"], [123456, None]),
    (["1.234", "12.0"], [None, 12]),
    (["-3", "+4", "1e3"], [-3, 4, 1000]),
    (["12,34,5", "1 23", "1,2345", "0x10", "1_000", "inf", "five"], [None] * 7),
    (["5%", "--", "-", "n/a", "", None, "–"], [None] * 7),
    (["1,234.0", "1.234,0", "7"], [None, None, 7]),  # they contradict one another
    (["1,234", "1.234"], [None, None]),
])  # fmt: skip
def test_counts_by_hand(texts: list[str | None], due: list[int | None]) -> None:
    assert read(texts) == due


@pytest.mark.parametrize(("texts", "unit", "due"), [
    (["0.01", "0.0288"], "fraction", [0.01, 0.0288]),
    (["0.123"], "fraction", [0.123]),
    (["1.234", "0.5"], "percent", [0.01234, 0.005]),
    (["1,23", "0,5"], "percent", [0.0123, 0.005]),
    (["1%", "2", "0", "0.0"], None, [0.01, None, 0, 0]),  # beside signs, only zero needs none
    (["1", "x", "--"], None, [None, None, None]),
])  # fmt: skip
def test_shares_by_hand(texts: list[str], unit: str | None, due: list[float | None]) -> None:
    assert read(texts, whole=False, unit=unit) == pytest.approx(due)
