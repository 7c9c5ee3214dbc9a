"""vLLM is handed one token an image, and text prompts as they are."""

from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from rft.training.vllm_prompts import shortening, unexpanded

IMAGE = 9


def test_a_run_of_image_tokens_becomes_one() -> None:
    assert unexpanded([1, 9, 9, 9, 2, 3, 3, 9, 9, 4], IMAGE) == [1, 9, 2, 3, 3, 9, 4]


@given(st.lists(st.integers(0, 9)))
def test_nothing_but_image_tokens_is_lost(ids: list[int]) -> None:
    short = unexpanded(ids, IMAGE)
    assert [i for i in short if i != IMAGE] == [i for i in ids if i != IMAGE]
    assert all(a != IMAGE or b != IMAGE for a, b in pairwise(short))


def test_only_prompts_with_images_are_shortened() -> None:
    seen: list[Any] = []

    def generate(prompts: list[dict[str, Any]], use_tqdm: bool) -> str:
        seen.extend([prompts, use_tqdm])
        return "done"

    prompts = [
        {"prompt_token_ids": [9, 9, 1], "multi_modal_data": {"image": "x"}},
        {"prompt_token_ids": [9, 9, 1]},
    ]
    assert shortening(generate, IMAGE)(prompts, use_tqdm=False) == "done"
    assert seen[0][0] == {"prompt_token_ids": [9, 1], "multi_modal_data": {"image": "x"}}
    assert seen[0][1] == prompts[1]
    assert seen[1] is False
    assert prompts[0]["prompt_token_ids"] == [9, 9, 1]
