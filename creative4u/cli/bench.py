"""Define the verb `creative4u bench`: time judging beside plain loops and the machine's limit."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from creative4u.cli.console import print_json, say, verbs, working

app = verbs("Measure how fast this machine judges.")


@app.callback()
def group() -> None:
    """Measure how fast this machine judges."""


@app.command()
def judge(
    pairs: Annotated[Path, typer.Argument(metavar="PAIRS", help="JSONL, CSV or Parquet.")],
    model: Annotated[
        str | None,
        typer.Option(help="A local folder or a hub id; by default the embedded model."),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Only the first pairs.")] = 24,
    contender: Annotated[
        list[str] | None,
        typer.Option(
            help="here, transformers, engine, vllm-float32, vllm or ngram; repeatable. "
            "By default all but ngram, and without vLLM the first two."
        ),
    ] = None,
    cost_per_hour: Annotated[
        float | None, typer.Option(min=0, help="This machine's price: adds the cost per 1,000.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Time the judge beside plain loops on the same prompts, all in one run.

    Example: `creative4u bench judge pairs.jsonl --limit 24`
    """
    with working():
        from importlib.util import find_spec

        from creative4u.files.pairs_file import check_pairs

        check_pairs(pairs)
        from creative4u.serving.bench.judge_bench import BenchConfig, bench_judge

        names = tuple(contender or ())
        if not names:
            names = BenchConfig().contenders
            if find_spec("vllm") is None:
                say("vLLM is not installed: measuring here and transformers alone")
                names = names[:2]
        report = bench_judge(pairs, model, BenchConfig(names, limit, cost_per_hour), say)
    if json:
        print_json(report)
    else:
        show(report)


def show(report: dict[str, Any]) -> None:
    """One row a contender."""
    from rich.console import Console
    from rich.table import Table

    figures = report["contenders"]
    keys = ("pairs_per_second", "pairs_per_cpu_second", "tokens_per_second", "first_token_seconds",
            "p50_seconds", "p95_seconds", "peak_gb", "share_of_limit_by_cpu")  # fmt: skip
    table = Table("contender", *(key.replace("_", " ") for key in keys), "ours against it")
    for name, row in figures.items():
        ratio = report["ratios"].get(name, {}).get("pairs_per_cpu_second")
        cells = ["-" if row[key] is None else f"{row[key]:.3g}" for key in keys]
        table.add_row(name, *cells, "-" if ratio is None else f"{ratio:.2f}")
    Console().print(table)
