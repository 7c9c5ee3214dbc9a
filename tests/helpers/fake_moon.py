"""Contents in, vectors known in advance out: a colour stands for everything."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from creative4u.moon.encoder.content import Content


class Colours:
    """An image's vector is its mean colour, a text's the colour that it names."""

    def encode(self, contents: Sequence[Content]) -> np.ndarray:
        """(N, 3) unit vectors."""
        rows = []
        for one in contents:
            if one.image is None:
                rows.append([float(word in (one.text or "")) for word in ("red", "green", "blue")])
            else:
                rows.append(list(np.asarray(one.open_image().convert("RGB")).mean(axis=(0, 1))))
        table = np.array(rows, np.float32)
        return table / np.linalg.norm(table, axis=1, keepdims=True)
