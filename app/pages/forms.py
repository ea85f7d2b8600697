"""What a form sent, as the API's own body."""

from __future__ import annotations

from typing import TypeVar

from pydantic import BaseModel, ValidationError

from app.core.problems import Problem, field_problem

Body = TypeVar("Body", bound=BaseModel)


def checked(body: type[Body], **sent: object) -> Body:
    """The API's own body, made from what a form sent; its first problem as a sentence."""
    try:
        return body.model_validate(sent)
    except ValidationError as error:
        first = field_problem(error.errors()[0])
        raise Problem(
            422, first.rule, f"{first.field}: {first.detail}", field=first.field, value=first.value
        ) from error
