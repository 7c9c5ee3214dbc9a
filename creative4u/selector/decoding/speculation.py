"""Draft the next tokens from what the prompt and common lines say (n-gram speculation).

Reasoning lines repeat from pair to pair but for their numbers, so what followed the same words of
the same line before is a cheap draft; the numbers stand in the prompt. The model checks a draft in
one pass and keeps the part that it would have written itself (prompt-lookup decoding, over what was
written before; our choice of contexts).
"""

from __future__ import annotations

import json
import re
import threading
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path

from creative4u.selector.protocol.questions import KEYS

FILE_NAME = "drafts.json"  # beside an adapter: what its lines usually say
READ = 4000  # completions
LEAST = 3  # times that a line was written in them, to be usual
ORDERS = (8, 5, 3)  # tokens of context, digits not counted; the longest one that is known decides
KEPT = 50_000  # contexts, about 20 MB; then it starts anew
UNSEEN = 0.3  # added to a context's count, so that what was seen once is not certain

Context = tuple[int, ...]
UsualLines = Mapping[str, Mapping[str, int]]  # key -> line without its digits -> times
_DIGIT = re.compile(r"\d")


def usual_lines(completions: Iterable[str]) -> dict[str, dict[str, int]]:
    """The lines that are written again and again, without their digits, the commonest first.

    The last line is left out: what it says is fed, or stands in the prompt.
    """
    counts: dict[str, Counter[str]] = {key: Counter() for key in KEYS[:-1]}
    for completion in islice(completions, READ):
        for line in completion.split("\n"):
            key, colon, said = line.partition(":")
            if colon and key in counts:
                counts[key][_DIGIT.sub("", said)] += 1
    return {
        key: {line: times for line, times in said.most_common() if times >= LEAST}
        for key, said in counts.items()
    }


def write_usual_lines(completions: Iterable[str], folder: Path) -> None:
    """`folder`/drafts.json, which the judge of that folder starts with."""
    lines = usual_lines(completions)
    (folder / FILE_NAME).write_text(json.dumps(lines, indent=1, ensure_ascii=False) + "\n", "utf-8")


def read_usual_lines(folder: Path) -> UsualLines:
    """What `write_usual_lines` wrote there; nothing where it did not."""
    path = folder / FILE_NAME
    lines: UsualLines = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    return lines


class Drafts:
    """Counts of what followed each context of a protocol line; `digits` are no part of it."""

    def __init__(self, digits: Collection[int] = ()) -> None:
        self.digits = frozenset(digits)
        self._after: dict[Context, Counter[int]] = {}
        self._lock = threading.Lock()

    def learn(self, line: int, said: Sequence[int], token: int, times: int = 1) -> None:
        """`token` was written in `line` (a number) after the line's tokens `said`."""
        with self._lock:
            if len(self._after) >= KEPT:
                self._after.clear()
            for context in self._contexts(line, said):
                self._after.setdefault(context, Counter())[token] += times

    def guess(self, line: int, said: Sequence[int]) -> tuple[int, float] | None:
        """The token that followed most often, and its share; None where nothing is known."""
        with self._lock:
            for context in self._contexts(line, said):
                if known := self._after.get(context):
                    ((token, count),) = known.most_common(1)
                    return token, count / (known.total() + UNSEEN)
        return None

    def _contexts(self, line: int, said: Sequence[int]) -> list[Context]:
        words = [token for token in said if token not in self.digits]
        return [(line, order, *words[-order:]) for order in ORDERS]
