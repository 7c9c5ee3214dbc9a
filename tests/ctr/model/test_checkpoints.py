"""The same CTR model over each checkpoint's vectors: one rung a folder, by name."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_shop import write_shop

from creative4u.cli.ctr import world
from creative4u.errors import InputError


def test_one_rung_a_folder_of_vectors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shop, seen = write_shop(tmp_path / "shop", rows=60), []

    def study(shop: Any, rungs: Any, truth: Any, config: Any, *rest: Any) -> list[Any]:
        seen.extend(rungs)
        return [config.runs, config.fit.training.seed]

    monkeypatch.setattr("creative4u.ctr.studies.ablation.study", study)
    monkeypatch.setattr(world, "unbiased_test", lambda *_: None)
    vectors = tmp_path / "vectors"
    arguments = (shop, vectors, tmp_path / "out", 1.0, 1, 7, 2)
    with pytest.raises(InputError, match="no folder of `moon apply`"):
        world.checkpoints(*arguments)
    for step, vector in (("000010", [0.0, 1.0]), ("000000", [1.0, 0.0])):
        folder = vectors / step
        folder.mkdir(parents=True)
        items = {"item_id": ["p0"], "vector": [vector]}
        pq.write_table(pa.table(items), folder / "items.parquet")
        queries = {"query_id": [0], "vector": [vector]}
        pq.write_table(pa.table(queries), folder / "queries.parquet")
    assert world.checkpoints(*arguments) == [2, 7]
    assert [rung.name for rung in seen] == ["000000", "000010"]
    assert [rung.embeddings.multimodal[0].tolist() for rung in seen] == [[1, 0], [0, 1]]
    assert all(rung.cube and not rung.debias for rung in seen)
