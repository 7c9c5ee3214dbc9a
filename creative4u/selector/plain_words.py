"""Say evidence in plain words, for the terminal, the page and the report."""

from __future__ import annotations

from creative4u.schema import ImageEvidence, PairEvidence
from creative4u.selector.evidence.properties import PROPERTIES
from creative4u.selector.evidence.weighing import TOTAL, UNIT
from creative4u.selector.protocol.prompt import cited

LABEL = {prop.name: prop.label for prop in PROPERTIES} | {TOTAL: "all that was measured"}


def image_words(image: ImageEvidence) -> str:
    """`product size 3, blur 0, ...; looks like a muzzle`, levels from 0 to 9."""
    levels = ", ".join(f"{LABEL[name]} {round(value)}" for name, value in image.degrees.items())
    looks = [f"looks like: {image.class_name}"] if image.class_name else []
    return "; ".join([levels, *looks] if levels else looks)


def cited_words(key: str, evidence: PairEvidence | None) -> str:
    """What bears on a question: `blur +3.0 for B, product covered +1.3 for A`, log odds.

    Where nothing was weighed, levels: `blur 6 more in B`.
    """
    if evidence is None:
        return ""
    said = []
    for name, gap in cited(key, evidence).items():
        side = "A" if gap > 0 else "B"
        much = f"+{abs(gap) / UNIT:.1f} for" if evidence.contributions else f"{abs(gap)} more in"
        said.append(f"{LABEL[name]} {much} {side}")
    return ", ".join(said)
