"""Compare the choices and probabilities of one set of prompts judged in several ways.

    python -m creative4u.serving.bench.parity FOLDER ask pairs.jsonl 200 [MODEL]
    python -m creative4u.serving.bench.parity FOLDER WAY[,WAY...] [PAIRS]
    python -m creative4u.serving.bench.parity FOLDER compare

FOLDER holds the prompts, a file for each way that was run, and nothing else; a way goes on where it
was stopped; ways with a comma between share a process. Ways: `here` (as `creative4u judge` does it,
8 pairs a batch), `here-again`, `here-alone` (a pair at a time), `here-32` (32 pairs a batch),
`here-float32`; the same on a vLLM engine: `engine` (all prompts at once), `engine-again`,
`engine-alone`, `engine-32`; and `transformers`, which reads what `engine` wrote with plain
transformers, token by token: where a token is not the likeliest one it writes from there on by
itself.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from creative4u.errors import Creative4UError
from creative4u.schema import Order, Verdict
from creative4u.selector import loading
from creative4u.selector.config import JudgeConfig, read_config
from creative4u.selector.protocol.backend import Completion
from creative4u.selector.protocol.completion import parse
from creative4u.selector.verdict import Judged, order_verdict, verdict
from creative4u.serving.bench.recorded_requests import Asked, prompt_of, read_requests
from creative4u.serving.openai_batch.requests import asked_file, write_requests
from creative4u.serving.server.servable import servable

BATCHES = {"alone": 1, "32": 32}  # pairs; 8 otherwise in process, all on an engine
AGAINST = (
    ("here", "engine"), ("here-float32", "engine"), ("here-float32", "here"),
    ("here", "here-again"), ("here", "here-alone"), ("here", "here-32"),
    ("here-alone", "here-32"), ("here-alone", "engine"), ("engine", "engine-again"),
    ("engine", "engine-alone"), ("engine", "engine-32"), ("engine-alone", "engine-32"),
    ("engine", "transformers"), ("here-float32", "transformers"),
)  # fmt: skip
Said = dict[str, Any]  # name, text, odds (of the image shown first), ids


def ask(folder: Path, pairs: Path, limit: int, model: str | None) -> Any:
    """Write the prompts of both orders, and what the verdicts are made with."""
    folder.mkdir(parents=True, exist_ok=True)
    judge = loading.load_asker(model)
    written = write_requests(
        pairs, folder / "verdicts.jsonl", folder / "requests.jsonl", judge, limit
    )
    (folder / "model.json").write_text(
        json.dumps({"model": model, "source": servable(model).source,
                    "config": judge.config.model_dump(mode="json")})
    )  # fmt: skip
    return written


def here(way: str, asked: Sequence[Asked], model: str | None, _: str) -> Iterator[list[Said]]:
    """The judge's own backend in this process."""
    dtype: Any = "float32" if way == "here-float32" else "auto"
    backend: Any = loading.load_judge(model, dtype=dtype).backend
    for batch in _batches(way, asked, 8):
        done = backend.complete([prompt_of(one) for one in batch])
        yield [_said(one, said) for one, said in zip(batch, done, strict=True)]


def engine(way: str, asked: Sequence[Asked], _: str | None, source: str) -> Iterator[list[Said]]:
    """A vLLM engine in this process, with the options that we serve with."""
    from creative4u.serving.bench.vllm_contenders import Recorded
    from creative4u.serving.server.vllm_engine import VllmBackend

    recorded = Recorded(_engine(source))
    backend = VllmBackend(recorded, source, read_config(Path(source)).image_side)
    for batch in _batches(way, asked, 100):
        done = backend.complete([prompt_of(one) for one in batch])
        yield [
            _said(one, said) | {"ids": list(output.outputs[0].token_ids)}
            for one, said, output in zip(batch, done, recorded.outputs, strict=True)
        ]


@cache
def _engine(source: str) -> Any:
    from creative4u.serving.server.vllm_engine import load_engine

    return load_engine(source).backend.engine  # type: ignore[attr-defined]


def transformers_reads(folder: Path, asked: Sequence[Asked], source: str) -> Iterator[list[Said]]:
    """What greedy `generate` writes, found by reading what the engine wrote in one pass."""
    import torch
    from transformers import AutoModelForImageTextToText, AutoProcessor

    model = AutoModelForImageTextToText.from_pretrained(source, dtype=torch.float32).eval()
    processor: Any = AutoProcessor.from_pretrained(source)
    tokenizer = processor.tokenizer
    sides = [tokenizer(side, add_special_tokens=False).input_ids[0] for side in "AB"]
    closing = "<answer>"
    written = _read(folder / "engine.jsonl")
    for one in asked:
        ids, prompt = written[one.name]["ids"], prompt_of(one)
        text = processor.apply_chat_template(prompt.messages, add_generation_prompt=True)
        inputs = dict(processor(text=[text], images=[list(prompt.images)], return_tensors="pt"))
        start = inputs["input_ids"].shape[1]
        with torch.inference_mode():
            whole = torch.cat([inputs["input_ids"], torch.tensor([ids])], 1)
            more = inputs | {"input_ids": whole, "attention_mask": torch.ones_like(whole)}
            logits = model(**more).logits[0, start - 1 : -1].float()
            likeliest = logits.argmax(1).tolist()
            wrong = [n for n, (a, b) in enumerate(zip(likeliest, ids, strict=True)) if a != b]
            odds = None
            if not wrong:
                place = max(n for n, token in enumerate(ids) if token in sides
                            and tokenizer.decode(ids[:n]).endswith(closing))  # fmt: skip
                odds = float(logits[place, sides[0]] - logits[place, sides[1]])
            else:
                more = inputs | {"max_new_tokens": one.max_tokens, "do_sample": False}
                out = model.generate(**more, output_logits=True, return_dict_in_generate=True)
                ids = out.sequences[0, start:].tolist()
                for n, token in enumerate(ids):
                    if token in sides and tokenizer.decode(ids[:n]).endswith(closing):
                        last = out.logits[n][0]
                        odds = float(last[sides[0]] - last[sides[1]])
        said = tokenizer.decode(ids, skip_special_tokens=True)
        first = wrong[0] if wrong else None
        yield [{"name": one.name, "text": said, "odds": odds, "ids": ids, "unlike": first,
                "weighed": prompt_of(one).evidence_log_odds}]  # fmt: skip


def run(folder: Path, way: str, limit: int | None) -> dict[str, Any]:
    """One way over the prompts that it has not been asked yet."""
    known = json.loads((folder / "model.json").read_text())
    every = read_requests(folder / "requests.jsonl", asked_file(folder / "verdicts.jsonl"))
    asked = every[: limit and 2 * limit]
    path = folder / f"{way}.jsonl"
    done = _read(path) if path.exists() else {}
    left = [one for one in asked if one.name not in done]
    asking: Callable[..., Iterator[list[Said]]] = here if way.startswith("here") else engine
    if way == "transformers":
        batches = transformers_reads(folder, left, known["source"])
    else:
        batches = asking(way, left, known["model"], known["source"])
    with path.open("a") as file:
        for batch in batches if left else ():
            file.writelines(json.dumps(said) + "\n" for said in batch)
            file.flush()
    return {"way": way, "asked": len(asked), "already": len(asked) - len(left)}


def compare(folder: Path) -> Iterator[dict[str, Any]]:
    """Every two ways of AGAINST that were run, on the pairs that both have."""
    config = JudgeConfig.model_validate(json.loads((folder / "model.json").read_text())["config"])
    ways = {path.stem: _read(path) for path in folder.glob("*.jsonl") if path.stem in _WAYS}
    for one, other in AGAINST:
        if one in ways and other in ways:
            yield {"ways": f"{one} / {other}"} | differ(ways[one], ways[other], config)


def differ(one: dict[str, Said], other: dict[str, Said], config: JudgeConfig) -> dict[str, Any]:
    """Shares of the same choice and the same words, and how far the probabilities lie apart, by
    verdict (calibrated, as they are shown) and by order (also as the model gave them)."""
    shared = [name for name in one if name in other and ":AB:" in name]
    same = words = orders = raw_same = broken = 0
    apart, order_apart, raw_apart = [], [], []
    for name in shared:
        both = (name, name.replace(":AB:", ":BA:"))
        try:
            mine, yours = (_judged(way, both) for way in (one, other))
        except (Creative4UError, KeyError, TypeError):
            broken += 1
            continue
        verdicts: list[Verdict] = [verdict(told, config, "", 0.0) for told in (mine, yours)]
        same += verdicts[0].choice == verdicts[1].choice
        apart.append(abs(verdicts[0].probability_a - verdicts[1].probability_a))
        for place, order in enumerate(both):
            words += one[order]["text"].rstrip() == other[order]["text"].rstrip()
            a, b = mine[place], yours[place]
            told = [order_verdict(judged, config) for judged in (a, b)]
            orders += told[0].choice == told[1].choice
            order_apart.append(abs(told[0].probability_a - told[1].probability_a))
            raw_same += a.parsed.answers.click == b.parsed.answers.click
            raw_apart.append(abs(_share(a.lm) - _share(b.lm)))
    count = max(1, len(shared) - broken)
    return {
        "pairs": len(shared), "broken": broken,
        "same_choice": same / count, "mean": _mean(apart), "most": max(apart, default=None),
        "same_order_choice": orders / 2 / count, "order_mean": _mean(order_apart),
        "same_said": raw_same / 2 / count, "said_mean": _mean(raw_apart),
        "said_most": max(raw_apart, default=None), "same_words": words / 2 / count,
    }  # fmt: skip


_WAYS = {way for both in AGAINST for way in both}


def _judged(way: dict[str, Said], both: Sequence[str]) -> list[Judged]:
    named: tuple[tuple[Order, str], ...] = (("AB", both[0]), ("BA", both[1]))
    return [
        Judged(order, parse(way[name]["text"]), float(way[name]["odds"]), way[name]["weighed"])
        for order, name in named
    ]


def _said(one: Asked, said: Completion | Creative4UError) -> Said:
    told: Said = {"name": one.name, "weighed": prompt_of(one).evidence_log_odds}
    if isinstance(said, Completion):
        return told | {"text": said.text, "odds": said.logit_a}
    return told | {"text": str(said), "odds": None}


def _batches(way: str, asked: Sequence[Asked], usual: int) -> Iterator[Sequence[Asked]]:
    size = 2 * BATCHES.get(way.rpartition("-")[2], usual)
    for start in range(0, len(asked), size):
        yield asked[start : start + size]


def _read(path: Path) -> dict[str, Said]:
    return {row["name"]: row for row in map(json.loads, path.read_text().splitlines())}


def _share(odds: float) -> float:
    return float(1 / (1 + np.exp(-odds)))


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None


def main(folder: Path, verb: str, *more: str) -> None:
    """Print one JSON line for each thing done."""
    if verb == "ask":
        told = [ask(folder, Path(more[0]), int(more[1]), more[2] if more[2:] else None)]
    elif verb == "compare":
        told = list(compare(folder))
    else:
        told = [run(folder, way, int(more[0]) if more else None) for way in verb.split(",")]
    for one in told:
        print(json.dumps(one), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
