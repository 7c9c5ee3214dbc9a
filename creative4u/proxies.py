"""Keep loopback addresses off the proxies that the environment names.

HTTP_PROXY, HTTPS_PROXY and ALL_PROXY hold for remote servers; a server on this machine is always
asked directly, whether NO_PROXY says so or not.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import MutableMapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import getproxies

from creative4u.errors import InputError

if TYPE_CHECKING:
    import httpx

LOOPBACK = ("127.0.0.1", "localhost", "::1")
KINDS = ("http", "https", "socks5", "socks5h")  # of proxies that httpx speaks to


def ask_directly(*hosts: str, environment: MutableMapping[str, str] | None = None) -> None:
    """Add the loopback names and `hosts` to NO_PROXY, for this process and its children.

    Entries that are there already stay. Both spellings are set, since each is the only one that
    some library reads. A proxy named `socks://`, as desktops write it, becomes `socks5://`.

    Args:
        hosts: further hosts that are this machine.
        environment: `os.environ` by default.
    """
    variables = os.environ if environment is None else environment
    spellings = ("no_proxy", "NO_PROXY")
    found = [variables.get(name) for name in spellings]
    for name, own, other in zip(spellings, found, reversed(found), strict=True):
        known = own if own is not None else other or ""
        entries = [entry.strip() for entry in known.split(",") if entry.strip()]
        if "*" not in entries:
            entries += [host for host in (*LOOPBACK, *hosts) if host not in entries]
        variables[name] = ",".join(entries)
    for name in ("all_proxy", "http_proxy", "https_proxy"):
        for spelling in (name, name.upper()):
            if (proxy := variables.get(spelling, "")).startswith("socks://"):
                variables[spelling] = proxy.replace("socks", "socks5", 1)


def check_kinds() -> None:
    """Raise InputError where the environment names a proxy of a kind that cannot be used."""
    for scheme, proxy in getproxies().items():
        kind = proxy.partition("://")[0].lower() if "://" in proxy else "http"
        if scheme in ("http", "https", "all") and kind not in KINDS:
            raise InputError(
                f"{scheme.upper()}_PROXY names a {kind} proxy; allowed are {', '.join(KINDS)}"
            )


def http_client(
    urls: Sequence[str],
    transport: httpx.BaseTransport | None = None,
    limits: httpx.Limits | None = None,
    **options: Any,
) -> httpx.Client:
    """An httpx client for `urls` that asks those on loopback directly.

    Args:
        urls: the addresses that it will be used for.
        transport: httpx's own by default.
        limits: of connections; httpx's own by default.
        options: further arguments of `httpx.Client`.

    Raises InputError where a remote address is to be asked through a proxy of an unknown kind.
    """
    import httpx

    hosts = [urlsplit(url).hostname or "" for url in urls]
    near = [host for host in hosts if is_loopback(host)]
    limits = limits or httpx.Limits(max_connections=100, max_keepalive_connections=20)
    if transport is None and len(near) == len(hosts):  # with a transport httpx reads no proxies
        transport = httpx.HTTPTransport(limits=limits)
    elif transport is None:
        check_kinds()
    mounts = {f"all://[{host}]" if ":" in host else f"all://{host}": None for host in near}
    return httpx.Client(transport=transport, limits=limits, mounts=mounts, **options)


def is_loopback(host: str) -> bool:
    """Whether a host name or address always is this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:  # a name
        return host == "localhost" or host.endswith(".localhost")
