"""The shipped judge on each CPU that can be played here: its guarantees, and the golden answers.

Bits are compared within a CPU. Across CPUs products are rounded otherwise, and a probability keeps
within ROUNDING of the golden one. After a change of the model or of what looks at images, write the
golden file anew: `.venv/bin/python tests/helpers/golden.py`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import play_cpu
import pytest
from golden import FILE, golden_pairs
from play_cpu import PLAYED

from creative4u.backbone.cpu import LIMIT, NAMES, instruction_set
from creative4u.schema import Verdict
from creative4u.selector.loading import load_judge
from creative4u.selector.protocol.completion import swap_sides
from creative4u.selector.verdict import ROUNDING

CPUS = ("AVX512_CORE_BF16", "AVX512_CORE", "AVX2")
GOLDEN = json.loads(FILE.read_text("utf-8"))


def check_golden(told: dict[str, Any], golden: dict[str, Any]) -> None:
    """The same choice, or undecided on one of two CPUs, at a probability within ROUNDING."""
    assert told["probability_a"] == pytest.approx(golden["probability_a"], abs=ROUNDING)
    choices = {told["choice"], golden["choice"]}
    assert len(choices) == 1 or "inconclusive" in choices


def play(cpu: str) -> dict[str, Any]:
    """What `play_cpu.py` prints in a process that takes this one for a smaller CPU."""
    limits = {LIMIT: cpu} | ({"ATEN_CPU_CAPABILITY": "avx2"} if cpu == "AVX2" else {})
    done = subprocess.run(
        [sys.executable, str(Path(play_cpu.__file__))],
        env=os.environ | limits, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    told: dict[str, Any] = json.loads(done.stdout)
    return told


@pytest.mark.parametrize("cpu", CPUS)
def test_a_smaller_cpu_keeps_what_is_guaranteed(cpu: str) -> None:
    here = instruction_set()
    if here not in NAMES or NAMES.index(here) < NAMES.index(cpu):
        pytest.skip(f"{here} cannot play {cpu}")
    told = play(cpu)
    assert told["arithmetic"]["cpu"] == cpu
    assert told["arithmetic"]["dtype"] == ("bfloat16" if cpu == "AVX512_CORE_BF16" else "float32")
    first, second, third = told["together"]
    assert told["alone"] == first  # the very bits, on one thread too
    assert told["undrafted"]["orders"][0] == third["orders"][0]
    swapped = told["swapped"]
    assert swapped["probability_a"] == pytest.approx(1 - second["probability_a"], abs=1e-12)
    assert swapped["reasoning"] == swap_sides(second["reasoning"])
    for place, one in zip(PLAYED, told["together"], strict=True):
        check_golden(one, GOLDEN[place])


def test_the_golden_pairs_are_judged_as_they_were() -> None:
    judge, pairs = load_judge(), golden_pairs()
    told = [one for start in range(0, 24, 4) for one in judge.select_many(pairs[start : start + 4])]
    assert len(told) == len(GOLDEN) == 24
    for one, golden in zip(told, GOLDEN, strict=True):
        assert isinstance(one, Verdict)
        check_golden(one.model_dump(mode="json"), golden)
