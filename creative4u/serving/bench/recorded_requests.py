"""Read the prompts of a file of OpenAI batch requests, the same for every contender."""

from __future__ import annotations

import base64
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from creative4u.selector.protocol.backend import Prompt


@dataclass(frozen=True)
class Asked:
    """One request: its name, its chat messages with images in them, and its limit of tokens."""

    name: str
    messages: list[dict[str, Any]]
    max_tokens: int


def read_requests(path: Path) -> list[Asked]:
    """The requests that `batch_format.write_requests` wrote: two a pair, order AB first."""
    with path.open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    return [
        Asked(row["custom_id"], row["body"]["messages"], row["body"]["max_tokens"]) for row in rows
    ]


def prompt_of(asked: Asked) -> Prompt:
    """The request as a backend takes it: image placeholders, and the images decoded."""
    images: list[Image.Image] = []
    messages = []
    for message in asked.messages:
        parts = []
        for part in message["content"]:
            if part["type"] == "image_url":
                data = part["image_url"]["url"].partition(";base64,")[2]
                images.append(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB"))
                part = {"type": "image"}
            parts.append(part)
        messages.append({**message, "content": parts})
    first, second = images
    return Prompt(messages, (first, second))
