"""What several rooms' tests share: the composed base, loaded once a session, and plain images."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

SAMPLES = Path(__file__).resolve().parents[2] / "shared" / "samples"


@pytest.fixture(scope="session")
def base_folder() -> Path:
    """The composed base model (64 tokens an image), composed on first use."""
    from creative4u.backbone.compose import composed_base

    return composed_base()


@pytest.fixture(scope="session")
def base_model(base_folder: Path) -> Any:
    """The composed base in evaluation mode; tests leave it as they found it."""
    from transformers import AutoModelForImageTextToText

    return AutoModelForImageTextToText.from_pretrained(base_folder).eval()


@pytest.fixture(scope="session")
def base_processor(base_folder: Path) -> Any:
    from transformers import AutoProcessor

    return AutoProcessor.from_pretrained(base_folder)


@pytest.fixture(scope="session")
def gguf_language_model() -> Any:
    """SmolLM2 as transformers itself reads it from the GGUF."""
    from creative4u.backbone.language import gguf_model

    return gguf_model()


@pytest.fixture(scope="session")
def pictures() -> list[Image.Image]:
    """Four RGB images of different sizes: colour noise from coarse to fine, drawn from a seed."""
    rng = np.random.default_rng(0)
    sizes = [(300, 260), (224, 224), (160, 320), (500, 200)]
    coarse = [rng.integers(0, 256, (6 + 8 * i, 6 + 8 * i, 3), dtype=np.uint8) for i in range(4)]
    return [
        Image.fromarray(grid).resize(size, Image.Resampling.BICUBIC)
        for grid, size in zip(coarse, sizes, strict=True)
    ]


@pytest.fixture(scope="session")
def product_photos() -> list[tuple[str, Image.Image]]:
    """Real product photographs with titles, for measuring only; skips where there are none."""
    metadata = SAMPLES / "metadata.jsonl"
    if not metadata.is_file():
        pytest.skip(f"no sample photographs at {SAMPLES}")
    rows = [json.loads(line) for line in metadata.read_text("utf8").splitlines()]
    return [
        (row["title"], Image.open(SAMPLES / row["file_name"]).convert("RGB"))
        for row in rows
        if row["kind"] == "product photo"
    ]
