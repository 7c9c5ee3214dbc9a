"""Check what the console prints: results in lines or JSON, and a notice of what takes long."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from creative4u.cli.console import announced, answer


def test_what_was_made_is_told_in_lines(capsys: pytest.CaptureFixture[str]) -> None:
    found = {"by_split": {"train": 2, "test": 1}, "rows": 0, "log": None, "names": ("a", "b")}
    answer(found | {"rejects": {}, "folder": Path("x")}, json=False)
    assert capsys.readouterr().out == (
        "by split: train 2, test 1\nrows: 0\nnames: a, b\nfolder: x\n"
    )
    answer({"folder": Path("x"), "share": float("nan")}, json=True)
    assert capsys.readouterr().out == '{"folder": "x", "share": null}\n'


def test_what_takes_long_is_announced_on_standard_error(
    capsys: pytest.CaptureFixture[str]
) -> None:
    with announced("loading", after=60.0):
        pass
    err = ""
    with announced("loading the judge", after=0.0):
        for _ in range(1000):
            err += capsys.readouterr().err
            if err.endswith("\n"):
                break
            time.sleep(0.01)
    assert err == "loading the judge\n"
