"""Add answers and reasoning to mined pairs from facts or from a teacher.

Run: creative4u data reason --pairs DIR --out DIR [--teacher URL --model NAME]

A source says of each pair what it reasons, or why it has nothing to say. Only reasoning whose
choice agrees with the label is kept; a pair without reasoning stays in the data set, so that no
split loses its hard pairs.
"""

from __future__ import annotations

import json
import math
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from creative4u.files.pairs_file import good_pairs
from creative4u.schema import CreativePair, ProtocolAnswers, Side
from creative4u.selector.protocol.completion import swap_sides
from creative4u.selector.protocol.questions import COMPARED, mirror
from data.creative_pair.facts import Facts, read_facts, write_facts
from data.creative_pair.reasoning.check_claims import check_reasoning
from data.creative_pair.reasoning.from_facts import reason
from data.creative_pair.reasoning.from_observations import as_observed
from data.creative_pair.reasoning.rubric import lean
from data.creative_pair.rows import rebase_images, write_pairs


@dataclass(frozen=True)
class Reasoned:
    """Answers and reasoning for one pair."""

    pair_id: str
    answers: ProtocolAnswers
    reasoning: str


@dataclass(frozen=True)
class Dropped:
    """A pair that gets no reasoning, and why."""

    pair_id: str
    reason: str


class Source(Protocol):
    """Where reasoning comes from; outcomes may come in any order."""

    def reasons(self, pairs: Iterable[CreativePair]) -> Iterator[Reasoned | Dropped]: ...


@dataclass(frozen=True)
class Grounded:
    """From the world's known facts, by image file as the pairs name it."""

    facts: Mapping[str, Facts]
    seed: int = 7
    clear: float = 0.25  # a lean of the facts by more than this may not oppose the label
    plain: bool = False  # the first wording of each claim

    def reasons(self, pairs: Iterable[CreativePair]) -> Iterator[Reasoned | Dropped]:
        """One outcome a pair, in order."""
        for pair in pairs:
            yield self.one(pair)

    def one(self, pair: CreativePair) -> Reasoned | Dropped:
        """The outcome for one pair."""
        a, b = self.facts.get(str(pair.image_a)), self.facts.get(str(pair.image_b))
        if pair.label is None:
            return Dropped(pair.pair_id, "no label")
        if a is None or b is None:
            return Dropped(pair.pair_id, "no facts of an image")
        towards = lean(a, b, pair.queries) * (1 if pair.label == "A" else -1)
        if towards < -self.clear:
            return Dropped(pair.pair_id, "the facts point the other way")
        answers, said = reason(a, b, pair.queries, pair.label, f"{self.seed}:{pair.pair_id}",
                               self.plain)
        if contradicts(answers):
            return Dropped(pair.pair_id, "all answers point the other way")
        if all(getattr(answers, key) == "A=B" for key in COMPARED):
            return Dropped(pair.pair_id, "nothing that is seen tells them apart")
        if check_reasoning(said, a, b, pair.queries, pair.label):
            return Dropped(pair.pair_id, "refused by the checker")
        return Reasoned(pair.pair_id, answers, said)


def contradicts(answers: ProtocolAnswers) -> bool:
    """Whether somebody leads, and only the side that was not chosen."""
    leads = {getattr(answers, key) for key in COMPARED} - {"A=B"}
    return leads == {"A<B" if answers.click == "A" else "A>B"}


@dataclass(frozen=True)
class ReasonReport:
    """How many pairs have reasoning, and how many were dropped, by reason."""

    kept: int
    dropped: dict[str, int] = field(default_factory=dict)


def add_reasoning(pairs: list[CreativePair], source: Source, out: Path,
                  progress: Callable[[str], None] = lambda line: None) -> ReasonReport:
    """Write `out`/pairs.jsonl and .parquet with what the source reasons, and reasoning.json."""
    told: dict[str, Reasoned] = {}
    dropped: Counter[str] = Counter()
    labels = {pair.pair_id: pair.label for pair in pairs}
    for done, outcome in enumerate(source.reasons(pairs), 1):
        if done % 1000 == 0 or done == len(pairs):
            progress(f"reasoning: {done} of {len(pairs)} pairs")
        if isinstance(outcome, Dropped):
            dropped[outcome.reason] += 1
        elif outcome.answers.click != labels[outcome.pair_id]:
            dropped["the choice disagrees with the label"] += 1
        else:
            told[outcome.pair_id] = outcome
    rows = [pair.model_copy(update={
        "answers": told[pair.pair_id].answers if pair.pair_id in told else None,
        "reasoning": told[pair.pair_id].reasoning if pair.pair_id in told else None,
    }) for pair in pairs]
    write_pairs(rows, out)
    report = ReasonReport(len(told), dict(dropped))
    (out / "reasoning.json").write_text(
        json.dumps({"kept": report.kept, "dropped": report.dropped}, indent=1) + "\n", "utf-8")
    return report


def swapped(pair: CreativePair) -> CreativePair:
    """The same pair presented the other way round: everything that names a side is turned."""
    answers = pair.answers and mirror(pair.answers)
    label: Side | None = None if pair.label is None else ("B" if pair.label == "A" else "A")
    return pair.model_copy(update={
        "pair_id": f"{pair.pair_id}-swapped", "image_a": pair.image_b, "image_b": pair.image_a,
        "label": label, "ctr_a": pair.ctr_b, "ctr_b": pair.ctr_a,
        "impressions_a": pair.impressions_b, "impressions_b": pair.impressions_a,
        "answers": answers, "reasoning": pair.reasoning and swap_sides(pair.reasoning)})


def reason_grounded(pairs: Path, images: Path, out: Path, seed: int = 7,
                    progress: Callable[[str], None] = lambda line: None,
                    observed: bool = False, plain: bool = False) -> ReasonReport:
    """Add grounded reasoning to the pairs in folder `pairs`; `images` is their image folder.

    `observed` reasons from the degrees that the shipped probe reads off the images instead of the
    true ones: all that a small judge is shown, so all that it can learn to reason from. `plain`
    words every claim in one way, as `observed` does too.

    Also writes `out`/facts.jsonl: the facts of every image, named as the pairs name it. Raises
    InputError where pairs or facts are missing.
    """
    rows = rebase_images(list(good_pairs(pairs, unique=True)), pairs, out)
    folder = os.path.relpath(images, out)
    named = {f"{folder}/{name}": fact.model_copy(update={"image": f"{folder}/{name}"})
             for name, fact in read_facts(images).items()}
    used = sorted({str(image) for row in rows for image in (row.image_a, row.image_b)} & set(named))
    out.mkdir(parents=True, exist_ok=True)
    write_facts([named[name] for name in used], out)
    mining = (pairs if pairs.is_dir() else pairs.parent) / "mining.json"
    if mining.exists() and mining.parent.resolve() != out.resolve():
        shutil.copyfile(mining, out / mining.name)  # the card of the reasoned pairs tells it
    source = Grounded(named, seed, plain=plain)
    if observed:
        known = {name: named[name] for name in used}
        seen = as_observed(known, out, out / "observed.json", progress)
        source = Grounded(seen, seed, clear=math.inf, plain=True)
    return add_reasoning(rows, source, out, progress)
