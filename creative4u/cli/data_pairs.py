"""Define the verbs of `creative4u data` that turn a log into pairs with reasoning."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from creative4u.cli.console import answer, say, working
from creative4u.cli.log_format import Column, CtrUnit, DateFormat, From, log_format
from creative4u.errors import InputError

Out = Annotated[Path, typer.Option("--out", "-o", help="The folder to write.")]
Pairs = Annotated[Path, typer.Option(help="The folder that holds pairs.jsonl.")]
Seed = Annotated[int, typer.Option(help="The same seed gives the same data.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def pairs(
    log: Annotated[
        list[str], typer.Option(help="Parquet, CSV, TSV or JSONL: files, folders or globs.")
    ],
    images: Annotated[
        Path, typer.Option(help="The image folder; metadata.jsonl or `data import` names them.")
    ],
    out: Out,
    from_: From = None,
    column: Column = None,
    ctr_unit: CtrUnit = None,
    min_impressions: Annotated[int, typer.Option(min=1, help="Of each creative.")] = 1000,
    min_gap: Annotated[float, typer.Option(min=0, help="Of the CTRs, to the lower one.")] = 0.6,
    max_p: Annotated[
        float, typer.Option(min=0, max=1, help="Of the two-proportion test; 1 switches it off.")
    ] = 0.05,
    per_product: Annotated[int, typer.Option(min=1, help="Most pairs of a product.")] = 24,
    queries: Annotated[Path | None, typer.Option(help="A table that names query ids.")] = None,
    memory: Annotated[str, typer.Option(help="DuckDB's limit; what is more goes to disk.")] = "2GB",
    threads: Annotated[int, typer.Option(min=1, help="Of DuckDB and of reading images.")] = 2,
    ray: Annotated[
        int, typer.Option(min=0, help="Count the log with so many Ray workers; 0 without Ray.")
    ] = 0,
    seed: Seed = 7,
    json: Json = False,
) -> None:
    """Mine creative pairs from an impression log of any size.

    Example: `creative4u data pairs --log world/log --images world/images --out world/pairs`
    """
    with working():
        from data.creative_pair.mining.candidate_pairs import Filter
        from data.creative_pair.mining.count_log import count_log
        from data.creative_pair.mining.mine import MineConfig, mine

        rule = Filter(min_impressions, min_gap, max_p, per_product)
        read_as = log_format(from_, column, None, ctr_unit)
        config = MineConfig(
            rule, queries=queries, seed=seed, memory=memory, threads=threads, read_as=read_as
        )
        count = count_log
        if ray:
            from data.creative_pair.mining.count_log_ray import counting_on_ray

            count = counting_on_ray(ray)
        report = mine(log, images, out, config, count, say)
    answer(asdict(report), json)


def reason(
    pairs: Pairs,
    out: Out,
    images: Annotated[
        Path | None, typer.Option(help="The rendered world's image folder, whose facts are known.")
    ] = None,
    teacher: Annotated[
        str | None, typer.Option(help="A teacher's address (http://.../v1) for real images.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="The teacher's model name.")] = None,
    observed: Annotated[
        bool, typer.Option("--observed", help="From what the probe sees, not from the truth.")
    ] = False,
    plain: Annotated[bool, typer.Option("--plain", help="One wording a claim.")] = False,
    concurrency: Annotated[int, typer.Option(min=1, help="Pairs a teacher is asked at once.")] = 8,
    seed: Seed = 7,
    json: Json = False,
) -> None:
    """Add answers and reasoning to pairs: from known facts (--images), or from a teacher.

    Example: `creative4u data reason --pairs world/pairs --images world/images --out world/reasoned`
    """
    with working():
        from data.creative_pair.reasoning import add_reasoning

        if images is not None and teacher is None:
            report = add_reasoning.reason_grounded(
                pairs, images, out, seed, say, observed=observed, plain=plain
            )
        elif teacher is not None and model is not None and images is None:
            from creative4u.files.pairs_file import good_pairs
            from creative4u.selector.backends.server_pool import KEY
            from data.creative_pair.reasoning.from_teacher import Teacher, TeacherConfig

            rows = add_reasoning.moved(list(good_pairs(pairs, unique=True)), pairs, out)
            out.mkdir(parents=True, exist_ok=True)
            config = TeacherConfig(teacher, model, os.environ.get(KEY, ""), concurrency)
            source = Teacher(config, out, out / "teacher.jsonl")
            report = add_reasoning.add_reasoning(rows, source, out, say)
        else:
            raise InputError("give --images, or --teacher with --model")
    answer(asdict(report), json)


def import_(
    out: Out,
    source: Annotated[Path, typer.Option(help="Rows with counts, or the page's feedback.")],
    images: Annotated[
        Path | None, typer.Option(help="The image folder, only read; none for the page's feedback.")
    ] = None,
    from_: From = None,
    column: Column = None,
    date_format: DateFormat = None,
    ctr_unit: CtrUnit = None,
    json: Json = False,
) -> None:
    """Import a log's rows, a platform's export or the page's feedback, for `data pairs` to mine.

    Example: `creative4u data import --source metrics.csv --images pictures --out imported`, then
    `creative4u data pairs --log imported --images pictures --out mined`
    """
    with working():
        from data.creative_pair.mining.importers import import_creatives, import_feedback

        if images is None:
            found = import_feedback(source, out)
        else:
            read_as = log_format(from_, column, date_format, ctr_unit)
            found = import_creatives(source, images, out, read_as)
        for note in found.notes:
            say(f"{source.name}: {note}")
    answer(asdict(found), json)


def pack(
    pairs: Pairs,
    out: Out,
    source: Annotated[
        list[str] | None, typer.Option(help="Where log, images or reasons come from; repeatable.")
    ] = None,
    json: Json = False,
) -> None:
    """Write pairs with their images inside, as a Hugging Face data set with its card.

    Example: `creative4u data pack --pairs world/pairs --out world/dataset`
    """
    with working():
        from data.creative_pair.dataset.card import read_reports, write_card
        from data.creative_pair.dataset.parquet import write_dataset

        counts = write_dataset(pairs, out, say)
        write_card(out, source or [str(pairs)], **read_reports(pairs))
    answer(dict(counts), json)


def check(
    folder: Annotated[Path, typer.Argument(help="A folder of pairs, or a packed data set.")],
    json: Json = False,
) -> None:
    """Look for every reason not to trust a set of pairs; exit code 1 where there is one.

    Example: `creative4u data check world/pairs`
    """
    with working():
        from data.creative_pair.dataset.check import check as inspect

        report = inspect(folder, say)
    answer(asdict(report), json)
    if not report.ok:
        raise typer.Exit(1)


def ceiling(
    pairs: Pairs,
    out: Annotated[Path, typer.Option("--out", "-o", help="The JSON file to write.")],
    world: Annotated[
        Path | None, typer.Option(help="The world's folder, where there is a truth.")
    ] = None,
    json: Json = False,
) -> None:
    """Measure what a judge has to beat on the test split, and what nobody can.

    Example: `creative4u data ceiling --pairs world/reasoned --out ceiling.json --world world`
    """
    with working():
        from data.creative_pair.ceiling.ceiling import ceiling as measure

        found = measure(pairs, out, world, say)
    answer(found, json)


VERBS = (import_, pairs, reason, pack, check, ceiling)
