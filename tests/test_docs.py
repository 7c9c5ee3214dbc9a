"""Check that docs and docstrings point at things that are in the repository."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
SOURCES = sorted(
    path
    for folder in ("creative4u", "rft", "app", "data", "tests")
    for path in (ROOT / folder).rglob("*.py")
)
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")  # a relative link; an address has a colon
MODULE = re.compile(r"`((?:creative4u|rft|app|data|tests)/[\w/.-]+\.\w+)`")
DOC = re.compile(r"\bdocs/[\w-]+\.md\b")


@pytest.mark.parametrize("path", DOCS, ids=lambda path: path.name)
def test_links_and_files_named_in_docs_exist(path: Path) -> None:
    text = path.read_text("utf-8")
    missing = [link for link in LINK.findall(text) if not (path.parent / link).exists()]
    missing += [name for name in MODULE.findall(text) if not (ROOT / name).exists()]
    assert missing == []


def test_docs_named_in_code_exist() -> None:
    named = {name for path in SOURCES for name in DOC.findall(path.read_text("utf-8"))}
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


def test_a_broken_link_is_found() -> None:
    assert LINK.findall("see [x](none.md#part) and [y](https://e.org)") == ["none.md"]
