"""Define what a model behind the judge does: complete prompts, rate single images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from PIL.Image import Image

from creative4u.errors import Creative4UError
from creative4u.schema import PairEvidence
from creative4u.selector.protocol.prompt import Messages

OnText = Callable[[int, str], None]  # row number, the text written so far


@dataclass(frozen=True)
class Prompt:
    """Chat messages with two image placeholders, and the two images in that order.

    `evidence` is what the messages say of them, as numbers, in the prompt's own A (shown first)
    and B.
    """

    messages: Messages
    images: tuple[Image, Image]
    evidence: PairEvidence | None = None

    @property
    def evidence_log_odds(self) -> float:
        """The evidence's log odds for the image shown first; 0 without evidence."""
        return self.evidence.log_odds if self.evidence is not None else 0.0


@dataclass(frozen=True)
class Completion:
    """What the model wrote, and the log odds of answer token A against B after its reasoning."""

    text: str
    logit_a: float


class Backend(Protocol):
    """A vision-language model; a row that fails is its own error and leaves the others alone."""

    name: str
    special_tokens: tuple[str, ...]

    def observe(self, images: Sequence[Image]) -> list[dict[str, float]]:
        """Degrees 0..9 of every property in `observations.NAMES`, an image at a time."""

    def complete(
        self, prompts: Sequence[Prompt], on_text: OnText | None = None
    ) -> Sequence[Completion | Creative4UError]:
        """One completion a prompt, in order, all in one batch."""
