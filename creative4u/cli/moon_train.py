"""Define the training verbs of `creative4u moon`: both stages, augmentation, blend, export."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from creative4u.cli.console import Settings, answer, working

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
EncoderFile = Annotated[
    Path | None, typer.Option("--encoder", help="The encoder's file; by default the shipped one.")
]
Features = Annotated[
    Path | None, typer.Option("--features", help="Cache folder for image and text features.")
]
World = Annotated[Path, typer.Option("--world", help="A shop's folder with its log.")]
Out = Annotated[
    Path | None,
    typer.Option("--out", "-o", help="The run's folder; runs/moon/VERB by default."),
]
Pictures = Annotated[
    list[Path] | None,
    typer.Option("--pictures", help="A folder of named images (metadata.jsonl); repeatable."),
]
Start = Annotated[
    str | None, typer.Option("--start", help="The encoder's file to start training from.")
]


def pretrain(
    worlds: Annotated[
        list[Path] | None, typer.Option("--worlds", help="A shop's folder; repeatable.")
    ] = None,
    pictures: Pictures = None,
    out: Out = None,
    start: Start = None,
    features: Features = None,
    settings: Settings = None,
    json: Json = False,
) -> None:
    """Pre-train an encoder on images with names, taught by ConSE; resumes a stopped run.

    Example: `creative4u moon pretrain --pictures pictures --worlds world --out runs/moon/pretrain`
    """
    with working():
        from creative4u.moon.training.pretrain import PretrainConfig, main
        from creative4u.overrides import configured

        config = configured(
            PretrainConfig(), settings,
            worlds=worlds, pictures=pictures, out=out, start=start, features=features,
        )  # fmt: skip
        file = main(config)
    answer({"encoder": file}, json)


def posttrain(
    world: World,
    out: Out = None,
    start: Annotated[
        str | None,
        typer.Option(
            "--start",
            help="The encoder's file, or conse for a new one; the shipped one by default.",
        ),
    ] = None,
    pictures: Pictures = None,
    views: Annotated[
        Path | None, typer.Option("--views", help="The folder that `moon augment` wrote.")
    ] = None,
    features: Features = None,
    settings: Settings = None,
    json: Json = False,
) -> None:
    """Post-train an encoder on a shop's purchases; resumes a stopped run.

    Example: `creative4u moon posttrain --world world --start pretrained.safetensors`
    """
    with working():
        from creative4u.moon.training.posttrain import main
        from creative4u.moon.training.posttrain_config import PosttrainConfig
        from creative4u.overrides import configured

        config = configured(
            PosttrainConfig(), settings,
            world=world, out=out, start=start, pictures=pictures, views=views, features=features,
        )  # fmt: skip
        file = main(config)
    answer({"encoder": file}, json)


def apply_(
    world: World,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="The folder to write; runs/moon/embeddings by default."),
    ] = None,
    encoder: EncoderFile = None,
    dim: Annotated[
        int | None, typer.Option("--dim", min=1, help="Keep the first dimensions; all by default.")
    ] = None,
    creatives: Annotated[
        bool, typer.Option("--creatives", help="Embed every creative too, not items alone.")
    ] = False,
    features: Features = None,
    json: Json = False,
) -> None:
    """Write embeddings of a shop's items and queries as Parquet, for the CTR model.

    Example: `creative4u moon apply --world world --out embeddings`
    """
    with working():
        from creative4u.moon.training.export_embeddings import ExportConfig, main
        from creative4u.overrides import configured

        config = configured(
            ExportConfig(), (), world=world, out=out, encoder=encoder, dim=dim,
            creatives=creatives, features=features,
        )  # fmt: skip
        counts = main(config)
    answer(dict(counts), json)


def augment(
    world: Annotated[
        Path, typer.Option("--world", help="A shop's folder; its training items are augmented.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder of views to write.")],
    writer: Annotated[
        str, typer.Option("--writer", help="Who writes titles: rules, embedded, or a server's URL.")
    ] = "rules",
    model: Annotated[str, typer.Option("--model", help="The server's model name.")] = "",
    views: Annotated[int, typer.Option(min=1, help="Views of each item.")] = 1,
    min_cosine: Annotated[
        float,
        typer.Option(min=-1, max=1, help="Drop views with a lower cosine to the original."),
    ] = 0.5,
    encoder: EncoderFile = None,
    features: Features = None,
    json: Json = False,
) -> None:
    """Write views and enriched titles of a shop's training items, filtered by the encoder.

    Example: `creative4u moon augment --world world --out views --writer embedded`
    """
    with working():
        from creative4u.moon.augment.build import augment as make
        from creative4u.moon.augment.title_writers import title_writer
        from creative4u.moon.catalogue.items import read_world
        from creative4u.moon.encoder.encoder import load_encoder
        from creative4u.moon.encoder.feature_store import FeatureStore

        title_from = title_writer(writer, model)
        model_file = load_encoder(encoder, FeatureStore(features))
        counts = make(read_world(world), model_file, title_from, out, views, min_cosine)
    answer({"made": counts.made, "kept": counts.kept, "views": out}, json)


def blend(
    trained: Annotated[Path, typer.Argument(help="A trained encoder's file.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The interpolated encoder's file.")],
    share: Annotated[
        float, typer.Option(min=0, max=1, help="The share of the trained weights.")
    ] = 0.5,
    start: Annotated[
        Path | None, typer.Option(help="The encoder that training started from; ConSE by default.")
    ] = None,
    json: Json = False,
) -> None:
    """Interpolate between an encoder's weights and its start's: better on unseen data.

    Example: `creative4u moon blend encoder.safetensors --out blended.safetensors --share 0.5`
    """
    with working():
        from creative4u.moon.encoder.encoder import load_encoder
        from creative4u.moon.training.weight_interpolation import blend as mix

        begin = load_encoder(start) if start else None
        file = mix(load_encoder(trained), share, begin).save(out, half=True)
    answer({"encoder": file}, json)
