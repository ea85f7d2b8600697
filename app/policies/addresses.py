"""The addresses that a policy server may have. Private addresses are allowed. Link-local, multicast and unspecified
addresses and those of cloud metadata services are refused, in every spelling and behind every name.

The rule is checked twice: when an endpoint is registered, and on the address of each new connection, because a name may
resolve to another address by then.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterable
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

import httpcore
import httpx

_METADATA = frozenset(
    map(
        ip_address,
        (
            "168.63.129.16",  # Azure
            "100.100.100.200",  # Alibaba Cloud
            "192.0.0.192",  # Oracle Cloud
            "fd00:ec2::254",  # AWS; its IPv4 address is link-local, like most
            "fd20:ce::254",  # Google Cloud
        ),
    )
)
Refused = Callable[[IPv4Address | IPv6Address], bool]
_TRANSLATED = tuple(map(IPv6Network, ("::/96", "::ffff:0:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48")))


def address_of(host: str) -> IPv4Address | IPv6Address | None:
    """The IP address that a host spells: dotted, decimal, hexadecimal, octal, short, IPv6. None for a name."""
    host = host.rstrip(".")
    try:
        return ip_address(host)
    except ValueError:
        pass
    try:
        return IPv4Address(socket.inet_aton(host))  # the resolver reads 0xa9fea9fe and 169.254.43518 as addresses too
    except (OSError, ValueError):
        return None


def is_reserved(address: IPv4Address | IPv6Address) -> bool:
    """Whether the address is refused for policy servers, also as an IPv4 address inside an IPv6 one."""
    return any(
        form.is_link_local or form.is_multicast or form.is_unspecified or form in _METADATA
        for form in _wrapped(address)
    )


def is_inside(address: IPv4Address | IPv6Address) -> bool:
    """Whether the address is no public one: private, loopback, shared, reserved. Webhooks are not sent there."""
    return is_reserved(address) or any(not form.is_global for form in _wrapped(address))


def _wrapped(address: IPv4Address | IPv6Address) -> Iterable[IPv4Address | IPv6Address]:
    yield address
    if isinstance(address, IPv6Address):
        yield from filter(None, (address.ipv4_mapped, address.sixtofour, *(address.teredo or ())))
        if address.packed[:15] != bytes(15) and any(address in network for network in _TRANSLATED):
            yield IPv4Address(address.packed[-4:])


class ReservedAddress(httpcore.ConnectError):
    """The name resolves to an address that is refused."""


class _CheckedBackend(httpcore.AsyncNetworkBackend):
    """Resolves a name, refuses it if any of its addresses is refused, and connects only to checked addresses."""

    def __init__(self, refused: Refused) -> None:
        self._inner, self._refused = httpcore.AnyIOBackend(), refused

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        addresses = await _resolved(host, port, timeout, self._refused)
        for address in addresses[:-1]:
            try:
                return await self._inner.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
        return await self._inner.connect_tcp(addresses[-1], port, timeout, local_address, socket_options)

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)


async def _resolved(host: str, port: int, timeout: float | None, refused: Refused) -> list[str]:
    try:
        async with asyncio.timeout(timeout):
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except TimeoutError:
        raise httpcore.ConnectTimeout(f"{host} was not resolved within {timeout} s") from None
    except (OSError, UnicodeError) as error:
        raise httpcore.ConnectError(f"{host} does not resolve: {error}") from None
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    for address in addresses:
        if refused(ip_address(address)):
            raise ReservedAddress(f"{host} leads to {address}, an address that is refused here")
    return addresses


class CheckedTransport(httpx.AsyncHTTPTransport):
    """httpx's own transport over a pool that checks the address of each connection."""

    def __init__(self, *, verify: bool, limits: httpx.Limits, refused: Refused = is_reserved) -> None:
        super().__init__(
            verify=False, trust_env=False
        )  # the pool is replaced, because httpx does not pass a network backend on
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=httpx.create_ssl_context(trust_env=False) if verify else None,
            max_connections=limits.max_connections,
            max_keepalive_connections=limits.max_keepalive_connections,
            keepalive_expiry=limits.keepalive_expiry,
            network_backend=_CheckedBackend(refused),
        )
