"""Judge rows by workers of a Ray cluster, in the same order.

    creative4u judge pairs.jsonl -o verdicts.jsonl --engine ray --address HOST:PORT

One task on this node reads the file, images included, so that workers need nothing of its folder;
Ray Data streams the rows to a pool of workers that each hold a model, and their rows come back in
order. A worker or node that is lost is replaced and its rows are judged again: none is lost, and
each is written once. Every node needs this package; weights are fetched by each for itself.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from creative4u.errors import BackendError, InputError
from creative4u.files.pairs_file import PairRow
from creative4u.images import MAX_BYTES
from creative4u.schema import CreativePair, Dtype
from creative4u.selector.judge import Selects
from creative4u.serving.batch.local_engine import decoded, judged_batch
from creative4u.serving.batch.pending_rows import Source

HOW_TO_INSTALL = "Ray is not installed: pip install 'creative4u[ray]'"
COLUMNS = ("told", "pair", "bytes_a", "bytes_b")
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RayConfig:
    """Which cluster, and how its workers are cut."""

    address: str | None = None  # HOST:PORT or "auto"; None starts a local cluster
    workers: int | None = None  # at most; None: as many as fit
    batch_size: int | None = None  # pairs a call; None: what suits the kind of worker
    concurrency: int = 16  # requests in flight a worker, where the model is behind servers
    cpus: float = 1.0  # of one worker; torch takes as many threads
    dtype: Dtype = "auto"  # of the products of a judge in process

    def pairs_a_call(self, served: bool, gpus: int) -> int:
        """An engine of its own or servers are kept busy by many pairs, a model in process by 8."""
        suits = 128 if gpus else max(8, self.concurrency) if served else 8
        return self.batch_size or suits


class Worker:
    """One model in one Ray actor: vLLM where it was given a GPU, else as `creative4u judge`."""

    def __init__(
        self, models: Sequence[str], concurrency: int, gpu: bool, folder: str, dtype: Dtype
    ) -> None:
        """`folder` is where the command was given: a model's relative path counts from there."""
        with contextlib.suppress(OSError):  # another machine may not have it
            os.chdir(folder)
        self.judge: Selects
        if gpu:
            from creative4u.serving.server.vllm_engine import load_engine

            self.judge = load_engine(models[0] if models else None)
        else:
            from creative4u.selector.loading import load_judge

            self.judge = load_judge(*models, concurrency=concurrency, dtype=dtype)

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Columns of rows in, the column `row` of their JSON lines out."""
        count = len(batch["told"])
        rows = [unpacked(*(batch[name][i] for name in COLUMNS)) for i in range(count)]
        done = judged_batch(self.judge, list(decoded(rows)))
        return {"row": [json.dumps(row, ensure_ascii=False) for row in done]}


@dataclass(frozen=True)
class RayEngine:
    """A pool of workers on a cluster; `models` as `creative4u judge --model` takes them."""

    models: tuple[str, ...] = ()
    config: RayConfig = RayConfig()
    worker: type[Any] = Worker

    @property
    def model(self) -> str:
        """The name that the rows bear."""
        from creative4u.backbone.names import EMBEDDED
        from creative4u.selector.backends.server_pool import is_url
        from creative4u.selector.loading import load_judge

        if self.models and is_url(self.models[0]):
            return load_judge(*self.models).model
        if len(self.models) > 1:
            raise InputError("more than one model: several are allowed only as http://... ones")
        return self.models[0] if self.models else EMBEDDED

    @property
    def dtype(self) -> str | None:
        """What was asked for; with `auto` each worker computes in what suits its CPU."""
        return self.config.dtype

    def judged(self, source: Source) -> Iterator[dict[str, Any]]:
        """The rows of `source`, judged, in its order; raises BackendError."""
        ray = _ray()
        ours = not ray.is_initialized()
        if ours:
            _connect(ray, self.config.address)
        try:
            yield from self._rows(ray, absolute(source))
        finally:
            if ours:
                ray.shutdown()

    def _rows(self, ray: Any, source: Source) -> Iterator[dict[str, Any]]:
        from creative4u.selector.backends.server_pool import is_url
        from creative4u.serving.batch.ray_datasource import pairs_source

        served = bool(self.models) and is_url(self.models[0])
        gpus = 0 if served else int(ray.cluster_resources().get("GPU", 0))
        fit = gpus or max(1, int(ray.cluster_resources().get("CPU", 1) // self.config.cpus))
        size = self.config.pairs_a_call(served, gpus)
        calls = -(-(source.stop - source.start) // size)
        most = max(1, min(fit, self.config.workers or fit, calls))
        kind = "with a GPU and vLLM" if gpus else "of the judge in process"
        _log.info("Ray: up to %d worker(s) %s", most, kind)
        context = ray.data.DataContext.get_current()
        context.execution_options.preserve_order = True
        context.enable_progress_bars = False
        context.target_max_block_size = 1  # a row a block; else one worker gets 128 MiB of rows
        rows = ray.data.read_datasource(pairs_source(source), num_cpus=0, override_num_blocks=1)
        done = rows.map_batches(
            self.worker,
            fn_constructor_args=(
                self.models, self.config.concurrency, gpus > 0, os.getcwd(), self.config.dtype,
            ),
            batch_size=size,
            batch_format="numpy",
            compute=ray.data.ActorPoolStrategy(size=most),
            num_cpus=0 if gpus else self.config.cpus,
            num_gpus=1 if gpus else 0,
        )  # Ray Data's own default restarts workers and sends their calls again, without end
        try:
            for batch in done.iter_batches(batch_size=None, prefetch_batches=0):
                for line in batch["row"]:
                    yield json.loads(line)
        except ray.exceptions.RayError as error:
            raise BackendError(f"Ray: {' '.join(str(error).split())[:300]}") from error


def absolute(source: Source) -> Source:
    """The same rows, found from any working folder."""
    old = source.old.absolute() if source.old else None
    return replace(source, pairs=source.pairs.absolute(), folder=source.folder.absolute(), old=old)


def packed(told: dict[str, Any], row: PairRow | None) -> tuple[str, str | None, Any, Any]:
    """A row as columns that travel: JSON, JSON, and the images' bytes.

    An image that cannot be read stays a path, and the worker says what is wrong with it.
    """
    if row is None:
        return json.dumps(told), None, None, None
    sources = (row.source("A"), row.source("B"))
    images = [one if isinstance(one, bytes) else _bytes(one) for one in sources]
    return json.dumps(told), row.model_dump_json(), images[0], images[1]


def _bytes(path: Path) -> bytes | None:
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError:
        return None


def unpacked(
    told: str, pair: str | None, bytes_a: bytes | None, bytes_b: bytes | None
) -> tuple[dict[str, Any], PairRow | None]:
    """The inverse of `packed`."""
    if pair is None:
        return json.loads(told), None
    fields = CreativePair.model_validate_json(pair).model_dump()
    return json.loads(told), PairRow(**fields, bytes_a=bytes_a, bytes_b=bytes_b)


def _ray() -> Any:
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise BackendError(HOW_TO_INSTALL) from error
    return ray


def _connect(ray: Any, address: str | None) -> None:
    try:
        known = address or os.environ.get("RAY_ADDRESS")
        more = {} if known else {"include_dashboard": False}
        ray.init(address=address, log_to_driver=False, logging_level="warning", **more)
        logging.getLogger("ray.data").setLevel(logging.WARNING)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise BackendError(f"no Ray cluster at {address}: {error}") from error
