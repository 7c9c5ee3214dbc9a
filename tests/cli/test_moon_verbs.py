"""The verbs of MOON and RFT: options reach the config, old words get their new spelling."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from creative4u.cli import app

POSTTRAIN = ["moon", "posttrain", "--world", "w"]


def run(words: list[str]) -> Any:
    return CliRunner().invoke(app, words)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["moon", "posttrain", "world=w", "steps=3"], "write --world w --set steps=3 instead."),
        (["moon", "pretrain", "worlds=a,b"], "write --worlds a --worlds b instead."),
        (["moon", "apply", "world=w", "creatives=true"], "write --world w --creatives instead."),
        ([*POSTTRAIN, "passed=false"], "got passed=false; write --set not_clicked=false instead."),
        (["moon", "study", "scaling", "world=w"], "write --world w instead."),
        (["rft", "sft", "smoke", "lora.rank=2"], "write --set lora.rank=2 instead."),
        (["rft", "grpo", "grpo-160m", "grpo.pairs=4"], "write --set grpo.pairs=4 instead."),
        ([*POSTTRAIN, "--set", "world=x"], "write --world x instead"),
        ([*POSTTRAIN, "--set", "steps=x"], "steps: got 'x'"),
        (["rft", "sft", "smoke", "--set", "lora.rank=0"], "lora.rank: got 0"),
        (["moon", "posttrain"], "Missing option '--world'"),
        (["moon", "evaluate"], "got neither of --items and --world; give exactly one"),
        (
            ["moon", "index", "x.jsonl", "--out", "o", "--kind", "tree"],
            "exact and hnsw are allowed",
        ),
    ],
)
def test_wrong_use(words: list[str], says: str) -> None:
    result = run(words)
    assert result.exit_code == 2
    assert says in result.stderr
    assert result.stderr.count("\n") == 1


def test_options_and_settings_reach_the_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []

    def main(config: Any) -> Path:
        seen.append(config)
        return Path("e.safetensors")

    monkeypatch.setattr("creative4u.moon.training.posttrain.main", main)
    result = run([*POSTTRAIN, "--out", "o", "--pictures", "p", "--set", "encoder.experts=0"])
    assert result.stdout == "encoder: e.safetensors\n"
    (config,) = seen
    assert (config.world, config.out, config.pictures) == ("w", "o", ("p",))
    assert config.encoder.experts == 0
