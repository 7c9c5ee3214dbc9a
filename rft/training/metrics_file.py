"""Write a trainer's logs as JSON lines (`metrics.jsonl`) and to TensorBoard if installed."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

METRICS = "metrics.jsonl"


def reporters() -> list[str]:
    """What a trainer reports to beside the metrics file."""
    return ["tensorboard"] if importlib.util.find_spec("tensorboard") else []


class MetricsFile(TrainerCallback):  # type: ignore[misc]
    """Writes each log as it comes; a resumed run keeps what its checkpoint has seen, no more."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / METRICS

    def rows(self) -> list[dict[str, Any]]:
        """What is in the file."""
        if not self.path.exists():
            return []
        return [json.loads(line) for line in self.path.read_text("utf-8").splitlines()]

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if not state.is_world_process_zero:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self.path.exists():
            kept = [row for row in self.rows() if row["step"] <= state.global_step]
            self.path.write_text("".join(json.dumps(row) + "\n" for row in kept), "utf-8")

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kw: Any) -> None:
        if logs and state.is_world_process_zero:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"step": state.global_step, **logs}) + "\n")
