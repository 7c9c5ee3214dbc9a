"""Addresses of servers in, one answer a request out: balanced, retried elsewhere, given up in time.

A request goes to the server with the fewest requests in flight. One that fails (connection, time,
busy, 5xx) sends its server into a pause that doubles each time, with jitter, and is asked again,
elsewhere where there is an elsewhere; after the pause one request probes whether it is back.
Only a request that has failed is sent again, so nothing is answered twice.
"""

from __future__ import annotations

import logging
import os
import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import urlsplit, urlunsplit

import httpx

from creative4u.errors import BackendError, InputError, RefusedError
from creative4u.proxies import http_client

KEY = "CREATIVE4U_API_KEY"  # sent as the bearer token where it is set
AGAIN = (408, 425, 429)  # beside 5xx: statuses that may pass
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

    def send(self, ask: Ask[T]) -> T:
        """What `ask` returns from the first server that answers.

        Raises RefusedError (the server will never take this request) and BackendError (it was sent
        `tries` times in vain, or no server answered for `outage` seconds).
        """
        sent = 0
        while sent < self.patience.tries:
            server = self._take()
            try:
                answer = ask(self.client, server.base)
            except httpx.HTTPStatusError as error:
                if not _may_pass(error):
                    self._worked(server)
                    raise RefusedError(f"{server.base} refused: {_reason(error)}") from error
                sent += 1
                self._failed(server, error)
            except httpx.TransportError as error:  # `outage` ends what no server has seen
                sent += not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
                self._failed(server, error)
            except BaseException:
                self._let_go(server)
                raise
            else:
                self._worked(server)
                return answer
        raise BackendError(f"no answer after {self.patience.tries} tries; last: {self._why}")

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

    def _failed(self, server: _Server, error: httpx.HTTPError) -> None:
        with self._changed:
            now = time.monotonic()
            server.busy -= 1
            server.failures += 1
            server.probed = False
            server.paused_until = now + self.patience.pause(server.failures)
            self._why = f"{server.base}: {_reason(error)}"
            if self._dark_since is None and all(one.failures for one in self.servers):
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


def _may_pass(error: httpx.HTTPStatusError) -> bool:
    status = error.response.status_code
    return status >= 500 or status in AGAIN


def _reason(error: httpx.HTTPError) -> str:
    if isinstance(error, httpx.HTTPStatusError):
        said = " ".join(error.response.text.split())[:200]
        return f"status {error.response.status_code} {said}".rstrip()
    return f"{type(error).__name__} {error}".rstrip()
