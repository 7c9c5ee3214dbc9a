"""Serve a model with vLLM on this machine for as long as this process lives.

creative4u serve --port 8000
creative4u judge pairs.jsonl -o verdicts.jsonl --model http://127.0.0.1:8000
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path

import httpx
from PIL import Image, ImageDraw

from creative4u.errors import BackendError, CompletionError, InputError
from creative4u.proxies import http_client
from creative4u.schema import Verdict
from creative4u.selector.judge import Judge, PairRequest
from creative4u.serving.server.child_process import Child
from creative4u.serving.server.signals import stopping_signals
from creative4u.serving.server.vllm_command import HOST, ServeConfig, vllm_environment

_log = logging.getLogger(__name__)


def serve(
    command: list[str],
    config: ServeConfig,
    log: Path,
    load: Callable[[str], Judge],
    on_ready: Callable[[str], None],
) -> None:
    """Run a server until it ends or we are told to stop; nothing that it started stays behind.

    Args:
        command: starts an OpenAI-compatible server on `config.port` (see `vllm_command`).
        config: port and patience.
        log: the file that takes the server's output.
        load: an address to a judge, `load_judge`.
        on_ready: called with the address once a real judgement has come back.

    Raises InputError (the port is taken), BackendError (it ended or did not get ready) and
    KeyboardInterrupt (Ctrl-C, SIGTERM, SIGHUP).
    """
    check_port(config.port)
    with stopping_signals():
        child = Child(command, vllm_environment(config, os.environ), log)
        try:
            wait_until_up(child, config)
            try_judgement(load(config.url))
            on_ready(config.url)
            status = child.wait()
            raise BackendError(f"the server ended ({status}); {log}: {child.last_lines()}")
        finally:
            child.stop()


def check_port(port: int) -> None:
    """Raises InputError where the port is taken."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise InputError(f"port {port}: {error.strerror}; choose another --port") from error


def wait_until_up(child: Child, config: ServeConfig) -> None:
    """Until the server answers; raises BackendError where it ended or `patience` is over."""
    until = time.monotonic() + config.patience
    with http_client([config.url], timeout=5.0) as client:
        while time.monotonic() < until:
            if child.ended is not None:
                raise BackendError(
                    f"the server ended ({child.ended}); {child.log}: {child.last_lines()}"
                )
            try:
                if client.get(f"{config.url}/v1/models").is_success:
                    return
            except httpx.TransportError:
                pass  # not listening yet
            time.sleep(0.2)
    raise BackendError(f"not ready after {config.patience:.0f} s; see {child.log}")


def try_judgement(judge: Judge) -> Verdict | None:
    """One drawn pair, judged in both orders; None (and a warning) where it is off the protocol."""
    large, small = _drawn(160), _drawn(60)
    try:
        return judge.select(PairRequest(large, small, "Red ball", ("ball",)))
    except CompletionError as error:  # the server works; the model was not trained for this
        _log.warning("%s answers, but not by the protocol: %s", judge.model, error)
        return None


def _drawn(size: int) -> Image.Image:
    image = Image.new("RGB", (224, 224), "white")
    low, high = 112 - size // 2, 112 + size // 2
    ImageDraw.Draw(image).ellipse((low, low, high, high), fill="red")
    return image
