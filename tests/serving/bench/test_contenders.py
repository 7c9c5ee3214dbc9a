"""The contenders of the benchmark on a model of two thin layers: the same prompts, all counted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from creative4u.selector.backends.openai_format import chat_body, data_url
from creative4u.selector.protocol.prompt import comparison_messages
from creative4u.serving.bench.contenders import Timed, here, transformers_loop
from creative4u.serving.bench.judge_bench import _figures, _needed
from creative4u.serving.bench.recorded_requests import read_requests
from creative4u.serving.server.servable import merged_folder


def test_both_read_the_same_prompts(adapter: Path, pictures: list[Any], tmp_path: Path) -> None:
    folder, path = str(merged_folder(adapter)), tmp_path / "requests.jsonl"
    lines = []
    for order in ((0, 1), (1, 0)):
        urls = [data_url(pictures[i], 224) for i in order]
        body = chat_body(comparison_messages("boot", ("warm",)), urls, "m", max_tokens=4)
        lines.append(json.dumps({"custom_id": f"p:{'BA' if order[0] else 'AB'}:0", "body": body}))
    path.write_text("\n".join(lines) + "\n")
    beside = tmp_path / "out.jsonl.batch.jsonl"
    beside.write_text('{}\n{"evidence": null}\n')
    asked = read_requests(path, beside)
    ours, plain = Timed("here", 2), Timed("transformers", 2)
    here(asked, folder, ours)
    transformers_loop(asked, folder, plain)
    assert ours.prompt_tokens == plain.prompt_tokens > 2 * 2 * 64  # two images of 64 tokens each
    # two images, each shown in two orders; where the CPU rounds, close choices are read once more
    assert ours.caches["vision_hit_rate"] in (0.5, 0.75)
    assert plain.tokens == 2 * 4
    assert len(plain.texts) == len(plain.first_token) == 2
    assert (len(ours.latency), len(plain.latency)) == (1, 1)
    flop = _needed(folder, {"here": ours})
    limit = dict.fromkeys(
        ("flop_per_second", "flop_per_cpu_second", "bfloat16_flop_per_cpu_second"), 1e9
    )
    told = _figures(plain, 2 * flop, limit, cost_per_hour=3.6)
    assert told["pairs_per_second"] == pytest.approx(1 / plain.seconds)
    assert told["share_of_limit"] == pytest.approx(2 * flop / plain.seconds / 1e9)
    assert told["cost_per_thousand_pairs"] == pytest.approx(plain.seconds)
