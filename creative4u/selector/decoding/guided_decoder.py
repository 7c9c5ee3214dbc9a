"""Write protocol completions by structured decoding: fixed text is inserted, the rest generated.

The keys of the lines are known beforehand, so they are fed in one forward pass instead of being
generated token by token (jump-forward decoding, as in structured-output engines; our choice); so is
what the last line says of who leads, which follows from the answers that the model has given. A
line that ends without a judgement is brought to one, and the model chooses among those allowed.
Facts, judgements and the answer are the model's own: chosen greedily, or drawn (GRPO). Rows of a
batch move at their own pace: a step feeds each row its next chunk, and behind it a draft of what
comes next (the differences that the prompt lists for the line, then what such lines said before),
of which the part is kept that the model would have chosen itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate, takewhile
from typing import Any

import torch
from torch import Tensor

from creative4u.errors import CompletionError, TruncatedError
from creative4u.selector.decoding.decoder_state import Written, margin
from creative4u.selector.decoding.packed_attention import PackedRows
from creative4u.selector.decoding.speculation import Drafts, UsualLines
from creative4u.selector.evidence.properties import TOP
from creative4u.selector.protocol.backend import Completion, OnText
from creative4u.selector.protocol.questions import (
    COMPARED,
    COMPARISONS,
    KEYS,
    QUESTIONS,
    SIDES,
    summary,
)

LINE_TOKENS = 48  # a line longer than this has lost its thread
AT_ONCE = 16  # tokens of a row a pass, the draft included
SURE = 0.5  # a draft ends where it is less likely than this to hold as a whole
CLOSE = 0.05  # between two logits; bfloat16 moves a margin by as much (root mean square)
Citations = Mapping[str, str]  # question's key -> what its line cites of the evidence
Pick = Callable[[Tensor], Tensor]  # (B, V) logits, -inf where not allowed, to (B,) token ids
Again = Callable[[], tuple[int, Tensor]]


def greedy(logits: Tensor) -> Tensor:
    """The likeliest token of each row."""
    return logits.argmax(1)


class GuidedDecoder:
    """A decoder for models with one-dimensional rotary positions (Idefics3 and its kin).

    `banned` are token ids that may never be generated: special tokens, image tokens among them.
    `exact` is the same model in float32, where `model` rounds: it decides what is close.
    """

    def __init__(
        self, model: Any, tokenizer: Any, banned: Sequence[int], exact: Any = None
    ) -> None:
        self.model = model
        self.exact = exact
        self.tokenizer = tokenizer
        closing = tokenizer("</", add_special_tokens=False).input_ids[0]  # only ever fed
        self.banned = torch.tensor(sorted({*banned, closing}), dtype=torch.long)
        self.digits = [self._ids(str(level))[0] for level in range(TOP + 1)]
        self.drafts = Drafts(self.digits)
        self.newline = self._ids("\n")[0]
        self.keys = [self._ids(f"{key}:") for key in KEYS]
        self.closing = self._ids("</think><answer>")
        self.sides = [self._ids(side)[0] for side in SIDES]
        self.judgements = {
            question.key: self._endings(question.allowed) for question in QUESTIONS[:-1]
        }

    def recall(self, lines: UsualLines) -> None:
        """Learn what such lines usually say before any is written."""
        for number, key in enumerate(KEYS):
            for line, count in lines.get(key, {}).items():
                tokens = [*self._ids(line), self.newline]
                for place, token in enumerate(tokens):
                    self.drafts.learn(number, tokens[:place], token, count)

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer(text, add_special_tokens=False).input_ids
        return ids

    def _endings(self, allowed: Sequence[str]) -> tuple[list[int], dict[int, list[int]]]:
        """What all of a line's judgements begin with, and how each goes on behind its own token."""
        ways = [self._ids(f". {judgement}") for judgement in allowed]
        shared = next(n for n, at in enumerate(zip(*ways, strict=False)) if len(set(at)) > 1)
        return ways[0][:shared], {way[shared]: way[shared + 1 :] for way in ways}

    @torch.inference_mode()
    def complete(
        self,
        inputs: dict[str, Tensor],
        on_text: OnText | None = None,
        citations: Sequence[Citations] | None = None,
    ) -> list[Completion | CompletionError]:
        """`inputs` of left-padded prompts that end with the generation prompt, (B, T).

        `citations` are what each prompt's lines probably begin with: drafts only, they change
        nothing but the time.
        """
        rows = self.write(inputs, on_text=on_text, citations=citations)
        return [row.error or Completion(self._text(row), row.logit_a or 0.0) for row in rows]

    @torch.inference_mode()
    def write(
        self,
        inputs: dict[str, Tensor],
        pick: Pick = greedy,
        copies: int = 1,
        on_text: OnText | None = None,
        citations: Sequence[Citations] | None = None,
    ) -> list[Written]:
        """`copies` completions of each prompt (B, T), next to each other; a prompt is read once."""
        start = [*self._ids("<think>\n"), *self.keys[0]]
        count = len(inputs["input_ids"])
        cache = PackedRows(self.model, inputs)
        rows = [
            Written([*start], [False] * len(start), facts=facts, began=len(start))
            for facts in map(self._facts, citations or [{}] * count) for _ in range(copies)
        ]  # fmt: skip
        drafts: list[list[int]] = [[] for _ in rows]
        rereads = self.exact is not None and pick is greedy
        logits = cache.read([start] * count)
        if copies > 1:
            cache.repeat(copies)
            logits = logits.repeat_interleave(copies, 0)
        while True:
            sizes = [
                0 if row.done else 1 + len(more) for row, more in zip(rows, drafts, strict=True)
            ]
            picked = self._picked(rows, logits, sizes, pick)
            seen = torch.split(logits, sizes)
            for number, row in enumerate(rows):
                if not row.done:
                    again = self._again(cache, number, row) if rereads else None
                    kept = self._follow(row, drafts[number], picked[number], seen[number], again)
                    cache.forget(number, len(drafts[number]) - kept)
                    if on_text is not None:
                        on_text(number, self._text(row))
            if all(row.done for row in rows):
                return rows
            drafts = [self._draft(row) if pick is greedy else [] for row in rows]
            logits = cache.feed(
                [
                    [] if row.done else row.chunk + more
                    for row, more in zip(rows, drafts, strict=True)
                ],
                [1 + len(more) for more in drafts],
            )

    def _picked(
        self, rows: Sequence[Written], logits: Tensor, sizes: Sequence[int], pick: Pick
    ) -> list[list[int]]:
        """A token for each row and each place of its draft; where the answer stands, a side.

        What may not be chosen is -inf in `logits` (sum of sizes, V) afterwards.
        """
        choosable = logits.index_fill_(1, self.banned, float("-inf"))
        answering = torch.tensor(
            [
                place
                for row, size, end in zip(rows, sizes, accumulate(sizes), strict=True)
                for place in range(end - size, end)
                if row.line == len(KEYS)
            ],
            dtype=torch.long,
        )
        sides = choosable[answering][:, self.sides]
        choosable[answering] = float("-inf")
        choosable[answering[:, None], self.sides] = sides
        for row, size, end in zip(rows, sizes, accumulate(sizes), strict=True):
            if row.judging and size:
                ways = list(self.judgements[KEYS[row.line]][1])
                allowed = choosable[end - size, ways]
                choosable[end - size] = float("-inf")
                choosable[end - size, ways] = allowed
        return [part.tolist() for part in torch.split(pick(choosable), list(sizes))]

    def _again(self, cache: PackedRows, number: int, row: Written) -> Again:
        """A closer look at a row: the token that `exact` chooses next, and its logits."""

        def again() -> tuple[int, Tensor]:
            logits = cache.reread(self.exact, number, row.written)
            return self._picked([row], logits, [1], greedy)[0][0], logits[0]

        return again

    def _follow(
        self, row: Written, draft: Sequence[int], picked: Sequence[int], seen: Tensor,
        again: Again | None,
    ) -> int:  # fmt: skip
        """Choose on as long as the draft holds; how many of its tokens were kept.

        A draft ends with a close choice: what follows is read with the closer look's keys.
        """
        kept = 0
        while True:
            line, said = row.line, row.said
            token, logits = picked[kept], seen[kept]
            close = again if again is not None and margin(logits) < CLOSE else None
            if close is not None:
                token, logits = close()
            self._advance(row, token, logits)
            if row.done:
                return kept
            self.drafts.learn(line, said, token)
            if close is not None:
                return kept
            fed = sum(
                1
                for _ in takewhile(
                    lambda two: two[0] == two[1], zip(row.chunk, draft[kept:], strict=False)
                )
            )
            kept += fed
            row.chunk = row.chunk[fed:]
            if row.chunk:
                return kept

    def _facts(self, citations: Citations) -> list[list[int]]:
        """What each line probably begins with; the last line ends with its citation."""
        *lines, last = [citations.get(key, "") for key in KEYS]
        facts = [self._ids(f" {cited};") if cited else [] for cited in lines]
        return [*facts, [*(self._ids(f"; {last}") if last else []), self.newline]]

    def _draft(self, row: Written) -> list[int]:
        """What probably follows the row's chunk, AT_ONCE tokens with it; never the closing."""
        draft: list[int] = []
        line, said, sure = row.line, row.said, 1.0
        room = max(0, AT_ONCE - len(row.chunk))
        while line < len(KEYS) and len(draft) < room:
            fact = row.facts[line]
            if len(said) < len(fact) and said == fact[: len(said)]:
                token, share = fact[len(said)], 1.0
            elif (known := self.drafts.guess(line, said)) is not None:
                token, share = known
            else:
                break
            sure *= share
            if sure < SURE or (token == self.newline and line + 1 == len(KEYS)):
                break
            draft.append(token)
            said.append(token)
            if token == self.newline:
                line, said = line + 1, []
                leads = self._leads([*row.written, *draft]) if KEYS[line] == "click" else []
                draft += [*self.keys[line], *leads]
        return draft[:room]

    def _advance(self, row: Written, best: int, logits: Tensor) -> None:
        """Take the token that was picked from the logits after what the row has written."""
        if row.line == len(KEYS):  # the closing is written: this is the answer token
            of_a, of_b = (float(logits[side]) for side in self.sides)
            row.logit_a = of_a - of_b
            row.take(best, self._ids("</answer>"))
            return
        row.line_tokens += 1
        if row.judging:
            row.judging = False
            row.take(best, self.judgements[KEYS[row.line]][1][best])
        elif best == self.newline and not self._judged(row):
            row.judging = True
            row.feed(self.judgements[KEYS[row.line]][0])
        elif best == self.newline:
            row.line, row.line_tokens = row.line + 1, 0
            if row.line == len(KEYS):
                row.take(best, self.closing)
            else:
                leads = self._leads(row.written) if KEYS[row.line] == "click" else []
                row.take(best, [*self.keys[row.line], *leads])
                row.began = len(row.written)
        elif row.line_tokens > LINE_TOKENS:
            row.error = TruncatedError(
                f"the line {KEYS[row.line]!r} did not end within {LINE_TOKENS} tokens"
            )
        else:
            row.take(best)

    def _judged(self, row: Written) -> bool:
        """Whether the line ends with one of its judgements; the last line has none."""
        question = QUESTIONS[row.line]
        said = self._text(row).rpartition("\n")[2].rpartition(" ")[2]
        return question.key == "click" or said in question.allowed

    def _leads(self, written: Sequence[int]) -> list[int]:
        """What the `click` line says first; nothing where a comparison has no allowed answer."""
        lines = self.tokenizer.decode(written).removeprefix("<think>\n").split("\n")
        answers = {line.partition(":")[0]: line.rpartition(" ")[2] for line in lines}
        if any(answers.get(key) not in COMPARISONS for key in COMPARED):
            return []
        return self._ids(f" {summary(answers)}")

    def _text(self, row: Written) -> str:
        text: str = self.tokenizer.decode(row.written)
        return text
