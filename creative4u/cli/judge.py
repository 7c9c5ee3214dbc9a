"""Define the verbs for files of pairs: judge them and evaluate the verdicts."""

from __future__ import annotations

import contextlib
import os
import shlex
import sys
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from creative4u.cli.console import (
    LOADING,
    SOME_ROWS_FAILED,
    STOPPED,
    Dtype,
    UsageError,
    announced,
    answer,
    print_json,
    say,
    working,
)

Pairs = Annotated[Path, typer.Argument(metavar="PAIRS", help="JSONL, CSV, TSV or Parquet.")]
Verdicts = Annotated[
    Path, typer.Option("--out", "-o", help="Verdicts: a .jsonl or .parquet file.")
]
SummaryJson = Annotated[bool, typer.Option("--json", help="Print the summary as one object.")]


class Where(StrEnum):
    """Where a file is judged."""

    here = "here"
    ray = "ray"


def judge(
    context: typer.Context,
    pairs: Pairs,
    out: Verdicts,
    model: Annotated[
        list[str] | None,
        typer.Option(
            help="A local folder, a hub id or http://...; by default the embedded model. "
            "Repeat it for several servers of one model."
        ),
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(min=1, max=4096, help="Pairs a batch; at most 8, for servers 4.")
    ] = None,
    concurrency: Annotated[
        int, typer.Option(min=1, max=1024, help="Requests in flight, over all servers.")
    ] = 16,
    patience: Annotated[
        float, typer.Option(min=0, help="Seconds without any server until rows become errors.")
    ] = 120.0,
    engine: Annotated[
        Where, typer.Option(help="In this process (or its servers), or on a Ray cluster.")
    ] = Where.here,
    address: Annotated[
        str | None,
        typer.Option(help="Of the Ray cluster, HOST:PORT or auto; by default a local one."),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Ray workers at most; as many as fit by default.")
    ] = None,
    resume: Annotated[bool, typer.Option(help="Go on where an earlier run stopped.")] = True,
    retry_errors: Annotated[bool, typer.Option(help="Judge again what ended in an error.")] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first rows.")] = None,
    dtype: Dtype = "auto",
    to_batch: Annotated[Path | None, typer.Option(hidden=True)] = None,
    from_batch: Annotated[list[Path] | None, typer.Option(hidden=True)] = None,
    json: SummaryJson = False,
) -> None:
    """Judge a file of pairs; each verdict is written as it is done, and a stopped run goes on.

    Exit code 3: done, but some rows ended in an error.

    Example: `creative4u judge pairs.jsonl -o verdicts.jsonl`
    """
    _name_new_verbs(pairs, out, to_batch, from_batch)
    models = tuple(model or ())
    with working(), _resumable(context):
        _check_files(pairs, out)
        from creative4u.serving.batch.judge_file import BatchConfig, judge_pairs

        size = batch_size or (4 if _served(models) else 8)
        config = BatchConfig(
            batch_size=size,
            in_flight=-(-concurrency // (2 * size)) + 1 if _served(models) else None,
            resume=resume,
            retry_errors=retry_errors,
            limit=limit,
        )
        if engine is Where.ray:
            from creative4u.serving.batch.ray_engine import RayConfig, RayEngine

            judge_: Any = RayEngine(
                models, RayConfig(address, workers, batch_size, concurrency, dtype=dtype)
            )
        else:
            from creative4u.selector.backends.server_pool import Patience

            waits = Patience(outage=patience)
            with announced(LOADING):
                from creative4u.selector.loading import start_judge

                judge_ = start_judge(*models, concurrency=concurrency, patience=waits, dtype=dtype)
        summary = judge_pairs(pairs, out, judge_, config)
    _show(summary, out, json)


def judge_export(
    pairs: Pairs,
    out: Verdicts,
    requests: Annotated[
        Path, typer.Option("--requests", help="The .jsonl file of OpenAI batch requests to write.")
    ],
    model: Annotated[
        str | None, typer.Option(help="Whose prompts: a folder, or by default the embedded model.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first rows.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Write a file of pairs as OpenAI batch requests; judge nothing.

    Example: `creative4u judge-export pairs.jsonl -o verdicts.jsonl --requests requests.jsonl`
    """
    with working():
        _check_files(pairs, out)
        from creative4u.selector.loading import load_asker
        from creative4u.serving.openai_batch.requests import write_requests

        written = write_requests(pairs, out, requests, load_asker(model), limit)
    answer(written, json)
    say(f"then: creative4u judge-import {pairs} ANSWERS.jsonl -o {out}")


def judge_import(
    pairs: Pairs,
    answers: Annotated[
        list[Path], typer.Argument(metavar="ANSWERS...", help="Files of batch answers (.jsonl).")
    ],
    out: Verdicts,
    resume: Annotated[bool, typer.Option(help="Keep the verdicts that OUT has.")] = True,
    json: SummaryJson = False,
) -> None:
    """Read the answers to exported batch requests as verdicts.

    Example: `creative4u judge-import pairs.jsonl answers.jsonl -o verdicts.jsonl`
    """
    with working():
        _check_files(pairs, out)
        from creative4u.serving.openai_batch.requests import read_answers

        summary = read_answers(pairs, out, answers, again=not resume)
    _show(summary, out, json)


def _check_files(pairs: Path, out: Path) -> None:
    """Settle what is wrong with either file before anything is loaded."""
    from creative4u.files.pairs_file import check_pairs
    from creative4u.serving.batch.resume_journal import check_out

    check_pairs(pairs)
    check_out(out)


def _name_new_verbs(
    pairs: Path, out: Path, to_batch: Path | None, from_batch: list[Path] | None
) -> None:
    """Raise a usage error that names the verb for an option of earlier releases."""
    if to_batch is not None:
        raise UsageError(
            f"got --to-batch {to_batch}; write creative4u judge-export {pairs} -o {out} "
            f"--requests {to_batch} instead."
        )
    if from_batch:
        files = " ".join(map(str, from_batch))
        raise UsageError(
            f"got --from-batch; write creative4u judge-import {pairs} {files} -o {out} instead."
        )


def _show(summary: dict[str, Any], out: Path, json: bool) -> None:
    """Print a verdict file's summary; exit code 3 where rows failed."""
    if json:
        print_json(summary)
    else:
        from creative4u.cli.tables import show_summary

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
        from creative4u.files.verdict_file import read_verdicts
        from creative4u.serving.files.verdict_metrics import evaluate as measure

        figures = measure(verdicts, pairs)
        if statistics:
            from creative4u.files.pairs_file import read_pairs
            from creative4u.serving.files.statistic_baselines import (
                baselines,
                labelled_pairs,
                labelled_rows,
            )

            labelled = (
                labelled_pairs(read_pairs(pairs))
                if pairs
                else labelled_rows(read_verdicts(verdicts), verdicts.parent)
            )
            figures["statistics"] = baselines(labelled)
    if json:
        print_json(figures)
    else:
        from creative4u.cli.tables import show_evaluation

        show_evaluation(figures)


def _served(models: tuple[str, ...]) -> bool:
    from creative4u.selector.backends.server_pool import is_url

    return any(is_url(model) for model in models)


@contextlib.contextmanager
def _resumable(context: typer.Context) -> Iterator[None]:
    """Ctrl-C, SIGTERM or SIGHUP inside: the line that goes on, and the exit code of Ctrl-C."""
    from creative4u.serving.batch.local_engine import left_in_flight
    from creative4u.serving.server.signals import stopping_signals

    try:
        with stopping_signals():
            yield
    except KeyboardInterrupt:
        say(f"stopped; go on with: {resume_line(context)}")
        if left_in_flight():
            sys.stderr.flush()
            os._exit(STOPPED)
        raise typer.Exit(STOPPED) from None


def resume_line(context: typer.Context) -> str:
    """The same command again, without what would start over."""
    words = ["creative4u", str(context.info_name)]
    for param in context.command.params:
        name, value = str(param.name), context.params.get(str(param.name))
        given = str(getattr(context.get_parameter_source(name), "name", ""))
        if given != "COMMANDLINE" or name == "resume":
            continue
        option = min((opt for opt in param.opts if opt.startswith("-")), key=len, default=None)
        for one in value if isinstance(value, list | tuple) else [value]:
            if one is False:
                words += list(param.secondary_opts[:1])
            else:
                words += ([option] if option else []) + ([] if one is True else [str(one)])
    return shlex.join(words)
