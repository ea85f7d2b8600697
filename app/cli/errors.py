"""Error messages of commands: one line that says how to fix the problem, without a traceback."""

from __future__ import annotations


class Refusal(Exception):
    """An error of a command itself."""


def sentence(error: Exception) -> str | None:
    """The line for an error that the user can fix; None for a bug, which is shown with its traceback."""
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
