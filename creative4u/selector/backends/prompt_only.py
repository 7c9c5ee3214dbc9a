"""Build prompts for answers that come from elsewhere, without weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PIL.Image import Image

from creative4u.errors import BackendError
from creative4u.selector.backends.openai_format import SPECIAL_TOKENS
from creative4u.selector.protocol.backend import Completion, OnText, Prompt


@dataclass
class PromptsOnly:
    """No weights; the prompts of the paper's single pass need none."""

    name: str
    special_tokens: tuple[str, ...] = SPECIAL_TOKENS

    def observe(self, images: Sequence[Image]) -> list[dict[str, float]]:
        """Raises BackendError."""
        raise BackendError(f"{self.name} is not loaded; it cannot observe")

    def complete(
        self, prompts: Sequence[Prompt], on_text: OnText | None = None
    ) -> list[Completion]:
        """Raises BackendError."""
        raise BackendError(f"{self.name} is not loaded; it cannot judge")
