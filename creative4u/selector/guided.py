"""Prompts in, protocol completions out, by a decoder that is guided by the protocol's form.

The keys of the lines are known beforehand, so they are fed in one forward pass instead of being
generated token by token (jump-forward decoding, as in structured-output engines; our choice).
Facts, judgements and the answer are the model's own: chosen greedily, or drawn (GRPO). Rows of a
batch move at their own pace: a step feeds each row its next chunk, left-padded and masked in the
key-value cache.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache

from creative4u.errors import CompletionError, TruncatedError
from creative4u.selector.backend import Completion, OnText
from creative4u.selector.observations import NAMES, TOP
from creative4u.selector.protocol import KEYS, SIDES

LINE_TOKENS = 48  # a line longer than this has lost its thread
SLACK = 1.25  # slots of the cache for each token of its longest row, before it is compacted
Pick = Callable[[Tensor], Tensor]  # (B, V) logits, -inf where not allowed, to (B,) token ids


def greedy(logits: Tensor) -> Tensor:
    """The likeliest token of each row."""
    return logits.argmax(1)


@dataclass
class Written:
    """One row's state: the next chunk to feed and what it has written."""

    chunk: list[int]
    written: list[int] = field(default_factory=list)
    chosen: list[bool] = field(default_factory=list)  # of each written token: not merely fed
    line: int = 0  # the protocol question being answered
    line_tokens: int = 0
    logit_a: float | None = None
    error: CompletionError | None = None

    @property
    def done(self) -> bool:
        return self.logit_a is not None or self.error is not None


class GuidedDecoder:
    """A decoder for models with one-dimensional rotary positions (Idefics3 and its kin).

    `banned` are token ids that may never be generated: special tokens, image tokens among them.
    """

    def __init__(self, model: Any, tokenizer: Any, banned: Sequence[int]) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.banned = torch.tensor(sorted(banned), dtype=torch.long)
        self.newline = self._ids("\n")[0]
        self.keys = [self._ids(f"{key}:") for key in KEYS]
        self.closing = self._ids("</think><answer>")
        self.sides = [self._ids(side)[0] for side in SIDES]
        self.digits = [self._ids(str(level))[0] for level in range(TOP + 1)]

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer(text, add_special_tokens=False).input_ids
        return ids

    @torch.inference_mode()
    def complete(
        self, inputs: dict[str, Tensor], on_text: OnText | None = None
    ) -> list[Completion | CompletionError]:
        """`inputs` of left-padded prompts that end with the generation prompt, (B, T)."""
        rows = self.write(inputs, on_text=on_text)
        return [row.error or Completion(self._text(row), row.logit_a or 0.0) for row in rows]

    @torch.inference_mode()
    def write(
        self,
        inputs: dict[str, Tensor],
        pick: Pick = greedy,
        copies: int = 1,
        on_text: OnText | None = None,
    ) -> list[Written]:
        """`copies` completions of each prompt (B, T), next to each other; a prompt is read once."""
        start = [*self._ids("<think>\n"), *self.keys[0]]
        count = len(inputs["input_ids"])
        rows = [Written(start) for _ in range(count * copies)]
        state = _State(self.model, inputs)
        logits = state.feed([start] * count)  # (B, V)
        if copies > 1:
            logits = state.repeat(copies, logits)
        while True:
            for row in rows:
                if not row.done:
                    row.written += row.chunk
                    row.chosen += [False] * (len(row.written) - len(row.chosen))
            choosable = logits.index_fill(1, self.banned, float("-inf"))
            for number, row in enumerate(rows):
                if row.line == len(KEYS):
                    kept = choosable[number, self.sides].clone()
                    choosable[number] = float("-inf")
                    choosable[number, self.sides] = kept
            for number, (row, best) in enumerate(zip(rows, pick(choosable).tolist(), strict=True)):
                if row.done:
                    continue
                self._advance(row, best, logits[number])
                if on_text is not None:
                    on_text(number, self._text(row))
            if all(row.done for row in rows):
                return rows
            logits = state.feed([[] if row.done else row.chunk for row in rows])

    def _advance(self, row: Written, best: int, logits: Tensor) -> None:
        """Decide the row's next chunk from the logits after its last one."""
        row.chosen.append(True)
        if row.line == len(KEYS):  # the chunk was the closing: this is the answer token
            of_a, of_b = (float(logits[side]) for side in self.sides)
            row.logit_a = of_a - of_b
            closing = self._ids("</answer>")
            row.written += [best, *closing]
            row.chosen += [False] * len(closing)
            return
        row.chunk = [best]
        row.line_tokens += 1
        if best == self.newline:
            row.line, row.line_tokens = row.line + 1, 0
            row.chunk += self.keys[row.line] if row.line < len(KEYS) else self.closing
        elif row.line_tokens > LINE_TOKENS:
            row.chosen.pop()  # it is not written
            row.error = TruncatedError(
                f"the line {KEYS[row.line]!r} did not end within {LINE_TOKENS} tokens"
            )

    def _text(self, row: Written) -> str:
        text: str = self.tokenizer.decode(row.written)
        return text

    @torch.inference_mode()
    def rate(self, inputs: dict[str, Tensor]) -> list[dict[str, float]]:
        """Degrees of every property for a batch of single-image prompts, (B, T) -> B rows.

        The names are fed, each level is read as its expectation over the ten digit tokens, and the
        likeliest digit goes on into the context, as in the training targets.
        """
        state = _State(self.model, inputs)
        count = len(inputs["input_ids"])
        rated: list[dict[str, float]] = [{} for _ in range(count)]
        chunks = [self._ids(f"{NAMES[0]} ")] * count
        for name, following in zip(NAMES, [*NAMES[1:], None], strict=True):
            logits = state.feed(chunks)[:, self.digits]  # (B, 10)
            expected = logits.softmax(1) @ torch.arange(TOP + 1.0)  # (B,)
            for row, degree in zip(rated, expected.tolist(), strict=True):
                row[name] = degree
            if following is not None:
                tail = self._ids(f" {following} ")
                chunks = [[self.digits[best], *tail] for best in logits.argmax(1).tolist()]
        return rated


class _State:
    """The key-value cache, its mask and the rows' positions; `feed` appends one chunk a row."""

    def __init__(self, model: Any, inputs: dict[str, Tensor]) -> None:
        self.model = model
        self.cache = DynamicCache(config=model.config.get_text_config())
        self.mask = inputs["attention_mask"]  # (B, slots): 1 where a real token stands
        self.first: dict[str, Tensor] | None = inputs

    def repeat(self, copies: int, logits: Tensor) -> Tensor:
        """Every row `copies` times, what is cached and its logits (B, V) -> (B copies, V)."""
        self.cache.batch_repeat_interleave(copies)
        self.mask = self.mask.repeat_interleave(copies, 0)
        return logits.repeat_interleave(copies, 0)

    def compact(self) -> None:
        """Drop slots that hold padding in every row: real ones move to the right, in their order.

        Rows at different paces leave two or three slots of padding a token, and the whole cache is
        read and copied at each step. Keys carry their positions, so nothing else changes.
        """
        longest = int(self.mask.sum(1).max())
        if self.mask.shape[1] <= SLACK * longest:
            return
        order = self.mask.argsort(dim=1, stable=True)[:, -longest:]  # (B, longest), padding first
        self.mask = self.mask.gather(1, order)
        for layer in self.cache.layers:
            where = order[:, None, :, None].expand(-1, layer.keys.shape[1], -1, layer.keys.shape[3])
            layer.keys = layer.keys.gather(2, where)  # (B, heads, longest, head size)
            layer.values = layer.values.gather(2, where)

    def feed(self, chunks: list[list[int]]) -> Tensor:
        """Next-token logits (B, V) after each row's chunk; an empty chunk leaves a row as it is."""
        width = max(map(len, chunks))
        ids = torch.tensor([[0] * (width - len(chunk)) + chunk for chunk in chunks])
        mask = torch.tensor([[0] * (width - len(chunk)) + [1] * len(chunk) for chunk in chunks])
        more: dict[str, Tensor] = {}
        if self.first is not None:  # the prompt and the first chunk go in together
            more = {k: v for k, v in self.first.items() if k not in ("input_ids", "attention_mask")}
            ids = torch.cat([self.first["input_ids"], ids], 1)
            mask = torch.cat([self.first["attention_mask"], mask], 1)
            self.first, self.mask = None, mask
        else:
            self.compact()
            self.mask = torch.cat([self.mask, mask], 1)
        positions = (self.mask.cumsum(1) - 1).clamp(min=0)[:, -ids.shape[1] :]
        out = self.model(
            input_ids=ids,
            attention_mask=self.mask,
            position_ids=positions,
            past_key_values=self.cache,
            use_cache=True,
            logits_to_keep=1,
            **more,
        )
        logits: Tensor = out.logits[:, -1].float()
        return logits
