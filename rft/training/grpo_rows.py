"""Make the rows that GRPO draws prompts from, of labelled pairs: both orders, side by side.

The two orders of a pair stand next to each other and are never shuffled apart, so that a step that
takes whole pairs sees both: that is what swap consistency is measured on.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from tqdm import tqdm
from transformers.trainer_utils import get_last_checkpoint

from creative4u.errors import InputError
from creative4u.files.origin import is_made_otherwise, kept_rows, value_hash
from creative4u.files.pairs_file import PairRow, good_pairs
from creative4u.files.verdict_file import CONTENT, read_verdicts
from creative4u.images import load_image
from creative4u.schema import CreativePair
from creative4u.selector.judge import Judge, PairRequest
from creative4u.selector.loading import evidence_hash
from creative4u.selector.protocol.questions import MIRROR, mirror
from rft.recipe import Grpo, Recipe
from rft.training.rows import ORDERS, Row, draw

ROWS = "rows.jsonl"


def training_pairs(recipe: Recipe) -> list[tuple[PairRow, Path]]:
    """Labelled pairs of the training split, each with the folder that its images are relative to.

    Where the recipe names `hard` verdicts, only those the model found hard.
    """
    assert recipe.grpo is not None
    kept = hard_pairs(recipe.grpo) if recipe.grpo.hard else None
    found = [
        (pair, path.parent)
        for path in recipe.pairs
        for pair in good_pairs(path)
        if pair.split == "train"
        and pair.label
        and (kept is None or kept & {pair.pair_id, pair.content(path.parent)})
    ]
    if not found:
        raise InputError("no labelled pairs of split train; see pairs and grpo.hard of the recipe")
    return found


def hard_pairs(config: Grpo) -> set[str]:
    """What names the pairs whose orders disagreed, that were unsure, or that were wrong.

    Their content (`PairRow.content`); of verdicts that do not know it, the pair_id.
    """
    assert config.hard is not None
    if not config.hard.is_file():
        raise InputError(f"no verdicts at {config.hard}; make them with `creative4u judge`")
    hard = set()
    for row in read_verdicts(config.hard):
        if row.get("error"):
            continue
        unsure = abs(row["probability_a"] - 0.5) < config.hard_margin
        wrong = bool(row.get("label")) and (row["probability_a"] > 0.5) != (row["label"] == "A")
        if unsure or wrong or not row["consistent"]:
            hard.add(str(row.get(CONTENT) or row["pair_id"]))
    return hard


def order_rows(pairs: Iterable[tuple[CreativePair, Path]], judge: Judge) -> Iterator[Row]:
    """Both orders of each pair: the judge's own prompt, the images, and what the rewards need."""
    for number, (pair, folder) in enumerate(pairs):
        assert pair.label is not None
        paths = [str(folder / pair.image_a), str(folder / pair.image_b)]
        images = [load_image(Path(path)) for path in paths]
        request = PairRequest(images[0], images[1], pair.product_title, pair.queries)
        for order, prompt in zip(ORDERS, judge.prompts(request), strict=True):
            turned = order == "BA"
            answers = None
            if pair.answers is not None:
                own = mirror(pair.answers) if turned else pair.answers
                answers = json.dumps(own.model_dump())
            yield {
                "prompt": prompt.messages,
                "images": paths[::-1] if turned else paths,
                "label": MIRROR[pair.label] if turned else pair.label,
                "order": order,
                "evidence_log_odds": prompt.evidence_log_odds,  # of the image shown first
                # a pair drawn twice is told apart, so that no two groups are taken for one
                "pair_id": f"{pair.pair_id}#{number}",
                "answers": answers,
            }


def grpo_rows(recipe: Recipe, judge: Judge) -> list[Row]:
    """The run's rows in training order, from its folder if they were made before."""
    assert recipe.grpo is not None
    pairs = training_pairs(recipe)
    origin = {
        "base": recipe.base,
        "seed": recipe.seed,
        "count": recipe.grpo.pairs,
        "judge": value_hash([judge.config.model_dump(mode="json"), evidence_hash()]),
        "pairs": value_hash([_named(pair, folder) for pair, folder in pairs]),
    }

    def made() -> Iterator[Row]:
        drawn = draw(pairs, recipe.grpo.pairs if recipe.grpo else 0, recipe.seed)
        yield from order_rows(tqdm(drawn, desc="prompts", unit="pair"), judge)

    path = recipe.out / ROWS
    if is_made_otherwise(path, origin) and get_last_checkpoint(str(recipe.out)):
        raise InputError(
            f"{recipe.out} was trained on other rows than the recipe gives now; delete it or "
            "choose another out=FOLDER"
        )
    return kept_rows(path, origin, made)


def _named(pair: PairRow, folder: Path) -> list[str]:
    """What a row is made of: the file's own words and the images' content."""
    return [pair.model_dump_json(), str(folder), *pair.image_hashes(folder)]
