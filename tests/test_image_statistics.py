"""Statistics of pictures whose numbers can be worked out on paper."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from creative4u.errors import ImageError
from creative4u.image_statistics import STATISTICS, image_statistics


def test_a_chessboard_of_two_greys(tmp_path: Path) -> None:
    board = np.indices((40, 40)).sum(axis=0) % 2 * 100 + 50  # 50 and 150
    path = tmp_path / "board.png"
    Image.fromarray(board.astype(np.uint8)).save(path)
    seen = image_statistics(path)
    assert seen["brightness"] == pytest.approx(100)
    assert seen["contrast"] == pytest.approx(50)
    # every neighbour differs by 100: the Laplacian is +-400
    assert seen["sharpness"] == pytest.approx(400.0**2, rel=0.01)
    assert seen["file_size"] == path.stat().st_size
    assert set(seen) == set(STATISTICS)


def test_a_flat_picture_has_neither_contrast_nor_sharpness(tmp_path: Path) -> None:
    path = tmp_path / "flat.png"
    Image.new("RGB", (50, 50), (30, 30, 30)).save(path)
    seen = image_statistics(path)
    assert (seen["contrast"], seen["sharpness"], seen["brightness"]) == (0, 0, 30)


def test_no_image_is_an_image_error(tmp_path: Path) -> None:
    path = tmp_path / "text.jpg"
    path.write_text("no image")
    with pytest.raises(ImageError):
        image_statistics(path)
