"""Dates in every spelling: one reading for the whole column, or the question which one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

import duckdb
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from creative4u.errors import InputError
from creative4u.log_import.days import find_days

EPOCH = date(1970, 1, 1)
SURE = ["%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%Y%m%d", "%d %b %Y", "%B %d, %Y", "%d-%b-%Y",
        "%a, %b %d, %Y", "%Y年%m月%d日", "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d %H:%M:%S.%f"]  # fmt: skip
EITHER = ["%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%m-%d-%Y", "%d/%m/%y", "%m/%d/%Y %H:%M"]
dates = st.lists(st.dates(date(2001, 1, 1), date(2060, 12, 31)), min_size=1, max_size=6)


def read(texts: Sequence[str | None], asked: str | None = None) -> list[date | None] | None:
    with duckdb.connect() as db:
        db.execute("CREATE TABLE t (v VARCHAR)")
        db.executemany("INSERT INTO t VALUES (?)", [[text] for text in texts])
        days = find_days(db, "t", '"v"', "VARCHAR", asked)
        if days is None:
            return None
        rows = db.execute(f"SELECT {days.sql} FROM t").fetchall()
        found = [None if row[0] is None else EPOCH + timedelta(row[0]) for row in rows]
        known = [day for day in found if day]
        assert (days.first, days.last) == (str(min(known)), str(max(known)))
        return found


@settings(deadline=None, max_examples=25)
@given(days=dates, spelling=st.sampled_from(SURE), gap=st.sampled_from([None, "", "--", "n/a"]))
def test_a_spelling_with_one_reading(days: list[date], spelling: str, gap: str | None) -> None:
    texts = [day.strftime(spelling) for day in days]
    assert read([*texts, gap]) == [*days, None]


@settings(deadline=None, max_examples=25)
@given(days=dates, spelling=st.sampled_from(EITHER))
def test_a_spelling_with_two_readings_is_told_by_the_column_or_asked(
    days: list[date], spelling: str
) -> None:
    """Never a wrong date: the right one, or an error that names the option."""
    texts = [day.strftime(spelling) for day in days]
    found: object = days
    try:
        found = read(texts)
    except InputError as error:
        asked = "--date-format" in str(error)
        assert asked and all(day.day <= 12 or "%y" in spelling for day in days)  # noqa: PT018
    assert found == days
    assert read(texts, spelling.partition(" ")[0]) == days


@settings(deadline=None, max_examples=25)
@given(days=dates, mark=st.sampled_from("/.-"), first=st.sampled_from(["%d", "%m"]))
def test_one_day_above_12_tells_for_all(days: list[date], mark: str, first: str) -> None:
    assume(any(day.day > 12 for day in days))
    second = "%m" if first == "%d" else "%d"
    assert read([day.strftime(mark.join((first, second, "%Y"))) for day in days]) == days


def test_dates_that_contradict_one_another_are_asked() -> None:
    with pytest.raises(InputError, match="contradict one another: 11/25/2025 and 25/11/2025"):
        read(["11/25/2025", "25/11/2025"])
    assert read(["11/25/2025", "25/11/2025"], "%m/%d/%Y") == [date(2025, 11, 25), None]


def test_the_three_november_days_are_asked_not_spread_over_three_months() -> None:
    texts = ["11/03/2025", "11/04/2025", "11/05/2025"]
    with pytest.raises(InputError, match=r"11/03/2025 have two readings.*%d/%m/%Y.*%m/%d/%Y"):
        read(texts)
    assert read(texts, "MM/DD/YYYY") == [date(2025, 11, day) for day in (3, 4, 5)]
    assert read(["05/05/2025"]) == [date(2025, 5, 5)]  # both readings are the same day


@pytest.mark.parametrize(("asked", "said"), [
    ("%Q", "give one like %d/%m/%Y"),
    ("%Y-%m-%d", "fits no row; they hold 11/03/2025"),
])  # fmt: skip
def test_a_format_that_does_not_fit(asked: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        read(["11/03/2025"], asked)


@pytest.mark.parametrize("unit", [1, 1000, 10**6])
def test_seconds_and_their_parts_since_1970(unit: int) -> None:
    start = 1_767_225_600 * unit  # 2026-01-01
    assert read([str(start), str(start + 86_400 * unit)]) == [date(2026, 1, 1), date(2026, 1, 2)]


def test_what_holds_no_day() -> None:
    assert read(["soon", "", None]) is None
    assert read(["2025-13-01", "2025-01-02"]) == [None, date(2025, 1, 2)]
