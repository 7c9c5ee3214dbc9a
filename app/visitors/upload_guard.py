"""An ASGI app in, the same app out, but uploads stay with their uploader and the page stays here.

Gradio serves every upload to whoever knows its address, and lets a page load from anywhere. This
wrapper ties an upload to the browser that sent it (a cookie), and adds a content security policy.
"""

from __future__ import annotations

import json
import os
import re
import secrets
from collections import OrderedDict
from collections.abc import Awaitable, Callable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import unquote

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

COOKIE = "creative4u_visitor"
REMEMBERED = 10_000  # uploads; older ones are refused to everyone
_SERVED = re.compile(r"/file[=/](.*)", re.DOTALL)  # both of Gradio's routes to a file
# Gradio compiles its templates in the browser, hence 'unsafe-eval'; nothing is loaded from afar.
POLICY = "; ".join((
    "default-src 'self'", "script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:",
    "style-src 'self' 'unsafe-inline'", "img-src 'self' data: blob:", "font-src 'self' data:",
    "media-src 'self' data: blob:", "connect-src 'self' data: blob:", "worker-src 'self' blob:",
    "object-src 'none'", "base-uri 'self'", "form-action 'self'",
))
HEADERS = ((b"content-security-policy", POLICY.encode()), (b"x-content-type-options", b"nosniff"),
           (b"referrer-policy", b"same-origin"))


class Guard:
    """Wraps Gradio's app."""

    def __init__(self, app: App) -> None:
        self.app = app
        self.owners: OrderedDict[str, set[str]] = OrderedDict()  # file path -> visitors

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """ASGI: refuse another visitor's upload, note a new one's owner, add the headers."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        path, visitor = str(scope["path"]), _visitor(scope)
        if self._is_refused(path, visitor):
            await send({"type": "http.response.start", "status": 403, "headers": list(HEADERS)})
            await send({"type": "http.response.body", "body": b"Not your file."})
            return
        is_upload = scope["method"] == "POST" and path.rstrip("/").endswith("/upload")
        fresh = visitor is None and is_upload
        visitor = visitor or secrets.token_urlsafe(24)
        body = bytearray()

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [*message.get("headers", ()), *HEADERS]
                if fresh:
                    cookie = f"{COOKIE}={visitor}; Path=/; HttpOnly; SameSite=Strict"
                    headers.append((b"set-cookie", cookie.encode()))
                message = {**message, "headers": headers}
            elif is_upload:
                body.extend(message.get("body", b""))
                if not message.get("more_body"):
                    self._own(bytes(body), visitor)
            await send(message)

        await self.app(scope, receive, answer)

    def _is_refused(self, path: str, visitor: str | None) -> bool:
        """Another's upload, or an address that the server would have to fetch from afar."""
        if "/proxy=" in path:
            return True
        served = _SERVED.search(path)
        if served is None:
            return False
        file = unquote(served[1])
        if "://" in file or file.startswith(("http:", "https:")):
            return True
        owners = self.owners.get(os.path.realpath(file))
        return owners is not None and visitor not in owners

    def _own(self, body: bytes, visitor: str) -> None:
        try:
            files = json.loads(body)
        except ValueError:  # an error page, not a list of files
            return
        for file in files if isinstance(files, list) else ():
            self.owners.setdefault(os.path.realpath(str(file)), set()).add(visitor)
        while len(self.owners) > REMEMBERED:
            self.owners.popitem(last=False)


def _visitor(scope: Message) -> str | None:
    """The visitor's id from the cookie header, if it is there."""
    for name, value in scope["headers"]:
        if name == b"cookie":
            try:
                cookie = SimpleCookie(value.decode("latin-1")).get(COOKIE)
            except CookieError:
                continue
            if cookie is not None:
                return str(cookie.value)
    return None
