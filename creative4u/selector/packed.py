"""Rows of tokens in, next-token logits out, without padding: one packed forward pass a step.

All rows' new tokens lie behind each other in one sequence, so that the linear layers compute
nothing that is thrown away; attention is computed row by row, over keys and values that stay where
they were written (transformers' own cache is copied whole at each step). The words that stand
before a prompt's first image are the same in both orders of a pair: they are read once. After the
prompt, attention takes BLOCK queries at a time, real ones or not, over keys up to the next multiple
of BLOCK, so that its products have a shape that hangs on a token's place alone: where those of the
linear layers do not depend on the number of rows either (`creative4u.selector.half`), a row gets
the same bits alone or in a batch, token by token or in chunks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad, scaled_dot_product_attention
from transformers import AttentionInterface

ATTENTION = "creative4u_packed"  # its name among transformers' attention functions
SHARED = 16  # a prefix of fewer tokens is not worth a pass of its own
BLOCK = 8  # queries of one row at a time
ROOM = 320  # slots a row beyond its prompt, before its cache has to grow
Image = dict[str, Tensor]


@dataclass(frozen=True)
class Span:
    """Queries `start` to `stop` of the pack, and which of the row's `end` keys each one sees."""

    row: int
    start: int
    stop: int
    end: int
    seen: Tensor  # (stop - start, end)


class PackedRows:
    """The key-value cache of some rows (B), and the passes that fill it."""

    def __init__(self, model: Any, inputs: dict[str, Tensor]) -> None:
        """`inputs` of left-padded prompts, (B, T), and their images."""
        self.model = model
        kept = inputs["attention_mask"].bool()
        self.prompts: list[list[int]] = [
            ids[real].tolist() for ids, real in zip(inputs["input_ids"], kept, strict=True)
        ]
        self.images = {k: v for k, v in inputs.items() if k not in ("input_ids", "attention_mask")}
        self.lengths = [0] * len(self.prompts)
        self.slots = _end(max(map(len, self.prompts)) + ROOM)
        self._layers: dict[int, tuple[Tensor, Tensor]] = {}  # (B * slots, KV heads, head size)
        self._spans: list[Span] = []
        self._where = torch.empty(0, dtype=torch.long)

    def read(self, chunks: Sequence[Sequence[int]]) -> list[Tensor]:
        """Logits (1, V) after each prompt and the chunk that follows it."""
        image = getattr(self.model.config, "image_token_id", None)
        heads = [
            row.index(image) if image in row and row.index(image) >= SHARED else 0
            for row in self.prompts
        ]
        first: dict[tuple[int, ...], int] = {}  # a prefix, and the row that reads it
        owner = [
            first.setdefault(tuple(prompt[:head]), number)
            for number, (prompt, head) in enumerate(zip(self.prompts, heads, strict=True))
        ]
        prefixes = [
            prompt[:head] if owner[number] == number else []
            for number, (prompt, head) in enumerate(zip(self.prompts, heads, strict=True))
        ]
        if any(prefixes):
            self._pass(prefixes, [1] * len(prefixes), whole=True)
            self._copy(owner)
        rest = [
            [*prompt[head:], *chunk]
            for prompt, head, chunk in zip(self.prompts, heads, chunks, strict=True)
        ]
        return self._pass(rest, [1] * len(rest), whole=True, images=self.images)

    def repeat(self, copies: int) -> None:
        """Every row `copies` times, next to each other."""
        self.lengths = [length for length in self.lengths for _ in range(copies)]
        for layer, pair in self._layers.items():
            keys, values = (
                held.view(-1, self.slots, *held.shape[1:])
                .repeat_interleave(copies, 0)
                .flatten(0, 1)
                for held in pair
            )
            self._layers[layer] = (keys, values)

    def feed(
        self, chunks: Sequence[Sequence[int]], looks: Sequence[int] | None = None
    ) -> list[Tensor]:
        """Logits (looks, V) after each of a row's last `looks` (1) new tokens; an empty chunk
        leaves a row as it is and gives (0, V)."""
        return self._pass(chunks, looks or [1] * len(chunks), whole=False)

    def forget(self, row: int, count: int) -> None:
        """Take a row's last `count` tokens back."""
        self.lengths[row] -= count

    def _pass(
        self, chunks: Sequence[Sequence[int]], looks: Sequence[int], whole: bool,
        images: Image | None = None,
    ) -> list[Tensor]:  # fmt: skip
        """`whole`: one attention a chunk, else BLOCK queries at a time."""
        shown = [min(look, len(chunk)) for look, chunk in zip(looks, chunks, strict=True)]
        self._make_room(
            max(len(c) + length for c, length in zip(chunks, self.lengths, strict=True))
        )
        ids: list[int] = []
        positions: list[int] = []
        where: list[int] = []
        looked: list[int] = []
        self._spans = []
        for row, chunk in enumerate(chunks):
            before, width = self.lengths[row], len(chunk)
            done = 0
            while done < width:
                place = before + done
                end = before + width if whole else _end(place + 1)
                stop = width if whole else done + BLOCK
                seen = torch.ones(stop - done, end, dtype=torch.bool).tril(place)
                self._spans.append(Span(row, len(ids) + done, len(ids) + stop, end, seen))
                done = end - before
            ids += chunk
            positions += range(before, before + width)
            where += range(row * self.slots + before, row * self.slots + before + width)
            looked += range(len(ids) - shown[row], len(ids))
            self.lengths[row] += width
        self._where = torch.tensor(where)
        if len(ids) == 1:  # a product of one row may round otherwise than the same of several
            ids, positions = ids * 2, positions * 2
        if len(looked) == 1:
            looked = looked * 2
        with _attention(self.model):
            out = self.model(
                input_ids=torch.tensor([ids]), position_ids=torch.tensor([positions]),
                use_cache=False, logits_to_keep=torch.tensor(looked), packed=self,
                **(images or {}),
            )  # fmt: skip
        logits: Tensor = out.logits[0, : sum(shown)].float()
        return list(torch.split(logits, shown))

    def attend(
        self, layer: int, query: Tensor, key: Tensor, value: Tensor, scaling: float | None
    ) -> Tensor:
        """One layer's attention: query (N, heads, head size), key and value (N, KV heads, ...)."""
        if layer not in self._layers:
            shape = (len(self.lengths) * self.slots, *key.shape[1:])
            self._layers[layer] = (key.new_zeros(shape), value.new_zeros(shape))
        keys, values = self._layers[layer]
        keys.index_copy_(0, self._where, key[: len(self._where)])
        values.index_copy_(0, self._where, value[: len(self._where)])
        asked = pad(query, (0, 0, 0, 0, 0, BLOCK))  # queries that nobody asks, for the last block
        out = torch.zeros_like(asked)
        for span in self._spans:  # in their order: what is past a row's end is written over
            held = slice(span.row * self.slots, span.row * self.slots + span.end)
            out[span.start : span.stop] = scaled_dot_product_attention(
                asked[None, span.start : span.stop].transpose(1, 2),  # (1, heads, BLOCK, size)
                keys[None, held].transpose(1, 2),  # (1, KV heads, end, size)
                values[None, held].transpose(1, 2),
                attn_mask=span.seen, scale=scaling, enable_gqa=True,
            )[0].transpose(0, 1)  # fmt: skip
        return out[: len(query)]

    def _copy(self, owner: Sequence[int]) -> None:
        """Each row's cache from the row that owns its prefix."""
        for row, source in enumerate(owner):
            length = self.lengths[source]
            for held in (one for pair in self._layers.values() for one in pair):
                start, from_ = row * self.slots, source * self.slots
                if row != source:
                    held[start : start + length] = held[from_ : from_ + length]
            self.lengths[row] = length

    def _make_room(self, slots: int) -> None:
        if slots <= self.slots:
            return
        more = _end(slots + ROOM)
        for layer, pair in self._layers.items():
            grown = []
            for held in pair:
                rows = held.view(-1, self.slots, *held.shape[1:])
                wide = rows.new_zeros(len(rows), more, *rows.shape[2:])
                wide[:, : self.slots] = rows
                grown.append(wide.flatten(0, 1))
            self._layers[layer] = (grown[0], grown[1])
        self.slots = more


def _end(count: int) -> int:
    """The next multiple of BLOCK."""
    return -(-count // BLOCK) * BLOCK


def _attend(
    module: Any, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None,
    scaling: float | None = None, packed: PackedRows | None = None, **_: Any,
) -> tuple[Tensor, None]:  # fmt: skip
    """An attention function of transformers: (1, heads, N, head size) to (1, N, heads, ...)."""
    assert packed is not None
    of_query, of_key, of_value = (part[0].transpose(0, 1) for part in (query, key, value))
    return packed.attend(module.layer_idx, of_query, of_key, of_value, scaling)[None], None


@contextmanager
def _attention(model: Any) -> Iterator[None]:
    """The language model's attention by `_attend`, and by its own again."""
    AttentionInterface.register(ATTENTION, _attend)
    config = model.get_decoder().config
    own = config._attn_implementation
    config._attn_implementation = ATTENTION
    try:
        yield
    finally:
        config._attn_implementation = own
