"""Score new creatives: calibrated pCTRs with intervals, no history needed.

The weights shipped beside this module were trained on the log of the project's own rendered world
(`creative4u data world`), not on any real shop: its scale of CTR and its taste are that world's.
`creative4u ctr newcomer` fits the same scorer on another log. The pCTR is that of the log's usual
position; the queries speak for how much the product is wanted, not for the single image.

Beside the debiased scorer stands the raw one, fitted on the same log at face value: where the two
part, it is exposure (position, popular products) that speaks, not the image.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from creative4u.backbone.appearance import Appearance, appearance
from creative4u.backbone.sentences import sentence_vectors
from creative4u.ctr.cold_start.model import Newcomer
from creative4u.ctr.model.calibration import Calibrator, read_calibrator
from creative4u.errors import InputError

WEIGHTS = "weights/newcomer.safetensors"
RAW = "raw."  # before the names of the raw twin's arrays
Score = tuple[float, float, float]  # pCTR, low, high


@dataclass(frozen=True)
class Reading:
    """One creative: the debiased pCTR with its 90 % interval, and the raw pCTR (None: no twin)."""

    pctr: float
    low: float
    high: float
    raw: float | None = None


@dataclass(frozen=True)
class Calibrated:
    """A newcomer model and the map from its probabilities to calibrated ones."""

    newcomer: Newcomer
    calibrator: Calibrator

    def __call__(self, seen: Appearance, words: NDArray[np.floating]) -> NDArray[np.float64]:
        """(N,) calibrated pCTRs of N images with their words' vectors."""
        return self.calibrator(1 / (1 + np.exp(-self.newcomer.logit(seen, words))))


@dataclass(frozen=True)
class Scorer(Calibrated):
    """A fitted newcomer model with its calibration, and its raw twin."""

    raw: Calibrated | None = None

    def read(
        self, images: Sequence[Image.Image], title: str, queries: Sequence[str] = ()
    ) -> list[Reading]:
        """A reading of each image, all looked at once. Raises InputError where there is no title.

        What supports the interval are the impressions that the model is worth on creatives without
        a history (`calibrator.strength`).
        """
        if not title.strip():
            raise InputError("the product title is empty; give the words that shoppers see")
        if not images:
            return []
        words = np.repeat(word_vector(title, queries)[None], len(images), axis=0)
        seen = appearance(images)
        p = self(seen, words)
        low, high = self.calibrator.interval(p)
        raw = [None] * len(p) if self.raw is None else self.raw(seen, words).tolist()
        return [Reading(*row) for row in zip(p.tolist(), low.tolist(), high.tolist(), raw,
                                             strict=True)]  # fmt: skip

    def score(
        self, images: Sequence[Image.Image], title: str, queries: Sequence[str] = ()
    ) -> list[Score]:
        """(pCTR, low, high) of each image; the interval holds 90 %. Raises InputError: no title."""
        return [(one.pctr, one.low, one.high) for one in self.read(images, title, queries)]

    def save(self, path: Path, report: Mapping[str, object]) -> None:
        """One safetensors file; calibration and report stand in its metadata."""
        path.parent.mkdir(parents=True, exist_ok=True)
        arrays = self.newcomer.arrays()
        about = {"calibration": json.dumps(self.calibrator.record()), "report": json.dumps(report)}
        if self.raw is not None:
            arrays |= {RAW + name: x for name, x in self.raw.newcomer.arrays().items()}
            about[RAW + "calibration"] = json.dumps(self.raw.calibrator.record())
        save_file(arrays, path, metadata=about)


def word_vector(title: str, queries: Sequence[str]) -> NDArray[np.float32]:
    """The mean of the title's vector and the queries' mean vector, (384,)."""
    vectors = sentence_vectors([title, *queries])
    if not queries:
        return np.asarray(vectors[0], np.float32)
    return np.asarray((vectors[0] + vectors[1:].mean(axis=0)) / 2, np.float32)


@cache
def load_scorer(path: Path | None = None) -> Scorer:
    """The shipped scorer, or the one in `path`; raises InputError for another kind of file."""
    source = Path(str(files("creative4u.ctr").joinpath(WEIGHTS))) if path is None else path
    try:
        with safe_open(source, framework="numpy") as file:
            arrays = {name: file.get_tensor(name).astype(np.float64) for name in file.keys()}  # noqa: SIM118
            about = file.metadata()
        twin = {name: arrays.pop(name) for name in list(arrays) if name.startswith(RAW)}
        raw = None
        if twin:
            raw = Calibrated(
                Newcomer(**{name.removeprefix(RAW): x for name, x in twin.items()}),
                read_calibrator(json.loads(about[RAW + "calibration"])),
            )
        return Scorer(Newcomer(**arrays), read_calibrator(json.loads(about["calibration"])), raw)
    except (OSError, KeyError, TypeError, ValueError, SafetensorError) as error:
        raise InputError(f"{source}: no scorer's weights: {error}") from error


def score(images: Sequence[Image.Image], title: str, queries: Sequence[str] = ()) -> list[Score]:
    """`Scorer.score` of the shipped weights: [(pCTR, low, high)], one entry an image."""
    return load_scorer().score(images, title, queries)
