"""Check the help of every verb: an example, and no heavy import."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import typer
from typer.testing import CliRunner

from creative4u.cli import app

run = CliRunner().invoke


def verbs_of(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every verb below a command, as the words that call it."""
    if not hasattr(command, "commands"):
        yield path
        return
    for name, below in command.commands.items():
        yield from verbs_of(below, (*path, name))


def test_every_verb_gives_an_example() -> None:
    verbs = list(verbs_of(typer.main.get_command(app)))
    assert ("data", "world") in verbs
    for verb in verbs:
        shown = run(app, [*verb, "--help"]).stdout
        assert f"Example: creative4u {' '.join(verb)}" in " ".join(shown.split()), verb


def test_help_imports_no_heavy_library() -> None:
    code = (
        "import sys; from creative4u.cli import app; app(['--help'], standalone_mode=False); "
        "heavy = {'torch', 'transformers', 'gradio', 'numpy', 'trl'} & set(sys.modules); "
        "sys.exit(str(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
