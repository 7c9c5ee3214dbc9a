"""Write completions with their images and rewards as one self-contained HTML page.

What users typed and what the model wrote is escaped: a page of samples runs nothing.
"""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL.Image import Image

THUMB = 160  # pixels, the longer side
_STYLE = (
    "body{font:14px sans-serif;margin:24px;max-width:1100px}section{border-top:1px solid #ccc;"
    "padding:12px 0}img{margin-right:8px}pre{white-space:pre-wrap;background:#f6f6f6;padding:8px}"
    "small{color:#666}"
)


@dataclass(frozen=True)
class Sample:
    """One completion: the images as shown (A first), its prompt, its label and its rewards."""

    images: Sequence[Image]
    prompt: str
    completion: str
    label: str
    scores: dict[str, float | None]


def write_page(path: Path, title: str, samples: Sequence[Sample]) -> None:
    """Write `path`; its folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    body = "".join(map(_section, samples))
    path.write_text(
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f"<style>{_STYLE}</style><h1>{html.escape(title)}</h1>{body}</html>\n",
        "utf-8",
    )


def _section(sample: Sample) -> str:
    pictures = "".join(
        f'<img alt="creative {name}" src="data:image/jpeg;base64,{_jpeg(image)}">'
        for name, image in zip("AB", sample.images, strict=False)
    )
    scores = ", ".join(
        f"{name} {'none' if score is None else f'{score:.2f}'}"
        for name, score in sample.scores.items()
    )
    return (
        f"<section>{pictures}<p><b>label {html.escape(sample.label)}</b>; {html.escape(scores)}</p>"
        f"<p><small>{html.escape(sample.prompt)}</small></p>"
        f"<pre>{html.escape(sample.completion)}</pre></section>"
    )


def _jpeg(image: Image) -> str:
    small = image.convert("RGB")
    small.thumbnail((THUMB, THUMB))
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=80)
    return base64.b64encode(buffer.getvalue()).decode()
