"""What the service is measured against: one FastAPI route with the same request and response models that does nothing
else.

python -m uvicorn --factory benchmarks.bare:create_app
"""

from __future__ import annotations

from uuid import UUID

from fastapi import FastAPI

from app.core.contract import GenerateRequest, GenerateResponse, ServedText
from app.core.tokens import TOKEN_CHARS

_TEXT = ServedText(
    text_id=UUID(int=1),
    title="Running Shoes In 4E And 6E",
    description="Toe room on a true wide last. The Loop 3 costs $118, with free returns within 45 days.",
    description_2=None,
    token="x" * TOKEN_CHARS,
    source="pool",
    policy="base-20261122-1f3a9c",
    machine_generated=True,
)
_ANSWERS = {
    n: GenerateResponse(request_id="0" * 24, experiment=None, arm=None, texts=[_TEXT] * n, reason=None)
    for n in range(1, 9)
}  # built once: the route costs reading, validating and writing, nothing of ours


def create_app() -> FastAPI:
    app = FastAPI()

    @app.post("/generate")
    async def generate(body: GenerateRequest) -> GenerateResponse:
        return _ANSWERS[body.n]

    return app
