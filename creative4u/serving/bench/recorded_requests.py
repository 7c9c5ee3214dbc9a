"""Read a file of OpenAI batch requests as prompts: the same ones for every contender."""

from __future__ import annotations

import base64
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from creative4u.schema import PairEvidence
from creative4u.selector.protocol.backend import Prompt


@dataclass(frozen=True)
class Asked:
    """One request: its name, its chat messages with images in them, and its limit of tokens.

    `evidence` is in the prompt's own A and B; None where it is not known.
    """

    name: str
    messages: list[dict[str, Any]]
    max_tokens: int
    evidence: PairEvidence | None = None


def read_requests(path: Path, beside: Path) -> list[Asked]:
    """The requests that `batch_format.write_requests` wrote: two a pair, order AB first.

    `beside` is the file that it wrote with them (`batch_format.asked_file`); it holds the evidence.
    """
    with beside.open(encoding="utf-8") as lines:
        next(lines)  # the header
        kept = [json.loads(line).get("evidence") for line in lines]
    with path.open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    asked = []
    for row in rows:
        _, order, number = row["custom_id"].rsplit(":", 2)
        evidence = kept[int(number)] and PairEvidence.model_validate(kept[int(number)])
        if evidence and order == "BA":
            evidence = evidence.swapped()
        asked.append(
            Asked(row["custom_id"], row["body"]["messages"], row["body"]["max_tokens"], evidence)
        )
    return asked


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
    return Prompt(messages, (first, second), asked.evidence)
