"""A model folder's config: old names are read, new ones are written."""

from pathlib import Path

import pytest

from creative4u.errors import InputError
from creative4u.selector.config import FILE_NAME, JudgeConfig, read_config

CURVE = [0.0, 1.0, 2.0, 3.0, 4.0]


def test_names_that_configs_had_before_are_read(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text(
        '{"measure": false, "match": false, "read": true, "first_lean": 1.5, "temperature": 2.0,'
        f' "prior": 0.5, "weights": {{"stand_out": {CURVE}, "size": {CURVE}}}}}'
    )
    read = read_config(tmp_path)
    assert read == JudgeConfig(
        use_pixels=False, use_title_match=False, use_ocr=True, position_bias=1.5, lm_scale=2.0,
        evidence_weight=0.5,
        evidence_curves={"contrast_with_background": CURVE, "size": CURVE},
    )  # fmt: skip
    assert JudgeConfig.model_validate_json(read.model_dump_json()) == read
    assert not {"measure", "weights", "prior"} & read.model_dump().keys()


def test_an_old_name_beside_its_new_one_is_refused(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text('{"prior": 0.5, "evidence_weight": 0.7}')
    with pytest.raises(InputError, match="prior is the old name of evidence_weight; give one"):
        read_config(tmp_path)
    (tmp_path / FILE_NAME).write_text('{"lm_scale": 0}')
    with pytest.raises(InputError, match=r"lm_scale.*greater than 0"):
        read_config(tmp_path)


def test_the_shipped_config_has_the_new_names() -> None:
    shipped = Path(__file__).parents[2] / "creative4u" / "selector" / "weights" / FILE_NAME
    again = read_config(shipped.parent).model_dump_json(indent=2) + "\n"
    assert shipped.read_text("utf-8") == again
