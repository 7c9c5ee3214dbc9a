"""List every reason not to trust a folder of pairs or a written data set.

Run: creative4u data check DIR
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import imagehash

from creative4u.errors import ImageError, VerdictParseError
from creative4u.files.pairs_file import good_pairs
from creative4u.images import load_image
from creative4u.schema import CreativePair
from creative4u.selector.protocol.completion import complete, parse
from data.creative_pair.dataset.parquet import read_packed
from data.creative_pair.facts import FACTS, Facts, read_facts
from data.creative_pair.mining.image_hashes import Fingerprint, near_pairs
from data.creative_pair.reasoning.add_reasoning import contradicts
from data.creative_pair.reasoning.check_claims import check_reasoning

SIDE_LIMITS = (0.48, 0.52)  # of labels A, in every split
MIN_SIDED = 50  # a split with fewer labelled pairs cannot be that exact: one off is allowed


@dataclass
class CheckReport:
    """Problems as one line each; none means that the data may be used."""

    pairs: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.problems


def check(folder: Path, progress: Callable[[str], None] = lambda line: None) -> CheckReport:
    """Check leakage across splits, the label's sides, images, answers and reasoning.

    Where the folder has the facts of its images, each claim of the reasoning is looked up in them.
    """
    facts = read_facts(folder) if (folder / FACTS).is_file() else {}
    report = CheckReport()
    seen: Counter[str] = Counter()
    sides: dict[str, Counter[str]] = defaultdict(Counter)
    splits_of_product: dict[str, set[str]] = defaultdict(set)
    splits_of_image: dict[str, set[str]] = defaultdict(set)
    marks: dict[str, Fingerprint] = {}
    known: dict[str, str] = {}  # image name and length -> sha, so that each is read once
    for done, (pair, *images) in enumerate(_rows(folder), 1):
        if done % 1000 == 0:
            progress(f"check: {done} pairs read")
        split = pair.split or ""
        seen[pair.pair_id] += 1
        if pair.label:
            sides[split][pair.label] += 1
        if pair.product_id:
            splits_of_product[pair.product_id].add(split)
        for image in images:
            sha = _mark(image, known, marks, report)
            if sha:
                splits_of_image[sha].add(split)
        report.problems += _judgements(pair)
        report.problems += _claims(pair, facts)
    report.pairs = seen.total()
    report.problems += [f"pair {name} stands {count} times" for name, count in seen.items()
                        if count > 1]
    report.problems += [f"product {name} is in the splits {_listed(where)}"
                        for name, where in splits_of_product.items() if len(where) > 1]
    report.problems += [f"image {marks[sha].image} is in the splits {_listed(where)}"
                        for sha, where in splits_of_image.items() if len(where) > 1]
    report.problems += sorted({
        f"images {one.image} and {other.image} look the same and are in the splits "
        f"{_listed(splits_of_image[one.sha] | splits_of_image[other.sha])}"
        for one, other in near_pairs(marks.values())
        if one.sha != other.sha and splits_of_image[one.sha] != splits_of_image[other.sha]})
    report.problems += _balance(sides)
    return report


def _rows(folder: Path) -> Iterator[tuple[CreativePair, Path | bytes, Path | bytes]]:
    if (folder / "data").is_dir():
        yield from read_packed(folder)
        return
    home = folder if folder.is_dir() else folder.parent
    for pair in good_pairs(folder):
        yield pair, home / pair.image_a, home / pair.image_b


def _mark(image: Path | bytes, known: dict[str, str], marks: dict[str, Fingerprint],
          report: CheckReport) -> str:
    name = str(image) if isinstance(image, Path) else hashlib.sha256(image).hexdigest()
    if name in known:
        return known[name]
    try:
        picture = load_image(image, name=name)
    except ImageError as error:
        report.problems.append(f"broken image: {error}")
        known[name] = ""
        return ""
    sha = hashlib.sha256(image.read_bytes()).hexdigest() if isinstance(image, Path) else name
    known[name] = sha
    marks.setdefault(sha, Fingerprint(name[-40:], sha, int(str(imagehash.phash(picture)), 16),
                                      int(str(imagehash.dhash(picture)), 16)))
    return sha


def _judgements(pair: CreativePair) -> Iterable[str]:
    """What is wrong with a row's answers and reasoning."""
    if pair.answers is None:
        return
    if pair.label and pair.answers.click != pair.label:
        yield f"pair {pair.pair_id}: the answers choose {pair.answers.click}, not the label"
    if contradicts(pair.answers):
        yield f"pair {pair.pair_id}: all answers speak against the choice"
    if pair.reasoning is None:
        return
    try:
        parsed = parse(complete(pair.reasoning, pair.answers.click))
    except VerdictParseError as error:
        yield f"pair {pair.pair_id}: the reasoning does not parse: {error}"
        return
    if parsed.answers != pair.answers:
        yield f"pair {pair.pair_id}: reasoning and answers contradict each other"


def _claims(pair: CreativePair, facts: Mapping[str, Facts]) -> Iterable[str]:
    """What the reasoning of a pair of known facts says and the images do not show."""
    a, b = facts.get(str(pair.image_a)), facts.get(str(pair.image_b))
    if pair.reasoning is None or pair.answers is None or a is None or b is None:
        return
    for one in check_reasoning(pair.reasoning, a, b, pair.queries, pair.answers.click):
        yield f"pair {pair.pair_id}, {one.line}: {one.said!r}: {one.reason}"


def _balance(sides: dict[str, Counter[str]]) -> Iterable[str]:
    for split, count in sorted(sides.items()):
        share = count["A"] / count.total()
        exact = count.total() < MIN_SIDED and abs(count["A"] - count["B"]) <= 1
        if not exact and not SIDE_LIMITS[0] <= share <= SIDE_LIMITS[1]:
            yield f"split {split!r}: {share:.3f} of {count.total()} labels are A; 0.48 to 0.52 may"


def _listed(splits: set[str]) -> str:
    return ", ".join(sorted(splits))
