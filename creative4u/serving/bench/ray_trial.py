"""Judge a file on a local Ray cluster of two nodes, one of them killed midway.

    python -m creative4u.serving.bench.ray_trial FOLDER pairs.jsonl 24

Prints one JSON object; the same pairs are judged in this process first.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

from creative4u.selector.loading import load_judge
from creative4u.serving.batch.judge_file import BatchConfig, judge_pairs
from creative4u.serving.batch.local_engine import InProcess
from creative4u.serving.batch.ray_engine import RayConfig, RayEngine, Worker

BATCH = 2  # pairs a call


class SignedWorker(Worker):
    """The cluster's own worker; signs each call with its node."""

    def __init__(self, *words: Any) -> None:
        import ray

        super().__init__(*words)
        self.node = ray.get_runtime_context().get_node_id()

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        with Path(os.environ["RAY_TRIAL_SIGNED"]).open("a") as file:
            file.write(self.node + "\n")
        return super().__call__(batch)


def main(folder: Path, pairs: Path, limit: int) -> dict[str, Any]:
    """Whether the cluster's rows are those of this process, and when the node was killed."""
    from ray.cluster_utils import Cluster

    folder.mkdir(parents=True, exist_ok=True)
    signed = folder / "signed"
    signed.write_text("")
    os.environ["RAY_TRIAL_SIGNED"] = str(signed.absolute())
    os.environ["PYTHONPATH"] = os.pathsep.join(sys.path)
    here, there = folder / "here.jsonl", folder / "there.jsonl"
    options = BatchConfig(limit=limit, resume=False, progress=False)
    judge_pairs(pairs, here, InProcess(load_judge(), BATCH), options)
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    second = made.add_node(num_cpus=1)
    made.wait_for_nodes()
    killed: list[int] = []

    def kill() -> None:  # in its second call, when rows have come back
        while (
            signed.read_text().count(second.node_id) < 2
            or not there.exists()
            or there.read_text().count("\n") < BATCH
        ):
            time.sleep(0.1)
        made.remove_node(second, allow_graceful=False)
        killed.append(there.read_text().count("\n"))

    threading.Thread(target=kill, daemon=True).start()
    began = time.perf_counter()
    config = RayConfig(address=made.address, batch_size=BATCH)
    figures = judge_pairs(pairs, there, RayEngine((), config, SignedWorker), options)
    seconds = time.perf_counter() - began
    made.shutdown()
    mine, yours = rows(here), rows(there)
    calls = signed.read_text().split()
    return {
        "rows": figures["n"],
        "same_rows": mine == yours,
        "unlike": [a["pair_id"] for a, b in zip(mine, yours, strict=True) if a != b],
        "killed_at_rows": killed,
        "calls": len(calls),
        "calls_of_the_lost_node": calls.count(second.node_id),
        "seconds": round(seconds),
    }


def rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a file of verdicts without the one thing that time decides."""
    read = map(json.loads, path.read_text().splitlines())
    return [{k: v for k, v in row.items() if k != "seconds"} for row in read]


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))))
