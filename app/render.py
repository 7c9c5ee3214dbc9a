"""Render views, verdicts and history as HTML; escape every word of a visitor or a model."""

from __future__ import annotations

import base64
from functools import cache, lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from PIL.Image import Image

from app import wording
from app.best_of import RankView
from app.compare import View
from app.history import Saved
from creative4u.images import encode, load_image
from creative4u.schema import ImageEvidence, Order, Side, Verdict

SHOWN_SIDE, LISTED_SIDE, THUMB_SIDE = 900, 480, 160  # pixels: the longer side


def icon() -> str:
    """The path of the page's icon."""
    return str(files("app") / "static" / "icon.svg")


def style() -> str:
    """The page's style sheet, which the report shares."""
    return Path(str(files("app") / "static" / "page.css")).read_text("utf-8")


def cards(pictures: dict[Side, bytes], observed: dict[Side, ImageEvidence],
          verdict: Verdict | None = None, folded: bool = True) -> str:
    """Both images side by side, the chosen one framed, each with what the model saw in it."""
    sides = [{"side": side, "uri": data_uri(pictures[side]),
              "chosen": verdict is not None and verdict.choice == side,
              "seen": wording.seen(observed[side]) if side in observed else None}
             for side in ("A", "B")]
    return _fill("cards.html", sides=sides, decided=verdict is not None,
                 folded=folded)


def observed(verdict: Verdict) -> dict[Side, ImageEvidence]:
    """What was seen in each image; nothing where the verdict does not keep it."""
    evidence = verdict.evidence
    return {"A": evidence.A, "B": evidence.B} if evidence is not None else {}


def status(view: View | RankView) -> str:
    """One line about where a running comparison or tournament stands."""
    return _fill("status.html", view=view)


def strip(pictures: dict[str, bytes]) -> str:
    """Uploads as a strip of thumbnails, named."""
    return _fill("strip.html", images=[{"name": name, "uri": data_uri(jpeg, THUMB_SIDE)}
                                       for name, jpeg in pictures.items()]) if pictures else ""


def ranking(view: RankView) -> str:
    """A finished tournament: the images in order, and every comparison folded away."""
    told = view.ranking
    rows = [{**row, "uri": data_uri(view.pictures[row["image"]], LISTED_SIDE)}
            for row in told["ranking"]]
    return _fill("ranking.html", rows=rows, comparisons=told["comparisons"],
                 errors=told["errors"], headline=f"{told['choice']} is most likely to be clicked",
                 sureness=f"{told['probability']:.0%} against the second, {rows[1]['image']}.")


def outcome(verdict: Verdict) -> str:
    """The choice, how sure, and whether both orders agree."""
    return _fill("outcome.html", verdict=verdict, headline=wording.headline(verdict),
                 sureness=wording.sureness(verdict), agreement=wording.agreement(verdict),
                 overruled=wording.overruled(verdict))


def protocol(verdict: Verdict) -> str:
    """The protocol as a table: question, judgement, reason."""
    return _fill("protocol.html", rows=wording.table(verdict))


def thinking(reasoning: dict[Order, str], finished: bool) -> str:
    """The reasoning of each presentation order, growing or finished (then folded away)."""
    orders = [{"order": order, "lines": [(wording.SHORT.get(key, ""), said) for key, said
                                         in wording.lines(reasoning[order])]}
              for order in ("AB", "BA") if order in reasoning]
    return _fill("thinking.html", orders=orders, finished=finished)


def finished(verdict: Verdict) -> str:
    """The reasoning of a verdict, folded away."""
    return thinking({order.order: order.reasoning for order in verdict.orders}, finished=True)


def problem(text: str | None) -> str:
    """A message in place; empty where there is nothing to mend."""
    return _fill("problem.html", text=text) if text else ""


def notice(text: str) -> str:
    """A word of success."""
    return _fill("notice.html", text=text)


def asked(saved: Saved) -> str:
    """What a kept comparison was about: title, queries, time."""
    return _fill("asked.html", saved=saved)


def history(saved: list[Saved], more: bool) -> str:
    """The history's list; each row is a button that carries its comparison's id."""
    rows = [{"one": one, "headline": wording.headline(one.verdict),
             "thumbs": {side: data_uri(jpeg, THUMB_SIDE) for side, jpeg in one.pictures.items()}}
            for one in saved]
    return _fill("history.html", rows=rows, more=more)


def likeness(rows: list[dict[str, Any]], other: float, catalogue: bool) -> str:
    """What MOON finds alike: title, the other creative, the catalogue's items."""
    return _fill("moon.html", rows=rows, other=other, catalogue=catalogue)


def clicks(rows: list[dict[str, Any]], warning: str, close: bool) -> str:
    """What the CTR model expects of each creative, and where it disagrees with the judge."""
    return _fill("ctr.html", rows=rows, warning=warning, close=close)


def report(saved: Saved) -> str:
    """A whole HTML document about one comparison that needs nothing but itself."""
    verdict = saved.verdict
    shown = cards(saved.pictures, observed(verdict), verdict)
    return _fill("report.html", saved=saved, verdict=verdict, style=style(),
                 parts=[outcome(verdict), shown, protocol(verdict), finished(verdict)])


@lru_cache(64)
def data_uri(jpeg: bytes, side: int = SHOWN_SIDE) -> str:
    """JPEG bytes of ours as a data: address, shrunk to `side` pixels."""
    return _uri(load_image(jpeg), side)


def _uri(image: Image, side: int) -> str:
    return f"data:image/jpeg;base64,{base64.b64encode(encode(image, side, 85)).decode()}"


@cache
def _templates() -> Environment:
    return Environment(loader=PackageLoader("app"), undefined=StrictUndefined,
                       autoescape=select_autoescape(default=True), trim_blocks=True,
                       lstrip_blocks=True)


def _fill(name: str, **values: Any) -> str:
    return _templates().get_template(name).render(**values)
