"""The template baseline as a writer: `adtext.templates` behind the interface of a policy. Its texts are checked like
all others.
"""

from __future__ import annotations

import hashlib
from itertools import islice

from adtext.brief import AdBrief
from adtext.prompt import write
from adtext.spec import TextSpec
from adtext.templates import compose
from app.policies.base import WriterAnswer


class NlgWriter:
    """Implements `app.policies.base.Writer` without a model."""

    down = False

    async def write(self, brief: AdBrief, spec: TextSpec, *, n: int, seed: int) -> WriterAnswer:
        completions = [write(text, brief.language) for text in islice(compose(brief, spec, seed), n)]
        asked = hashlib.sha256("\x1f".join((spec.name, brief.locale, *brief.facts())).encode()).hexdigest()[:16]
        return WriterAnswer(completions, prompt_hash=asked, seed=seed)

    async def healthy(self) -> bool:
        return True

    async def close(self) -> None:
        return None
