"""Define the verbs of `creative4u ctr`: score, train, calibrate, simulate, study."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from creative4u.cli.console import answer, print_json, say, verbs, working
from creative4u.cli.ctr import log

World = Annotated[Path, typer.Argument(help="A folder with log/, images/ and queries.parquet.")]
Out = Annotated[Path, typer.Option("--out", "-o", help="What to write.")]
Model = Annotated[Path, typer.Argument(help="A folder that `ctr train` wrote.")]
FieldsFile = Annotated[
    Path | None, typer.Option("--fields", help="A JSON file that names the log's columns.")
]
Days = Annotated[tuple[int, int], typer.Option(help="First day, and the day after the last.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]

app = verbs("Predict clicks: score new creatives, train, calibrate, choose, compare.")


@app.command()
def score(
    images: Annotated[list[str], typer.Argument(help="Creatives of one product.")],
    title: Annotated[str, typer.Option(help="The product title, as shoppers see it.")],
    query: Annotated[list[str] | None, typer.Option(help="What shoppers search for.")] = None,
    model: Annotated[
        Path | None, typer.Option(help="Weights that `ctr newcomer` wrote; the shipped by default.")
    ] = None,
    json: Json = False,
) -> None:
    """What would a new creative get? Its pCTR and the 90 % interval, with no history needed.

    Example: `creative4u ctr score A.jpg B.png --title "Trail running shoe" --query "running shoe"`
    """
    with working():
        from creative4u.ctr.cold_start.scorer import load_scorer
        from creative4u.images import load_image

        pictures = [load_image(image) for image in images]
        found = load_scorer(model).score(pictures, title, query or ())
    rows = [
        {"image": image, "pctr": p, "interval": [low, high]}
        for image, (p, low, high) in zip(images, found, strict=True)
    ]
    if json:
        print_json({"scores": rows})
        return
    for image, (p, low, high) in zip(images, found, strict=True):
        print(f"{p:7.2%}  ({low:.2%} to {high:.2%})  {image}")


@app.command()
def newcomer(
    world: World,
    out: Out,
    cache: Annotated[Path | None, typer.Option(help="Where image features are kept.")] = None,
    fields: FieldsFile = None,
    days: Days = (0, 30),
    half: Annotated[bool, typer.Option(help="Look at images in bfloat16: twice as fast.")] = False,
    seed: Annotated[int, typer.Option(help="Which products are held out.")] = 7,
    json: Json = False,
) -> None:
    """Fit the scorer of new creatives on a shop's log; figures are of held-out products.

    Example: `creative4u ctr newcomer world --out scorer.safetensors`
    """
    with working():
        from creative4u.ctr.cold_start.fit import gather, teach
        from creative4u.ctr.log.fields import read_fields
        from creative4u.ctr.log.shop import read_shop

        kept = cache or out.parent / "appearance.npz"
        lesson = gather(read_shop(world), read_fields(fields), days, kept, half, say)
        scorer, report = teach(lesson, seed)
        scorer.save(out, report)
    report.pop("test_product_rows")
    answer({"weights": out, **report}, json)


@app.command()
def train(
    world: World,
    out: Out,
    embeddings: Annotated[
        Path | None, typer.Option(help="Visual and multimodal vectors (safetensors).")
    ] = None,
    fields: FieldsFile = None,
    debias: Annotated[bool, typer.Option(help="S3: train the debiasing network jointly.")] = False,
    cube: Annotated[bool, typer.Option(help="CUBE, where there are multimodal vectors.")] = True,
    keep: Annotated[float, typer.Option(min=0, max=1, help="Share of the training rows.")] = 1.0,
    epochs: Annotated[int, typer.Option(min=1)] = 2,
    batch: Annotated[int, typer.Option(min=1)] = 4096,
    days: Days = (0, 24),
    seed: Annotated[int, typer.Option(help="Of weights and order.")] = 7,
    json: Json = False,
) -> None:
    """Train the CTR model, calibrate it on the days after, test it on the last; resumable.

    After --days come two days to decide when to stop, two to calibrate on and two to test on.
    Example: `creative4u ctr train world --out runs/ctr --embeddings vectors.safetensors --debias`
    """
    with working():
        from creative4u.ctr.log.shop import read_shop
        from creative4u.ctr.model.fit import FitConfig, first_process, fit
        from creative4u.ctr.model.train import TrainConfig
        from creative4u.ctr.visual.embeddings import load_embeddings

        last = days[1]
        training = TrainConfig(
            train_days=days, valid_days=(last, last + 2), epochs=epochs, batch=batch, seed=seed
        )
        config = FitConfig(
            training, (last + 2, last + 4), (last + 4, last + 6), keep, cube, debias, fields
        )
        vectors = load_embeddings(embeddings) if embeddings else None
        found = fit(read_shop(world), vectors, config, out, progress=say)
    if first_process():
        answer({"model": out, **found.report}, json)


@app.command()
def evaluate(model: Model, world: World, days: Days = (28, 30), json: Json = False) -> None:
    """AUC, gAUC, log loss and PCOC of a trained model on some days of a log.

    Example: `creative4u ctr evaluate runs/ctr world --days 28 30`
    """
    with working():
        from creative4u.ctr.log.shop import read_shop
        from creative4u.ctr.model.fit import evaluate as measure
        from creative4u.ctr.model.predictor import load_predictor

        figures = measure(load_predictor(model), read_shop(world).log, days)
    answer(figures, json)


@app.command()
def calibrate(model: Model, world: World, days: Days = (26, 28), json: Json = False) -> None:
    """Calibrate a trained model anew, on days that it was not trained on.

    Example: `creative4u ctr calibrate runs/ctr world --days 26 28`
    """
    with working():
        from creative4u.ctr.log.shop import read_shop
        from creative4u.ctr.model.fit import calibrate as adjust
        from creative4u.ctr.model.predictor import load_predictor

        predictor = load_predictor(model)
        adjust(predictor, read_shop(world).log, days)
        predictor.save(model)
    assert predictor.calibrator is not None
    answer({"model": model, "strength_impressions": predictor.calibrator.strength}, json)


@app.command()
def simulate(
    world: World,
    impressions: Annotated[int, typer.Option(min=1, help="Of each product.")] = 1000,
    runs: Annotated[int, typer.Option(min=2, help="Seeds, for the intervals.")] = 20,
    model: Annotated[
        Path | None, typer.Option(help="Weights that `ctr newcomer` wrote; the shipped by default.")
    ] = None,
    verdicts: Annotated[
        Path | None, typer.Option(help="Rows of `creative4u judge`, as a prior; needs --pairs.")
    ] = None,
    pairs: Annotated[Path | None, typer.Option(help="The pairs that were judged.")] = None,
    cache: Annotated[Path | None, typer.Option(help="Where image features are kept.")] = None,
    seed: Annotated[int, typer.Option(help="Of the clicks.")] = 7,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="A JSON file to write.")] = None,
    json: Json = False,
) -> None:
    """Run the world online with every selection policy, on products that no prior was fitted on.

    Example: `creative4u ctr simulate world --impressions 1000 --runs 20`
    """
    with working():
        from creative4u.cli.ctr.world import judged, world_rates
        from creative4u.ctr.cold_start.fit import gather
        from creative4u.ctr.cold_start.scorer import load_scorer
        from creative4u.ctr.log.fields import read_fields
        from creative4u.ctr.log.shop import read_shop
        from creative4u.ctr.policies.ab_test import TrialConfig, ab_test

        shop = read_shop(world)
        kept = cache or Path(f"{world}-appearance.npz")
        lesson = gather(shop, read_fields(), (0, 30), kept, progress=say)
        said = judged(shop, verdicts, pairs) if verdicts else None
        config = TrialConfig(impressions, runs, seed)
        table = ab_test(lesson, world_rates(shop, world), load_scorer(model), config, said, say)
    if out is not None:
        from json import dumps

        from creative4u.ctr.studies.plots import plot_regret

        out.write_text(dumps(table, indent=1) + "\n", "utf-8")
        say(f"plot: {plot_regret(table, impressions, out.with_suffix('.png'))}")
    if json:
        print_json(table)
        return
    for name, row in table["policies"].items():
        lifts = "  ".join(
            f"over {base} {row[key][0]:+.1%} ({row[key][1]:+.1%} to {row[key][2]:+.1%})"
            for base in ("random", "greedy", "thompson")
            if (key := f"lift_over_{base}") in row
        )
        print(
            f"{name:20} CTR {row['ctr']:.3%}  CVR {row['cvr']:.2%}  RPM {row['rpm']:.2f}  {lifts}"
        )


@app.command()
def study(
    world: World,
    out: Out,
    moon: Annotated[
        Path | None, typer.Option(help="What `moon apply` wrote; text vectors stand in without.")
    ] = None,
    keep: Annotated[float, typer.Option(min=0, max=1, help="Share of the training rows.")] = 1.0,
    epochs: Annotated[int, typer.Option(min=1)] = 1,
    augmented: Annotated[int, typer.Option(help="Images that S1 sees a second view of.")] = 1200,
    cache: Annotated[Path | None, typer.Option(help="The folder of image features.")] = None,
    half: Annotated[bool, typer.Option(help="Look at images in bfloat16: twice as fast.")] = False,
    seed: Annotated[int, typer.Option(help="Of weights, order and hidden creatives.")] = 7,
    runs: Annotated[int, typer.Option(min=1, help="Models of each rung, by seeds.")] = 3,
    most: Annotated[int | None, typer.Option(help="New models to fit now; all.")] = None,
    json: Json = False,
) -> None:
    """The ladder: ID only, off-the-shelf visual, S1, S1+S2, +S3, +CUBE; started again, it goes on.

    Example: `creative4u ctr study world --out runs/study --keep 0.2`
    """
    with working():
        from creative4u.cli.ctr.world import ladder
        from creative4u.ctr.studies.plots import plot_ladder

        kept = cache or out
        rows = ladder(world, out, moon, keep, epochs, augmented, kept, half, seed, most, runs)
        say(f"plot: {plot_ladder(rows, out / 'ladder.png')}")
    if json:
        print_json({"rungs": rows})
        return
    from creative4u.ctr.studies.ablation import show

    print(show(rows))


for verb in log.VERBS:
    app.command(verb.__name__.rstrip("_"))(verb)
