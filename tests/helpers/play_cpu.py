"""Judge golden pairs on the CPU that this process plays, and print one JSON object.

    ONEDNN_MAX_CPU_ISA=AVX2 ATEN_CPU_CAPABILITY=avx2 python tests/helpers/play_cpu.py
"""

from __future__ import annotations

import json
from typing import Any

import torch
from golden import golden_pairs

from creative4u.schema import Verdict
from creative4u.selector.decoding.guided_decoder import GuidedDecoder
from creative4u.selector.judge import PairRequest
from creative4u.selector.loading import load_judge

PLAYED = (1, 8, 20)  # of the golden pairs


def said(told: Any) -> dict[str, Any]:
    """All of a verdict but how long it took."""
    assert isinstance(told, Verdict), told
    return told.model_dump(mode="json", exclude={"seconds"})


def main() -> dict[str, Any]:
    """Three pairs in one batch; one of them alone, on one thread; one swapped; one undrafted."""
    judge = load_judge()
    pairs = [golden_pairs()[place] for place in PLAYED]
    together = [said(told) for told in judge.select_many(pairs)]
    one, two = pairs[0], pairs[1]
    swapped = said(judge.select(PairRequest(two.image_b, two.image_a, two.title, two.queries)))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    alone = said(judge.select(one))
    torch.set_num_threads(threads)
    GuidedDecoder._draft = lambda *_: []  # type: ignore[method-assign]
    undrafted = said(judge.select(pairs[2], both_orders=False))
    return {
        "arithmetic": together[0]["arithmetic"], "together": together, "alone": alone,
        "swapped": swapped, "undrafted": undrafted,
    }  # fmt: skip


if __name__ == "__main__":
    print(json.dumps(main()))
