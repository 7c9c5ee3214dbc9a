"""Folders of visitors: what is whose, what makes room for what, and that nothing stays behind."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from caller import Caller
from hypothesis import given
from hypothesis import strategies as st

from app.visitors import uploads as module
from app.visitors.uploads import LEAST, VisitorFiles, file_name
from creative4u.errors import InputError

HERE = Path(__file__).parent
KEEP = """
import time
from app.visitors.uploads import VisitorFiles
path = VisitorFiles().new("one", "a.png")
path.write_bytes(b"bytes")
print(path, flush=True)
time.sleep(600)
"""
SERVE = """
from fake_judge import FakeJudge
from app.page import serve
from app.history import Store
serve(FakeJudge(), Store("sqlite://"), "127.0.0.1", None)
"""


def write(files: VisitorFiles, visitor: str, size: int = 10) -> Path:
    path = files.new(visitor, "a.png", size)
    path.write_bytes(bytes(size))
    return path


def test_a_file_belongs_to_its_visitor_however_it_is_named(uploads: VisitorFiles) -> None:
    mine, other = write(uploads, "one"), write(uploads, "two")
    (mine.parent / "link.png").symlink_to(other)
    assert uploads.own("one", str(mine)) == mine
    assert uploads.own("one", f"{mine.parent}/./x/../a.png") == mine
    assert uploads.own("one", str(mine.parent / "gone.png")) is not None  # there or not
    for path in (str(other), f"{mine.parent}/../../../{other.relative_to(uploads.root)}",
                 str(mine.parent / "link.png"), str(mine.parents[1]), str(uploads.root), "/", "",
                 "/etc/passwd", "http://example.org/a.png", f"{mine}\0", str(mine).upper()):
        assert uploads.own("one", path) is None, path
    assert uploads.own("three", str(mine)) is None


def test_the_oldest_files_of_a_visitor_make_room_for_new_ones(tmp_path: Path) -> None:
    files = VisitorFiles(tmp_path, quota=3 * LEAST)
    other, mine = write(files, "two"), [write(files, "one") for _ in range(3)]
    large = write(files, "one", 2 * LEAST)
    assert [path.exists() for path in (other, *mine, large)] == [True, False, False, True, True]
    with pytest.raises(InputError, match="at most 192,000 a visitor are allowed"):
        files.new("one", "a.png", 3 * LEAST + 1)
    files.close()


def test_all_visitors_together_have_a_bound(tmp_path: Path) -> None:
    files = VisitorFiles(tmp_path, most=4 * LEAST)
    kept = [write(files, f"visitor {number}") for number in range(4)]
    kept.append(write(files, "visitor 5"))
    assert [path.exists() for path in kept] == [False, True, True, True, True]
    files.close()


def test_a_file_goes_when_its_time_is_over(
        uploads: VisitorFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(uploads, "one")
    uploads.expire()
    assert path.exists()
    monkeypatch.setattr(module, "KEEP", -1)
    uploads.expire()
    assert not path.exists()


def test_nobody_else_on_the_machine_may_look(tmp_path: Path) -> None:
    files = VisitorFiles(tmp_path / "uploads")
    for folder in (tmp_path / "uploads", files.root):
        assert folder.stat().st_mode & 0o777 == 0o700
    files.close()


@given(st.text(max_size=300))
def test_any_name_becomes_one_path_component(name: str) -> None:
    plain = file_name(name)
    assert 0 < len(plain.encode()) <= 240
    assert Path("/x", plain).parent == Path("/x")
    assert Path("/x", plain).resolve() == Path("/x", plain)
    assert not re.search(r'[\0-\x1f"%/\\]', plain)


@pytest.mark.parametrize(("name", "plain"), [
    ("Bag, front (2).png", "Bag, front (2).png"), ("сумка.jpeg", "сумка.jpeg"),
    ("%41.png", "_41.png"), ("..", "file"), ("C:\\a\\b.png", "b.png"), ("../../etc/x", "x"),
])
def test_a_name_is_kept_as_far_as_it_is_harmless(name: str, plain: str) -> None:
    assert file_name(name) == plain


def child(code: str, home: Path) -> tuple[subprocess.Popen[str], str]:
    """Python code in a process of its own, and the first line that it prints."""
    path = os.pathsep.join((str(HERE.parent / "helpers"), str(HERE.parents[1])))
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        env={**os.environ, "CREATIVE4U_HOME": str(home), "PYTHONPATH": path})
    assert process.stdout is not None
    return process, process.stdout.readline()


def test_a_page_that_is_asked_to_stop_leaves_nothing_behind(tmp_path: Path) -> None:
    page, ready = child(SERVE, tmp_path)
    try:
        visitor = Caller(ready.partition("open ")[2].split()[0])
        kept = Path(visitor.upload(("a.png", b"bytes"))[0])
        visitor.close()
        assert kept.is_file()
        assert kept.is_relative_to(tmp_path / "uploads")
        page.send_signal(signal.SIGTERM)
        assert page.wait(60) == 0
        assert list((tmp_path / "uploads").iterdir()) == []
    finally:
        page.kill()
        page.wait(60)


def test_what_a_killed_page_leaves_is_deleted_at_the_next_start(tmp_path: Path) -> None:
    page, line = child(KEEP, tmp_path)
    kept = Path(line.strip())
    beside = VisitorFiles(tmp_path / "uploads")
    assert kept.is_file()  # its page runs
    page.kill()
    page.wait(60)
    files = VisitorFiles(tmp_path / "uploads")
    assert {*(tmp_path / "uploads").iterdir()} == {beside.root, files.root}
    beside.close()
    files.close()
    assert list((tmp_path / "uploads").iterdir()) == []
