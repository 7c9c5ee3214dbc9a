"""A visitor without a browser: the requests that the page itself sends, made by hand."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from typing import Any

import httpx

API = "/gradio_api"
PATIENCE = 120.0  # seconds: a bound for a busy machine, not a measure


class Caller:
    """One visitor's cookie and session; `close()` is leaving."""

    def __init__(self, address: str) -> None:
        self.http = httpx.Client(base_url=address, timeout=PATIENCE, trust_env=False)
        self.http.get("/").raise_for_status()
        self.config = self.http.get("/config").json()
        self.session = secrets.token_hex(8)

    def close(self) -> None:
        self.http.close()

    def upload(self, *files: tuple[str, bytes]) -> list[str]:
        """Send files as (name, bytes); the paths that they got."""
        answer = self.http.post(f"{API}/upload", files=[("files", file) for file in files])
        paths: list[str] = answer.raise_for_status().json()
        return paths

    def event(self, element: str, kind: str) -> int:
        """The number of the handler of an element's event."""
        (component,) = [one["id"] for one in self.config["components"]
                        if one["props"].get("elem_id") == element]
        (handler,) = [one["id"] for one in self.config["dependencies"]
                      if [component, kind] in [list(target) for target in one["targets"]]]
        return int(handler)

    def join(self, element: str, kind: str, data: list[Any]) -> httpx.Response:
        """Send what a press or an upload sends."""
        return self.http.post(f"{API}/queue/join", json={
            "data": data, "fn_index": self.event(element, kind), "session_hash": self.session})

    def follow(self) -> Iterator[dict[str, Any]]:
        """The messages of what was joined, to its end."""
        with self.http.stream("GET", f"{API}/queue/data",
                              params={"session_hash": self.session}) as stream:
            for line in stream.iter_lines():
                if line.startswith("data: "):
                    message = json.loads(line.removeprefix("data: "))
                    if message["msg"] == "close_stream":
                        return
                    yield message

    def ask(self, element: str, kind: str, data: list[Any]) -> str:
        """Everything that the handler said, as text."""
        self.join(element, kind, data).raise_for_status()
        return json.dumps(list(self.follow()), ensure_ascii=False)

    def compare(self, a: str, b: str, title: str) -> httpx.Response:
        """Press Compare with two uploads."""
        return self.join("compare", "click", [sent(a), sent(b), title, "bag"])


def sent(path: str, **more: Any) -> dict[str, Any]:
    """An upload as a component sends it."""
    return {"path": path, "meta": {"_type": "gradio.FileData"}, **more}
