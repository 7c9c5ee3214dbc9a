"""Ctrl-C while batches compute in this process: a clean end at once, not an aborted interpreter."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

from judge_by_title import TITLES, write

RUN = """
import sys
from pathlib import Path
sys.path.insert(0, {here!r})
import torch
from judge_by_title import ByTitle
from creative4u.selector import loading

class Computing(ByTitle):
    backend = property(lambda self: self)

    def share_cores(self):
        return 2

    def select_many(self, requests):
        Path({started!r}).touch()
        while True:
            torch.ones(300, 300) @ torch.ones(300, 300)

loading.start_judge = lambda *_, **__: Computing()
from creative4u.cli import main
sys.argv = ["creative4u", "judge", {pairs!r}, "-o", {out!r}]
main()
"""


def test_what_is_in_flight_is_left(tmp_path: Path) -> None:
    started, out = tmp_path / "started", tmp_path / "out.jsonl"
    code = RUN.format(here=str(Path(__file__).parents[2] / "helpers"), started=str(started),
                      pairs=str(write(tmp_path, TITLES)), out=str(out))  # fmt: skip
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True)
    while process.poll() is None and not started.exists():
        time.sleep(0.01)
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    told = process.communicate(timeout=30)[1]
    assert process.returncode == 130
    assert f"go on with: creative4u judge {tmp_path}" in told
    assert "terminate" not in told
    assert not Path(f"{out}.lock").exists()
