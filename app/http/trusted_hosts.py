"""Refuse requests whose Host header is not in RELATE_TRUSTED_HOSTS: pages must not be reachable under a name that
somebody else points to this address.
"""

from __future__ import annotations

from collections.abc import Sequence

from starlette.types import ASGIApp, Receive, Scope, Send

from app.core.problems import problem_response

_PROBES = frozenset({"/healthz", "/readyz"})  # load balancers request them by IP address


def trusted_hosts(app: ASGIApp, hosts: Sequence[str]) -> ASGIApp:
    """Wrap the application. `hosts` are names without port, such as relate.example or *.relate.example."""
    exact = {host.lower().encode() for host in hosts}
    endings = tuple(host.lower().encode()[1:] for host in hosts if host.startswith("*."))

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] not in _PROBES:
            named = _host(scope)
            if named not in exact and not (endings and named.endswith(endings)):
                detail = "this service does not serve the host in the Host header: see RELATE_TRUSTED_HOSTS"
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
