"""Refuse requests that name a host which is not ours (RELATE_TRUSTED_HOSTS): a page must not be reached under a name
that somebody else points at this address.
"""

from __future__ import annotations

from collections.abc import Sequence

from starlette.types import ASGIApp, Receive, Scope, Send

from app.core.problems import problem_response

_PROBES = frozenset({"/healthz", "/readyz"})  # load balancers call them by address


def trusted_hosts(app: ASGIApp, hosts: Sequence[str]) -> ASGIApp:
    """Wrap the application. `hosts` are names without port, such as relate.example or *.relate.example."""
    exact = {host.lower().encode() for host in hosts}
    endings = tuple(host.lower().encode()[1:] for host in hosts if host.startswith("*."))

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] not in _PROBES:
            named = _host(scope)
            if named not in exact and not (endings and named.endswith(endings)):
                detail = "the Host header names a host that this service does not answer for: see RELATE_TRUSTED_HOSTS"
                response = problem_response(400, "untrusted_host", detail, request_id=scope.get("request_id"))
                await response(scope, receive, send)
                return
        await app(scope, receive, send)

    return serve


def _host(scope: Scope) -> bytes:
    """The name of the Host header, without its port."""
    value: bytes = next((value for name, value in scope["headers"] if name == b"host"), b"").lower()
    if value.startswith(b"["):
        return value.partition(b"]")[0] + b"]"
    return value.partition(b":")[0]
