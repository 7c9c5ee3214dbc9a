"""The import arrows of the house: who may know whom, and that no file grows past 300 lines."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("creative4u", "data", "rft", "app")
MOST_LINES = 300
FILES = sorted(
    path
    for package in (*PACKAGES, "tests")
    for path in (ROOT / package).rglob("*.py")
    if "__pycache__" not in path.parts
)
APART = {"selector", "moon", "ctr"}  # rooms of the library that never import each other
BASE = {
    "backbone", "images", "metrics", "schema", "errors", "image_statistics", "proxies",
}  # fmt: skip
ONLY_IN = {
    "trl": ("rft",),
    "gradio": ("app",),
    "fastapi": ("creative4u/serving",),
    "vllm": ("creative4u/serving", "rft"),
}


def imports(source: str, module: str) -> Iterator[tuple[str, bool]]:
    """Every imported module's full name, and whether the import stands inside a function."""
    tree = ast.parse(source)
    inside = {
        id(node)
        for outer in ast.walk(tree)
        if isinstance(outer, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(outer)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for name in node.names:
                yield name.name, id(node) in inside
        elif isinstance(node, ast.ImportFrom):
            start = node.module or ""
            if node.level:
                above = module.split(".")[: -node.level]
                start = ".".join([*above, start]).strip(".")
            for name in node.names:
                yield f"{start}.{name.name}", id(node) in inside


def broken_arrows(source: str, module: str) -> list[str]:
    """What the module imports and may not, in words."""
    package, _, rest = module.partition(".")
    room = rest.split(".")[0]
    folder = module.replace(".", "/")
    door = package == "creative4u" and (room == "cli" or room.startswith("cli_"))
    broken = []
    for name, inside in imports(source, module):
        top, _, below = name.partition(".")
        other = below.split(".")[0]
        if top in ONLY_IN and not folder.startswith(ONLY_IN[top]):
            broken.append(f"{module} imports {top}")
        if top not in PACKAGES or package not in PACKAGES:
            continue
        if door:
            allowed = inside or other in ("errors", "schema", "") or other.startswith("cli")
            allowed = allowed or room == "cli_show"  # itself imported inside verbs only
        elif package == "creative4u":
            allowed = top == "creative4u" and room_may_know(room, other)
        else:
            allowed = top in (package, "creative4u") and not other.startswith("cli")
        if not allowed:
            broken.append(f"{module} imports {name}")
    return broken


def room_may_know(room: str, other: str) -> bool:
    """Whether a room of the library may import another (or a module of its own top folder)."""
    if other == room or other in ("schema", "errors", ""):
        return True
    if room in ("schema", "errors"):
        return False
    if room == "serving":
        return not other.startswith("cli")
    return other in (BASE if room in APART else BASE - {"backbone"})


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_arrows_and_size(path: Path) -> None:
    source = path.read_text("utf-8")
    assert source.count("\n") <= MOST_LINES
    if module_of(path).split(".")[0] in PACKAGES:
        assert broken_arrows(source, module_of(path)) == []


@pytest.mark.parametrize(
    ("module", "line", "allowed"),
    [
        ("creative4u.selector.judge", "from creative4u.images import square", True),
        ("creative4u.selector.judge", "from ..images import square", True),
        ("creative4u.selector.judge", "from creative4u.moon import index", False),
        ("creative4u.selector.judge", "from ..moon import index", False),
        ("creative4u.selector.judge", "import creative4u.serving.pairs", False),
        ("creative4u.selector.judge", "def f():\n    from rft.sft import main", False),
        ("creative4u.images", "from creative4u.backbone import fetch", False),
        ("creative4u.backbone.fetch", "from creative4u.serving import pairs", False),
        ("creative4u.schema", "from creative4u.images import square", False),
        ("creative4u.serving.judge", "from creative4u.ctr.model import Model", True),
        ("creative4u.serving.judge", "import fastapi", True),
        ("creative4u.serving.judge", "import gradio as gr", False),
        ("creative4u.cli", "def verb():\n    from app.page import main", True),
        ("creative4u.cli", "from app.page import main", False),
        ("creative4u.cli", "from creative4u import cli_files", True),
        ("app.page", "import gradio as gr", True),
        ("app.page", "from creative4u.selector.load import load_judge", True),
        ("app.page", "from data.world import render", False),
        ("data.damage", "from rft.rows import pair_rows", False),
        ("rft.sft", "from trl import SFTTrainer", True),
        ("data.damage", "import trl", False),
        ("creative4u.serving.server", "import vllm", True),
        ("creative4u.backbone.fetch", "from vllm import LLM", False),
    ],
)
def test_the_walker_itself(module: str, line: str, allowed: bool) -> None:
    assert (broken_arrows(line, module) == []) is allowed
