"""Stand between the network and Gradio: what is not known to be needed and safe is refused.

Uploads are received and served here, a folder a visitor (a cookie tells who it is). Every path in a
request must lie in the visitor's own folder; the refusal is the same whether or not there is such a
file. Gradio's other routes, those that fetch addresses among them, are not reachable.
"""

from __future__ import annotations

import asyncio
import json
import re
import secrets
import shutil
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response

from app.visitors.uploads import MAX_UPLOAD, QUOTA, VisitorFiles

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

COOKIE = "creative4u_visitor"
API = "/gradio_api"
FILE = f"{API}/file="
READ = re.compile(  # what the page loads and listens to
    r"/|/(config|theme\.css|manifest\.json|favicon\.ico|robots\.txt|pwa_icon(/\d+)?)/?"
    r"|/(assets|static|svelte)/.+"
    rf"|{API}/(info|theme\.css|startup-events|queue/data|heartbeat/\w+)/?")
WRITE = re.compile(rf"{API}/(queue/join|run/\w+|cancel|reset)/?")  # a JSON body each
TOKEN = re.compile(r"[\w-]{20,80}", re.ASCII)  # what a visitor's cookie looks like
MOST_JSON = 1_000_000  # bytes
MOST_FILES = 64  # in one upload
ARRIVING = 2 * QUOTA  # bytes of all uploads that are under way
NOT_AN_UPLOAD = f"Not an upload of 1 to {MOST_FILES} files."
PATIENCE = 600  # seconds that an upload may take
SHOWN = {".avif": "image/avif", ".bmp": "image/bmp", ".gif": "image/gif", ".jpeg": "image/jpeg",
         ".jpg": "image/jpeg", ".png": "image/png", ".webp": "image/webp"}  # the rest: a download
# Gradio compiles its templates in the browser, hence 'unsafe-eval'; nothing is loaded from afar.
POLICY = "; ".join((
    "default-src 'self'", "script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:",
    "style-src 'self' 'unsafe-inline'", "img-src 'self' data: blob:", "font-src 'self' data:",
    "media-src 'self' data: blob:", "connect-src 'self' data: blob:", "worker-src 'self' blob:",
    "object-src 'none'", "base-uri 'self'", "form-action 'self'",
))
HEADERS = ((b"content-security-policy", POLICY.encode()), (b"x-content-type-options", b"nosniff"),
           (b"referrer-policy", b"same-origin"))


class Refused(Exception):
    """A request that goes no further: answered with a status and one line."""

    def __init__(self, status: int, line: str) -> None:
        super().__init__(line)
        self.answer = PlainTextResponse(line, status)


def visitor_of(request: Any) -> str:
    """Whose request a Gradio handler has got."""
    return str(request.cookies[COOKIE])


class Guard:
    """Wraps Gradio's app."""

    def __init__(self, app: App, files: VisitorFiles) -> None:
        self.app, self.files = app, files
        self._arriving = 0  # bytes

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """ASGI: know the visitor; answer, refuse or pass on; add the headers."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        sent = Request(scope).cookies.get(COOKIE, "")
        fresh = TOKEN.fullmatch(sent) is None
        visitor = secrets.token_urlsafe(24) if fresh else sent
        cookie = f"{COOKIE}={visitor}"
        headers = [pair for pair in scope["headers"] if pair[0] != b"cookie"]
        scope = {**scope, "headers": [*headers, (b"cookie", cookie.encode())]}

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                more = [*message.get("headers", ()), *HEADERS]
                if fresh:
                    kept = f"{cookie}; Path=/; HttpOnly; SameSite=Strict"
                    more.append((b"set-cookie", kept.encode()))
                message = {**message, "headers": more}
            await send(message)

        app = self.app
        try:
            app, receive = await self._route(Request(scope, receive), visitor)
        except Refused as refused:
            app = refused.answer
        except ClientDisconnect:
            return
        await app(scope, receive, answer)

    async def _route(self, request: Request, visitor: str) -> tuple[App, Receive]:
        """Who answers, and what it reads."""
        path, read = request.scope["path"], request.method in ("GET", "HEAD")
        if request.method == "POST" and path == f"{API}/upload":
            return await self._take(request, visitor), request.receive
        if request.method == "POST" and WRITE.fullmatch(path):
            return self.app, await self._checked(request, visitor)
        if read and path.startswith(FILE):
            return self._file(path.removeprefix(FILE), visitor), request.receive
        if read and path == f"{API}/upload_progress":  # the browser counts for itself
            done = 'data: {"msg": "done"}\n\n'
            return PlainTextResponse(done, media_type="text/event-stream"), request.receive
        if read and READ.fullmatch(path):
            return self.app, request.receive
        raise Refused(404, "Not here.")

    async def _checked(self, request: Request, visitor: str) -> Receive:
        """The JSON body once more as it was understood here, its paths resolved."""
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > MOST_JSON:
                raise Refused(413, f"At most {MOST_JSON:,} bytes are allowed.")
        try:
            asked = json.loads(body)
            self._resolve(asked, visitor)
            again = json.dumps(asked).encode()
        except (ValueError, RecursionError) as error:
            raise Refused(400, "Not JSON.") from error
        rest = [{"type": "http.request", "body": again, "more_body": False}]

        async def receive() -> Message:
            return rest.pop() if rest else await request.receive()

        return receive

    def _resolve(self, node: Any, visitor: str) -> None:
        """Refuse a path outside of the visitor's folder, wherever it stands."""
        if isinstance(node, dict):
            if (path := node.get("path")) is not None:
                own = self.files.own(visitor, path) if isinstance(path, str) else None
                if own is None:
                    raise Refused(403, "Not your file.")
                node["path"] = str(own)
            node = list(node.values())
        if isinstance(node, list):
            for child in node:
                self._resolve(child, visitor)

    def _file(self, path: str, visitor: str) -> Response:
        own = self.files.own(visitor, path)
        if own is None or not own.is_file():
            raise Refused(403, "Not your file.")
        kind = SHOWN.get(own.suffix.lower())
        return FileResponse(own, media_type=kind or "application/octet-stream", filename=own.name,
                            content_disposition_type="inline" if kind else "attachment",
                            headers={"cache-control": "private"})

    async def _take(self, request: Request, visitor: str) -> Response:
        """Keep the files of an upload; the answer lists their paths."""
        length = int(request.headers.get("content-length", QUOTA + 1))
        if length > QUOTA:
            raise Refused(413, f"At most {QUOTA:,} bytes at once are allowed, their number first.")
        if self._arriving + length > ARRIVING:
            raise Refused(503, "Too many uploads at once. Try again in a minute.")
        self._arriving += length
        try:
            async with (asyncio.timeout(PATIENCE),
                        request.form(max_files=MOST_FILES, max_fields=1) as form):
                sent = [one for one in form.getlist("files") if isinstance(one, UploadFile)]
                if not sent:
                    raise Refused(400, NOT_AN_UPLOAD)
                if any((one.size or 0) > MAX_UPLOAD for one in sent):
                    raise Refused(413, f"At most {MAX_UPLOAD:,} bytes a file are allowed.")
                return JSONResponse([await run_in_threadpool(self._keep, one, visitor)
                                     for one in sent])
        except TimeoutError as error:
            raise Refused(408, "The upload took too long.") from error
        except (HTTPException, MultiPartException) as error:
            raise Refused(400, NOT_AN_UPLOAD) from error
        finally:
            self._arriving -= length

    def _keep(self, sent: UploadFile, visitor: str) -> str:
        target = self.files.new(visitor, sent.filename or "", sent.size or 0)
        with target.open("xb") as file:
            shutil.copyfileobj(sent.file, file)
        return str(target)
