"""Where a policy server may be reached: the address that is connected is the one that was checked."""

from __future__ import annotations

import asyncio
import socket

import httpx
import pytest
from fakes import FakePolicyServer
from hypothesis import given
from hypothesis import strategies as st

from app.policies.addresses import CheckedTransport, address_of, is_reserved


@pytest.fixture
def resolver(monkeypatch):
    """Answers names as a test says: a list of addresses per name."""
    names: dict[str, list[str]] = {}

    async def getaddrinfo(self, host, port, **options):
        if host not in names:
            raise socket.gaierror(f"{host} is unknown")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in names[host]]

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", getaddrinfo)
    return names


def a_client() -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=CheckedTransport(verify=False, limits=httpx.Limits()), timeout=2)


@given(st.integers(0, 2**32 - 1))
def test_every_spelling_of_an_address_is_read_as_the_resolver_reads_it(number):
    a, b, c, d = number.to_bytes(4)
    dotted = f"{a}.{b}.{c}.{d}"
    spellings = (str(number), hex(number), oct(number).replace("o", ""), f"{a}.{number & 0xFFFFFF}", f"{dotted}.")
    assert {str(address_of(spelling)) for spelling in spellings} == {dotted}


@given(st.ip_addresses(v=4))
def test_an_ipv6_address_is_as_reserved_as_the_ipv4_address_it_wraps(address):
    for prefix in ("::ffff:", "64:ff9b::"):
        assert is_reserved(address_of(f"{prefix}{address}")) >= is_reserved(address)


@pytest.mark.parametrize("name", ["vllm", "relate.example", "0x", "1.2.3.4.5", "跑鞋.example"])
def test_a_name_is_no_address(name):
    assert address_of(name) is None


@pytest.mark.parametrize("address", ["169.254.169.254", "fe80::1", "::ffff:169.254.169.254", "0.0.0.0"])
async def test_a_name_that_leads_to_a_metadata_service_is_not_connected(resolver, address):
    resolver["innocent.example"] = ["127.0.0.1", address]
    async with a_client() as client:
        with pytest.raises(httpx.ConnectError, match="an address that is refused here"):
            await client.get("http://innocent.example:9/")


async def test_the_next_address_is_tried_and_the_host_is_sent_by_name(resolver):
    async with FakePolicyServer(answer=lambda body: ["ok"]).running() as server, a_client() as client:
        port = server.url.rpartition(":")[2]
        resolver["vllm.example"] = ["127.0.0.2", "127.0.0.1"]
        answer = await client.get(f"http://vllm.example:{port}/health")
    assert (answer.status_code, answer.request.headers["host"]) == (200, f"vllm.example:{port}")


async def test_an_unknown_name_is_a_connection_that_failed(resolver):
    async with a_client() as client:
        with pytest.raises(httpx.ConnectError, match="does not resolve"):
            await client.get("http://nowhere.example/")
