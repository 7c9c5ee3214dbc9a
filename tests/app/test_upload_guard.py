"""An upload is served to its uploader and to nobody else; typed addresses are never fetched."""

import asyncio
import json
from typing import Any

import pytest

from app.visitors.upload_guard import COOKIE, Guard

FILE = "/tmp/creative4u-x/abc/photo.jpg"


async def gradio(scope: Any, receive: Any, send: Any) -> None:
    """Stands for Gradio: answers an upload with its path, anything else with 200."""
    body = json.dumps([FILE]).encode() if scope["path"].endswith("/upload") else b"bytes"
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body[:3], "more_body": True})
    await send({"type": "http.response.body", "body": body[3:]})


def call(guard: Guard, method: str, path: str, cookie: str = "") -> tuple[int, dict[str, str]]:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request"}

    headers = [(b"cookie", cookie.encode())] if cookie else []
    scope = {"type": "http", "method": method, "path": path, "headers": headers}
    asyncio.run(guard(scope, receive, send))
    return sent[0]["status"], {name.decode(): value.decode() for name, value in sent[0]["headers"]}


def test_an_upload_is_served_to_its_uploader_only() -> None:
    guard = Guard(gradio)
    _, headers = call(guard, "POST", "/gradio_api/upload")
    mine = headers["set-cookie"].partition(";")[0]
    assert mine.startswith(f"{COOKIE}=")
    assert "HttpOnly" in headers["set-cookie"]
    assert call(guard, "GET", f"/gradio_api/file={FILE}", mine)[0] == 200
    for path in (f"/gradio_api/file={FILE}", f"/gradio_api/file/{FILE}",
                 "/gradio_api/file=/tmp/./creative4u-x//abc/../abc/photo.jpg"):
        assert call(guard, "GET", path)[0] == 403
        assert call(guard, "GET", path, f"{COOKIE}=another")[0] == 403


def test_two_uploaders_of_the_same_file_both_see_it() -> None:
    guard = Guard(gradio)
    cookies = [call(guard, "POST", "/gradio_api/upload")[1]["set-cookie"].partition(";")[0]
               for _ in range(2)]
    assert cookies[0] != cookies[1]
    assert [call(guard, "GET", f"/gradio_api/file={FILE}", c)[0] for c in cookies] == [200, 200]
    assert "set-cookie" not in call(guard, "POST", "/gradio_api/upload", cookies[0])[1]


@pytest.mark.parametrize("path", ["/gradio_api/file=http://example.org/a.png",
                                  "/gradio_api/file=https:/example.org/a.png",
                                  "/gradio_api/proxy=http://example.org/"])
def test_no_address_is_fetched_for_a_visitor(path: str) -> None:
    assert call(Guard(gradio), "GET", path)[0] == 403


def test_every_answer_keeps_the_page_to_this_server() -> None:
    _, headers = call(Guard(gradio), "GET", "/")
    assert headers["content-security-policy"].startswith("default-src 'self'")
    assert "http" not in headers["content-security-policy"]
