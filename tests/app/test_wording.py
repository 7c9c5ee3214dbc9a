"""Verdicts in, plain sentences, tables and the report out."""

import re
from datetime import datetime
from html.parser import HTMLParser

import pytest
from fake_judge import reasoning, verdict
from PIL import Image

from app import render, wording
from app.compare import View
from app.history import Saved
from creative4u.images import encode
from creative4u.schema import ImageEvidence, OrderVerdict, PairEvidence
from creative4u.selector.protocol.questions import QUESTIONS, mirror
from creative4u.selector.verdict import tie

JPEG = encode(Image.new("RGB", (300, 200), "teal"))
EVIL = "<script>alert(1)</script>\"><img src=x onerror=alert(1)>"


@pytest.mark.parametrize(("probability", "begins"), [
    (0.95, "Very sure: 95%"), (0.80, "Fairly sure: 80%"), (0.65, "Leaning to A: 65%"),
    (0.52, "Only just A: 52%"),
])
def test_sureness_is_said_in_words(probability: float, begins: str) -> None:
    assert wording.sureness(verdict("A", probability)).startswith(begins)


def test_ties_and_close_calls_name_no_side() -> None:
    for choice, headline in (("tie", "No real difference"), ("inconclusive", "Too close to call")):
        told = verdict("A").model_copy(update={"choice": choice})
        assert wording.headline(told).startswith(headline)
        assert "✓ Choice" not in render.cards({"A": JPEG, "B": JPEG}, {}, told)


def test_the_table_has_a_row_a_question_with_its_reason() -> None:
    rows = wording.table(verdict("B"))
    assert [row.question for row in rows] == [question.ask for question in QUESTIONS]
    title = rows[3]
    assert (title.judgement, title.leans) == ("B is better", "B")
    assert title.reason == "B shows the whole product; A hides it."
    assert rows[4].leans is None
    assert rows[4].judgement == "Equal"
    assert rows[-1].reason == "B leads on the title, the searches, product."


def test_a_row_says_where_the_other_order_judged_otherwise() -> None:
    told = verdict("A")
    other = OrderVerdict(order="BA", choice="B", probability_a=0.4,
                         answers=mirror(told.answers), reasoning=reasoning("B"))
    told = told.model_copy(update={"orders": (told.orders[0], other), "consistent": False})
    assert [row.swapped for row in wording.table(told)] == [
        None, None, "B is better", "B is better", None, None, None, "B is better", None, "B"]
    assert wording.agreement(told).endswith("the choice was not the same.")


def test_half_written_reasoning_is_shown_as_far_as_it_goes() -> None:
    assert wording.lines("same_image: no twin. no\ntitle_hit: A shows th") == [
        ("same_image", "no twin."), ("title_hit", "A shows th")]
    assert wording.lines("title_h") == [("", "title_h")]


def test_degrees_become_meters_in_plain_words() -> None:
    image = ImageEvidence(
        degrees={"size": 6.3, "contrast_with_background": 0.9, "edge": 4.5, "text_lines": 9.0},
        class_name="running shoe")
    meters, like = wording.seen(image)
    assert [(meter.label, round(meter.share, 2)) for meter in meters] == [
        ("Product size", 0.7), ("Contrast with the background", 0.1),
        ("Subject at the edge", 0.5), ("Lines of text", 1.0)]
    assert meters[0].scale == "0: a speck; 9: fills the picture"
    assert like == "running shoe"


EVIDENCE = PairEvidence(
    A=ImageEvidence(degrees={"size": 6.0}, class_name=EVIL), B=ImageEvidence(degrees={"size": 1.0}),
    contributions={"contrast_with_background": -1.6, "clutter": 0.1}, log_odds=-1.5)


def test_what_a_line_cites_is_said_from_the_record_and_not_from_the_text() -> None:
    lines = reasoning("B").replace(
        "background: ", "background: stand_out B+16 clutter A+1; ") + "; all B+15"
    told = verdict("B", evidence=EVIDENCE).model_copy(update={"reasoning": lines})
    *_, background, last = wording.table(told)
    assert background.reason == "Nothing between them."
    assert background.evidence == "contrast with the background +1.6 for B, clutter +0.1 for A"
    assert last.reason == "B leads on the title, the searches, product."
    assert last.evidence == "all that was measured +1.5 for B"
    assert not re.search("stand_out|[AB]\\+", render.protocol(told))
    for cut in ("stand", "stand_out B", "stand_out B+1", "stand_out B+16"):
        assert wording.lines(f"background: {cut}") == [("background", "")]


def test_one_picture_and_an_overruled_model_are_said() -> None:
    same = tie("same", ("AB", "BA"), "m", 0.0)
    copy = tie("copy", ("AB", "BA"), "m", 0.0)
    assert wording.sureness(same).startswith("Both are the same image, pixel for pixel.")
    assert wording.sureness(copy).startswith("Both are the same picture, saved again or resized.")
    assert wording.agreement(same) == wording.agreement(copy)
    assert "nothing to judge" in render.outcome(same)
    assert wording.overruled(same) == wording.overruled(verdict("B")) == ""
    overruled = verdict("B").model_copy(update={"overruled": True})
    assert "the language model alone preferred A" in render.outcome(overruled)


def test_the_report_needs_nothing_but_itself_and_escapes_everything() -> None:
    told = verdict("A", evidence=EVIDENCE).model_copy(
        update={"reasoning": f"title_hit: {EVIL} A>B", "model": EVIL})
    page = render.report(Saved("1", datetime(2026, 1, 2, 3, 4), EVIL, (EVIL,),
                               {"A": JPEG, "B": JPEG}, told, "tie"))
    seen = _Tags(page)
    assert not {"script", "link", "iframe", "object"} & set(seen.names)
    assert seen.names.count("img") == 2
    assert all(source.startswith("data:image/jpeg;base64,") for source in seen.sources)
    assert not seen.handlers
    assert not re.search(r"url\(|@import", render.style())
    assert "&lt;script&gt;" in page
    assert "2026-01-02 03:04 UTC" in page


def test_what_models_and_visitors_write_is_escaped_on_the_page() -> None:
    view = View("failed", message=EVIL, observed={"A": EVIDENCE.A})
    for html in (render.status(view), render.problem(EVIL), render.thinking({"AB": EVIL}, False),
                 render.cards({"A": JPEG, "B": JPEG}, {"A": EVIDENCE.A})):
        assert "<script" not in html
        assert not _Tags(html).handlers


class _Tags(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.names: list[str] = []
        self.sources: list[str] = []
        self.handlers: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.sources += [value or "" for name, value in attrs if name in ("src", "href")]
        self.handlers += [name for name, _ in attrs if name.startswith("on")]
