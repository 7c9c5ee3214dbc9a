"""End a process group when standard input closes without "done".

Run by `child.Child`, which holds the other end: however it dies, kill -9 included, no server is
left behind. Imports nothing of ours, so that it starts at once.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time

GRACE = 10.0  # seconds between asking and killing


def end_group(group: int, grace: float = GRACE) -> None:
    """SIGTERM to every process of the group, then SIGKILL to what is left of it."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGTERM)
        until = time.monotonic() + grace
        while time.monotonic() < until:
            os.killpg(group, 0)  # raises when it is empty
            time.sleep(0.05)
        os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    if sys.stdin.buffer.read() != b"done":
        end_group(int(sys.argv[1]))
