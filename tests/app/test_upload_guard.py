"""What reaches Gradio through the guard, in which form, and what is answered before it."""

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.visitors.upload_guard import COOKIE, MOST_JSON, Guard
from app.visitors.uploads import QUOTA, VisitorFiles

MINE = "m" * 24  # a visitor's cookie
JOIN = "/gradio_api/queue/join"


class Gradio:
    """Stands for Gradio: keeps what it is sent, answers anything with 200."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.cookies: list[bytes] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.cookies += [value for name, value in scope["headers"] if name == b"cookie"]
        self.bodies.append((await receive())["body"] if scope["method"] == "POST" else b"")
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"passed"})


def call(guard: Guard, method: str, path: str, visitor: str | None = MINE, body: bytes = b"",
         headers: tuple[tuple[bytes, bytes], ...] = ()) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of an answer."""
    sent: list[Any] = []
    parts = [body[:7], body[7:]]

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request", "body": parts.pop(0), "more_body": bool(parts)}

    cookie = ((b"cookie", f"{COOKIE}={visitor}".encode()),) if visitor else ()
    scope = {"type": "http", "method": method, "path": path, "query_string": b"",
             "headers": [*headers, *cookie]}
    asyncio.run(guard(scope, receive, send))
    told = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], told, b"".join(part["body"] for part in sent[1:])


@pytest.fixture
def gradio() -> Gradio:
    return Gradio()


@pytest.fixture
def guard(gradio: Gradio, uploads: VisitorFiles) -> Guard:
    return Guard(gradio, uploads)


def test_a_new_visitor_gets_a_cookie_and_a_known_one_keeps_it(
        guard: Guard, gradio: Gradio) -> None:
    _, headers, _ = call(guard, "GET", "/", visitor=None)
    cookie, _, rest = headers["set-cookie"].partition(";")
    assert cookie.startswith(f"{COOKIE}=")
    assert {"HttpOnly", "SameSite=Strict"} < {part.strip() for part in rest.split(";")}
    assert gradio.cookies == [cookie.encode()]
    assert "set-cookie" not in call(guard, "GET", "/")[1]
    for made_up in ("short", "../" * 10, "a b" * 10):
        assert "set-cookie" in call(guard, "GET", "/", made_up)[1]


def test_every_answer_keeps_the_page_to_this_server(guard: Guard) -> None:
    for path in ("/", "/nowhere"):
        headers = call(guard, "GET", path)[1]
        assert headers["content-security-policy"].startswith("default-src 'self'")
        assert "http" not in headers["content-security-policy"]


@pytest.mark.parametrize("path", [
    "/", "/config", "/assets/index.js", "/gradio_api/heartbeat/abc", "/gradio_api/queue/data"])
def test_what_the_page_needs_is_passed_on(guard: Guard, path: str) -> None:
    assert call(guard, "GET", path)[::2] == (200, b"passed")


@pytest.mark.parametrize(("method", "path"), [
    ("GET", "/gradio_api/proxy=http://example.org/"), ("GET", "/gradio_api/file//etc/passwd"),
    ("GET", "/gradio_api/deep_link"), ("GET", "/gradio_api/vibe-code"), ("GET", "/monitoring"),
    ("GET", "/gradio_api/custom_component/a/client/b/c"), ("GET", "/gradio_api/info/x"),
    ("GET", "/gradio_api/stream/a/b/1/playlist-file"), ("GET", JOIN), ("PUT", "/"),
    ("POST", "/gradio_api/component_server"), ("POST", "/gradio_api/call/run"),
    ("POST", "/gradio_api/api/run"), ("POST", "/gradio_api/process_recording"),
    ("POST", "/gradio_api/stream/a"), ("POST", "/gradio_api/upload/"), ("POST", "/login"),
])
def test_what_the_page_does_not_need_is_not_there(
        guard: Guard, gradio: Gradio, method: str, path: str) -> None:
    assert call(guard, method, path, body=b"{}")[0] == 404
    assert gradio.bodies == []


def test_an_own_path_is_passed_on_resolved(
        guard: Guard, gradio: Gradio, uploads: VisitorFiles) -> None:
    own = uploads.new(MINE, "a.png")
    asked = {"data": [[{"path": f"{own.parent}/x/../a.png", "n": 1.5}], None, "a title"]}
    assert call(guard, "POST", JOIN, body=json.dumps(asked).encode())[0] == 200
    assert json.loads(gradio.bodies[0]) == {"data": [[{"path": str(own), "n": 1.5}], None,
                                                     "a title"]}


NESTED = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner,
                                                                max_size=3), max_leaves=8)


@given(before=NESTED, after=NESTED, wrap=st.lists(st.sampled_from(["list", "dict"]), max_size=6),
       path=st.sampled_from(["/etc/passwd", "/no/such/file", "", ".", "http://127.0.0.1/a", 7, {},
                             ["/etc/passwd"], True]))
def test_a_foreign_path_is_refused_wherever_it_stands(
        tmp_path_factory: pytest.TempPathFactory, before: Any, after: Any, wrap: list[str],
        path: Any) -> None:
    node: Any = {"path": path, "meta": {"_type": "gradio.FileData"}}
    for kind in wrap:
        node = [before, node, after] if kind == "list" else {"x": before, "y": node}
    files, gradio = VisitorFiles(tmp_path_factory.getbasetemp() / "guard"), Gradio()
    answer = call(Guard(gradio, files), "POST", JOIN, body=json.dumps(node).encode())
    assert answer[::2] == (403, b"Not your file.")
    assert gradio.bodies == []
    files.close()


@pytest.mark.parametrize(("body", "status"), [
    (b"", 400), (b"not json", 400), (b"\xff\xfe{", 400), (b"[" * 100_000, 400),
    (b'{"a":' * 50_000, 400), (b'"' + b"a" * MOST_JSON + b'"', 413),
    (b'{"path": null, "path": "/etc/passwd"}', 403),
])
def test_a_body_that_is_not_understood_goes_no_further(
        guard: Guard, gradio: Gradio, body: bytes, status: int) -> None:
    assert call(guard, "POST", JOIN, body=body)[0] == status
    assert gradio.bodies == []


def test_of_two_keys_of_one_name_gradio_gets_the_one_that_was_checked(
        guard: Guard, gradio: Gradio) -> None:
    body = b'{"path": "/etc/passwd", "path": null}'
    assert call(guard, "POST", JOIN, body=body)[0] == 200
    assert gradio.bodies == [b'{"path": null}']


@pytest.mark.parametrize(("headers", "status"), [
    (((b"content-type", b"multipart/form-data; boundary=x"),), 413),  # of no told length
    (((b"content-length", b"%d" % (QUOTA + 1)),), 413),
    (((b"content-length", b"9"), (b"content-type", b"multipart/form-data")), 400),
    (((b"content-length", b"9"), (b"content-type", b"multipart/form-data; boundary=x")), 400),
])
def test_an_upload_that_cannot_be_taken_is_told(
        guard: Guard, headers: tuple[tuple[bytes, bytes], ...], status: int) -> None:
    answer = call(guard, "POST", "/gradio_api/upload", body=b"--x\r\nno: ", headers=headers)
    assert answer[0] == status
