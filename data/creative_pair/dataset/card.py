"""Write a data set's card: README.md with counts and a contact sheet of its pairs."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from creative4u.images import load_image, square
from creative4u.schema import CreativePair
from creative4u.selector.protocol.questions import KEYS
from data.creative_pair.dataset.parquet import read_packed
from data.creative_pair.mining.mine import QUERIES_DECIDE
from data.creative_pair.mining.significance import p_value, relative_gap, z_score

GAP_EDGES = (0.6, 0.8, 1.0, 1.5, 2.0, 3.0, 5.0)  # of the relative CTR gap
SHEET_PAIRS, SHEET_COLUMNS, TILE = 24, 4, 150
NEAR_MISS = 0.01  # labels with a larger p-value are reported as uncertain


def write_card(folder: Path, sources: Sequence[str], mining: Mapping[str, Any] | None = None,
               reasoning: Mapping[str, Any] | None = None) -> Path:
    """Write `folder`/README.md and contact.jpg for the data set in `folder`.

    Args:
        sources: one line each on where log, images and reasoning come from.
        mining: the mining.json of the pairs (filter, rejects).
        reasoning: the reasoning.json (kept, dropped by reason).
    """
    pairs: list[CreativePair] = []
    tiles: list[tuple[CreativePair, bytes, bytes]] = []
    for pair, image_a, image_b in read_packed(folder):
        pairs.append(pair)
        if len(tiles) < SHEET_PAIRS and len(pairs) % 7 == 1:
            tiles.append((pair, image_a, image_b))
    contact_sheet(tiles).save(folder / "contact.jpg", quality=85)
    splits = sorted({pair.split or "train" for pair in pairs})
    parts = [_front(splits), "# CreativePair\n\nPairs of creatives of one product; the label says "
             "which one was clicked more. One order of each pair is stored; the other follows by "
             "exchanging A and B.\n", "![pairs, A left, B right, the label framed](contact.jpg)\n",
             "## Sources\n", *[f"- {source}" for source in sources], "",
             "## Counts\n", _counts(pairs, splits), "## Label by side\n", _sides(pairs, splits),
             "## CTR gap\n", _gaps(pairs), "## Answers\n", _answers(pairs)]
    if mining:
        parts += ["## Filter\n", _listed(mining.get("filter", {})),
                  "Rejected rows, by reason:\n", _listed(mining.get("rejects", {}))]
    if reasoning:
        parts += ["## Reasoning\n", f"Kept {reasoning['kept']}. Dropped, by reason:\n",
                  _listed(reasoning.get("dropped", {}))]
    parts.append(_limits(pairs))
    path = folder / "README.md"
    path.write_text("\n".join(parts), "utf-8")
    return path


def read_reports(folder: Path) -> dict[str, Any]:
    """mining.json and reasoning.json of a pairs folder, as far as they are there."""
    found = {}
    for name in ("mining", "reasoning"):
        path = folder / f"{name}.json"
        found[name] = json.loads(path.read_text("utf-8")) if path.is_file() else None
    return found


def contact_sheet(rows: Sequence[tuple[CreativePair, bytes, bytes]]) -> Image.Image:
    """Pairs side by side, A left; the labelled side has a green frame."""
    columns = min(SHEET_COLUMNS, max(1, len(rows)))
    lines = -(-len(rows) // columns) or 1
    sheet = Image.new("RGB", (columns * (2 * TILE + 18), lines * (TILE + 26)), "white")
    draw = ImageDraw.Draw(sheet)
    for number, (pair, *images) in enumerate(rows):
        left, top = number % columns * (2 * TILE + 18), number // columns * (TILE + 26)
        for side, data in enumerate(images):
            at = (left + 3 + side * (TILE + 4), top + 3)
            sheet.paste(square(load_image(data), TILE), at)
            if pair.label == "AB"[side]:
                draw.rectangle((at[0] - 3, at[1] - 3, at[0] + TILE + 2, at[1] + TILE + 2),
                               outline=(20, 150, 60), width=3)
        said = pair.product_title.encode("ascii", "ignore").decode()[:48]
        draw.text((left + 3, top + TILE + 8), said, fill="black")
    return sheet


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in row) + " |" for row in lines) + "\n"


def _front(splits: Sequence[str]) -> str:
    files = "\n".join(f"  - split: {split}\n    path: data/{split}.parquet" for split in splits)
    return f"---\nconfigs:\n- config_name: default\n  data_files:\n{files}\n---\n"


def _counts(pairs: Sequence[CreativePair], splits: Sequence[str]) -> str:
    def row(name: str, mine: Sequence[CreativePair]) -> list[object]:
        images = {str(image) for pair in mine for image in (pair.image_a, pair.image_b)}
        return [name, len(mine), len({pair.product_id for pair in mine}), len(images),
                sum(pair.reasoning is not None for pair in mine),
                sum(QUERIES_DECIDE in pair.tags for pair in mine)]

    rows = [row(name, [pair for pair in pairs if (pair.split or "train") == name])
            for name in splits]
    return table(["split", "pairs", "products", "images", "with reasoning", "queries decide"],
                 [*rows, row("all", pairs)])


def _sides(pairs: Sequence[CreativePair], splits: Sequence[str]) -> str:
    rows = []
    for name in splits:
        count = Counter(pair.label for pair in pairs if (pair.split or "train") == name)
        known = count["A"] + count["B"]
        rows.append([name, count["A"], count["B"], f"{count['A'] / max(1, known):.3f}"])
    return table(["split", "A", "B", "share of A"], rows)


def _gaps(pairs: Sequence[CreativePair]) -> str:
    gaps = [relative_gap(pair.ctr_a, pair.ctr_b) for pair in pairs
            if pair.ctr_a is not None and pair.ctr_b is not None]
    rows = []
    for low, high in zip((0.0, *GAP_EDGES), (*GAP_EDGES, float("inf")), strict=True):
        count = sum(low <= gap < high for gap in gaps)
        if count:
            rows.append([f"{low:.0%} to {high:.0%}" if high < 9e9 else f"over {low:.0%}", count,
                         "█" * max(1, round(40 * count / len(gaps)))])
    unsure = sum(p > NEAR_MISS for p in _p_values(pairs))
    return (table(["higher CTR above the lower by", "pairs", ""], rows)
            + f"\nTwo-proportion test: {unsure} labels have a p-value above {NEAR_MISS}.\n")


def _p_values(pairs: Sequence[CreativePair]) -> Iterator[float]:
    for pair in pairs:
        if None not in (pair.ctr_a, pair.ctr_b, pair.impressions_a, pair.impressions_b):
            shown = (pair.impressions_a or 0, pair.impressions_b or 0)
            clicks = (round((pair.ctr_a or 0) * shown[0]), round((pair.ctr_b or 0) * shown[1]))
            if all(shown):
                yield p_value(z_score(clicks[0], shown[0], clicks[1], shown[1]))


def _answers(pairs: Sequence[CreativePair]) -> str:
    told = [pair.answers for pair in pairs if pair.answers]
    rows = []
    for key in KEYS:
        count = Counter(getattr(answers, key) for answers in told)
        said = ", ".join(f"{value} {number}" for value, number in sorted(count.items()))
        rows.append([key, said])
    return table(["question", "answers"], rows)


def _listed(values: Mapping[str, Any]) -> str:
    return "\n".join(f"- {key}: {value}" for key, value in values.items()) + "\n" if values else (
        "- none\n")


def _limits(pairs: Sequence[CreativePair]) -> str:
    products = len({pair.product_id for pair in pairs})
    return (
        "## Known limits\n\n"
        f"- {products} products; pairs of one product share images and are not independent.\n"
        "- Labels are CTRs of a log: who saw what was not drawn by lot, and positions differ.\n"
        "- A pair is kept only where the CTRs are far apart: close calls are missing.\n"
        "- In rendered worlds the images are drawings of 3D models with known facts; the clicks "
        "come from a formula. Nothing here says how real shoppers click.\n"
        "- Grounded reasoning names what was rendered. Its judgements follow a rubric written by "
        "hand, not people's.\n")
