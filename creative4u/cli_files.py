"""The verbs for files of pairs: judge them, and evaluate what was judged."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from creative4u.cli_door import SOME_ROWS_FAILED, STOPPED, print_json, say, working


def judge(
    pairs: Annotated[Path, typer.Argument(metavar="PAIRS", help="JSONL, CSV or Parquet.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The .jsonl file of verdicts.")],
    model: Annotated[
        str | None,
        typer.Option(help="A local folder, a hub id or http://...; by default the embedded model."),
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, max=256, help="Pairs judged at once.")] = 8,
    resume: Annotated[bool, typer.Option(help="Go on where an earlier run stopped.")] = True,
    retry_errors: Annotated[bool, typer.Option(help="Judge again what ended in an error.")] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first rows.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the summary as one object.")] = False,
) -> None:
    """Judge a file of pairs; each verdict is written as it is done, and a stopped run goes on.

    Exit code 3: done, but some rows ended in an error.

    Example: `creative4u judge pairs.jsonl -o verdicts.jsonl`
    """
    with working():
        from creative4u.serving.pairs import check_pairs

        check_pairs(pairs)
        from creative4u.selector.load import load_judge
        from creative4u.serving.judge import BatchConfig, judge_pairs

        config = BatchConfig(batch_size, resume, retry_errors, limit)
        try:
            summary = judge_pairs(pairs, out, load_judge(model), config)
        except KeyboardInterrupt:
            say(f"stopped; go on with: {_resume_line(pairs, out, model, retry_errors)}")
            raise typer.Exit(STOPPED) from None
    if json:
        print_json(summary)
    else:
        from creative4u.cli_show import show_summary

        show_summary(summary, out)
    if summary["errors"]:
        raise typer.Exit(SOME_ROWS_FAILED)


def evaluate(
    verdicts: Annotated[Path, typer.Argument(metavar="VERDICTS", help="What `judge` wrote.")],
    pairs: Annotated[
        Path | None, typer.Option(help="The file of pairs, for labels, tags and images.")
    ] = None,
    statistics: Annotated[
        bool, typer.Option(help="Measure what single image statistics would have chosen.")
    ] = True,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Say how good verdicts are: AA, CA and ECE, by tag, beside single image statistics.

    Example: `creative4u evaluate verdicts.jsonl --pairs pairs.jsonl`
    """
    with working():
        from creative4u.serving.evaluate import evaluate as measure
        from creative4u.serving.evaluate import read_verdicts

        figures = measure(verdicts, _known(pairs) if pairs else None)
        if statistics:
            from creative4u.serving.baselines import baselines, labelled_pairs, labelled_rows
            from creative4u.serving.pairs import read_pairs

            labelled = (
                labelled_pairs(read_pairs(pairs))
                if pairs
                else labelled_rows(read_verdicts(verdicts), verdicts.parent)
            )
            figures["statistics"] = baselines(labelled)
    if json:
        print_json(figures)
    else:
        from creative4u.cli_show import show_evaluation

        show_evaluation(figures)


def _known(pairs: Path) -> dict[str, dict[str, Any]]:
    from creative4u.serving.pairs import PairRow, read_pairs

    return {
        pair.pair_id: {"label": pair.label, "tags": pair.tags}
        for pair in read_pairs(pairs)
        if isinstance(pair, PairRow)
    }


def _resume_line(pairs: Path, out: Path, model: str | None, retry_errors: bool) -> str:
    import shlex

    words = ["creative4u", "judge", str(pairs), "-o", str(out)]
    words += ["--model", model] if model else []
    return shlex.join(words + (["--retry-errors"] if retry_errors else []))
