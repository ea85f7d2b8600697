"""What a command says when it cannot do what was asked: one line with the way out, never a traceback."""

from __future__ import annotations


class Refusal(Exception):
    """A command's own reason to stop."""


def sentence(error: Exception) -> str | None:
    """The one line for an error the caller can act on; None for a defect of ours, whose traceback is worth having."""
    from pydantic import ValidationError

    from app.core.problems import Problem
    from app.core.secrets import SecretsError
    from app.store.database import Unavailable
    from app.up.child import UpError

    if isinstance(error, ValidationError):
        problems = [
            (".".join(map(str, item["loc"])), item["msg"].removeprefix("Value error, ")) for item in error.errors()[:3]
        ]
        return "; ".join(f"{field or 'value'}: {message}" for field, message in problems)
    if isinstance(error, Refusal | UpError | SecretsError | Problem):
        return str(error)
    if isinstance(error, Unavailable):
        cause = str(error).partition("\n")[0]
        return f"the database does not answer ({cause}): check DATABASE_URL, or start the service with `relate up`"
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return None
