"""Save and load a trained CTR model with all that scoring a log needs, as one folder.

DIR/model.safetensors   weights, image tables, impression counts, vocabularies
DIR/model.json          fields, sizes, scale, calibration, report
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import torch
from safetensors.torch import load_file, save_file

from creative4u.ctr.log.dataset import ClickLog, Scale, log_parts, read_blocks, read_numbers
from creative4u.ctr.log.fields import Counts, Fields, Vocabulary, parse_fields
from creative4u.ctr.model.calibration import Calibrator, read_calibrator
from creative4u.ctr.model.ctr_model import CTRModel, ModelConfig
from creative4u.errors import InputError

WEIGHTS, ABOUT = "model.safetensors", "model.json"


@dataclass
class Predictor:
    """Everything between a log's rows and calibrated pCTRs."""

    model: CTRModel
    fields: Fields
    vocabularies: dict[str, Vocabulary]
    scale: Scale
    calibrator: Calibrator | None = None
    report: dict[str, Any] = field(default_factory=dict)

    def reader(self, log: Path, keep: float = 1.0, hidden: Iterable[int] = ()) -> ClickLog:
        """The log as this model reads it, with fresh counts."""
        return ClickLog(
            log, self.fields, self.vocabularies, self.scale, Counts(), keep, frozenset(hidden)
        )

    def save(self, folder: Path) -> None:
        """Write the folder; string ids go into the JSON, integer ids into the tensors."""
        folder.mkdir(parents=True, exist_ok=True)
        tensors = {name: value.contiguous() for name, value in self.model.state_dict().items()}
        strings = {}
        for name, vocabulary in self.vocabularies.items():
            if vocabulary.ids.dtype.kind in "iu":
                tensors[f"ids.{name}"] = torch.from_numpy(vocabulary.ids.astype(np.int64))
            else:
                strings[name] = vocabulary.ids.tolist()
        save_file(tensors, folder / WEIGHTS)
        about = {
            "fields": asdict(self.fields),
            "model": asdict(self.model.config),
            "scale": [self.scale.mean.tolist(), self.scale.deviation.tolist()],
            "ids": strings,
            "calibration": self.calibrator.record() if self.calibrator else None,
            "report": self.report,
        }
        (folder / ABOUT).write_text(json.dumps(about, indent=1) + "\n", "utf-8")


def load_predictor(folder: Path) -> Predictor:
    """Read what `save` wrote; raises InputError where it is no such folder."""
    try:
        about = json.loads((folder / ABOUT).read_text("utf-8"))
        tensors = load_file(folder / WEIGHTS)
    except (OSError, ValueError) as error:
        raise InputError(f"{folder}: no trained CTR model: {error}") from error
    settings: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in about["model"].items()
    }
    model = CTRModel(ModelConfig(**settings))
    ids = {name: np.array(values, dtype=str) for name, values in about["ids"].items()}
    for name in [name for name in tensors if name.startswith("ids.")]:
        ids[name.removeprefix("ids.")] = tensors.pop(name).numpy()
    try:
        model.load_state_dict(tensors)
    except RuntimeError as error:
        raise InputError(f"{folder}: weights of another model; train anew. {error}") from error
    calibration = about["calibration"]
    return Predictor(
        model.eval(),
        parse_fields(about["fields"]),
        {name: Vocabulary(values) for name, values in ids.items()},
        Scale(*(np.array(part) for part in about["scale"])),
        read_calibrator(calibration) if calibration else None,
        about["report"],
    )


def read_vocabularies(
    log: Path, fields: Fields, days: tuple[int, int], also: dict[str, Iterable[Any]]
) -> dict[str, Vocabulary]:
    """Each id field's ids on some days (out of core, by DuckDB), and those in `also` by name."""
    parts = [str(part) for part in log_parts(log) if _readable(part)]
    if not parts:
        raise InputError(f"{log}: none of its Parquet parts can be read")
    found = {}
    for one in fields.ids:
        query = f"""SELECT DISTINCT "{one.column}" FROM read_parquet(?)
                    WHERE "{fields.day}" >= ? AND "{fields.day}" < ?"""
        try:
            rows = duckdb.execute(query, [parts, *days]).fetchall()
        except duckdb.Error as error:
            raise InputError(f"{log}: {error}") from error
        found[one.name] = Vocabulary.of([*(row[0] for row in rows), *also.get(one.name, ())])
    return found


def read_scale(log: Path, fields: Fields, days: tuple[int, int]) -> Scale:
    """Mean and deviation of the number fields on some days, block by block."""
    count = np.zeros(len(fields.numbers))
    total, squares = count.copy(), count.copy()
    columns = (fields.day, *(one.column for one in fields.numbers))
    for table in read_blocks(log, columns, Counts()):
        day = table[fields.day].to_numpy()
        numbers = read_numbers(table, fields)[(day >= days[0]) & (day < days[1])]
        count += (~np.isnan(numbers)).sum(axis=0)
        total += np.nansum(numbers, axis=0)
        squares += np.nansum(numbers**2, axis=0)
    mean = total / np.maximum(count, 1)
    variance = squares / np.maximum(count, 1) - mean**2
    return Scale(mean, np.sqrt(np.maximum(variance, 1e-12)))


def _readable(part: Path) -> bool:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        pq.read_schema(part)
    except (pa.ArrowInvalid, OSError):
        return False
    return True
