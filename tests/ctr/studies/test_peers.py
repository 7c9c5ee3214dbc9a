"""The comparison with peers: paired figures by hand, equal rows for all, and a missing library."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from small_shop import write_shop

from creative4u.ctr.log.dataset import Batch
from creative4u.ctr.log.shop import read_shop
from creative4u.ctr.model.ctr_model import ModelConfig
from creative4u.ctr.studies.peer_models import Contender, fuxi, rechub
from creative4u.ctr.studies.peers import PeersConfig, compare_peers, figures, show
from creative4u.errors import InputError

CONFIG = ModelConfig(("user", "query", "item", "creative"), (5, 5, 5, 5), (8, 8, 8, 8), 1, 10, 10)


def test_gaps_are_of_the_same_draws() -> None:
    rng = np.random.default_rng(0)
    label = (rng.random(2000) < 0.3).astype(float)
    good, bad = label + rng.normal(size=2000), label + 4 * rng.normal(size=2000)
    group = np.repeat(np.arange(100), 20)
    found = figures({"ours": good, "peer": bad, "twin": good}, label, group, 1)
    assert found["ours"]["auc_gap"] == [0, 0, 0]  # the best peer scores exactly as ours
    assert found["peer"]["auc_gap"][2] < 0
    low, high = found["ours"]["auc_interval"]
    assert low < found["ours"]["auc"] < high


def test_every_model_meets_the_same_rows(tmp_path: Path) -> None:
    met: list[int] = []

    def make(folder: Path, config: ModelConfig, first: Batch, rate: float) -> list[Contender]:
        def steps(chunk: list[Batch]) -> None:
            met.extend(len(batch) for batch in chunk)

        return [Contender("constant", list, steps, lambda batch: torch.full((len(batch),), 0.3), 0)]

    shop = read_shop(write_shop(tmp_path / "shop", rows=3000, days=6))
    config = PeersConfig(days=(0, 1), keep=1.0, batch=100, passes=2, chunk=2)
    found = compare_peers(shop, None, config, tmp_path / "peers.json", peers=make)
    assert met == [100] * 10  # 500 rows a day, twice
    assert found["rows"] == 1000
    assert found["models"]["constant"]["auc"] == 0.5
    assert found["models"]["ours, no images"]["rows_per_second"] > 0
    assert json.loads((tmp_path / "peers.json").read_text("utf-8"))["rows"] == 1000
    assert show(found).count("\n") == 3


def test_a_missing_library_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("fuxictr", "fuxictr.features", "torch_rechub", "torch_rechub.basic.features"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(InputError, match=r"creative4u\[peers\]"):
        fuxi("DIN", CONFIG, 1e-3, Path())
    with pytest.raises(InputError, match=r"creative4u\[peers\]"):
        rechub(CONFIG, 1e-3, torch.zeros(1))


def test_the_real_ones_learn_where_they_are_installed(tmp_path: Path) -> None:
    """Ten steps of each on rows whose label is the creative's number."""
    pytest.importorskip("fuxictr.features")
    pytest.importorskip("torch_rechub")
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(1, 5, (256, 4), generator=generator)
    batch = Batch(
        ids, torch.randn(256, 1, generator=generator), torch.ones(256, dtype=torch.long),
        torch.randint(0, 5, (256, 10, 2), generator=generator), (ids[:, 3] > 2).float(),
    )  # fmt: skip
    makers = (
        lambda: fuxi("DIN", CONFIG, 1e-2, tmp_path), lambda: fuxi("DCNv2", CONFIG, 1e-2, tmp_path),
        lambda: rechub(CONFIG, 1e-2, batch.numbers[:, 0]),
    )  # fmt: skip
    for make in makers:
        torch.manual_seed(0)
        one = make()
        one.steps(one.prepare([batch] * 40))
        score = one.score(batch)
        assert score.shape == (256,)
        assert score[batch.label == 1].mean() > score[batch.label == 0].mean() + 0.2, one.name
