"""What each damage does to a picture whose pixels are known."""

import numpy as np
import pytest
from PIL import Image

from data.subject_box import subject_box
from data.world.drawing import damage
from data.world.drawing.typefaces import Typefaces


def step_edge(side: int = 224) -> Image.Image:
    pixels = np.zeros((side, side, 3), np.uint8)
    pixels[:, side // 2 :] = 200
    return Image.fromarray(pixels)


def spread(image: Image.Image) -> float:
    """Width in pixels between 16 % and 84 % of a step edge: two standard deviations."""
    row = np.asarray(image.convert("L"), float)[image.height // 2]
    row = row / row.max()
    return float(np.searchsorted(row, 0.841) - np.searchsorted(row, 0.159))


@pytest.mark.parametrize("side", [224, 448])
def test_blur_is_measured_on_the_model_s_224_pixels(side: int) -> None:
    rng = np.random.default_rng(1)  # its first draw, 0.51, picks the Gaussian
    blurred = damage.blur(step_edge(side), 0.7, rng)
    assert spread(blurred) == pytest.approx(2 * (0.6 + 3.4 * 0.7) * side / 224, rel=0.25)


def test_dark_takes_a_middle_grey_down_and_keeps_black() -> None:
    grey = Image.new("RGB", (32, 32), (128, 128, 128))
    for seed in range(5):
        level = np.asarray(damage.dark(grey, 0.5, np.random.default_rng(seed)))[0, 0, 0]
        assert level == pytest.approx(128 * (0.9 - 0.36), abs=2)
    assert np.asarray(damage.dark(Image.new("RGB", (8, 8)), 1, np.random.default_rng(0))).max() == 0


def test_nothing_happens_at_strength_0() -> None:
    image, rng = step_edge(), np.random.default_rng(0)
    for spoil in (damage.blur, damage.low_resolution, damage.dark, damage.noise, damage.clutter):
        assert spoil(image, 0, rng) is image
    assert damage.bright(image, 0) is image


def test_low_resolution_leaves_fewer_levels_of_detail() -> None:
    fine = Image.effect_noise((224, 224), 80).convert("RGB")
    weak, strong = (
        np.asarray(damage.low_resolution(fine, s, np.random.default_rng(1)), float).std()
        for s in (0.1, 1.0)
    )
    assert strong < weak < np.asarray(fine, float).std()


def test_clutter_marks_where_it_landed() -> None:
    image = Image.new("RGB", (200, 200), (255, 255, 255))
    mask = Image.new("L", image.size, 0)
    strewn = damage.clutter(image, 0.8, np.random.default_rng(2), (), mask)
    changed = (np.asarray(strewn) != 255).any(axis=2)
    assert changed.mean() > 0.05
    assert not changed[np.asarray(mask) == 0].any()
    assert np.asarray(image).min() == 255  # the picture given is untouched


@pytest.mark.parametrize("seed", range(6))
def test_cut_off_leaves_less_of_the_subject(seed: int) -> None:
    image = Image.new("RGB", (200, 200), (255, 255, 255))
    image.paste((200, 0, 0), (60, 60, 140, 140))
    cut = np.asarray(damage.cut_off(image, 1.0, np.random.default_rng(seed), (60, 60, 140, 140)))
    red = (cut[..., 1] < 128).astype(int)
    touching = [red[:, 0], red[:, -1], red[0], red[-1]]
    assert cut.shape == (200, 200, 3)
    assert sum(side.any() for side in touching) == 1


def test_a_banner_lies_over_the_subject() -> None:
    image = Image.new("RGB", (200, 200), (120, 160, 120))
    out = np.asarray(
        damage.text_banner(
            image, 0.5, np.random.default_rng(0), (60, 60, 140, 140), "SALE", Typefaces()
        )
    )
    changed = (out != np.asarray(image)).any(axis=2)
    assert changed[:, 100].sum() == 50  # 0.14 + 0.22 * 0.5 of 200
    assert changed[70:130, 100].any()


def test_the_subject_s_box_is_found_on_studio_light() -> None:
    ramp = np.linspace(200, 250, 240).astype(np.uint8)
    pixels = np.repeat(np.repeat(ramp[:, None, None], 240, 1), 3, 2)
    image = Image.fromarray(pixels)
    image.paste((40, 60, 160), (60, 80, 180, 200))
    assert subject_box(image) == pytest.approx((60, 80, 180, 200), abs=8)
    assert subject_box(Image.new("RGB", (80, 40), (9, 9, 9))) == (20, 10, 60, 30)
