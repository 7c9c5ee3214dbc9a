"""Serving with a stub in vLLM's place: ready when a judgement works, and never an orphan."""

from __future__ import annotations

import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path

import pytest
from stub_openai import StubServer, rating_tokens, verdict_tokens
from typer.testing import CliRunner

from creative4u.cli import app
from creative4u.errors import BackendError, InputError
from creative4u.selector.backends.openai_server import OpenAIBackend
from creative4u.selector.config import PAPER
from creative4u.selector.judge import Judge
from creative4u.serving.server import vllm_cli
from creative4u.serving.server.child_process import Child
from creative4u.serving.server.serve import check_port, serve, try_judgement
from creative4u.serving.server.vllm_command import (
    Servable,
    ServeConfig,
    vllm_command,
    vllm_environment,
    vllm_program,
)

HELPERS = Path(__file__).parents[2] / "helpers"
# a server that starts a second process, as vLLM does, and that SIGTERM alone does not end
PROGRAM = """
import os, signal, subprocess, sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from stub_openai import StubServer, verdict_tokens
if sys.argv[4] == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
engine = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
Path(sys.argv[3]).write_text(f"{os.getpid()} {engine.pid}")
server = StubServer(lambda body: verdict_tokens("A", -0.1, -2.6), port=int(sys.argv[2]))
time.sleep(600)
"""
RUN = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from creative4u.selector.config import PAPER
from creative4u.selector.judge import Judge
from creative4u.selector.backends.openai_server import OpenAIBackend
from creative4u.serving.server.serve import serve
from creative4u.serving.server.vllm_command import ServeConfig

def load(url):
    return Judge(OpenAIBackend(url), PAPER, None)

try:
    serve({command!r}, ServeConfig({port}, patience=60), Path({log!r}), load,
          lambda url: print("ready", url, flush=True))
except KeyboardInterrupt:
    print("stopped", flush=True)
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def gone(pids: list[int], seconds: float = 30.0) -> bool:
    until = time.monotonic() + seconds
    while any(alive(pid) for pid in pids) and time.monotonic() < until:
        time.sleep(0.05)
    return not any(alive(pid) for pid in pids)


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_no_orphans(tmp_path: Path, sent: signal.Signals) -> None:
    program, pids, port = tmp_path / "program.py", tmp_path / "pids", free_port()
    program.write_text(PROGRAM)
    command = [sys.executable, str(program), str(HELPERS), str(port), str(pids), "plain"]
    code = RUN.format(tests=str(HELPERS), command=command, port=port, log=str(tmp_path / "log"))
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == f"ready http://127.0.0.1:{port}\n"
    started = [int(pid) for pid in pids.read_text().split()]
    assert all(alive(pid) for pid in started)
    os.kill(process.pid, sent)
    said = process.stdout.read()
    process.wait()
    assert said == ("" if sent == signal.SIGKILL else "stopped\n")
    assert gone(started)


def test_what_does_not_heed_sigterm_is_killed(tmp_path: Path) -> None:
    program, pids = tmp_path / "program.py", tmp_path / "pids"
    program.write_text(PROGRAM)
    command = [sys.executable, str(program), str(HELPERS), str(free_port()), str(pids), "stubborn"]
    child = Child(command, os.environ, tmp_path / "log")
    while not pids.exists() or len(pids.read_text().split()) < 2:
        time.sleep(0.02)
    child.stop(grace=0.3)
    assert child.ended == -signal.SIGKILL
    assert gone([int(pid) for pid in pids.read_text().split()])


def never(url: str) -> Judge:
    raise AssertionError(url)


def ready(url: str) -> None:
    raise AssertionError(url)


def test_a_server_that_ends_or_never_answers(tmp_path: Path) -> None:
    config, log = ServeConfig(free_port(), patience=60), tmp_path / "log"
    dies = [sys.executable, "-c", "print('out of memory'); raise SystemExit(3)"]
    with pytest.raises(BackendError, match=r"ended \(3\); .*log: out of memory"):
        serve(dies, config, log, never, ready)
    sleeps = [sys.executable, "-c", "import time; time.sleep(600)"]
    with pytest.raises(BackendError, match="not ready after 0 s"):
        serve(sleeps, ServeConfig(config.port, patience=0.3), log, never, ready)


def test_a_taken_port_is_said_before_anything_starts() -> None:
    with (
        StubServer(lambda _: 500) as other,
        pytest.raises(InputError, match=f"port {other.port}: .* choose another --port"),
    ):
        check_port(other.port)


def test_a_model_off_the_protocol_is_served_with_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with StubServer(lambda _: verdict_tokens("B", -3.0, -0.1)) as good:
        verdict = try_judgement(Judge(OpenAIBackend(good.url), PAPER, None))  # type: ignore[arg-type]
        assert verdict is not None
        assert verdict.model == "stub"
    with StubServer(lambda _: rating_tokens(5, {"5": 0.0})) as other:
        assert try_judgement(Judge(OpenAIBackend(other.url), PAPER, None)) is None  # type: ignore[arg-type]
    assert "stub answers, but not by the protocol" in caplog.text


def test_the_command_keeps_to_loopback_and_fits_the_machine(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(
        json.dumps({"text_config": {"max_position_embeddings": 2048}})
    )
    model = Servable(str(tmp_path), "Creative4U-160M")
    words = vllm_command(["vllm"], model, ServeConfig(8001))
    after = dict(itertools.pairwise(words))
    assert words[:3] == ["vllm", "serve", str(tmp_path)]
    assert (after["--host"], after["--port"]) == ("127.0.0.1", "8001")
    assert (after["--dtype"], after["--max-model-len"]) == ("float32", "2048")
    assert json.loads(after["--limit-mm-per-prompt"]) == {"image": 2}
    assert "--enforce-eager" in words
    assert not [word for word in words if "media" in word]
    on_gpu = vllm_command(
        ["vllm"], Servable("Qwen/Qwen2.5-VL-7B-Instruct", "q"), ServeConfig(gpu=True)
    )
    assert not {"--dtype", "--enforce-eager"} & set(on_gpu)
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    small = vllm_command(["vllm"], model, ServeConfig(gpu=True))
    assert dict(itertools.pairwise(small))["--dtype"] == "float32"
    assert dict(itertools.pairwise(small))["--gpu-memory-utilization"] == "0.25"
    asked = vllm_command(["vllm"], model, ServeConfig(gpu=True, gpu_memory=0.5))
    assert dict(itertools.pairwise(asked))["--gpu-memory-utilization"] == "0.5"
    env = vllm_environment(ServeConfig(), {"PATH": "/bin", "VLLM_CPU_KVCACHE_SPACE": "7"})
    assert (env["VLLM_HOST_IP"], env["VLLM_CPU_KVCACHE_SPACE"]) == ("127.0.0.1", "7")


def test_without_vllm_one_line_says_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    result = CliRunner().invoke(app, ["serve"])
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    assert "pip install 'creative4u[serve]'" in result.stderr
    assert "pip uninstall torchvision torchaudio torchcodec" in result.stderr
    (tmp_path / "vllm").touch()
    ours = [str(tmp_path / "python"), "-P", "-m", "creative4u.serving.server.vllm_cli"]
    assert vllm_program() == ours
    (tmp_path / "vllm").chmod(0o755)
    monkeypatch.setattr(sys, "executable", "/usr/bin/python")
    assert vllm_program() == [str(tmp_path / "vllm")]  # of another environment, as it is


def test_the_version_of_vllm_is_that_of_vllm_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    def installed(name: str) -> str:
        if name == "vllm-cpu":
            return "0.32.0"
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(vllm_cli, "_version", installed)
    assert vllm_cli.version("vllm") == "0.32.0+cpu"
    with pytest.raises(metadata.PackageNotFoundError):
        vllm_cli.version("vllm-gpu")


def test_the_first_error_of_a_log_is_the_one_that_is_told(tmp_path: Path) -> None:
    log = tmp_path / "log"
    child = Child(["true"], {}, log)
    child.stop()
    log.write_text("(core) ValueError: no memory left\nat work\nRuntimeError: see above\nend\n")
    assert child.last_lines() == "ValueError: no memory left"
    log.write_text("one\ntwo\nthree\n")
    assert child.last_lines(2) == "two | three"
