"""Read counts and shares as people write them, by the evidence of the whole column.

A column's values are first reduced to their shapes (`1,234` is `9,999`). The shapes say which mark
groups digits and which one begins the decimals: `1,234.5` and `12,34` tell, `1,234` alone does not.
What no shape tells is decided by the other columns of the same table; then by the kind of number: a
count is whole, so its mark groups digits; a share is below one, so its mark begins the decimals.
Marks that contradict one another are read by nobody: such values are NULL.

`count` and `share` are expressions of DuckDB's SQL, so a log of any size is read out of core.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

MISSING = ("", "-", "--", "---", "–", "—", "n/a", "#n/a", "null", "nan", "(not set)")
NO_NUMBER = (*MISSING, "na", "none")
_SPACES = r"[\s\x{00A0}\x{2007}\x{2009}\x{202F}\x{3000}]+"
_SHAPE = re.compile(r"[+-]?([9Z.,' ]*)(?:[eE][+-]?9+)? ?%?")
_GROUPED = re.compile(r"9{1,3}([.,' ])999(?:(?:\1)999)*|9{1,2}(?:,99)+,999")


@dataclass(frozen=True)
class Style:
    """How a column writes its numbers: marks that group digits, the mark of decimals.

    `plain`: neither occurs. `contradicts`: the shapes do not go together; only digits are read.
    """

    groups: str = ""
    decimal: str = "."
    plain: bool = False
    contradicts: bool = False


@dataclass(frozen=True)
class Evidence:
    """What the shapes of one column say: certain marks, and marks that may be either."""

    decimal: frozenset[str]
    groups: frozenset[str]
    either: frozenset[str]


def quote(text: str) -> str:
    """A string as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def cleaned(sql: str) -> str:
    """A text without outer spaces, with one kind of space, of apostrophe and of per cent sign."""
    spaced = f"regexp_replace({sql}, {quote(_SPACES)}, ' ', 'g')"
    return f"trim(translate({spaced}, '’％−', '''%-'))"


def shapes(sql: str) -> str:
    """The distinct shapes of a column's numbers, as a list: digits are 9, a leading zero is Z."""
    marked = f"regexp_replace({cleaned(sql)}, '^([+-]?)0', '\\1Z')"
    shape = f"regexp_replace({marked}, '[0-9]', '9', 'g')"
    return f"list(DISTINCT {shape}) FILTER (regexp_full_match({shape}, '[-+9ZeE., ''%]+'))"


def evidence(found: Iterable[str]) -> Evidence:
    """What a column's shapes say of its marks; a shape that is no number says nothing."""
    decimal, groups, either = set[str](), set[str](), set[str]()
    for shape in found:
        match = _SHAPE.fullmatch(shape)
        body = match[1].strip() if match else ""
        marks = [letter for letter in body if letter in ".,' "]
        if not marks:
            continue
        last = marks[-1]
        whole, _, rest = body.rpartition(last)
        if len(set(marks)) > 1:  # 9,999.9 and 9 999,99: the last one begins the decimals
            if last not in marks[:-1] and last in ".," and _GROUPED.fullmatch(whole):
                groups.update(marks[:-1])
                decimal.add(last)
        elif len(marks) > 1 or last in "' ":
            groups.update({last} if _GROUPED.fullmatch(body) else ())
        elif len(rest) == 3 and re.fullmatch("9{1,3}", whole):
            either.add(last)
        else:
            decimal.add(last)
    return Evidence(frozenset(decimal), frozenset(groups), frozenset(either))


def style_of(found: Iterable[str], others: Iterable[Evidence] = (), whole: bool = True) -> Style:
    """A column's style by its shapes, those of the table's other columns, and its kind.

    Args:
        found: the column's shapes.
        others: what the other number columns say; asked only where the shapes leave it open.
        whole: the column holds counts; else shares or prices.
    """
    own = evidence(shape_list := list(found))
    if own.decimal & own.groups or len(own.decimal) > 1:
        return Style(decimal="", contradicts=True)
    plain = not (own.decimal or own.groups or own.either or any("%" in one for one in shape_list))
    decimal = next(iter(own.decimal), None)
    left = own.either - own.groups - own.decimal
    if left and decimal is None:
        decimal = next(iter(_decimal_of(others)), None)
        if decimal is None and not whole:
            decimal = next(iter(left)) if len(left) == 1 else None
        if decimal in own.groups:
            decimal = None
    groups = own.groups | (left - {decimal})
    if len(groups & set(".,")) > 1:
        return Style(decimal="", contradicts=True)
    if decimal is None:
        decimal = "," if "." in groups else "."
    return Style("".join(sorted(groups)), decimal, plain)


def _decimal_of(others: Iterable[Evidence]) -> set[str]:
    """The mark of decimals on which the other columns agree; empty where they tell nothing."""
    decimal, groups = set[str](), set[str]()
    for other in others:
        decimal |= other.decimal
        groups |= other.groups
    told = decimal or {{",": ".", ".": ","}[mark] for mark in groups if mark in ",."}
    return told if len(told) == 1 else set()


def value(sql: str, style: Style) -> str:
    """The number that a text writes, as it stands (a per cent sign is left out); NULL if none."""
    if style.plain:
        return f"try_cast({cleaned(sql)} AS DOUBLE)"
    whole = r"\d+"
    if style.groups:
        mark = f"[{re.escape(style.groups)}]"
        whole = rf"\d+|\d{{1,3}}(?:{mark}\d{{3}})+|\d{{1,2}}(?:{mark}\d{{2}})+{mark}\d{{3}}"
    rest = rf"(?:\{style.decimal}\d*)?" if style.decimal else ""
    pattern = rf"[+-]?(?:{whole})?{rest}(?:[eE][+-]?\d+)? ?%?"
    text = cleaned(sql)
    bare = f"regexp_replace({text}, {quote(f'[ %{re.escape(style.groups)}]')}, '', 'g')"
    if style.decimal == ",":
        bare = f"replace({bare}, ',', '.')"
    return (f"CASE WHEN regexp_full_match({text}, {quote(pattern)}) "
            f"THEN try_cast({bare} AS DOUBLE) END")  # fmt: skip


def whole(sql: str) -> str:
    """A number as a count; NULL where it is no whole number."""
    return f"CASE WHEN {sql} = floor({sql}) THEN try_cast({sql} AS BIGINT) END"


def count(sql: str, style: Style) -> str:
    """The count that a text writes; NULL where it writes none, a share or a fraction."""
    return f"CASE WHEN NOT contains({sql}, '%') THEN {whole(value(sql, style))} END"


def share(sql: str, style: Style, unit: str | None) -> str:
    """The share (0.01 for `1 %`) that a text writes; `unit` is of values without a sign.

    NULL where `unit` is None and there is no sign, zero excepted.
    """
    scale = {"percent": " / 100", "fraction": "", None: " * NULL"}[unit]
    number = value(sql, style)
    return (f"CASE WHEN contains({cleaned(sql)}, '%') THEN {number} / 100 "
            f"WHEN {number} = 0 THEN 0 ELSE {number}{scale} END")  # fmt: skip


def is_missing(sql: str, words: tuple[str, ...] = MISSING) -> str:
    """Whether a text stands for nothing: empty, dashes, n/a; NULL counts too."""
    return f"coalesce(lower({cleaned(sql)}) IN ({', '.join(map(quote, words))}), true)"
