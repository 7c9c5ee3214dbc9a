"""A cluster's rows are those of judging here, in order, bad rows and a lost node included."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from judge_by_title import QUIET, TITLES, ByTitle, read, write

from creative4u.errors import BackendError, InputError
from creative4u.serving.batch.judge_file import judge_pairs
from creative4u.serving.batch.local_engine import decoded
from creative4u.serving.batch.pending_rows import Source
from creative4u.serving.batch.ray_engine import (
    RayConfig,
    RayEngine,
    Worker,
    absolute,
    packed,
    unpacked,
)


class ByTitleOnRay(RayEngine):
    """The engine with a worker whose answers are known; `models` holds a file to sign in."""

    model = "by-title"  # type: ignore[assignment]


class KnownWorker(Worker):
    """Judges by title, a little slowly, and signs each call with its node.

    `models` are the file to sign and how many nodes must be at work before a call ends.
    """

    def __init__(
        self, models: tuple[str, ...], concurrency: int, gpu: bool, folder: str, dtype: str
    ) -> None:
        import ray

        self.judge = ByTitle()
        self.file, self.nodes = Path(models[0]), int(models[1])
        self.node = ray.get_runtime_context().get_node_id()

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        with self.file.open("a") as file:
            file.write(self.node + "\n")
        while len(set(self.file.read_text().split())) < self.nodes:
            time.sleep(0.05)
        time.sleep(0.3)
        return super().__call__(batch)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A head and a second node on this machine, a worker's room each."""
    pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    os.environ["PYTHONPATH"] = os.pathsep.join(sys.path)  # workers import this file
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    made.add_node(num_cpus=1)
    made.wait_for_nodes()
    yield made
    made.shutdown()


def test_rows_survive_the_journey(tmp_path: Path) -> None:
    pairs = write(tmp_path, TITLES)
    rows = list(Source(pairs, tmp_path, 0, len(TITLES)))
    assert [unpacked(*packed(*row))[0] for row in rows] == [told for told, _ in rows]
    for (_, request), (_, here) in zip(
        decoded(unpacked(*packed(*row)) for row in rows), decoded(rows), strict=True
    ):
        if here is not None:
            assert request is not None
            assert request.image_a.tobytes() == here.image_a.tobytes()
            assert (request.title, request.queries) == (here.title, here.queries)
        else:
            assert request is None


def test_a_relative_path_is_found_from_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, TITLES)
    source = absolute(Source(Path("pairs.jsonl"), Path("."), 1, 3))
    rows = list(Source(tmp_path / "pairs.jsonl", tmp_path, 1, 3))
    monkeypatch.chdir("/")
    assert list(source) == rows
    assert [told["pair_id"] for told, _ in rows] == ["p1", "p2"]


def test_without_ray_one_line_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(BackendError, match=r"pip install 'creative4u\[ray\]'"):
        list(RayEngine().judged(Source(Path("pairs.jsonl"), Path("."), 0, 1)))
    with pytest.raises(InputError, match="more than one model"):
        _ = RayEngine(("a", "b")).model


@pytest.mark.timeout(300)
def test_a_node_is_killed_and_no_row_is_lost(cluster: Any, tmp_path: Path) -> None:
    titles = [t + str(n) + t[-1:] if t else t for n in range(8) for t in TITLES]
    pairs, here, there = write(tmp_path, titles), tmp_path / "here.jsonl", tmp_path / "there.jsonl"
    judge_pairs(pairs, here, ByTitle(), QUIET)
    signed = tmp_path / "signed"
    signed.touch()
    second = next(node for node in cluster.worker_nodes)

    def kill() -> None:  # as soon as the second node has judged and rows have come back
        while (
            signed.read_text().count(second.node_id) < 2
            or not there.exists()
            or there.read_text().count("\n") < 4
        ):
            time.sleep(0.05)
        cluster.remove_node(second, allow_graceful=False)
        killed.append(there.read_text().count("\n"))

    killed: list[int] = []
    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    config = RayConfig(address=cluster.address, batch_size=4)
    engine = ByTitleOnRay((str(signed), "2"), config, KnownWorker)
    figures = judge_pairs(pairs, there, engine, QUIET)
    killer.join(10)
    assert killed
    assert killed[0] < len(titles)
    assert there.read_bytes() == here.read_bytes()
    assert figures["n"] == len(titles)


def test_a_file_goes_on_where_it_was(cluster: Any, tmp_path: Path) -> None:
    pairs, here, there = write(tmp_path, TITLES), tmp_path / "here.jsonl", tmp_path / "there.jsonl"
    signed = tmp_path / "signed"
    judge_pairs(pairs, here, ByTitle(), QUIET)
    there.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in read(here)[:4]))
    meta = tmp_path / "there.jsonl.meta.json"
    meta.write_text((tmp_path / "here.jsonl.meta.json").read_text())
    config = RayConfig(address=cluster.address, batch_size=8)
    judge_pairs(pairs, there, ByTitleOnRay((str(signed), "1"), config, KnownWorker), QUIET)
    assert there.read_bytes() == here.read_bytes()
    assert signed.read_text().count("\n") == 1  # five rows, one call
