"""The client of a running service for commands."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.errors import Refusal

if TYPE_CHECKING:
    import httpx

UrlOption = Annotated[str, typer.Option("--url", envvar="RELATE_URL", help="The URL of the service.")]
KeyOption = Annotated[
    str,
    typer.Option(
        "--key", envvar="RELATE_KEY", help="An API key. Default: the key that `relate up` stored in its data directory."
    ),
]
URL = "http://127.0.0.1:8080"
TIMEOUT_S = 120.0


class Service:
    """The HTTP API with a key. An error response raises Refusal with one sentence."""

    def __init__(self, url: str, key: str, scope: str) -> None:
        import httpx

        self.url = url.rstrip("/")
        headers = {"Authorization": f"Bearer {key or _kept_key(scope)}"}
        self._http = httpx.Client(base_url=self.url, headers=headers, timeout=TIMEOUT_S, trust_env=False)

    def get(self, path: str, **params: Any) -> Any:
        return self._call("GET", path, params={name: value for name, value in params.items() if value is not None})

    def get_text(self, path: str, **params: Any) -> str:
        return str(self._answer("GET", path, params=params).text)

    def lines(self, path: str, **params: Any) -> Iterator[str]:
        """The lines of a streamed answer."""
        import httpx

        given = {name: value for name, value in params.items() if value is not None}
        try:
            with self._http.stream("GET", path, params=given) as answer:
                if not answer.is_success:
                    answer.read()
                    raise self._refusal(answer)
                yield from answer.iter_lines()
        except httpx.HTTPError as error:
            raise self._silence(error) from error

    def post(self, path: str, body: Any = None) -> Any:
        return self._call("POST", path, json=body)

    def put(self, path: str, body: Any) -> Any:
        return self._call("PUT", path, json=body)

    def delete(self, path: str) -> Any:
        return self._call("DELETE", path)

    def _call(self, method: str, path: str, **content: Any) -> Any:
        return self._answer(method, path, **content).json()

    def _answer(self, method: str, path: str, **content: Any) -> httpx.Response:
        import httpx

        try:
            answer = self._http.request(method, path, **content)
        except httpx.HTTPError as error:
            raise self._silence(error) from error
        if answer.is_success:
            return answer
        raise self._refusal(answer)

    def _silence(self, error: Exception) -> Refusal:
        return Refusal(f"{self.url} does not answer ({error}): start it with `relate up`, or name another with --url")

    def _refusal(self, answer: httpx.Response) -> Refusal:
        problem = answer.json() if "json" in answer.headers.get("content-type", "") else {}
        return Refusal(f"{self.url} answered {answer.status_code}: {problem.get('detail', answer.reason_phrase)}")


def _kept_key(scope: str) -> str:
    """The key that `relate up` stored for a scope."""
    from app.core.settings import Settings
    from app.up.keys import file_of

    path = file_of(Settings().data_dir)
    try:
        return str(json.loads(path.read_text())[scope])
    except (OSError, KeyError, ValueError):
        raise Refusal(
            f"this needs a key with scope {scope}: pass --key or set RELATE_KEY (there is none in {path})"
        ) from None
