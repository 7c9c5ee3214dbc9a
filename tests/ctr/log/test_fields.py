"""Fields files and vocabularies: what is declared, what is unseen, what is refused."""

import json
from pathlib import Path

import numpy as np
import pytest

from creative4u.ctr.log.fields import Vocabulary, read_fields
from creative4u.errors import InputError


def test_the_worlds_fields_load() -> None:
    fields = read_fields()
    assert fields.columns == (
        "click", "day", "user_id", "query_id", "product_id", "creative_id", "price", "position",
    )  # fmt: skip
    assert fields.place("creative") == 3


def test_unseen_ids_fall_into_bucket_0() -> None:
    known = Vocabulary.of([30, 10, 20, 10])
    assert known.size == 4
    assert known.numbers(np.array([10, 20, 30, 40, -1])).tolist() == [1, 2, 3, 0, 0]


def test_string_ids_and_strings_that_are_numbers() -> None:
    assert Vocabulary.of(["b", "a"]).numbers(np.array(["a", "x", "b"])).tolist() == [1, 0, 2]
    assert Vocabulary.of([5, 7]).numbers(np.array(["7", "x", None], object)).tolist() == [2, 0, 0]


def test_an_empty_vocabulary_knows_nothing() -> None:
    assert Vocabulary.of([]).numbers(np.array([1, 2])).tolist() == [0, 0]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"labels": "x"}, "unknown keys"),
        ({"ids": [{"name": "user", "column": "u", "width": 4}]}, "missing"),
        ({"ids": [{"nam": "user"}]}, "unknown entry"),
    ],
)
def test_a_bad_fields_file_is_refused(tmp_path: Path, change: dict, words: str) -> None:
    path = tmp_path / "fields.json"
    table = {"label": "click", "day": "day", "ids": [], "behaviour": 2, **change}
    path.write_text(json.dumps(table), "utf-8")
    with pytest.raises(InputError, match=words):
        read_fields(path)
