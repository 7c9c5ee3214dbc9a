"""Check the import arrows: who may import whom, file size, folder size, no circle of folders."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("creative4u", "data", "rft", "app")
MOST_LINES = 300
MOST_MODULES = 15  # a folder, its __init__.py not counted
FILES = sorted(
    path
    for package in (*PACKAGES, "tests")
    for path in (ROOT / package).rglob("*.py")
    if "__pycache__" not in path.parts
)
APART = {"selector", "moon", "ctr"}  # rooms of the library that never import each other
BASE = {
    "backbone", "files", "images", "metrics", "schema", "errors", "image_statistics",
    "bradley_terry", "log_import", "user_paths", "overrides", "proxies",
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
    door = package == "creative4u" and room == "cli"
    broken = []
    for name, inside in imports(source, module):
        top, _, below = name.partition(".")
        other = below.split(".")[0]
        if top in ONLY_IN and not folder.startswith(ONLY_IN[top]):
            broken.append(f"{module} imports {top}")
        if top not in PACKAGES or package not in PACKAGES:
            continue
        if door:
            allowed = inside or other in ("errors", "schema", "cli", "")
            allowed = allowed or module == "creative4u.cli.tables"  # imported inside verbs only
        elif package == "creative4u":
            allowed = top == "creative4u" and room_may_know(room, other)
        else:
            allowed = top in (package, "creative4u") and other != "cli"
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
        return other != "cli"
    return other in (BASE if room in APART else BASE - {"backbone"})


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def folder_arrows() -> dict[str, set[str]]:
    """Map each folder of the packages to the folders that its modules import."""
    folders = {module_of(path): path.parent.relative_to(ROOT).as_posix() for path in FILES}
    arrows: dict[str, set[str]] = {}
    for path in FILES:
        here = folders[module_of(path)]
        if here.split("/")[0] not in PACKAGES:
            continue
        for name, _ in imports(path.read_text("utf-8"), module_of(path)):
            parts = name.split(".")
            heads = (".".join(parts[:end]) for end in range(len(parts), 0, -1))
            there = next((folders[head] for head in heads if head in folders), here)
            if there != here:
                arrows.setdefault(here, set()).add(there)
    return arrows


def circles(arrows: Mapping[str, set[str]]) -> list[tuple[str, str]]:
    """List pairs of folders of one package that import each other, directly or by way of others."""

    def reached(start: str) -> set[str]:
        found: set[str] = set()
        todo = [start]
        while todo:
            new = arrows.get(todo.pop(), set()) - found
            found |= new
            todo.extend(new)
        return found

    beyond = {folder: reached(folder) for folder in arrows}
    return sorted((a, b) for a in beyond for b in beyond[a] if a < b and a in beyond.get(b, set()))


def test_no_folder_imports_its_own_importer() -> None:
    arrows = folder_arrows()
    arrows.pop("creative4u/cli", None)  # the front door imports everything inside its verbs
    assert circles(arrows) == []


def test_a_circle_of_folders_is_found() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": set()}) == []
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}}) == [("a", "b"), ("a", "c"), ("b", "c")]


def test_no_folder_is_crowded() -> None:
    counts = Counter(path.parent.relative_to(ROOT).as_posix()
                     for path in FILES if path.name != "__init__.py")  # fmt: skip
    assert {folder: n for folder, n in counts.items() if n > MOST_MODULES} == {}


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
        ("creative4u.selector.judge", "from creative4u.bradley_terry import fit_strengths", True),
        ("creative4u.bradley_terry", "from creative4u.selector import judge", False),
        ("creative4u.selector.judge", "from creative4u.moon import index", False),
        ("creative4u.selector.judge", "from ..moon import index", False),
        ("creative4u.selector.judge", "import creative4u.serving.files.pairs_file", False),
        ("creative4u.selector.judge", "def f():\n    from rft.training.sft import main", False),
        ("creative4u.images", "from creative4u.backbone import fetch", False),
        ("creative4u.ctr.log.shop", "from creative4u.files.json_rows import json_rows", True),
        ("creative4u.files.pairs_file", "from creative4u.serving import judge", False),
        ("creative4u.files.pairs_file", "from creative4u.ctr import shop", False),
        ("creative4u.backbone.fetch", "from creative4u.serving import pairs", False),
        ("creative4u.schema", "from creative4u.images import square", False),
        ("creative4u.serving.batch.judge_file", "from creative4u.ctr.model import ctr_model", True),
        ("creative4u.serving.batch.judge_file", "import fastapi", True),
        ("creative4u.serving.batch.judge_file", "import gradio as gr", False),
        ("creative4u.cli.root", "def verb():\n    from app.page import main", True),
        ("creative4u.cli.root", "from app.page import main", False),
        ("creative4u.cli.root", "from creative4u.cli import judge", True),
        ("app.page", "import gradio as gr", True),
        ("app.page", "from creative4u.selector.loading import load_judge", True),
        ("app.page", "from data.world import render", False),
        ("data.world.drawing.damage", "from rft.training.rows import pair_rows", False),
        ("rft.training.sft", "from trl import SFTTrainer", True),
        ("data.world.drawing.damage", "import trl", False),
        ("creative4u.serving.server", "import vllm", True),
        ("creative4u.backbone.fetch", "from vllm import LLM", False),
    ],
)
def test_the_walker_itself(module: str, line: str, allowed: bool) -> None:
    assert (broken_arrows(line, module) == []) is allowed
