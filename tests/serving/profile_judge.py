"""Where the time of judging in process goes: pairs in, CPU seconds by part out.

    python tests/serving/profile_judge.py pairs.jsonl 8 [float32] [undrafted]

`float32` keeps the products in float32, `undrafted` writes one token a pass.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

from creative4u.selector import load
from creative4u.selector.packed import PackedRows
from creative4u.serving.pairs import PairRow, read_pairs
from creative4u.serving.verdict_row import request_of

Passed = tuple[int, int, float, bool]  # rows, tokens, CPU seconds, whether of prompts


class Watched(PackedRows):
    """Packed rows that note what each pass took."""

    passes: ClassVar[list[Passed]] = []

    def _pass(self, chunks: Sequence[Sequence[int]], looks: Sequence[int], whole: bool,
              images: Any = None, model: Any = None) -> Any:  # fmt: skip
        began = time.process_time()
        out = super()._pass(chunks, looks, whole, images, model)
        took = time.process_time() - began
        self.passes.append((sum(map(bool, chunks)), sum(map(len, chunks)), took, whole))
        return out


def main(path: Path, count: int, options: Sequence[str]) -> dict[str, Any]:
    """CPU seconds a pair, of reading prompts and of writing, and how many passes that took."""
    from creative4u.selector import guided

    guided.PackedRows = Watched  # type: ignore[misc]
    if "undrafted" in options:
        guided.GuidedDecoder._draft = lambda *_: []  # type: ignore[method-assign]
    judge = load.load_judge(dtype="float32" if "float32" in options else "auto")
    rows = (row for row in read_pairs(path) if isinstance(row, PairRow))
    requests = [request_of(row) for row in islice(rows, count)]
    began = time.process_time()
    prompts = [prompt for request in requests for prompt in judge.prompts(request)]
    looked = time.process_time() - began
    began = time.process_time()
    judge.backend.complete(prompts)
    whole = time.process_time() - began
    reading = [took for _, _, took, of_prompt in Watched.passes if of_prompt]
    writing = [(tokens, took) for _, tokens, took, of_prompt in Watched.passes if not of_prompt]
    return {
        "pairs": len(requests),
        "looking_seconds_a_pair": looked / len(requests),
        "judging_seconds_a_pair": whole / len(requests),
        "reading_seconds_a_pair": sum(reading) / len(requests),
        "passes": len(writing),
        "seconds_a_pass": sum(took for _, took in writing) / len(writing),
        "tokens_a_pass": sum(tokens for tokens, _ in writing) / len(writing),
    }


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]), indent=1))
