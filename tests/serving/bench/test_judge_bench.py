"""The benchmark's parts: arithmetic against torch's own counter, parity by hand, CPU seconds."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from reasoning_lines import LINES
from torch.utils.flop_counter import FlopCounterMode
from transformers import Idefics3Config, Idefics3ForConditionalGeneration

from creative4u.errors import InputError
from creative4u.schema import ImageEvidence, PairEvidence
from creative4u.selector.backends.openai_format import chat_body, data_url
from creative4u.selector.protocol.completion import complete
from creative4u.selector.protocol.prompt import comparison_messages
from creative4u.serving.bench.contenders import Stopwatch, Timed
from creative4u.serving.bench.flops import arithmetic
from creative4u.serving.bench.judge_bench import BenchConfig, bench_judge, parity
from creative4u.serving.bench.machine import tree_cpu_seconds, tree_peak_bytes
from creative4u.serving.bench.recorded_requests import prompt_of, read_requests


def thin() -> Any:
    return Idefics3ForConditionalGeneration(
        Idefics3Config(
            text_config={
                "model_type": "llama", "hidden_size": 32, "intermediate_size": 80,
                "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
                "vocab_size": 60,
            },
            vision_config={
                "hidden_size": 16, "intermediate_size": 48, "num_hidden_layers": 3,
                "num_attention_heads": 2, "image_size": 56, "patch_size": 14,
            },
            scale_factor=2, image_token_id=59, attn_implementation="eager",
        )
    ).eval()  # fmt: skip


def counted(call: Any) -> float:
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        call()
    return float(counter.get_total_flops())


def test_the_arithmetic_is_what_torch_counts() -> None:
    model = thin()
    cost = arithmetic(model.config)
    pixels = torch.rand(1, 1, 3, 56, 56)
    got = counted(lambda: model.model.get_image_features(pixels))
    assert got == pytest.approx(cost.image, rel=0.02)
    ids = torch.randint(0, 50, (1, 20))
    whole = counted(lambda: model(input_ids=ids, logits_to_keep=1))
    # torch counts the full square of attention, of which a causal model needs half
    square = cost.attended * (20 * 20 - 20 * 21 / 2)
    assert whole == pytest.approx(cost.completion(20, 1) + square, rel=0.01)
    step = cost.completion(20, 2) - cost.completion(20, 1)
    assert step == pytest.approx(cost.token + cost.output + 21 * cost.attended)


def test_parity_by_hand() -> None:
    a, b = complete(LINES, "A"), complete(LINES, "B")
    one = Timed("one", 4, texts={"1": a, "2": b, "3": a, "4": "?"}, odds={"1": 0.0, "2": 1.0})
    two = Timed("two", 4, texts={"1": a, "2": a, "3": a, "4": a}, odds={"1": 0.0, "2": -1.0})
    told = parity(one, two)
    assert told["compared"] == 3
    assert told["same_choice"] == pytest.approx(2 / 3)
    assert told["same_text"] == 0.5
    assert told["off_protocol"] == 1
    assert told["most_difference"] == pytest.approx(0.7310586 - 0.2689414)
    assert told["mean_difference"] == pytest.approx(0.4621172 / 2)
    two.asked, two.texts = 2, {"1": a, "2": b}  # had the first pair alone
    assert parity(one, two)["same_text"] == 1.0


def test_cpu_seconds_count_children_and_not_waiting() -> None:
    timed = Timed("x")
    code = "import time\nend = time.process_time() + 0.4\nwhile time.process_time() < end: pass"
    with Stopwatch(timed):
        time.sleep(0.2)
        subprocess.run([sys.executable, "-S", "-c", code], check=True)
    assert timed.cpu_seconds == pytest.approx(0.45, abs=0.25)
    assert timed.seconds >= 0.6
    assert tree_cpu_seconds() > 0
    assert tree_peak_bytes() > 20e6


def test_requests_come_back_as_the_prompts_they_were(tmp_path: Path) -> None:
    images = (Image.new("RGB", (224, 224), "red"), Image.new("RGB", (224, 224), "navy"))
    evidence = PairEvidence(
        A=ImageEvidence(degrees={"size": 3.0}), B=ImageEvidence(degrees={"size": 8.0}),
        contributions={"size": -1.0}, log_odds=-1.0,
    )  # fmt: skip
    messages = comparison_messages("boot", ("warm boot",), evidence)
    body = chat_body(messages, [data_url(image, 224) for image in images], "m")
    path = tmp_path / "requests.jsonl"
    names = ("p:AB:0", "p:BA:0", "bare:AB:1")
    lines = [json.dumps({"custom_id": name, "body": body}) + "\n" for name in names]
    path.write_text("".join(lines))
    beside = tmp_path / "out.jsonl.batch.jsonl"
    kept = ["{}", json.dumps({"evidence": evidence.model_dump()}), '{"evidence": null}']
    beside.write_text("\n".join(kept) + "\n")
    asked = read_requests(path, beside)
    assert [one.name for one in asked] == list(names)
    assert [one.evidence for one in asked] == [evidence, evidence.swapped(), None]
    prompt = prompt_of(asked[0])
    assert (prompt.messages, prompt.evidence_log_odds) == (messages, -1.0)
    assert [one.tobytes() for one in prompt.images] == [one.tobytes() for one in images]


def test_an_unknown_contender_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="unknown contender 'tgi'; allowed are here, transform"):
        bench_judge(tmp_path / "pairs.jsonl", None, BenchConfig(("tgi",)))
