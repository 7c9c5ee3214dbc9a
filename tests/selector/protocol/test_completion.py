"""The one parser: what it accepts, what it refuses, and that a swap is its own inverse."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reasoning_lines import LINES

from creative4u.errors import VerdictParseError
from creative4u.schema import ProtocolAnswers
from creative4u.selector.protocol.completion import complete, mirrored, parse, prose, swap_sides
from creative4u.selector.protocol.questions import KEYS, QUESTIONS, mirror, summary

facts = st.from_regex(r"[a-zA-Z0-9 ,'-]{1,40}\.", fullmatch=True).filter(lambda s: s.strip(" ."))
judged = st.fixed_dictionaries({q.key: st.sampled_from(q.allowed) for q in QUESTIONS})


def test_a_completion_is_read_whole() -> None:
    parsed = parse(complete(LINES, "A"))
    assert parsed.reasoning == LINES
    assert parsed.answers == ProtocolAnswers(
        same_image="no",
        too_similar="no",
        query_hit="A=B",
        title_hit="A>B",
        text="A<B",
        props="A=B",
        layout="A=B",
        subject="A>B",
        background="A>B",
        click="A",
    )


def test_the_swap_turns_sides_and_signs_and_nothing_else() -> None:
    assert swap_sides("title_hit: A shows All; B's toe is off. A>B") == (
        "title_hit: A's toe is off; B shows All. A<B"
    )
    assert swap_sides("click: A leads on text; B leads on props") == (
        "click: A leads on props; B leads on text"
    )
    assert mirrored(parse(complete(LINES, "A"))) == parse(complete(swap_sides(LINES), "B"))


def test_the_side_that_has_more_of_a_cited_difference_stays_first() -> None:
    line = "subject: blur B+6; B is blurred; A is sharp. A>B"
    assert swap_sides(line) == "subject: blur A+6; A is blurred; B is sharp. A<B"
    assert swap_sides(swap_sides(line)) == line


@given(judged, st.lists(facts, min_size=10, max_size=10))
def test_what_is_written_is_read_back(answers: dict[str, str], said: list[str]) -> None:
    lines = [f"{key}: {fact} {answers[key]}" for key, fact in zip(KEYS[:-1], said, strict=False)]
    reasoning = "\n".join([*lines, f"click: {summary(answers)}"])
    parsed = parse(complete(reasoning, answers["click"]))
    assert parsed.answers.model_dump() == answers
    assert mirrored(mirrored(parsed)) == parsed
    assert mirror(mirror(parsed.answers)) == parsed.answers


@given(st.text())
def test_anything_else_is_a_parse_error(text: str) -> None:
    with pytest.raises(VerdictParseError):
        parse(text)


@pytest.mark.parametrize(
    "broken",
    [
        LINES.replace("props: none in either. A=B\n", ""),
        LINES.replace("text: B names the price. A<B", "text: B names the price. B"),
        LINES.replace("subject: A", "subjects: A"),
        LINES.replace("both show a boot", "</think><answer>B</answer>"),
        LINES + "\nclick: again",
    ],
)
def test_broken_reasoning_is_refused(broken: str) -> None:
    with pytest.raises(VerdictParseError):
        parse(complete(broken, "A"))


def test_an_answer_outside_a_and_b_or_after_the_end_is_refused() -> None:
    for text in (
        complete(LINES, "C"),
        complete(LINES, "A") + "<answer>B</answer>",
        f"<think>\n{LINES}\n</think>",
    ):
        with pytest.raises(VerdictParseError):
            parse(text)


def test_the_summary_counts_who_leads_where() -> None:
    answers = parse(complete(LINES, "B")).answers.model_dump()
    assert summary(answers) == "A leads on title_hit, subject, background; B leads on text"
    level = dict.fromkeys(answers, "A=B")
    assert summary(level) == "nothing between them"


@pytest.mark.parametrize(
    ("said", "own"),
    [
        ("blur B+30 cover A+13; B is sharp. A<B", "B is sharp. A<B"),
        ("text A+2; both have no text. A=B", "both have no text. A=B"),
        ("props B+2. A=B", ". A=B"),  # nothing but a citation
        ("B leads on subject; all B+16", "B leads on subject"),
        ("nothing between them", "nothing between them"),
        ("words A+27 query", ""),  # still being written
        ("words", ""),
        ("words A+2", ""),
    ],
)
def test_a_lines_own_words_are_what_it_does_not_cite(said: str, own: str) -> None:
    assert prose(said) == own
