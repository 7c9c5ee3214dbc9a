"""The verbs for files of pairs: judge them, and evaluate what was judged."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from creative4u.cli_door import SOME_ROWS_FAILED, STOPPED, answer, print_json, say, working


def judge(
    pairs: Annotated[Path, typer.Argument(metavar="PAIRS", help="JSONL, CSV or Parquet.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The .jsonl file of verdicts.")],
    model: Annotated[
        list[str] | None,
        typer.Option(
            help="A local folder, a hub id or http://...; by default the embedded model. "
            "Repeat it for several servers of one model."
        ),
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option(min=1, max=4096, help="Pairs at once; 8, or as many as --concurrency."),
    ] = None,
    concurrency: Annotated[
        int, typer.Option(min=1, max=1024, help="Requests in flight, over all servers.")
    ] = 16,
    resume: Annotated[bool, typer.Option(help="Go on where an earlier run stopped.")] = True,
    retry_errors: Annotated[bool, typer.Option(help="Judge again what ended in an error.")] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first rows.")] = None,
    to_batch: Annotated[
        Path | None,
        typer.Option(help="Judge nothing: write OpenAI batch requests to this .jsonl file."),
    ] = None,
    from_batch: Annotated[
        list[Path] | None,
        typer.Option(help="Read the verdicts from a .jsonl file of batch answers; repeatable."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the summary as one object.")] = False,
) -> None:
    """Judge a file of pairs; each verdict is written as it is done, and a stopped run goes on.

    Exit code 3: done, but some rows ended in an error.

    Example: `creative4u judge pairs.jsonl -o verdicts.jsonl`
    """
    models = tuple(model or ())
    with working():
        from creative4u.serving.pairs import check_pairs

        check_pairs(pairs)
        if to_batch is not None:
            from creative4u.selector.load import load_asker
            from creative4u.serving.batch_format import write_requests

            written = write_requests(pairs, out, to_batch, load_asker(*models[:1]), limit)
        elif from_batch:
            from creative4u.serving.batch_format import read_answers

            summary = read_answers(pairs, out, from_batch, again=not resume)
        else:
            from creative4u.selector.load import load_judge
            from creative4u.serving.judge import BatchConfig, judge_pairs

            judge = load_judge(*models, concurrency=concurrency)
            served = bool(models) and models[0].startswith("http")
            config = BatchConfig(
                batch_size or (max(8, concurrency) if served else 8), resume, retry_errors, limit
            )
            try:
                summary = judge_pairs(pairs, out, judge, config)
            except KeyboardInterrupt:
                say(f"stopped; go on with: {_resume_line(pairs, out, models, retry_errors)}")
                raise typer.Exit(STOPPED) from None
    if to_batch is not None:
        answer(written, json)
        say(f"then: creative4u judge {pairs} -o {out} --from-batch ANSWERS.jsonl")
        return
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


def _resume_line(pairs: Path, out: Path, models: tuple[str, ...], retry_errors: bool) -> str:
    import shlex

    words = ["creative4u", "judge", str(pairs), "-o", str(out)]
    words += [word for model in models for word in ("--model", model)]
    return shlex.join(words + (["--retry-errors"] if retry_errors else []))
