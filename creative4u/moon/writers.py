"""An item in, a richer title out, by a language model: the embedded one or any server's.

The text half of image-text co-augmentation (MOON2.0, PAPERS section 3). What a model writes may be
wrong; `augment.enriched` keeps a title only where the current encoder finds it near the old one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import httpx
import numpy as np

from creative4u.errors import BackendError, InputError
from creative4u.moon.augment import Writer, rule_writer
from creative4u.moon.items import Item
from creative4u.proxies import http_client

MOST = 200  # characters of a title


def request_for(item: Item) -> str:
    """What a language model is asked, in our words; the item's own words are data."""
    facts = ", ".join(x for x in (item.category, item.colour, *item.attributes) if x)
    return (
        f"Product title: {item.title or item.name}\nFacts: {facts}\n"
        "Write one natural product title with these facts. Answer with the title alone."
    )


@dataclass(frozen=True)
class ServerWriter:
    """A language model behind an OpenAI-compatible server writes the title anew."""

    url: str  # http://127.0.0.1:8000/v1
    model: str
    seconds: float = 60.0

    def __call__(self, item: Item, random: np.random.Generator) -> str:
        """One enriched title; raises BackendError where the server gives none."""
        body = {
            "model": self.model,
            "messages": [{"role": "user", "content": request_for(item)}],
            "max_tokens": 48,
            "seed": int(random.integers(2**31)),
        }
        try:
            with http_client([self.url], timeout=self.seconds) as client:
                answer = client.post(f"{self.url}/chat/completions", json=body)
            answer.raise_for_status()
            said = str(answer.json()["choices"][0]["message"]["content"])
        except (httpx.HTTPError, KeyError, IndexError, TypeError, ValueError) as error:
            raise BackendError(f"no title from {self.url}: {error}") from error
        return first_line(said, self.url)


@dataclass
class EmbeddedWriter:
    """The language model of the composed base (SmolLM2) writes it, in this process."""

    base: str = "creative4u-160m-x4"
    tokens: int = 32
    loaded: dict[str, Any] = field(default_factory=dict)

    def __call__(self, item: Item, random: np.random.Generator) -> str:
        """One enriched title, sampled by `random`; raises BackendError for an empty one."""
        import torch

        if not self.loaded:
            from transformers import AutoModelForImageTextToText, AutoProcessor

            from creative4u.backbone.names import base_folder

            folder = base_folder(self.base)
            self.loaded["words"] = AutoProcessor.from_pretrained(folder).tokenizer
            self.loaded["model"] = AutoModelForImageTextToText.from_pretrained(folder).eval()
        words, model = self.loaded["words"], self.loaded["model"]
        asked = words(
            f"<|im_start|>user\n{request_for(item)}<|im_end|>\n<|im_start|>assistant\n",
            return_tensors="pt",
        )
        torch.manual_seed(int(random.integers(2**31)))
        with torch.inference_mode():
            said = model.generate(
                **asked, max_new_tokens=self.tokens, do_sample=True, temperature=0.7, top_p=0.9
            )
        fresh = said[0][asked["input_ids"].shape[1] :]
        return first_line(str(words.decode(fresh, skip_special_tokens=True)), self.base)


def first_line(said: str, who: str) -> str:
    """The title in an answer; raises BackendError for none."""
    lines = [line.strip(" \"'*") for line in said.splitlines() if line.strip(" \"'*")]
    if not lines:
        raise BackendError(f"an empty title from {who}")
    return lines[0][:MOST]


def writer_of(name: str, model: str = "") -> Writer:
    """`rules`, `embedded` or a server's URL; raises InputError."""
    if name == "rules":
        return rule_writer
    if name == "embedded":
        return EmbeddedWriter()
    if name.startswith(("http://", "https://")):
        return ServerWriter(name.rstrip("/"), model)
    raise InputError(f"a writer is rules, embedded or a server's URL, not {name!r}")
