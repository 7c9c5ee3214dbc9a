"""Training rows: what is cited from the prompt stands first, its leader is told of first."""

from creative4u.schema import CreativePair, ImageEvidence, PairEvidence
from creative4u.selector.protocol.completion import complete, parse
from creative4u.selector.protocol.questions import KEYS
from rft.training.rows import told_reasoning, with_citations


def evidence(log_odds: float = 0.0, **contributions: float) -> PairEvidence:
    none = ImageEvidence(degrees={})
    return PairEvidence(A=none, B=none, contributions=contributions, log_odds=log_odds)


APART = evidence(blur=-0.6, size=0.2, clutter=-0.1)


def test_the_leader_of_the_first_difference_is_told_of_first() -> None:
    line = "subject: A is sharp; B is blurred. A>B"
    assert with_citations(line, APART) == (
        "subject: blur B+6 size A+2; B is blurred; A is sharp. A>B"
    )
    assert with_citations(line, evidence(size=0.2)) == (
        "subject: size A+2; A is sharp; B is blurred. A>B"
    )


def test_a_line_without_differences_stays_as_it_is() -> None:
    line = "layout: both have no border. A=B"
    assert with_citations(line, APART) == line
    both = "background: both are calm. A=B"
    assert with_citations(both, APART) == "background: clutter B+1; both are calm. A=B"


def test_cited_reasoning_still_parses_to_the_same_answers() -> None:
    lines = [
        "same_image: two pictures. no", "too_similar: they differ in size. no",
        *(f"{key}: A is this; B is that. A>B" for key in KEYS[2:-1]), "click: A leads on all",
    ]  # fmt: skip
    plain = parse(complete("\n".join(lines), "A"))
    told = parse(complete(with_citations("\n".join(lines), APART), "A"))
    assert told.answers == plain.answers
    assert told.reasoning != plain.reasoning


def test_what_a_small_model_cannot_read_is_not_taught() -> None:
    pair = CreativePair.model_validate({
        "pair_id": "1", "product_title": "Boot", "image_a": "a.jpg", "image_b": "b.jpg",
        "reasoning": 'query_hit: A answers "red boot"; B shows the product only. A>B\n'
        "title_hit: A shows the boot; B shows a wrong product, hat. A>B\n"
        "text: both show the right product, boot. A=B",
    })  # fmt: skip
    assert told_reasoning(pair).split("\n") == [
        "query_hit: A answers a query; B shows the product only. A>B",
        "title_hit: A shows the right product; B shows a wrong product. A>B",
        "text: both show the right product. A=B",
    ]


def test_the_last_line_sums_up_the_answers_first_and_then_the_points() -> None:
    line = "click: A leads on subject; B leads on text"
    assert with_citations(line, APART.model_copy(update={"log_odds": 1.4})) == f"{line}; all A+14"
