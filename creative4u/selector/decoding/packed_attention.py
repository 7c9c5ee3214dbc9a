"""Run rows of tokens of any length in one packed pass with a KV cache, without padding.

All rows' new tokens lie behind each other in one sequence, so that the linear layers compute
nothing that is thrown away; attention is computed row by row, over keys and values that stay where
they were written (transformers' own cache is copied whole at each step). The words that stand
before a prompt's first image are the same in both orders of a pair: they are read once. After the
prompt, attention takes a few queries at a time over keys up to the next multiple of REACH, in
blocks in which a query has the same bits in each size and place (`attention_blocks`): with linear
layers that keep a row's bits too (`batch_invariant`), a row gets the same bits alone or in a batch,
token by token or in chunks.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad, scaled_dot_product_attention
from transformers import AttentionInterface

from creative4u.selector.decoding.attention_blocks import REACH, block_sizes

ATTENTION = "creative4u_packed"  # its name among transformers' attention functions
SHARED = 16  # a prefix of fewer tokens is not worth a pass of its own
READ = 512  # tokens of prompts a pass, so that what lies between two products stays in the cache
PART = 48  # queries of a prompt at a time, so that the first ones do not see all keys
ROOM = 320  # slots a row beyond its prompt, before its cache has to grow
Image = dict[str, Tensor]
_SWITCH = threading.Lock()
_PASSES: dict[int, tuple[str, int]] = {}  # a config's own attention, and the passes under way


@dataclass(frozen=True)
class Span:
    """Neighbouring queries of a row, and which of its first `end` keys each one sees."""

    row: int
    end: int
    seen: Tensor  # (group * queries, end), 0 or -inf


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
        self.exact = [0] * len(self.prompts)  # tokens of a row that `reread` has read
        self.copies = 1  # of each prompt
        self.slots = _end(max(map(len, self.prompts)) + ROOM)
        text = model.get_decoder().config
        self.group = text.num_attention_heads // text.num_key_value_heads  # queries a key has
        self.sizes = block_sizes(self.group)
        self._layers: dict[int, tuple[Tensor, Tensor]] = {}  # (KV heads, B * slots, head size)
        self._spans: list[Span] = []
        self._where = self._asked = self._real = torch.empty(0, dtype=torch.long)

    def read(self, chunks: Sequence[Sequence[int]]) -> Tensor:
        """Logits (B, V) after each prompt and the chunk that follows it."""
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
        logits: list[Tensor] = []
        for rows in _parts([len(chunk) for chunk in rest], READ):
            part = [chunk if row in rows else [] for row, chunk in enumerate(rest)]
            images = {name: held[rows.start : rows.stop] for name, held in self.images.items()}
            logits.append(self._pass(part, [1] * len(part), whole=True, images=images))
        return torch.cat(logits)

    def repeat(self, copies: int) -> None:
        """Every row `copies` times, next to each other."""
        self.lengths = [length for length in self.lengths for _ in range(copies)]
        self.exact = [0] * len(self.lengths)
        self.copies = copies
        for layer, pair in self._layers.items():
            keys, values = (
                self._rows(held).repeat_interleave(copies, 1).flatten(1, 2)
                for held in pair
            )
            self._layers[layer] = (keys, values)

    def feed(
        self, chunks: Sequence[Sequence[int]], looks: Sequence[int] | None = None
    ) -> Tensor:
        """Logits (sum of looks, V) after each of a row's last `looks` (1) new tokens, row by row;
        an empty chunk leaves a row as it is and gives none."""
        return self._pass(chunks, looks or [1] * len(chunks), whole=False)

    def reread(self, model: Any, row: int, written: Sequence[int]) -> Tensor:
        """Logits (1, V) after a row's prompt and `written`, by another model of the same shape.

        Its keys and values take the place of the row's own; what it has read once stays read.
        """
        place, start, length = row // self.copies, self.exact[row], self.lengths[row]
        chunks: list[list[int]] = [[] for _ in self.lengths]
        chunks[row] = [*self.prompts[place], *written][start:]
        images = {name: held[place : place + 1] for name, held in self.images.items()}
        self.lengths[row] = start
        logits = self._pass(
            chunks, [1] * len(chunks), whole=True, images=None if start else images, model=model
        )
        self.exact[row], self.lengths[row] = self.lengths[row], length
        return logits

    def forget(self, row: int, count: int) -> None:
        """Take a row's last `count` tokens back."""
        self.lengths[row] -= count

    def _pass(
        self, chunks: Sequence[Sequence[int]], looks: Sequence[int], whole: bool,
        images: Image | None = None, model: Any = None,
    ) -> Tensor:  # fmt: skip
        """`whole`: PART queries at a time, else as many as the next of the sizes of blocks."""
        shown = [min(look, len(chunk)) for look, chunk in zip(looks, chunks, strict=True)]
        self._make_room(
            max(len(c) + length for c, length in zip(chunks, self.lengths, strict=True))
        )
        ids: list[int] = []
        positions: list[int] = []
        where: list[int] = []
        looked: list[int] = []
        asked: list[int] = []  # each span's queries, as places of the pack
        real: list[int] = []  # where the pack's tokens stand among them
        self._spans = []
        for row, chunk in enumerate(chunks):
            before, width = self.lengths[row], len(chunk)
            done = 0
            while done < width:
                place = before + done
                if whole:
                    stop, size = min(width, done + PART), PART
                    end = before + stop
                else:
                    end = _end(place + 1)
                    stop = min(width, done + self.sizes[-1], end - before)
                    size = next(size for size in self.sizes if size >= stop - done)
                self._spans.append(Span(row, end, self._seen(place, size, end)))
                real += range(len(asked), len(asked) + stop - done)
                asked += range(len(ids) + done, len(ids) + done + size)
                done = stop
            ids += chunk
            positions += range(before, before + width)
            where += range(row * self.slots + before, row * self.slots + before + width)
            looked += range(len(ids) - shown[row], len(ids))
            self.lengths[row] += width
        self._where = torch.tensor(where)
        self._asked = torch.tensor(asked).clamp_(max=len(ids) - 1)  # past the end nobody asks
        self._real = torch.tensor(real)
        model = model or self.model
        with _attention(model):
            out = model(
                input_ids=torch.tensor([ids]), position_ids=torch.tensor([positions]),
                use_cache=False, logits_to_keep=torch.tensor(looked), packed=self,
                **(images or {}),
            )  # fmt: skip
        logits: Tensor = out.logits[0].float()
        return logits

    def attend(
        self, layer: int, query: Tensor, key: Tensor, value: Tensor, scaling: float | None
    ) -> Tensor:
        """One layer's attention: query (N, heads, head size), key and value (N, KV heads, ...)."""
        heads, size = key.shape[1:]
        if layer not in self._layers:
            shape = (heads, len(self.lengths) * self.slots, size)
            self._layers[layer] = (key.new_zeros(shape), value.new_zeros(shape))
        keys, values = self._layers[layer]
        keys.index_copy_(1, self._where, key.transpose(0, 1))
        values.index_copy_(1, self._where, value.transpose(0, 1))
        # a key's queries lie behind each other: (KV heads, group * those of all spans, size)
        asked = query[self._asked].view(-1, heads, self.group, size).transpose(0, 1)
        asked = asked.reshape(heads, -1, size)
        parts, start = [], 0
        for span in self._spans:
            held = slice(span.row * self.slots, span.row * self.slots + span.end)
            stop = start + len(span.seen)
            part = scaled_dot_product_attention(
                asked[None, :, start:stop], keys[None, :, held], values[None, :, held],
                attn_mask=span.seen, scale=scaling,
            )  # fmt: skip
            parts.append(part)
            start = stop
        out = torch.cat(parts, 2)[0].view(heads, -1, self.group, size).transpose(0, 1)
        return out.reshape(-1, *query.shape[1:])[self._real]

    def _seen(self, place: int, count: int, end: int) -> Tensor:
        """The mask of `count` queries from a row's `place` on, over `end` keys."""
        hidden = torch.full((count, end), float("-inf"), dtype=self.model.dtype)
        return hidden.triu(place + 1).repeat_interleave(self.group, 0)

    def _copy(self, owner: Sequence[int]) -> None:
        """Each row's cache from the row that owns its prefix."""
        for row, source in enumerate(owner):
            length = self.lengths[source]
            for held in (one for pair in self._layers.values() for one in pair):
                start, from_ = row * self.slots, source * self.slots
                if row != source:
                    held[:, start : start + length] = held[:, from_ : from_ + length]
            self.lengths[row] = length

    def _rows(self, held: Tensor) -> Tensor:
        """(KV heads, B * slots, head size) to (KV heads, B, slots, head size)."""
        return held.view(len(held), -1, self.slots, held.shape[-1])

    def _make_room(self, slots: int) -> None:
        if slots <= self.slots:
            return
        more = _end(slots + ROOM)
        for layer, pair in self._layers.items():
            keys, values = (
                pad(self._rows(held), (0, 0, 0, more - self.slots)).flatten(1, 2)
                for held in pair
            )
            self._layers[layer] = (keys, values)
        self.slots = more


def _end(count: int) -> int:
    """The next multiple of REACH."""
    return -(-count // REACH) * REACH


def _parts(sizes: Sequence[int], most: int) -> Iterator[range]:
    """Neighbouring rows, as many as have at most `most` tokens together; always one."""
    start, together = 0, 0
    for row, size in enumerate(sizes):
        if row > start and together + size > most:
            yield range(start, row)
            start, together = row, 0
        together += size
    yield range(start, len(sizes))


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
    """The language model's attention by `_attend`, and by its own once no pass is left."""
    AttentionInterface.register(ATTENTION, _attend)
    config = model.get_decoder().config
    with _SWITCH:
        own, passes = _PASSES.get(id(config), (config._attn_implementation, 0))
        _PASSES[id(config)] = own, passes + 1
        config._attn_implementation = ATTENTION
    try:
        yield
    finally:
        with _SWITCH:
            own, passes = _PASSES.pop(id(config))
            if passes > 1:
                _PASSES[id(config)] = own, passes - 1
            else:
                config._attn_implementation = own
