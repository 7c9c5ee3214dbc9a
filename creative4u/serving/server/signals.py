"""Turn SIGTERM and SIGHUP into KeyboardInterrupt, so that every stop ends the same way."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def stopping_signals() -> Iterator[None]:
    """Inside, SIGTERM and SIGHUP stop us as Ctrl-C does, so that whatever runs is cleaned up.

    What was ignored before stays ignored: `nohup` goes on.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {
        number: signal.signal(number, signal.default_int_handler)
        for number in (signal.SIGTERM, signal.SIGHUP)
        if signal.getsignal(number) is not signal.SIG_IGN
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
