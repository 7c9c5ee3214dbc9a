"""Enrich product titles with a language model: the embedded one or a server's.

The text half of image-text co-augmentation (MOON2.0, arXiv 2511.12449). A model may write nonsense:
`views.enrich_titles` keeps a title only if the current encoder finds it near the old one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import httpx
import numpy as np

from creative4u.errors import BackendError, InputError
from creative4u.moon.augment.views import TitleWriter, rule_writer
from creative4u.moon.catalogue.items import Item

MAX_LENGTH = 200  # characters of a title


def title_prompt(item: Item) -> str:
    """The prompt for an enriched title; the item's own words are data in it."""
    facts = ", ".join(x for x in (item.category, item.colour, *item.attributes) if x)
    return (
        f"Product title: {item.title or item.name}\nFacts: {facts}\n"
        "Write one natural product title with these facts. Answer with the title alone."
    )


@dataclass(frozen=True)
class ServerWriter:
    """Write titles with a language model behind an OpenAI-compatible server."""

    url: str  # http://127.0.0.1:8000/v1
    model: str
    timeout: float = 60.0

    def __call__(self, item: Item, rng: np.random.Generator) -> str:
        """Write one title. Raises BackendError if the server gives none."""
        body = {
            "model": self.model,
            "messages": [{"role": "user", "content": title_prompt(item)}],
            "max_tokens": 48,
            "seed": int(rng.integers(2**31)),
        }
        try:
            answer = httpx.post(f"{self.url}/chat/completions", json=body, timeout=self.timeout)
            answer.raise_for_status()
            written = str(answer.json()["choices"][0]["message"]["content"])
        except (httpx.HTTPError, KeyError, IndexError, TypeError, ValueError) as error:
            raise BackendError(f"no title from {self.url}: {error}") from error
        return first_line(written, self.url)


@dataclass
class EmbeddedWriter:
    """Write titles with the composed base's language model (SmolLM2), in this process."""

    base: str = "creative4u-160m-x4"
    tokens: int = 32
    loaded: dict[str, Any] = field(default_factory=dict)

    def __call__(self, item: Item, rng: np.random.Generator) -> str:
        """Sample one title with `rng`. Raises BackendError for an empty one."""
        import torch

        if not self.loaded:
            from transformers import AutoModelForImageTextToText, AutoProcessor

            from creative4u.backbone.names import base_folder

            folder = base_folder(self.base)
            self.loaded["words"] = AutoProcessor.from_pretrained(folder).tokenizer
            self.loaded["model"] = AutoModelForImageTextToText.from_pretrained(folder).eval()
        words, model = self.loaded["words"], self.loaded["model"]
        prompt = words(
            f"<|im_start|>user\n{title_prompt(item)}<|im_end|>\n<|im_start|>assistant\n",
            return_tensors="pt",
        )
        torch.manual_seed(int(rng.integers(2**31)))
        with torch.inference_mode():
            written = model.generate(
                **prompt, max_new_tokens=self.tokens, do_sample=True, temperature=0.7, top_p=0.9
            )
        fresh = written[0][prompt["input_ids"].shape[1] :]
        return first_line(str(words.decode(fresh, skip_special_tokens=True)), self.base)


def first_line(written: str, who: str) -> str:
    """The first non-empty line of a completion. Raises BackendError without one."""
    lines = [line.strip(" \"'*") for line in written.splitlines() if line.strip(" \"'*")]
    if not lines:
        raise BackendError(f"{who} wrote an empty title")
    return lines[0][:MAX_LENGTH]


def title_writer(name: str, model: str = "") -> TitleWriter:
    """The writer called `rules`, `embedded` or by a server's URL. Raises InputError."""
    if name == "rules":
        return rule_writer
    if name == "embedded":
        return EmbeddedWriter()
    if name.startswith(("http://", "https://")):
        return ServerWriter(name.rstrip("/"), model)
    raise InputError(f"got writer {name!r}; allowed are rules, embedded or a server's URL")
