"""Run a command as a process group that never outlives this process."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from creative4u.serving.server import watchdog

_ERROR = re.compile(r"\b[A-Z]\w*(?:Error|Exception): .*")  # as Python ends a traceback


class Child:
    """A program and all that it starts, in a process group of its own, its output in `log`."""

    def __init__(self, command: Sequence[str], env: Mapping[str, str], log: Path) -> None:
        self.log = log
        with log.open("wb") as out:
            self._program = subprocess.Popen(
                list(command),
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._watch = subprocess.Popen(
            [sys.executable, "-I", watchdog.__file__, str(self.pid)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        """Of the program, and the number of its group."""
        return self._program.pid

    @property
    def ended(self) -> int | None:
        """The exit status, None while it runs."""
        return self._program.poll()

    def wait(self) -> int:
        """Until it ends by itself; the exit status."""
        return self._program.wait()

    def last_lines(self, count: int = 5) -> str:
        """The first error in the log, or else its end, for an error message."""
        lines = self.log.read_text("utf-8", "replace").splitlines()
        for line in lines:
            if found := _ERROR.search(line):
                return found[0].strip()
        return " | ".join(line.strip() for line in lines[-count:] if line.strip())

    def stop(self, grace: float = watchdog.GRACE) -> None:
        """Ask the whole group to end, and kill what has not after `grace` seconds."""
        try:
            self._signal(signal.SIGTERM)
            until = time.monotonic() + grace
            while self._any_left() and time.monotonic() < until:
                time.sleep(0.05)
        finally:  # a second Ctrl-C comes here at once
            self._signal(signal.SIGKILL)
            self._program.wait()
            with contextlib.suppress(BrokenPipeError):
                self._watch.communicate(b"done")

    def _any_left(self) -> bool:
        self._program.poll()  # else our own zombie counts as left
        try:
            os.killpg(self.pid, 0)
        except (ProcessLookupError, PermissionError):
            return False
        return True

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)
