"""Images in, the lines of text that stand on them out: PP-OCRv4 as `rapidocr-onnxruntime` ships it.

The wheel carries its detection and recognition models (Chinese and English), so nothing is fetched.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from PIL.Image import Image

SURE = 0.8  # a line that is read with less confidence counts as illegible (our choice)
LONGEST = 736  # pixels of the longer side that is read, bounding time


@cache
def _reader() -> Any:
    from rapidocr_onnxruntime import RapidOCR

    return RapidOCR(intra_op_num_threads=1, inter_op_num_threads=1, use_cls=False)


def read_lines(images: Sequence[Image]) -> list[tuple[str, ...]]:
    """The legible lines of each RGB image, as the reader orders them."""
    return [_lines(image) for image in images]


def _lines(image: Image) -> tuple[str, ...]:
    scale = LONGEST / max(image.size)
    if scale < 1:
        image = image.resize((max(1, round(image.width * scale)),
                              max(1, round(image.height * scale))))
    found, _ = _reader()(np.asarray(image)[:, :, ::-1], use_cls=False)
    return tuple(text for _, text, sure in found or () if float(sure) >= SURE)
