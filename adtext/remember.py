"""Results of pure functions, kept within so many bytes: a cache of a thousand briefs is small or huge, as the briefs
are.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from functools import wraps
from threading import Lock
from typing import Any, ParamSpec, Protocol, TypeVar, cast

from cachetools import LRUCache
from pydantic import BaseModel

MIB = 1024 * 1024
_ENTRY = 200  # bytes of a cache's own for each entry

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")
Returned = TypeVar("Returned", covariant=True)


class Remembering(Protocol[Arguments, Returned]):
    """The function, and its cache."""

    cache: LRUCache[Any, Any]

    def __call__(self, *args: Arguments.args, **kwargs: Arguments.kwargs) -> Returned: ...

    def cache_clear(self) -> None: ...


def remember(
    mebibytes: float,
) -> Callable[[Callable[Arguments, Result]], Remembering[Arguments, Result]]:
    """Keep a function's results, the least recently used given up first. Arguments are hashable and positional.

    The same arguments may be computed twice where two threads ask for them at once.
    """

    def decorate(function: Callable[Arguments, Result]) -> Remembering[Arguments, Result]:
        cache: LRUCache[Any, tuple[Any, int]] = LRUCache(mebibytes * MIB, getsizeof=lambda entry: entry[1])
        lock = Lock()

        @wraps(function)
        def remembering(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
            with lock:
                entry = cache.get(args)
            if entry is None:
                result = function(*args, **kwargs)
                entry = result, _ENTRY + footprint(args) + footprint(result)
                if entry[1] <= cache.maxsize:
                    with lock:
                        cache[args] = entry
            return cast(Result, entry[0])

        def cache_clear() -> None:
            with lock:
                cache.clear()

        made = cast(Any, remembering)
        made.cache, made.cache_clear = cache, cache_clear
        return cast("Remembering[Arguments, Result]", made)

    return decorate


def footprint(value: object) -> int:
    """Bytes of a value and of what it holds, each occurrence counted. Objects without a size of their own, such as a
    lexicon, are shared: they count as a reference.
    """
    if isinstance(value, BaseModel):
        return sys.getsizeof(value) + sum(footprint(item) for _, item in value)
    if isinstance(value, Mapping):
        return sys.getsizeof(value) + sum(footprint(key) + footprint(item) for key, item in value.items())
    if isinstance(value, tuple | list | AbstractSet):
        return sys.getsizeof(value) + sum(map(footprint, value))
    if slots := getattr(type(value), "__dataclass_fields__", None):
        return sys.getsizeof(value) + sum(footprint(getattr(value, name)) for name in slots)
    return sys.getsizeof(value) if isinstance(value, str | bytes | int | float) else 8
