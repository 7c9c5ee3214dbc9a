"""Hold the state of one row of a batch while the guided decoder writes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from torch import Tensor

from creative4u.errors import CompletionError


@dataclass
class Written:
    """One row's state: what it has written, and the end of it that has yet to be fed."""

    written: list[int] = field(default_factory=list)
    chosen: list[bool] = field(default_factory=list)  # of each written token: not merely fed
    chunk: list[int] = field(default_factory=list)
    facts: list[list[int]] = field(default_factory=list)  # what each line probably begins with
    line: int = 0  # the protocol question being answered
    began: int = 0  # where in `written` the line's own words begin, behind what was fed
    line_tokens: int = 0
    judging: bool = False  # a judgement is due, and nothing else
    logit_a: float | None = None
    error: CompletionError | None = None

    def take(self, token: int, forced: Sequence[int] = ()) -> None:
        """A chosen token, and what has to follow it."""
        self.chunk = [token, *forced]
        self.written += self.chunk
        self.chosen += [True] + [False] * len(forced)

    def feed(self, forced: Sequence[int]) -> None:
        """What has to follow, instead of the token that was chosen."""
        self.chunk = [*forced]
        self.written += self.chunk
        self.chosen += [False] * len(forced)

    @property
    def said(self) -> list[int]:
        """The line's own words so far."""
        return self.written[self.began :]

    @property
    def done(self) -> bool:
        return self.logit_a is not None or self.error is not None


def margin(logits: Tensor) -> float:
    """How far the likeliest token is ahead of the next one, (V,)."""
    return -float(logits.topk(2).values.diff())
