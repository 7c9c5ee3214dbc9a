"""Read the legible lines of text on images: PP-OCRv6 (small) as `rapidocr` ships it.

The wheel carries the detection and recognition models (English, Chinese and others in letters).
They are named by their paths here, so that the package neither fetches nor writes anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from PIL.Image import Image

SURE = 0.93  # the least score of a legible line: half the false lines of 0.8 (experiments)
LONGEST = 736  # pixels of the longer side that is read, bounding time
DETECTOR, RECOGNISER = "PP-OCRv6_det_small.onnx", "PP-OCRv6_rec_small.onnx"


@cache
def _reader() -> Any:
    spec = find_spec("rapidocr")
    assert spec is not None
    assert spec.origin is not None
    models = Path(spec.origin).parent / "models"
    from rapidocr import RapidOCR

    return RapidOCR(
        params={
            "Global.log_level": "critical",  # it warns of every image without text
            "Global.use_cls": False,  # upside-down lines are not looked for
            "Det.model_path": str(models / DETECTOR),
            "Det.limit_side_len": LONGEST,
            "Det.limit_type": "max",  # "min" enlarges small images: three times the time
            "Rec.model_path": str(models / RECOGNISER),
            "EngineConfig.onnxruntime.intra_op_num_threads": 1,
            "EngineConfig.onnxruntime.inter_op_num_threads": 1,
        }
    )


def read_lines(images: Sequence[Image]) -> list[tuple[str, ...]]:
    """The legible lines of each RGB image, as the reader orders them."""
    return [_lines(image) for image in images]


def _lines(image: Image) -> tuple[str, ...]:
    scale = LONGEST / max(image.size)
    if scale < 1:
        image = image.resize((max(1, round(image.width * scale)),
                              max(1, round(image.height * scale))))
    found = _reader()(np.asarray(image)[:, :, ::-1])
    lines = zip(found.txts or (), found.scores or (), strict=True)
    return tuple(text for text, sure in lines if sure >= SURE)
