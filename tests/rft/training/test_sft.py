"""A tiny Idefics3, built from a config, through both stages: trained, saved, resumed, judged."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from reasoning_lines import LINES
from safetensors.torch import load_file
from transformers import Idefics3Config, Idefics3ForConditionalGeneration

from creative4u.errors import InputError
from creative4u.files.json_rows import strict_rows
from creative4u.schema import CreativePair
from creative4u.selector.decoding.speculation import FILE_NAME
from creative4u.selector.evidence.properties import NAMES
from creative4u.selector.protocol.completion import parse
from rft.recipe import Recipe
from rft.training import sft
from rft.training.rows import draw, single_rows, told_reasoning
from rft.training.sft import DONE, main

PAIR = {
    "pair_id": "p0", "product_title": "Boot", "queries": ["boots"], "image_a": "0.png",
    "image_b": "1.png", "label": "A", "split": "train",
    "answers": {"same_image": "no", "too_similar": "no", "query_hit": "A=B", "title_hit": "A>B",
                "text": "A<B", "props": "A=B", "layout": "A=B", "subject": "A>B",
                "background": "A>B", "click": "A"},
    "reasoning": LINES.replace("the price", '"the price"'),
}  # fmt: skip


@pytest.fixture(scope="module")
def tiny(base_processor: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a random two-layer Idefics3 that takes the base's own processor."""
    folder = tmp_path_factory.mktemp("tiny")
    processor = base_processor
    processor.save_pretrained(folder)
    config = Idefics3Config(
        text_config={"model_type": "llama", "vocab_size": len(processor.tokenizer),
                     "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
                     "num_attention_heads": 2, "num_key_value_heads": 1, "pad_token_id": 0},
        vision_config={"hidden_size": 24, "intermediate_size": 32, "num_hidden_layers": 1,
                       "num_attention_heads": 2, "image_size": 224, "patch_size": 14},
        scale_factor=2, pad_token_id=0, tie_word_embeddings=True,
        image_token_id=processor.tokenizer.convert_tokens_to_ids("<image>"),
    )  # fmt: skip
    torch.manual_seed(0)
    Idefics3ForConditionalGeneration(config).save_pretrained(folder)
    return folder


@pytest.fixture
def recipe(tiny: Path, tmp_path: Path) -> Recipe:
    rng = np.random.default_rng(0)
    rows = []
    for number in range(4):
        pixels = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
        facts = {name: float(rng.random()) for name in NAMES}
        split = "test" if number == 3 else "train"
        rows.append({"image": f"{number}.png", "facts": facts, "split": split})
    (tmp_path / "singles.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "pairs.jsonl").write_text(json.dumps(PAIR) + "\n")
    stages = [
        {"name": "singles", "singles": 4, "learning_rate": 1e-2, "batch_size": 2},
        {"name": "pairs", "singles": 1, "pairs": 2, "learning_rate": 1e-2, "batch_size": 3},
    ]
    return Recipe.model_validate(
        {"kind": "sft", "base": str(tiny), "out": tmp_path / "run", "seed": 1,
         "features": tmp_path / "features", "singles": tmp_path / "singles.jsonl",
         "pairs": [tmp_path / "pairs.jsonl"], "lora": {"rank": 2, "alpha": 4}, "stages": stages,
         "judge": {"observe": "model", "measure": False, "match": False}}
    )  # fmt: skip


def test_both_stages_train_and_a_second_start_does_nothing_again(recipe: Recipe) -> None:
    folder = main(recipe)
    assert folder == recipe.out / "1-pairs"
    singles, pairs = (json.loads((recipe.out / name / DONE).read_text())
                      for name in ("0-singles", "1-pairs"))  # fmt: skip
    assert (singles["steps"], singles["rows"]) == (2, 4)
    assert (pairs["steps"], pairs["rows"]) == (1, 3)
    assert (folder / FILE_NAME).is_file()  # what its lines usually say
    weights = load_file(folder / "adapter_model.safetensors")
    assert {tensor.dtype for tensor in weights.values()} == {torch.float16}
    assert any("connector" in name for name in weights)
    assert not any("vision" in name for name in weights)
    learnt = [name for name, tensor in weights.items() if "lora_B" in name and tensor.any()]
    assert learnt
    said = json.loads((folder / "adapter_config.json").read_text())
    assert said["base_model_name_or_path"] == recipe.base

    made = {path: path.stat().st_mtime_ns for path in recipe.out.rglob("*.safetensors")}
    assert main(recipe) == folder
    assert made == {path: path.stat().st_mtime_ns for path in recipe.out.rglob("*.safetensors")}


def test_pair_rows_hold_both_orders_and_the_models_own_observations(recipe: Recipe) -> None:
    main(recipe)
    made = strict_rows(recipe.out / "1-pairs.rows.jsonl")
    rows = [row for row in made if len(row["images"]) == 2]
    assert len(rows) == 2
    for row in rows:
        turned = row["images"][0].endswith("1.png")
        assert parse(row["completion"][0]["content"]).answers.click == ("B" if turned else "A")
        assert row["prompt"][0]["content"][2]["text"].startswith(" size ")


def test_reasoning_is_taught_without_what_the_model_cannot_see() -> None:
    pair = CreativePair.model_validate(PAIR)
    assert "text: B names a query. A<B" in told_reasoning(pair)
    for claim, told in (
        ("shows tin can instead", "shows another product"),
        ("shows a wrong product, tin can", "shows a wrong product"),
    ):
        line = f"title_hit: A {claim}; B shows the boot. A<B"
        assert told_reasoning(pair.model_copy(update={"reasoning": line})) == (
            f"title_hit: A {told}; B shows the right product. A<B"
        )


def test_singles_teach_levels_of_the_training_split_only(recipe: Recipe) -> None:
    assert recipe.singles is not None
    rows = single_rows(recipe.singles)
    assert len(rows) == 3
    words = rows[0]["completion"][0]["content"].split()
    assert words[::2] == list(NAMES)
    assert all(word in "0123456789" for word in words[1::2])


def test_drawing_repeats_only_when_it_must() -> None:
    assert sorted(draw([1, 2, 3], 3, seed=0)) == [1, 2, 3]
    assert sorted(draw([1, 2, 3], 6, seed=0)) == [1, 1, 2, 2, 3, 3]
    assert draw([], 3, seed=0) == []


NO_SPLIT = {key: value for key, value in PAIR.items() if key != "split"}


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([NO_SPLIT, NO_SPLIT], "no pair to train on; .* Its 2 rows have the split: none"),
        ([PAIR | {"split": "test"}], "have the split: test"),
        ([PAIR | {"reasoning": None}], "have the split: train; 1 without reasoning"),
        ([PAIR | {"label": "maybe"}], "1 without label"),
        ([PAIR, PAIR | {"product_title": " "}], "row 2: product_title: the product title is empty"),
    ],
)
def test_pairs_that_teach_nothing_are_one_line_before_anything_is_loaded(
    rows: list[dict[str, Any]], says: str, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sft, "load_base", lambda base: pytest.fail("loaded"))
    recipe.pairs[0].write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(InputError, match=says):
        main(recipe)
    assert not recipe.out.exists()


def test_a_recipe_without_its_singles_is_told_what_to_add(
    recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sft, "load_base", lambda base: pytest.fail("loaded"))
    with pytest.raises(InputError, match=r"add singles=DIR/singles.jsonl"):
        main(recipe.model_copy(update={"singles": None}))
    with pytest.raises(InputError, match=r"add pairs=\[DIR/pairs.jsonl\]"):
        main(recipe.model_copy(update={"pairs": ()}))
    assert not recipe.out.exists()


def test_blank_lines_and_unknown_columns_are_passed_over(recipe: Recipe) -> None:
    text = json.dumps(PAIR | {"source": "meta"})
    recipe.pairs[0].write_text(f"\n{text}\n\n\n")
    (pair,) = sft.training_pairs(recipe.pairs[0])
    assert pair.pair_id == "p0"


def test_rows_know_what_they_were_made_of(recipe: Recipe) -> None:
    stage, config = recipe.stages[1], sft.judge_config(recipe)
    before = sft.origin_of(recipe, stage, 1, config)
    assert sft.origin_of(recipe, stage, 1, config) == before
    Image.new("RGB", (64, 64)).save(recipe.pairs[0].parent / "0.png")
    replaced = sft.origin_of(recipe, stage, 1, config)
    assert replaced != before
    recipe.pairs[0].write_text(json.dumps(PAIR | {"product_title": "Bag"}))
    assert sft.origin_of(recipe, stage, 1, config) not in (before, replaced)


def test_a_stage_that_was_trained_on_other_rows_is_not_gone_on_with(recipe: Recipe) -> None:
    first = recipe.model_copy(update={"stages": recipe.stages[:1]})
    main(first)
    assert recipe.singles is not None
    recipe.singles.write_text(recipe.singles.read_text().replace('"test"', '"train"'))
    with pytest.raises(InputError, match="was trained on other rows than the recipe gives now"):
        main(first)
