"""What is found ahead is what would be found later; a start imports only what it uses."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image
from stub_openai import StubServer, verdict_tokens

from creative4u.errors import AssetError
from creative4u.selector.evidence import image_evidence as module
from creative4u.selector.evidence.image_evidence import EvidenceExtractor

RED, BLUE = (Image.new("RGB", (40, 40), colour) for colour in ("red", "blue"))


class Reader:
    """Stands for the text reader: says how often it was asked, and in which thread."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, bool]] = []  # images, in the main thread

    def __call__(self, images: Sequence[Image.Image]) -> list[tuple[str, ...]]:
        here = threading.current_thread() is threading.main_thread()
        self.asked.append((len(images), here))
        return [(f"{image.getpixel((0, 0))}",) for image in images]


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch) -> Reader:
    reader = Reader()
    monkeypatch.setattr(module, "read_lines", reader)
    return reader


def test_what_was_read_ahead_is_taken_once(reader: Reader) -> None:
    seeing = EvidenceExtractor()
    seeing.read_ahead([RED, BLUE])
    first = seeing.read([RED, BLUE])
    assert first == [("(255, 0, 0)",), ("(0, 0, 255)",)]
    assert reader.asked == [(2, False)]
    assert seeing.read([RED, BLUE]) == first
    assert reader.asked == [(2, False), (2, True)]


def test_the_same_image_twice_is_read_once(reader: Reader) -> None:
    seeing = EvidenceExtractor()
    seeing.read_ahead([RED, RED.copy()])
    assert seeing.read([RED]) == [("(255, 0, 0)",)]
    assert reader.asked == [(1, False)]


def test_other_images_are_read_when_asked_for(reader: Reader) -> None:
    seeing = EvidenceExtractor()
    seeing.read_ahead([RED])
    assert seeing.read([BLUE]) == [("(0, 0, 255)",)]
    assert reader.asked == [(1, False), (1, True)]
    assert seeing._ahead == {}  # what was loaded for is loaded


def test_an_error_is_raised_where_the_answer_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_: Sequence[Image.Image]) -> list[tuple[str, ...]]:
        raise AssetError("no reader")

    monkeypatch.setattr(module, "read_lines", missing)
    seeing = EvidenceExtractor()
    seeing.read_ahead([RED])
    with pytest.raises(AssetError, match="no reader"):
        seeing.read([RED])


def test_what_is_dropped_is_looked_at_anew(reader: Reader) -> None:
    seeing = EvidenceExtractor()
    seeing.read_ahead([RED])
    seeing.drop_ahead()
    assert seeing.read([RED]) == [("(255, 0, 0)",)]
    assert reader.asked[-1] == (1, True)


def test_all_that_looks_finds_the_same_ahead() -> None:
    ahead, later = EvidenceExtractor(), EvidenceExtractor()
    ahead.look_ahead([RED, BLUE], ["a red shoe"])
    assert ahead.seen([RED, BLUE], True) == later.seen([RED, BLUE], True)
    assert ahead.classify([RED, BLUE]) == later.classify([RED, BLUE])
    assert ahead.match(RED, "a red shoe", ()) == later.match(RED, "a red shoe", ())
    assert ahead._ahead == {}


def in_a_child(code: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False,
        cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_only_what_is_used_is_imported() -> None:
    in_a_child(
        "import gc, sys\n"
        "from creative4u.selector.start import beginning, import_all\n"
        "with beginning():\n"
        "    assert not gc.isenabled()\n"
        "    import_all()\n"
        "assert gc.isenabled()\n"
        "unused = {'sklearn', 'scipy', 'pandas', 'peft', 'trl', 'datasets', 'onnx'}\n"
        "assert not unused & set(sys.modules), unused & set(sys.modules)\n"
        "import scipy.stats, sklearn.metrics  # they can be imported as ever\n"
    )


def test_a_served_judge_needs_no_torch() -> None:
    with StubServer(lambda _: verdict_tokens("A", -0.1, -2.0)) as server:
        in_a_child(
            "import sys\n"
            "from creative4u.selector.loading import start_judge\n"
            f"assert start_judge({server.url!r}).model == 'stub'\n"
            "heavy = {'torch', 'transformers', 'onnxruntime'} & set(sys.modules)\n"
            "assert not heavy, heavy\n"
        )
