"""The judge on a backend whose every answer is known: orders, events, caching, errors."""

from collections.abc import Sequence

import pytest
from PIL import Image
from reasoning_lines import LINES

from creative4u.errors import CompletionError, InputError, TruncatedError
from creative4u.schema import Verdict
from creative4u.selector.config import JudgeConfig
from creative4u.selector.evidence.properties import Match
from creative4u.selector.judge import Judge, Observed, PairRequest, Reasoning
from creative4u.selector.protocol.backend import Completion, OnText, Prompt
from creative4u.selector.protocol.completion import complete, swap_sides

LIGHT, DARK = Image.new("RGB", (64, 64), "white"), Image.new("RGB", (64, 64), "black")
GREY = Image.new("RGB", (64, 64), "grey")


class Lightest:
    """Chooses the lighter image, with odds e^(difference / 100) on the first-shown side."""

    name = "lightest"
    special_tokens = ("<image>",)

    def __init__(self) -> None:
        self.observed: list[int] = []

    def observe(self, images: Sequence[Image.Image]) -> list[dict[str, float]]:
        self.observed.append(len(images))
        return [{"dark": 9 - self._light(image) / 255 * 9} for image in images]

    def complete(
        self, prompts: Sequence[Prompt], on_text: OnText | None = None
    ) -> list[Completion | CompletionError]:
        told: list[Completion | CompletionError] = []
        for row, prompt in enumerate(prompts):
            if "broken" in prompt.messages[0]["content"][0]["text"]:
                told.append(TruncatedError("out of tokens"))
                continue
            logit = (self._light(prompt.images[0]) - self._light(prompt.images[1])) / 100
            text = complete(LINES if logit > 0 else swap_sides(LINES), "A" if logit > 0 else "B")
            if on_text is not None:
                on_text(row, text[:40])
            told.append(Completion(text, logit))
        return told

    @staticmethod
    def _light(image: Image.Image) -> float:
        value = image.convert("L").getpixel((0, 0))
        assert isinstance(value, int)
        return float(value)


class NoEvidence:
    def seen(
        self, images: Sequence[Image.Image], probe: bool
    ) -> list[tuple[dict[str, float], dict[str, float]]]:
        return [({"dark": 1.0} if probe else {}, {"light": 4.6}) for _ in images]

    def classify(self, images: Sequence[Image.Image]) -> list[tuple[str, float]]:
        return [("boot", 0.5) for _ in images]

    def read(self, images: Sequence[Image.Image]) -> list[tuple[str, ...]]:
        raise AssertionError

    def match(self, image: Image.Image, title: str, queries: tuple[str, ...]) -> Match:
        return Match(title=6.3)


@pytest.fixture
def judge() -> Judge:
    return Judge(Lightest(), JudgeConfig(observe="model"), NoEvidence())


def test_a_swapped_pair_is_the_mirrored_verdict(judge: Judge) -> None:
    one = judge.select(PairRequest(LIGHT, DARK, "Boot"))
    other = judge.select(PairRequest(DARK, LIGHT, "Boot"))
    assert (one.choice, other.choice) == ("A", "B")
    assert one.probability_a == pytest.approx(1 - other.probability_a, abs=1e-12)
    assert one.probability_a == pytest.approx(0.9276, abs=1e-4)  # sigmoid(2.55)
    assert other.reasoning == swap_sides(one.reasoning)
    assert one.consistent
    assert [order.order for order in one.orders] == ["AB", "BA"]


def test_one_order_on_request(judge: Judge) -> None:
    assert len(judge.select(PairRequest(LIGHT, DARK, "Boot"), both_orders=False).orders) == 1


def test_an_image_is_observed_once_and_its_facts_stand_in_both_prompts(judge: Judge) -> None:
    request = PairRequest(LIGHT, DARK, "Boot")
    ab, ba = judge.prompts(request)
    judge.select(request)
    judge.select(PairRequest(LIGHT, GREY, "Boot"))
    backend = judge.backend
    assert isinstance(backend, Lightest)
    assert backend.observed == [2, 1]
    assert ab.messages[0]["content"][2]["text"] == (
        " dark 0 light 5 title 6 like boot\nCreative B: "
    )
    assert ba.messages[0]["content"][4]["text"] == (
        " dark 0 light 5 title 6 like boot\nMore of it: dark A+9"
    )
    assert ba.images == (DARK, LIGHT)
    assert ab.evidence is not None
    assert ba.evidence == ab.evidence.swapped()


def test_the_stream_tells_everything_in_the_users_own_sides(judge: Judge) -> None:
    *events, last = judge.stream(PairRequest(LIGHT, DARK, "Boot"))
    assert isinstance(last, Verdict)
    seen = {e.side: e.evidence for e in events if isinstance(e, Observed)}
    assert list(seen) == ["A", "B"]
    assert last.evidence is not None
    assert seen["B"] == last.evidence.B
    assert last.evidence.B.degrees == {"dark": 9.0, "light": 4.6, "title": 6.3}
    assert (last.evidence.B.class_name, last.evidence.B.class_probability) == ("boot", 0.5)
    told = {e.order: e.text for e in events if isinstance(e, Reasoning)}
    assert set(told) == {"AB", "BA"}
    assert LINES.startswith(told["AB"])
    assert LINES.startswith(told["BA"])  # told of the second image as B, turned back


def test_a_failed_pair_is_its_own_error(judge: Judge) -> None:
    good, broken, empty = judge.select_many(
        [PairRequest(LIGHT, DARK, title) for title in ("Boot", "broken", "  ")]
    )
    assert isinstance(good, Verdict)
    assert isinstance(broken, TruncatedError)
    assert isinstance(empty, InputError)
    with pytest.raises(InputError, match="title is empty"):
        list(judge.stream(PairRequest(LIGHT, DARK, "")))


def test_the_probe_stands_in_for_the_models_own_observations() -> None:
    backend = Lightest()
    prompt = Judge(backend, JudgeConfig(), NoEvidence()).prompts(PairRequest(LIGHT, DARK, "Boot"))
    assert prompt[0].messages[0]["content"][4]["text"] == (
        " dark 1 light 5 title 6 like boot\nMore of it: nothing"
    )
    assert backend.observed == []


def test_without_facts_the_prompt_is_the_single_pass() -> None:
    config = JudgeConfig(observe=False, use_pixels=False, use_title_match=False)
    backend = Lightest()
    prompt = Judge(backend, config, NoEvidence()).prompts(PairRequest(LIGHT, DARK, "Boot"))[0]
    assert prompt.messages[0]["content"][2]["text"] == " \nCreative B: "
    assert backend.observed == []


def test_one_picture_is_a_tie_that_no_model_is_asked_about(judge: Judge) -> None:
    picture = Image.linear_gradient("L").convert("RGB")  # 256 by 256
    copy = picture.resize((128, 128), Image.Resampling.BICUBIC)
    same, halved, other = judge.select_many(
        [PairRequest(picture, second, "Boot") for second in (picture.copy(), copy, LIGHT)]
    )
    assert isinstance(same, Verdict)
    assert isinstance(halved, Verdict)
    assert isinstance(other, Verdict)
    assert (same.choice, same.probability_a, same.answers.same_image) == ("tie", 0.5, "yes")
    assert (halved.choice, halved.answers.same_image, halved.answers.too_similar) == (
        "tie", "no", "yes",
    )  # fmt: skip
    assert other.choice in ("A", "B")
    assert [order.order for order in same.orders] == ["AB", "BA"]
    assert {order.choice for order in same.orders} == {"tie"}
    assert same.log_odds_lm is None
    assert same.evidence is not None
    assert same.reasoning.startswith("same_image: one and the same picture. yes\n")
    assert judge.tie(PairRequest(picture, LIGHT, "Boot")) is None
    with pytest.raises(InputError, match="title is empty"):
        judge.select(PairRequest(picture, picture, ""))
