"""Show answers as small tables on standard output."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from creative4u.schema import Verdict
from creative4u.selector.plain_words import cited_words, image_words
from creative4u.selector.protocol.completion import prose
from creative4u.selector.protocol.questions import QUESTIONS

_NARROW: Any = {"box": SIMPLE_HEAD, "pad_edge": False, "padding": (0, 1, 0, 0)}
_SIGNS = {"A>B": "A", "A<B": "B", "A=B": "="}


def show_verdict(verdict: Verdict, console: Console | None = None) -> None:
    """The choice, how sure it is, the protocol as a table, and the reasons."""
    console = console or Console()
    answers = verdict.answers.model_dump()
    table = Table(**_NARROW)
    table.add_column("question")
    table.add_column("answer", justify="center")
    table.add_column("why", overflow="fold")
    reasons = _reasons(verdict.reasoning)
    for question in QUESTIONS[:-1]:
        said = answers[question.key]
        own = prose(reasons.get(question.key, "")).removesuffix(f" {said}")
        why = "; ".join(part for part in (cited_words(question.key, verdict.evidence), own) if part)
        table.add_row(question.ask, _SIGNS.get(said, said), Text(why))
    console.print(table)
    if verdict.evidence is not None:
        console.print(Text(f"A shows: {image_words(verdict.evidence.A)}"))
        console.print(Text(f"B shows: {image_words(verdict.evidence.B)}"))
    if verdict.log_odds_lm is not None:
        experts = {"evidence": verdict.log_odds_evidence, "language model": verdict.log_odds_lm,
                   "both, calibrated": verdict.log_odds}  # fmt: skip
        said = ", ".join(f"{name} {value or 0.0:+.1f}" for name, value in experts.items())
        console.print(Text(f"Log odds for A: {said}"))
    agree = "both orders agree" if verdict.consistent else "the orders disagree"
    if len(verdict.orders) == 1:
        agree = "one order only"
    if verdict.answers.click == "tie":
        agree = "one picture, so the model was not asked"
    if verdict.overruled:
        agree += ", the evidence decided against the language model"
    console.print(Text(f"Choice: {verdict.choice}", "bold"), end="")
    console.print(Text(f"  confidence {verdict.confidence:.2f}, {agree}"), end="")
    console.print(Text(f"  ({verdict.model}, {verdict.seconds:.1f} s)", "dim"))


def show_ranking(ranking: Mapping[str, Any], console: Console | None = None) -> None:
    """The creatives from best to worst."""
    console = console or Console()
    table = Table("rank", "creative", "strength", "won", "lost", **_NARROW)
    for row in ranking["ranking"]:
        cells = (row["rank"], row["image"], f"{row['strength']:+.2f}", row["wins"], row["losses"])
        table.add_row(*(Text(str(cell)) for cell in cells))
    console.print(table)
    console.print(Text(f"Choice: {ranking['choice']}", "bold"), end="")
    console.print(Text(f"  better than the second with probability {ranking['probability']:.2f}"))
    for error in ranking["errors"]:
        console.print(Text(f"not compared: {error['image_a']} and {error['image_b']}: "
                           f"{error['message']}"))  # fmt: skip


def show_summary(summary: Mapping[str, Any], out: Path, console: Console | None = None) -> None:
    """How many rows ended how."""
    console = console or Console()
    chosen = summary["n"] - summary["errors"] - summary["ties"] - summary["inconclusive"]
    line = (f"{out}: {summary['n']} pairs: {chosen} chosen, {summary['ties']} ties, "
            f"{summary['inconclusive']} inconclusive, {summary['errors']} errors")  # fmt: skip
    codes = ", ".join(f"{code} {count}" for code, count in summary["errors_by_code"].items())
    console.print(Text(line + (f" ({codes})" if codes else "")))
    if summary["labelled"]:
        console.print(f"AA {_share(summary['AA'])}, CA {_share(summary['CA'])}, "
                      f"on {summary['labelled']} pairs with labels")  # fmt: skip


def show_evaluation(figures: Mapping[str, Any], console: Console | None = None) -> None:
    """The figures, a row for each tag, the single image statistics beside them."""
    console = console or Console()
    statistics = figures.get("statistics") or {"AA": {}, "by": {}}
    names = list(statistics["AA"])
    heads = [name.replace("_", " ") for name in names]
    table = Table("pairs", "n", "AA", "CA", *heads, **_NARROW)
    rows = [("all", figures["labelled"], figures, statistics["AA"])]
    rows += [
        (tag, row["n"], row, statistics["by"].get(tag, {})) for tag, row in figures["by"].items()
    ]
    for tag, count, row, others in rows:
        cells = [_share(row["AA"]), _share(row["CA"])] + [_share(others.get(n)) for n in names]
        table.add_row(Text(tag), str(count), *cells)
    console.print(table)
    low, high = figures["AA_interval"] or (math.nan, math.nan)
    console.print(
        f"{figures['n']} pairs, {figures['labelled']} judged with a label, {figures['errors']} "
        f"errors (not counted above), {figures['ties']} ties, {figures['inconclusive']} "
        f"inconclusive; both orders agree in {_share(figures['consistent'])}; "
        f"AA within {_share(low)} to {_share(high)} (95 %); "
        f"ECE {'not measured' if math.isnan(figures['ece']) else _share(figures['ece'])}",
        highlight=False,
    )
    if names:
        console.print("Beside AA: what choosing the higher value of one statistic would have got.")


def _share(value: float | None) -> str:
    return "-" if value is None or math.isnan(value) else f"{value:.3f}"


def _reasons(reasoning: str) -> dict[str, str]:
    lines = (line.partition(":") for line in reasoning.splitlines())
    return {key.strip(): said.strip() for key, _, said in lines}
