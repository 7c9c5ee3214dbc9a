"""The README's commands are real: each one parses, and the first screen is what the model says."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text("utf-8")
COMMANDS = re.findall(r"^\$ (.+?)(?:\s{2,}#.*)?$", README, re.MULTILINE)


def test_it_names_both_ways_in() -> None:
    assert {"make app", "make test"} <= set(COMMANDS)
    targets = (ROOT / "Makefile").read_text("utf-8")
    assert all(f"\n{name}: " in targets for name in ("app", "test"))


@pytest.mark.parametrize("line", [c for c in COMMANDS if c.startswith("creative4u ")])
def test_a_command_is_understood(line: str) -> None:
    from creative4u.cli import app

    name, *words = shlex.split(line)
    command: Any = typer.main.get_command(app)
    while hasattr(command, "commands"):
        name, *words = words
        assert name in command.commands, f"{line}: no verb {name}"
        command = command.commands[name]
    command.make_context(name, words)


def test_the_first_screen_is_what_the_shipped_model_says() -> None:
    first = next(line for line in COMMANDS if line.startswith("creative4u select"))
    shown = README.partition(f"$ {first}\n")[2].partition("```")[0]
    program = Path(sys.executable).with_name("creative4u")
    run = subprocess.run(
        [program, *shlex.split(first)[1:]], cwd=ROOT, check=True, capture_output=True, text=True,
        env={**os.environ, "COLUMNS": "100"},
    )  # fmt: skip
    assert _said(run.stdout) == _said(shown)


def _said(text: str) -> list[str]:
    """The words without what another processor may round otherwise: degrees, confidence, time."""
    table, _, rest = text.partition("\nA shows: ")
    lines = [*table.splitlines(), "Choice: " + rest.partition("\nChoice: ")[2].strip()]
    plain = [re.sub(r"confidence [\d.]+|[\d.]+ s\)", "", line.rstrip()) for line in lines]
    return [line for line in plain if line]
