"""The guided decoder on the shipped judge: no batch and no cache changes what it says."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from PIL import Image

from creative4u.backbone.names import embedded_adapter
from creative4u.schema import ImageEvidence, PairEvidence
from creative4u.selector.backends.local import MOST_AT_ONCE, LocalBackend
from creative4u.selector.decoding import packed_attention
from creative4u.selector.decoding.guided_decoder import GuidedDecoder
from creative4u.selector.decoding.speculation import Drafts
from creative4u.selector.evidence.properties import NAMES
from creative4u.selector.loading import load_judge, merged
from creative4u.selector.protocol.backend import Completion, Prompt
from creative4u.selector.protocol.completion import parse
from creative4u.selector.protocol.prompt import citations, comparison_messages
from creative4u.selector.protocol.questions import KEYS

PROPERTIES = (
    "size", "complete", "text", "occluded", "clutter", "dark", "blur", "props", "frame",
    "contrast_with_background", "sharp", "light", "contrast", "area", "centre", "edge", "title",
    "query",
)  # fmt: skip
OF_A = (6, 9, 0, 0, 0, 0, 0, 0, 0, 7, 5, 6, 4, 6, 8, 0, 4, 5)
OF_B = (3, 9, 2, 1, 5, 0, 6, 1, 0, 4, 1, 5, 4, 4, 7, 1, 3, 3)
EVIDENCE = PairEvidence(
    A=ImageEvidence(
        degrees=dict(zip(PROPERTIES, OF_A, strict=True)), class_name="running shoe"
    ),
    B=ImageEvidence(degrees=dict(zip(PROPERTIES, OF_B, strict=True)), class_name="sandal"),
)


@pytest.fixture(scope="module")
def backend() -> LocalBackend:
    loaded = load_judge().backend
    assert isinstance(loaded, LocalBackend)
    return loaded


@pytest.fixture(scope="module")
def prompts(pictures: list[Image.Image]) -> list[Prompt]:
    titles = ("Boot", "A much longer title of another product, red and warm")
    return [
        Prompt(
            comparison_messages(title, ("boots",), EVIDENCE),
            (pictures[i], pictures[i + 1]),
            EVIDENCE,
        )
        for i, title in enumerate(titles)
    ]


def test_observations_do_not_depend_on_the_batch(
    backend: LocalBackend, pictures: list[Image.Image]
) -> None:
    together = backend.observe(pictures)
    alone = [backend.observe([picture])[0] for picture in pictures]
    for one, other in zip(together, alone, strict=True):
        assert list(one) == list(NAMES)
        assert one == other
    assert all(0 <= degree <= 9 for row in together for degree in row.values())


def test_a_batch_equals_its_rows(backend: LocalBackend, prompts: list[Prompt]) -> None:
    together = backend.complete(prompts)
    for one, prompt in zip(together, prompts, strict=True):
        other = backend.complete([prompt])[0]
        assert isinstance(one, Completion)
        assert isinstance(other, Completion)
        assert one == other


def test_every_key_is_written_and_feeding_it_at_once_changes_nothing(
    prompts: list[Prompt],
) -> None:
    # in float32 on every processor: what bfloat16 rounds is not what is asked here
    model, processor = merged(embedded_adapter())
    backend = LocalBackend(model.eval(), processor, "float32", 224)
    told = backend.complete(prompts[:1])[0]
    assert isinstance(told, Completion)
    lines = told.text.removeprefix("<think>\n").split("\n")
    assert [line.partition(":")[0] for line in lines[:-1]] == list(KEYS)
    # one plain forward pass over the whole text gives the answer's log odds without any cache
    inputs = backend._inputs([prompts[0].messages], [list(prompts[0].images)])
    decoder: GuidedDecoder = backend.decoder
    text = told.text.rpartition("<answer>")[0] + "<answer>"
    ids = torch.tensor([decoder._ids(text)])
    with torch.inference_mode():
        out = decoder.model(
            input_ids=torch.cat([inputs["input_ids"], ids], 1),
            pixel_values=inputs["pixel_values"],
            pixel_attention_mask=inputs["pixel_attention_mask"],
        )
    of_a, of_b = (float(out.logits[0, -1, side]) for side in decoder.sides)
    assert of_a - of_b == pytest.approx(told.logit_a, abs=1e-3)


def test_drafts_change_nothing(
    backend: LocalBackend, prompts: list[Prompt], monkeypatch: pytest.MonkeyPatch
) -> None:
    decoder = backend.decoder
    inputs = backend._inputs([prompts[0].messages], [list(prompts[0].images)])
    monkeypatch.setattr(decoder, "drafts", Drafts())
    passes: list[int] = []
    hook = decoder.model.register_forward_pre_hook(lambda *_: passes.append(1))
    cited = [citations(prompts[0].evidence)]
    # with nothing known, then with all known
    drafted = [decoder.write(inputs, citations=cited) for _ in range(2)]
    of_drafts = len(passes)
    monkeypatch.setattr(GuidedDecoder, "_draft", lambda *_: [])
    plain = decoder.write(inputs)
    hook.remove()
    for rows in drafted:
        for row, one in zip(rows, plain, strict=True):
            assert row.written == one.written
            assert row.chosen == one.chosen
            assert row.logit_a == one.logit_a
    assert of_drafts < 1.5 * (len(passes) - of_drafts)  # two runs in less than three halves of one


def test_image_and_special_tokens_are_never_written(backend: LocalBackend) -> None:
    tokenizer = backend.processor.tokenizer
    banned = set(backend.decoder.banned.tolist())
    for token in ("<image>", "<fake_token_around_image>", "<|im_end|>"):
        assert tokenizer.convert_tokens_to_ids(token) in banned


def test_copies_share_a_prompt_and_each_token_is_fed_or_chosen(
    backend: LocalBackend, prompts: list[Prompt]
) -> None:
    decoder = backend.decoder
    inputs = backend._inputs([p.messages for p in prompts], [list(p.images) for p in prompts])
    rows = decoder.write(inputs, copies=2)
    alone = backend.complete(prompts)
    assert [decoder._text(row) for row in rows] == [
        done.text for done in alone for _ in range(2) if isinstance(done, Completion)
    ]
    fed = decoder._ids("<think>\n") + decoder.keys[0]
    for row in rows:
        assert len(row.chosen) == len(row.written)
        assert row.written[: len(fed)] == fed
        assert not any(row.chosen[: len(fed)])
        ends = [i for i, (t, c) in enumerate(zip(row.written, row.chosen, strict=True))
                if c and t == decoder.newline]  # fmt: skip
        assert len(ends) == len(KEYS)
        for end, key in zip(ends, decoder.keys[1:], strict=False):
            assert row.written[end + 1 : end + 1 + len(key)] == key
            assert not any(row.chosen[end + 1 : end + 1 + len(key)])
        assert sum(row.chosen[ends[-1] + 1 :]) == 1  # the answer alone


def test_a_line_that_ends_too_soon_is_brought_to_a_judgement_of_the_models_own(
    backend: LocalBackend, prompts: list[Prompt]
) -> None:
    decoder = backend.decoder
    (word,) = decoder._ids(" nothing")
    due, judged = [word], []

    def hasty(logits: torch.Tensor) -> torch.Tensor:
        """One word a line and then its end; what is not allowed is left to the model."""
        if logits[0, due[0]] == float("-inf"):
            judged.append(int((logits[0] > float("-inf")).sum()))
            due[0] = decoder.newline
            return logits.argmax(1)
        chosen, due[0] = due[0], decoder.newline if due[0] == word else word
        return torch.tensor([chosen])

    inputs = backend._inputs([prompts[0].messages], [list(prompts[0].images)])
    (row,) = decoder.write(inputs, hasty)
    told = parse(decoder._text(row))  # nine lines of one word, each with an allowed judgement
    assert told.reasoning.count(" nothing. ") == len(KEYS) - 1
    assert judged == [2] * 2 + [3] * 7 + [2]  # yes or no, three comparisons, and the answer


def test_a_line_is_drafted_from_what_it_cites(backend: LocalBackend) -> None:
    decoder = backend.decoder

    def drafted(evidence: PairEvidence | None) -> dict[str, str]:
        facts = decoder._facts(citations(evidence))
        return dict(zip(KEYS, map(decoder.tokenizer.decode, facts), strict=True))

    told = drafted(EVIDENCE)
    assert told["subject"] == " blur B+6 size A+3;"
    assert told["background"] == " clutter B+5 stand_out A+3;"
    assert told["same_image"] == ""
    assert told["click"] == "\n"  # nothing was weighed, so nothing is summed
    weighed = EVIDENCE.model_copy(update={"contributions": {"blur": 0.8}, "log_odds": 0.8})
    assert drafted(weighed)["click"] == "; all A+8\n"
    assert set(drafted(None).values()) == {"", "\n"}


def test_calls_side_by_side_say_what_they_say_alone(
    backend: LocalBackend, prompts: list[Prompt]
) -> None:
    threads = torch.get_num_threads()
    shared = LocalBackend(backend.decoder.model, backend.processor, "shared", backend.image_side)
    alone = [shared.complete([prompt])[0] for prompt in prompts]
    try:
        calls = shared.share_cores()
        assert calls == min(threads, MOST_AT_ONCE)
        with ThreadPoolExecutor(2) as pool:
            beside = list(pool.map(lambda prompt: shared.complete([prompt])[0], prompts))
    finally:
        torch.set_num_threads(threads)
    for one, other in zip(beside, alone, strict=True):
        assert isinstance(one, Completion)
        assert isinstance(other, Completion)
        assert one == other
    config = backend.decoder.model.get_decoder().config
    assert config._attn_implementation != packed_attention.ATTENTION  # given back by the last one
