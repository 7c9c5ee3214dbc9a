"""What a decoder has written in, guesses at what it writes next out: n-gram speculation.

Reasoning lines repeat from pair to pair, so what followed the last tokens of the same line before
is a cheap draft; the model checks all of it in one pass and keeps the part that it would have
written itself (prompt-lookup decoding, over what was written rather than over the prompt).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

ORDER = 3  # tokens of context
KEPT = 50_000  # contexts, about 20 MB; then it starts anew

Context = tuple[int, ...]


class Drafts:
    """Counts of what followed each context of a protocol line and its last ORDER tokens."""

    def __init__(self) -> None:
        self._after: dict[Context, Counter[int]] = {}

    def learn(self, line: int, before: Sequence[int], token: int) -> None:
        """`token` was written in `line` (a number) after the tokens `before`."""
        if len(self._after) >= KEPT:
            self._after.clear()
        self._after.setdefault((line, *before[-ORDER:]), Counter())[token] += 1

    def guess(self, line: int, before: Sequence[int]) -> int | None:
        """The token that followed most often, or None where the context is new."""
        known = self._after.get((line, *before[-ORDER:]))
        return known.most_common(1)[0][0] if known else None
