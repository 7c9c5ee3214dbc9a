"""Read what simulations and studies need of a simulated shop; the only reader of its truth here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from creative4u.cli.console import say
from creative4u.errors import InputError

STEPS = ("off-the-shelf", "s1", "s1+s2")  # of `visual_ladder`
# Rooms are imported inside functions alone, so a Shop, Rates and Unbiased are Any here.


def world_rates(shop: Any, world: Path) -> Any:
    """True CTRs, for the simulation's environment; purchases and prices as the log has them."""
    import duckdb
    import numpy as np

    from creative4u.ctr.policies.ab_test import Rates
    from data.world.market.truth import read_truth

    truth = read_truth(world / "truth", "creatives", "evaluation")
    if truth["creative_id"].to_pylist() != shop.creative_ids.tolist():
        raise InputError(f"{world}: its truth and its images are not of the same creatives")
    counted = duckdb.execute(
        """SELECT creative_id, sum(purchase) AS purchases, sum(click) AS clicks, avg(price) AS price
           FROM read_parquet(?) GROUP BY 1""",
        [str(shop.log / "*.parquet")],
    ).fetchnumpy()
    columns = {name: np.zeros(len(shop.creative_ids)) for name in ("purchases", "clicks", "price")}
    for name, column in columns.items():
        column[counted["creative_id"]] = np.asarray(counted[name], float)
    return Rates(ctr=truth["unbiased_ctr"].to_numpy(), **columns)


def judged(
    shop: Any, verdicts: Path, pairs: Path | None
) -> dict[int, list[tuple[int, int, float]]]:
    """Verdicts by product number and place, for pairs of the shop's images."""
    import numpy as np

    from creative4u.ctr.policies.judge_prior import verdicts_by_product
    from creative4u.ctr.policies.simulate import places_of

    if pairs is None:
        raise InputError("--verdicts needs --pairs, the file whose pairs were judged")
    products = np.unique(shop.products, return_inverse=True)[1]
    place = places_of(products)
    places = {
        "/".join(image.parts[-2:]): (int(product), int(number))
        for image, product, number in zip(shop.images, products, place, strict=True)
    }
    return verdicts_by_product(verdicts, pairs, places)


def unbiased_test(shop: Any, world: Path) -> Any:
    """Every creative under every query of its product, with its true CTR."""
    import duckdb
    import numpy as np

    from creative4u.ctr.studies.ablation import Unbiased
    from data.world.market.truth import read_truth

    truth = read_truth(world / "truth", "queries", "evaluation")
    counted = duckdb.execute(
        "SELECT creative_id, any_value(product_id) AS item FROM read_parquet(?) GROUP BY 1",
        [str(shop.log / "*.parquet")],
    ).fetchnumpy()
    item = dict(zip(counted["creative_id"].tolist(), counted["item"].tolist(), strict=True))
    creative = truth["creative_id"].to_numpy()
    return Unbiased(
        creative,
        truth["query_id"].to_numpy(),
        np.array([item.get(one, -1) for one in creative.tolist()]),
        truth["unbiased_ctr"].to_numpy().astype(float),
    )


def ladder(
    world: Path,
    out: Path,
    moon: Path | None,
    keep: float,
    epochs: int,
    augmented: int,
    cache: Path,
    half: bool,
    seed: int,
    most: int | None = None,
    runs: int = 1,
) -> list[dict[str, Any]]:
    """Embed by every step (kept in `out`), fit and measure every rung, at most `most` new runs."""
    from dataclasses import replace

    import numpy as np

    from creative4u.backbone.appearance import cached_appearance
    from creative4u.ctr.log.fields import read_fields
    from creative4u.ctr.log.shop import count_cells, read_shop
    from creative4u.ctr.model.fit import FitConfig
    from creative4u.ctr.model.train import TrainConfig
    from creative4u.ctr.studies.ablation import Rung, StudyConfig, hidden_creatives, study
    from creative4u.ctr.visual.embeddings import load_embeddings
    from creative4u.ctr.visual.encoder import VisualConfig
    from creative4u.ctr.visual.ladder import visual_ladder, with_texts
    from creative4u.ctr.visual.moon_vectors import read_moon
    from creative4u.files.origin import (
        file_hash,
        is_made_from,
        note_origin,
        tree_hash,
        value_hash,
    )

    shop = read_shop(world)
    training = TrainConfig(
        epochs=epochs, batch=2048, valid_rows=120_000, evaluate_every=1600, seed=seed
    )
    config = StudyConfig(FitConfig(training, keep=keep), seed=seed, runs=runs)
    hidden = hidden_creatives(shop, config)
    rows = np.flatnonzero(~np.isin(shop.creative_ids, hidden))
    kept = {name: out / "embeddings" / f"{name}.safetensors" for name in STEPS}
    origin = {
        "images": value_hash([file_hash(image) for image in shop.images]),
        "log": tree_hash(shop.log),
        "titles": value_hash([shop.titles, shop.queries, shop.classes.tolist()]),
        "config": value_hash([seed, augmented, half, rows.tolist(), training.train_days]),
    }
    if not all(is_made_from(path, origin) for path in kept.values()):
        seen = cached_appearance(shop.images, cache / "appearance.npz", half=half, progress=say)
        other = cached_appearance(
            shop.images[:augmented], cache / "augmented.npz", True, half, progress=say
        )
        cells = count_cells(shop, read_fields(), training.train_days)
        visual = visual_ladder(seen, other, cells, shop.classes, rows, VisualConfig(seed=seed), say)
        for name, one in visual.items():
            with_texts(shop, one).save(kept[name])
            note_origin(kept[name], origin)
    vectors = {name: load_embeddings(path) for name, path in kept.items()}
    last = vectors[STEPS[-1]]
    if moon is not None:
        last = replace(read_moon(moon, shop), visual=last.visual)
    rungs = [
        Rung("ID only", None),
        Rung("off-the-shelf", vectors["off-the-shelf"]),
        Rung("S1", vectors["s1"]),
        Rung("S1+S2", vectors["s1+s2"]),
        Rung("S1+S2+S3", vectors["s1+s2"], debias=True),
        Rung("S1+S2+S3+CUBE", last, debias=True, cube=True),
    ]
    return study(shop, rungs, unbiased_test(shop, world), config, out, say, most)


def checkpoints(
    world: Path, moon: Path, out: Path, keep: float, epochs: int, seed: int, runs: int
) -> list[dict[str, Any]]:
    """A CTR model, CUBE and no look, over each folder of vectors in `moon`; rows as a ladder's."""
    from creative4u.ctr.log.shop import read_shop
    from creative4u.ctr.model.fit import FitConfig
    from creative4u.ctr.model.train import TrainConfig
    from creative4u.ctr.studies.ablation import Rung, StudyConfig, study
    from creative4u.ctr.visual.moon_vectors import read_moon

    folders = sorted(path.parent for path in moon.glob("*/items.parquet"))
    if not folders:
        raise InputError(f"{moon}: no folder of `moon apply` in it")
    shop = read_shop(world)
    training = TrainConfig(
        epochs=epochs, batch=2048, valid_rows=120_000, evaluate_every=1600, seed=seed
    )
    config = StudyConfig(FitConfig(training, keep=keep), seed=seed, runs=runs)
    rungs = [Rung(folder.name, read_moon(folder, shop), cube=True) for folder in folders]
    return study(shop, rungs, unbiased_test(shop, world), config, out, say)
