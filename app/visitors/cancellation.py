"""Keep each visitor's request to stop as a flag that running work checks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event

import gradio as gr


class Stops:
    """One tab's running work, by visitor.

    Gradio's own cancelling drops a run between two of its updates, and what was on its way may
    still arrive after the page has said "stopped". So the run itself ends, with a last word.
    """

    def __init__(self) -> None:
        self._flags: dict[str, Event] = {}

    @contextmanager
    def running(self, visitor: gr.Request) -> Iterator[Event]:
        """The flag of a run that begins now."""
        name = visitor.session_hash or ""
        flag = self._flags[name] = Event()
        try:
            yield flag
        finally:
            if self._flags.get(name) is flag:  # not that of a run that began after this one
                del self._flags[name]

    def stop(self, visitor: gr.Request) -> None:
        """Ask the visitor's run to end; nothing happens where none runs."""
        if flag := self._flags.get(visitor.session_hash or ""):
            flag.set()
