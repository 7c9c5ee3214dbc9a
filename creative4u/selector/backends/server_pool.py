"""Send each request to one of several servers: balanced, retried elsewhere, given up in time.

A request goes to the server with the fewest requests in flight. One that fails (connection, time,
busy, 5xx) sends its server into a pause that doubles each time, with jitter, and is asked again,
elsewhere where there is an elsewhere; after the pause one request probes whether it is back.
Only a request that has failed is sent again, so nothing is answered twice. A server that says when
to come again (`Retry-After` with 429 or 503) is waited for as long as it says; that is no try.
"""

from __future__ import annotations

import logging
import math
import os
import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar
from urllib.parse import urlsplit, urlunsplit

import httpx

from creative4u.errors import (
    BackendError,
    ContentFilterError,
    Creative4UError,
    DeniedError,
    InputError,
    RefusedError,
)
from creative4u.proxies import http_client

KEY = "CREATIVE4U_API_KEY"  # sent as the bearer token where it is set
AGAIN = (408, 425, 429)  # beside 5xx: statuses that may pass
DENIED = (401, 402, 403, 404, 405)  # no key, no credit, no such model or route: for all requests
NO_CREDIT = "insufficient_quota"  # OpenAI's code of a 429 that does not pass
_log = logging.getLogger(__name__)
T = TypeVar("T")
Ask = Callable[[httpx.Client, str], T]  # the client and a server's base, ending in /v1


@dataclass(frozen=True)
class Patience:
    """How long to wait and how often to try again; seconds."""

    timeout: float = 300.0  # of one request, between two bytes of its answer
    connect: float = 5.0
    outage: float = 120.0  # no server at all for this long: requests fail at once
    tries: int = 5  # times one request is sent and fails; one that no server took does not count
    first_pause: float = 0.5
    longest_pause: float = 10.0
    longest_wait: float = 3600.0  # that a server may ask for; more is given up at once
    waits: int = 50  # times that one request is put off by servers that say when to come again

    def pause(self, failures: int) -> float:
        """Doubling from `first_pause` at the first failure, times 0.5 to 1 at random."""
        doubled = min(self.longest_pause, self.first_pause * 2.0 ** (failures - 1))
        return doubled * random.uniform(0.5, 1.0)


@dataclass
class _Server:
    base: str
    busy: int = 0
    failures: int = 0  # since its last answer
    paused_until: float = 0.0
    probed: bool = False  # a request is finding out whether it is back


class Endpoints:
    """Servers of one model; thread-safe."""

    def __init__(self, urls: Sequence[str], patience: Patience | None = None) -> None:
        if not urls:
            raise InputError("no address of a server")
        self.patience = patience or Patience()
        self.servers = [_Server(base_url(url)) for url in dict.fromkeys(urls)]
        key = os.environ.get(KEY)
        self.client = http_client(
            [server.base for server in self.servers],
            timeout=httpx.Timeout(self.patience.timeout, connect=self.patience.connect),
            limits=httpx.Limits(max_connections=None),
            headers={"Authorization": f"Bearer {key}"} if key else None,
        )
        self._changed = threading.Condition()
        self._dark_since: float | None = None  # since when no server answers
        self._why = ""

    def send(self, ask: Ask[T], tries: int | None = None) -> T:
        """What `ask` returns from the first server that answers; `tries` are the patience's.

        Raises RefusedError or ContentFilterError (the server will never take this request),
        DeniedError (nor any other) and BackendError (it was sent `tries` times in vain, or no
        server answered for `outage` seconds).
        """
        sent = waited = 0
        tries = tries or self.patience.tries
        while sent < tries and waited <= self.patience.waits:
            server = self._take()
            try:
                answer = ask(self.client, server.base)
            except httpx.HTTPStatusError as error:
                if not _may_pass(error):
                    self._worked(server)
                    raise refusal(error.response, server.base) from error
                wait = retry_after(error.response)
                if wait is not None and wait > self.patience.longest_wait:
                    self._let_go(server)
                    raise BackendError(f"{server.base} asks to wait {wait:.0f} s") from error
                sent += wait is None
                waited += wait is not None
                self._failed(server, error, wait)
            except httpx.TransportError as error:  # `outage` ends what no server has seen
                sent += not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
                self._failed(server, error)
            except BaseException:
                self._let_go(server)
                raise
            else:
                self._worked(server)
                return answer
        raise BackendError(f"no answer after {sent or waited} tries; last: {self._why}")

    def close(self) -> None:
        """End all connections."""
        self.client.close()

    def _take(self) -> _Server:
        with self._changed:
            while True:
                now = time.monotonic()
                up = [s for s in self.servers if s.paused_until <= now and not s.probed]
                if up:
                    server = min(up, key=lambda one: (one.failures == 0, one.busy))
                    server.busy += 1
                    server.probed = server.failures > 0
                    return server
                dark = now - self._dark_since if self._dark_since is not None else 0.0
                if dark > self.patience.outage:
                    raise BackendError(f"no server answers; last: {self._why}")
                pauses = [s.paused_until - now for s in self.servers if not s.probed]
                self._changed.wait(min(pauses, default=self.patience.longest_pause))

    def _failed(self, server: _Server, error: httpx.HTTPError, wait: float | None = None) -> None:
        with self._changed:
            now = time.monotonic()
            server.busy -= 1
            server.failures += 1
            server.probed = False
            pause = self.patience.pause(server.failures) if wait is None else wait
            server.paused_until = now + pause
            self._why = f"{server.base}: {_reason(error)}"
            if wait is not None:  # it answers; the outage, if there is one, begins after its pause
                self._dark_since = now + wait
            elif self._dark_since is None and all(one.failures for one in self.servers):
                self._dark_since = now
            if server.failures == 1:  # said once an outage
                others = sum(not one.failures for one in self.servers)
                meanwhile = f"{others} other(s) go on" if others else "no other server is left"
                _log.warning("%s; trying again, %s", self._why, meanwhile)
            self._changed.notify_all()

    def _worked(self, server: _Server) -> None:
        with self._changed:
            server.busy -= 1
            if server.failures:
                _log.warning("%s answers again", server.base)
            server.failures, server.paused_until, server.probed = 0, 0.0, False
            self._dark_since = None
            self._changed.notify_all()

    def _let_go(self, server: _Server) -> None:
        with self._changed:
            server.busy -= 1
            server.probed = False
            self._changed.notify_all()


def is_url(model: str) -> bool:
    """Whether a model's name is the address of a server."""
    return model.lower().startswith(("http://", "https://"))


def base_url(url: str) -> str:
    """`http://host:8000` in any usual form as the base of its API, `http://host:8000/v1`."""
    parts = urlsplit(url)
    if not is_url(url) or not parts.hostname:
        raise InputError(f"got {url!r}; a server is http://HOST:PORT or https://HOST")
    path = parts.path.rstrip("/").removesuffix("/chat/completions")
    path = path if path.endswith("/v1") else f"{path}/v1"
    return urlunsplit((parts.scheme, parts.netloc, path, "", ""))


def retry_after(response: httpx.Response) -> float | None:
    """Seconds until a busy server wants to be asked again; None where it does not say.

    `Retry-After` is a number of seconds or an HTTP date (RFC 9110, 10.2.3).
    """
    said = response.headers.get("Retry-After", "").strip()
    if response.status_code not in (429, 503) or not said:
        return None
    try:
        seconds = float(said)
    except ValueError:
        try:
            when = parsedate_to_datetime(said)
        except ValueError:
            return None
        if when.tzinfo is None:
            when = when.replace(tzinfo=UTC)
        seconds = (when - datetime.now(UTC)).total_seconds()
    return max(0.0, seconds) if math.isfinite(seconds) else None


def refusal(response: httpx.Response, base: str) -> Creative4UError:
    """The error of a status that does not pass: of every request, or of this one alone."""
    said = f"status {response.status_code} {' '.join(response.text.split())[:200]}".rstrip()
    if _code(response) == "content_filter":
        return ContentFilterError(f"{base}'s content filter held the request back: {said}")
    if response.status_code in (401, 403):
        return DeniedError(f"{base} wants a key that it accepts, in {KEY}: {said}")
    if response.status_code in DENIED or _code(response) == NO_CREDIT:
        return DeniedError(f"{base} refuses every request: {said}")
    return RefusedError(f"{base} refused: {said}")


def _code(response: httpx.Response) -> str:
    """The code of an error in the usual form, {"error": {"code"}}; "" in any other."""
    try:
        return str(response.json()["error"]["code"])
    except (ValueError, KeyError, TypeError):
        return ""


def _may_pass(error: httpx.HTTPStatusError) -> bool:
    status = error.response.status_code
    return (status >= 500 or status in AGAIN) and _code(error.response) != NO_CREDIT


def _reason(error: httpx.HTTPError) -> str:
    if isinstance(error, httpx.HTTPStatusError):
        said = " ".join(error.response.text.split())[:200]
        return f"status {error.response.status_code} {said}".rstrip()
    return f"{type(error).__name__} {error}".rstrip()
