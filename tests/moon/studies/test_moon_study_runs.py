"""Every study from end to end on a drawn shop of eight products, its features drawn too."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb
import numpy as np
import pytest
from fake_store import FakeStore

from creative4u.errors import InputError
from creative4u.moon.benchmark.shop import evaluate_shop
from creative4u.moon.catalogue.items import split_of
from creative4u.moon.encoder.encoder import Encoder, EncoderConfig
from creative4u.moon.encoder.feature_store import FeatureStore
from creative4u.moon.studies import ablations, exchange_rate, scaling
from creative4u.moon.studies.relevance_study import study_relevance
from creative4u.moon.training import posttrain

NAMES = ["boot", "lamp", "drum", "sofa", "kite", "ring", "vase", "bell", "mug", "sled"]


@dataclass
class RankedQueries:
    """Ranks whose recall is given."""

    rank: np.ndarray
    group: np.ndarray
    told: float

    def recall(self, k: int) -> float:
        return float(self.told)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "world"
    (folder / "images").mkdir(parents=True)
    (folder / "log").mkdir()
    assert {split_of(name) for name in NAMES} == {"train", "test"}
    rows, shown = [], []
    for number, name in enumerate(NAMES):
        titles = {"good": f"Avelo {name}", "stuffed": f"hot sale {name}", "bare": name}
        rows.append((number, f"p{number}", name, "ab"[number % 2], ["warm"], "red", "Avelo",
                     json.dumps(titles)))  # fmt: skip
        shown += [{"product_id": f"p{number}", "file_name": f"{name}/{n}.jpg", "variant_of": ""}
                  for n in range(3)]  # fmt: skip
    (folder / "images" / "metadata.jsonl").write_text("".join(json.dumps(r) + "\n" for r in shown))
    columns = "product, product_id, name, category, attributes, colour, brand, titles"
    with duckdb.connect() as base:
        base.execute(
            "create table p (product bigint, product_id varchar, name varchar, category varchar, "
            "attributes varchar[], colour varchar, brand varchar, titles varchar)"
        )
        base.executemany(f"insert into p ({columns}) values (?, ?, ?, ?, ?, ?, ?, ?)", rows)
        base.execute(f"copy p to '{folder / 'products.parquet'}'")
        base.execute(
            f"copy (select n as query_id, 'cheap ' || names[n + 1] as text from (select {NAMES} "
            f"as names), range({len(NAMES)}) r(n)) to '{folder / 'queries.parquet'}'"
        )
        # each query meets all products; its own is clicked two times in three and bought in one
        base.execute(
            f"copy (select (i // 100) % 30 as day, i % 7 as user_id, q as query_id, p as "
            "product_id, 1 + (i % 10) as position, case when p = q and i % 3 > 0 or i % 17 = 0 "
            "then 1 else 0 end as click, case when p = q and i % 3 = 1 then 1 else 0 end as "
            "purchase, p as creative_id from range(3000) t(i), "
            f"range({len(NAMES)}) a(q), range({len(NAMES)}) b(p)) "
            f"to '{folder / 'log' / 'day.parquet'}'"
        )
    for module in (ablations, exchange_rate, posttrain, scaling):
        monkeypatch.setattr(module, "FeatureStore", lambda *_: FakeStore())
    monkeypatch.chdir(tmp_path)
    return folder


def test_ablations_compare_with_the_whole_method(world: Path) -> None:
    config = ablations.AblationConfig(
        world=str(world), out="a", steps=4, first_steps=2, seeds=1,
        only=("without MoE", "in-batch negatives only"),
    )  # fmt: skip
    found = ablations.main(config)
    rows = {row["variant"]: row for row in found["rows"]}
    assert list(rows) == [ablations.WHOLE, "without MoE", "in-batch negatives only"]
    assert rows[ablations.WHOLE]["change"] == 0.0
    change = np.mean([rows["without MoE"][f"{a}->{b}"] - rows[ablations.WHOLE][f"{a}->{b}"]
                      for a, b in ablations.DIRECTIONS])  # fmt: skip
    assert rows["without MoE"]["change"] == pytest.approx(change, abs=2e-4)
    assert Path("a/ablations.png").is_file()
    assert ablations.main(config) == found  # nothing is trained twice


def test_exchange_rate_over_a_runs_checkpoints(
    world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recall = iter(np.linspace(0.1, 0.9, 9))  # in a shop this small any encoder finds everything
    monkeypatch.setattr(
        exchange_rate,
        "rank_queries",
        lambda *_: RankedQueries(np.array([1]), np.array([0]), next(recall)),
    )
    found = exchange_rate.main(
        exchange_rate.ExchangeConfig(world=str(world), out="x", steps=8, first_steps=4, every=1)
    )
    assert [row["step"] for row in found["rows"]] == list(range(9))
    assert found["rows"][8]["delta R@10"] == 0.8
    assert found["rows"][0]["delta AUC"] == 0.0
    assert found["interval"][0] <= found["slope"] <= found["interval"][1]


def test_exchange_rate_by_the_ctr_models_auc(
    world: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    recall = iter([*np.linspace(0.1, 0.9, 9), 0.1])
    monkeypatch.setattr(
        exchange_rate,
        "rank_queries",
        lambda *_: RankedQueries(np.array([1]), np.array([0]), next(recall)),
    )
    clicks = tmp_path / "rungs.jsonl"
    rows = [
        {"rung": f"{step:06d}", "log": {"new": {"auc": 0.5 + 0.01 * step + shift}}}
        for step in range(9)
        for shift in (-0.1, 0.1)  # two seeds
    ]
    clicks.write_text("".join(json.dumps(row) + "\n" for row in rows))
    config = exchange_rate.ExchangeConfig(
        world=str(world), out="x", steps=8, first_steps=4, every=1, clicks=str(clicks), part="new"
    )
    found = exchange_rate.main(config)
    assert found["rows"][8]["delta AUC"] == 0.08
    assert found["slope"] == pytest.approx(0.1, abs=1e-3)
    assert Path("x/exchange-log-new.png").is_file()
    clicks.write_text(json.dumps(rows[0]) + "\n")
    with pytest.raises(InputError, match="no figure for step 1"):
        exchange_rate.main(config)
    with pytest.raises(InputError, match="no figures of `ctr checkpoints`"):
        exchange_rate.main(replace(config, test="unbiased"))


def test_scaling_laws_have_their_points(world: Path) -> None:
    found = scaling.main(
        scaling.ScalingConfig(
            world=str(world), out="s", steps=(1, 2, 3, 4, 5), queues=(2, 4, 8, 16),
            queue_steps=3, behaviours=(1, 2, 3, 4, 5), batch=4,
        )
    )  # fmt: skip
    assert [row["triplets"] for row in found["samples"]["rows"]] == [4, 8, 12, 16, 20]
    assert [row["negatives"] for row in found["negatives"]["rows"]] == [9, 11, 15, 23]
    assert [row["clicks read"] for row in found["behaviour"]["rows"]] == [1, 2, 3, 4, 5]
    assert {"exponent", "predicted", "last point"} <= found["behaviour"].keys()


def test_relevance_and_the_benchmark_beside_baselines(world: Path) -> None:
    store: FeatureStore = FakeStore()
    encoder = Encoder(EncoderConfig(layers=1, experts=2, rank=2), store).start()
    truth = np.eye(len(NAMES), dtype=bool)
    found = study_relevance(world, encoder, store, truth)
    # a title's last word is what the query's is, so text alone tells them apart
    assert found["text only (MiniLM)"]["by the truth, all pairs"]["AUC"] == 1.0
    assert found["moon"]["by the log"]["pairs"] == len(NAMES) * sum(
        split_of(name) == "test" for name in NAMES
    )
    table = evaluate_shop(encoder, world, store)
    assert {"moon", "conse", "minilm", "concat", "two-tower", "lead"} <= table["t->mm"].keys()
    assert "minilm" not in table["i->i"]
    assert table["t->i"]["gallery"] == 30
