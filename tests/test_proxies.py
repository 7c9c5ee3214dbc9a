"""Loopback is asked directly whatever proxies the environment names; remote servers are not."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image
from stub_openai import Body, Listed, StubServer, verdict_tokens

from creative4u.errors import InputError, RefusedError
from creative4u.proxies import ask_directly, check_kinds, http_client
from creative4u.selector.backends.openai_server import OpenAIBackend
from creative4u.selector.backends.server_pool import Patience

NEAR = "127.0.0.1,localhost,::1"
NAMES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
ROOT = Path(__file__).parents[1]
CLI = "from creative4u.cli import main; main()"
FAKE = """
import sys, types
from fake_judge import FakeJudge
judge = FakeJudge()
judge.evidence = lambda request: None
loading = types.SimpleNamespace(start_judge=lambda *_, **__: judge)
sys.modules["creative4u.selector.loading"] = loading
"""


class RefusingProxy(ThreadingHTTPServer):
    """An HTTP proxy that answers everything with 502; `asked` are the addresses."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                return

            def refuse(self) -> None:
                proxy.asked.append(self.path)
                self.send_response(502)
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_GET = do_POST = do_HEAD = do_CONNECT = refuse

        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


@pytest.fixture
def refusing() -> Iterator[RefusingProxy]:
    with RefusingProxy() as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture(scope="module")
def dead() -> Iterator[str]:
    """HOST:PORT where nothing listens: bound, so that nobody else takes it."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{bound.getsockname()[1]}"


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def answer_a(_: Body) -> Listed:
    return verdict_tokens("A", -0.1, -2.0)


@pytest.mark.parametrize(
    ("given", "lower", "upper"),
    [
        ({}, NEAR, NEAR),
        ({"NO_PROXY": "intranet"}, f"intranet,{NEAR}", f"intranet,{NEAR}"),
        ({"no_proxy": "intranet"}, f"intranet,{NEAR}", f"intranet,{NEAR}"),
        ({"no_proxy": "a", "NO_PROXY": "b"}, f"a,{NEAR}", f"b,{NEAR}"),
        ({"no_proxy": "", "NO_PROXY": "b"}, NEAR, f"b,{NEAR}"),
        ({"NO_PROXY": "localhost, .corp"}, "localhost,.corp,127.0.0.1,::1", None),
        ({"NO_PROXY": "*"}, "*", "*"),
    ],
)
def test_no_proxy_is_completed(given: dict[str, str], lower: str, upper: str | None) -> None:
    environment = dict(given)
    for _ in range(2):  # a second time changes nothing
        ask_directly(environment=environment)
        assert environment == {"no_proxy": lower, "NO_PROXY": upper or lower}


def test_a_further_host_and_a_desktops_spelling() -> None:
    environment = {"all_proxy": "socks://h:1", "HTTP_PROXY": "http://socks:2"}
    ask_directly("192.168.0.7", environment=environment)
    assert environment == {
        "all_proxy": "socks5://h:1",
        "HTTP_PROXY": "http://socks:2",
        "no_proxy": f"{NEAR},192.168.0.7",
        "NO_PROXY": f"{NEAR},192.168.0.7",
    }


@pytest.mark.parametrize("kind", ["http", "socks5", "socks4"])
@pytest.mark.parametrize("known", [None, "", "intranet"])
def test_a_library_client_asks_loopback_directly(
    kind: str, known: str | None, dead: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in NAMES[:3]:
        monkeypatch.setenv(name, f"{kind}://{dead}")
    if known is not None:
        monkeypatch.setenv("NO_PROXY", known)
    with StubServer(answer_a) as server:
        assert OpenAIBackend(server.url).name == "stub"
        with http_client([f"http://localhost:{server.port}"]) as client:
            assert client.get(f"http://localhost:{server.port}/v1/models").is_success


def test_a_remote_server_keeps_its_proxy(
    refusing: RefusingProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", refusing.url)
    ask_directly(environment=(environment := dict(os.environ)))
    monkeypatch.setenv("NO_PROXY", environment["NO_PROXY"])
    with StubServer(answer_a) as server:
        urls = [server.url, "http://server.invalid:8000"]
        with http_client(urls) as client:
            assert client.get(f"{server.url}/v1/models").is_success
            assert client.get("http://server.invalid:8000/v1/models").status_code == 502
    with pytest.raises(RefusedError, match="status 502"):
        OpenAIBackend("http://other.invalid:8000", patience=Patience(tries=1))
    assert refusing.asked == [
        "http://server.invalid:8000/v1/models",
        "http://other.invalid:8000/v1/models",
    ]


def test_a_proxy_of_another_kind_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "10.0.0.1:3128")  # no kind is http
    check_kinds()
    monkeypatch.setenv("ALL_PROXY", "socks4://10.0.0.1:1080")
    with pytest.raises(InputError, match="ALL_PROXY names a socks4 proxy; allowed are http, "):
        http_client(["http://server.invalid:8000"])


def test_a_teacher_transport_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks4://10.0.0.1:1080")
    transport = httpx.MockTransport(lambda request: httpx.Response(200, text="mine"))
    with http_client(["http://server.invalid"], transport) as client:
        assert client.get("http://server.invalid").text == "mine"


@pytest.fixture(params=["refusing", "dead, NO_PROXY", "dead socks, NO_PROXY"])
def environment(
    request: pytest.FixtureRequest, dead: str, refusing: RefusingProxy, tmp_path: Path
) -> Iterator[dict[str, str]]:
    """Of a child process, every proxy variable set; no proxy may have been asked at the end."""
    proxies = {
        "refusing": refusing.url,
        "dead, NO_PROXY": f"http://{dead}",
        "dead socks, NO_PROXY": f"socks://{dead}",
    }
    known = {"NO_PROXY": "intranet"} if "NO_PROXY" in request.param else {}
    yield {
        **os.environ,
        **dict.fromkeys(NAMES[:3], proxies[request.param]),
        **known,
        "PYTHONPATH": os.pathsep.join(str(ROOT / folder) for folder in ("tests/helpers",)),
        "CREATIVE4U_HOME": str(tmp_path),
    }
    assert refusing.asked == []


def test_the_page_starts(environment: dict[str, str], tmp_path: Path) -> None:
    command = [sys.executable, "-c", FAKE + CLI, "app"]
    log = tmp_path / "stderr"
    with (
        log.open("w") as errors,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True,
                         env=environment, cwd=ROOT) as process,
    ):  # fmt: skip
        assert process.stdout is not None
        said = process.stdout.readline()
        process.terminate()
    assert said.startswith("Creative4U is ready: open http://127.0.0.1:"), log.read_text()


def judged(environment: dict[str, str], words: list[str]) -> dict[str, Any]:
    """The JSON that a verb prints in a child process."""
    done = subprocess.run(
        [sys.executable, "-c", CLI, *words, "--json"], capture_output=True, text=True,
        env=environment, cwd=ROOT, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def test_select_asks_a_local_server(environment: dict[str, str], tmp_path: Path) -> None:
    Image.new("RGB", (64, 64), "white").save(image := tmp_path / "a.png")
    Image.effect_noise((64, 64), 90).save(other := tmp_path / "b.png")
    with StubServer(answer_a) as server:
        words = ["select", str(image), str(other), "--title", "A boot", "--model", server.url]
        assert judged(environment, [*words, "--one-order"])["choice"] == "A"
    assert len(server.finished) == 1


def test_judge_asks_a_local_server(environment: dict[str, str], tmp_path: Path) -> None:
    Image.new("RGB", (64, 64), "white").save(tmp_path / "a.png")
    Image.effect_noise((64, 64), 90).save(tmp_path / "b.png")
    row = {"pair_id": "p", "image_a": "a.png", "image_b": "b.png", "product_title": "A boot"}
    (pairs := tmp_path / "pairs.jsonl").write_text(json.dumps(row))
    with StubServer(answer_a) as server:
        words = ["judge", str(pairs), "-o", str(tmp_path / "v.jsonl"), "--model", server.url]
        assert judged(environment, words)["errors"] == 0
    assert len(server.finished) == 2
