"""Define what may be said of an image: wordings, and the fact that makes each true.

A clause is `A <claim>`, `B <claim>` or `both <claim>`, claims joined by "and". The grounded source
says only what holds, and the checker looks every claim up again; a wording that is not here states
something that nobody has checked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from data.creative_pair.facts import DEGREES, Facts
from data.creative_pair.reasoning.rubric import SIMILAR, met_queries

Holds = Callable[[Facts, Facts], bool]  # of the one image, with the other beside it
MARGIN = 0.08  # from here on, one is "larger" than the other

NAMES = {"size": "size", "whole": "crop", "text": "text", "cover": "cover", "clutter": "clutter",
         "dark": "light", "blur": "sharpness", "props": "props", "frame": "border",
         "stand_out": "contrast"}


@dataclass(frozen=True)
class Claim:
    """One statement: its wordings (any may be said) and when it holds."""

    wordings: tuple[str, ...]
    holds: Holds


def _above(name: str, least: float) -> Holds:
    return lambda own, other: getattr(own, name) >= least


def _below(name: str, most: float) -> Holds:
    return lambda own, other: getattr(own, name) <= most


def _more(name: str) -> Holds:
    return lambda own, other: getattr(own, name) > getattr(other, name) + MARGIN


def _less(name: str) -> Holds:
    return lambda own, other: getattr(own, name) < getattr(other, name) - MARGIN


def _degree(name: str, high: tuple[float, tuple[str, ...]], low: tuple[float, tuple[str, ...]],
            more: tuple[str, ...], less: tuple[str, ...]) -> tuple[Claim, ...]:
    """States first (they say more), then the comparison with the other image."""
    return (Claim(high[1], _above(name, high[0])), Claim(low[1], _below(name, low[0])),
            Claim(more, _more(name)), Claim(less, _less(name)))


# line -> aspect -> claims, the most telling first
CLAIMS: dict[str, dict[str, tuple[Claim, ...]]] = {
    "text": {"text": (
        Claim(("has no text", "shows no words"), lambda own, other: not own.texts),
        Claim(("has text over the product", "writes over the product"),
              lambda own, other: any(text.over for text in own.texts)),
        Claim(("has unreadable text", "has faint text"), lambda own, other: any(
            not text.legible for text in own.texts)),
        Claim(("is full of text", "has too much text"), _above("text", 0.6)),
        Claim(("has a clear selling point", "names a selling point"), lambda own, other: any(
            text.role == "point" for text in own.points)),
        Claim(("shows a clear price", "names the price"), lambda own, other: any(
            text.role == "price" for text in own.points)),
        Claim(("only calls to action",), lambda own, other: bool(own.texts) and all(
            text.legible and text.role == "call" for text in own.texts)),
    )},
    "props": {"props": (
        Claim(("has no props", "shows no props"), _below("props", 0.0)),
        Claim(("has many props", "shows many props"), _above("props", 0.6)),
        Claim(("has some props", "shows a few props"), lambda own, other: 0 < own.props < 0.6),
    )},
    "layout": {"frame": (
        Claim(("has no border", "has no frame or inset"), _below("frame", 0.0)),
        Claim(("has a heavy border or inset",), _above("frame", 0.6)),
        Claim(("has a border or inset",), lambda own, other: 0 < own.frame < 0.6),
    )},
    "subject": {
        "size": _degree("size", (0.55, ("is large", "fills the picture")),
                        (0.33, ("is small", "looks small")), ("is larger",), ("is smaller",)),
        "whole": (Claim(("is cut off", "runs out of the picture"), _below("whole", 0.92)),
                  Claim(("is whole", "is all in view"), _above("whole", 0.98))),
        "cover": (Claim(("is partly covered", "is partly hidden"), _above("cover", 0.15)),
                  Claim(("is uncovered", "lies free"), _below("cover", 0.04)),
                  Claim(("is covered more",), _more("cover")),
                  Claim(("is covered less",), _less("cover"))),
        "dark": (Claim(("is dark", "is badly lit"), _above("dark", 0.3)),
                 Claim(("is well lit", "is bright enough"), _below("dark", 0.1)),
                 Claim(("is darker",), _more("dark")), Claim(("is lighter",), _less("dark"))),
        "blur": (Claim(("is blurred", "is soft"), _above("blur", 0.3)),
                 Claim(("is sharp", "is crisp"), _below("blur", 0.1)),
                 Claim(("is softer",), _more("blur")), Claim(("is sharper",), _less("blur"))),
    },
    "background": {
        "stand_out": _degree("stand_out", (0.6, ("stands out", "is set off clearly")),
                             (0.25, ("blends in", "melts into the background")),
                             ("stands out more",), ("stands out less",)),
        "clutter": (Claim(("is cluttered", "has a busy background"), _above("clutter", 0.4)),
                    Claim(("is calm", "has a calm background"), _below("clutter", 0.1)),
                    Claim(("is busier",), _more("clutter")),
                    Claim(("is calmer",), _less("clutter"))),
    },
}


def noun(name: str) -> str:
    """A product's noun as a clause may hold it: lower case, no "and" (which joins claims)."""
    return name.lower().replace(" and ", " & ").replace(";", ",")


def title_claims(own: Facts) -> tuple[str, ...]:
    """What is true of the product seen, against the title's."""
    if own.wrong:
        return (f"shows a wrong product, {noun(own.shown)}", f"shows {noun(own.shown)} instead")
    return (f"shows the {noun(own.product)}", f"shows the right product, {noun(own.product)}")


def query_claims(own: Facts, queries: Sequence[str]) -> tuple[str, ...]:
    """What is true of the image in the light of the queries; the strongest claim first."""
    if own.wrong:
        return ("misses the queries", "shows another product")
    met = met_queries(own, queries)
    said = tuple(f'answers "{noun(query)}"' for query in met)
    return (*said, "shows what is asked for") if met else (
        "shows the product only", "adds nothing for the queries")


def true_claims(line: str, own: Facts, other: Facts, queries: Sequence[str]) -> set[str]:
    """Every wording that may be said of `own` in a line of the protocol."""
    if line == "title_hit":
        return set(title_claims(own))
    if line == "query_hit":
        return set(query_claims(own, queries))
    return {wording for claims in CLAIMS[line].values() for claim in claims
            if claim.holds(own, other) for wording in claim.wordings}


def differing(a: Facts, b: Facts) -> list[str]:
    """The names of the degrees that differ plainly, the widest gap first."""
    gaps = {name: abs(getattr(a, name) - getattr(b, name)) for name in DEGREES}
    return [NAMES[name] for name in sorted(gaps, key=lambda name: (-gaps[name], name))
            if gaps[name] > SIMILAR]


PLURALS = {"is": "are", "has": "have", "shows": "show", "stands": "stand", "blends": "blend",
           "fills": "fill", "looks": "look", "melts": "melt", "names": "name", "writes": "write",
           "misses": "miss", "answers": "answer", "adds": "add", "lies": "lie", "runs": "run"}
_SINGULARS = {plural: single for single, plural in PLURALS.items()}


def plural(claim: str) -> str:
    """The claim told of both: "is large" -> "are large"."""
    verb, _, rest = claim.partition(" ")
    return f"{PLURALS.get(verb, verb)} {rest}".strip()


def singular(claim: str) -> str:
    """The inverse of `plural`."""
    verb, _, rest = claim.partition(" ")
    return f"{_SINGULARS.get(verb, verb)} {rest}".strip()
