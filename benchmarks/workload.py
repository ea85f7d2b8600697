"""The requests of a serving benchmark: the example briefs, each in as many variants as wanted, every variant a pool key
of its own.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from adtext.brief import AdBrief, AdText
from adtext.checks import check, is_compliant
from adtext.examples import Example, load_examples
from adtext.prompt import write
from adtext.rules import Rules, load_rules
from adtext.spec import load_spec
from adtext.templates import compose
from app.core.contract import TextState
from app.core.settings import Settings
from app.runtime.pool_cache import brief_digest, pool_key
from app.store.database import Database
from app.store.registry import load_registry
from app.store.texts import Batch, NewText, save_batches
from benchmarks.load import post
from trainer.registry import PolicyVersion

EXAMPLES = Path(__file__).parents[1] / "examples" / "briefs.jsonl"
PLATFORM = "google_rsa"
LANDING_PAGE_WORDS = 250
TEXTS = 8  # a key: as many as the service keeps, so that no hit starts a refill
GROUP = 100  # keys written in one transaction


@dataclass(frozen=True, slots=True)
class Base:
    """A brief to vary, and texts for it that the checks allow."""

    brief: Mapping[str, Any]
    texts: Sequence[AdText]


class Workload:
    """`brief(number)` is the same brief for the same number, and prompts of two numbers differ. Each holds approved
    texts: the fallback.
    """

    def __init__(self, examples: Path = EXAMPLES) -> None:
        rules = load_rules()
        self._bases = [base for example in load_examples(examples) if (base := _base(example, rules))]
        if not self._bases:
            raise ValueError(
                f"{examples} holds no plain English {PLATFORM} brief with {TEXTS} compliant texts: add one"
            )

    def brief(self, number: int) -> dict[str, Any]:
        data = self._bases[number % len(self._bases)].brief
        return {
            **data,
            "query": f"{data['query']} {number}",
            "ad": {**data["ad"], "id": f"{data['ad']['id']}-{number}"},
        }

    def texts(self, number: int) -> Sequence[AdText]:
        return self._bases[number % len(self._bases)].texts

    def completions(self) -> dict[str, list[str]]:
        """Each advertiser's texts, as a model would write them."""
        return {base.brief["ad"]["advertiser"]: [write(text, "en") for text in base.texts] for base in self._bases}

    def request(self, number: int, unit: int, *, n: int, deadline_ms: int, key: str) -> bytes:
        """A raw `POST /generate` for brief `number` and unit `unit`."""
        body = {
            "brief": self.brief(number),
            "platform": PLATFORM,
            "unit_id": f"unit-{unit}",
            "n": n,
            "deadline_ms": deadline_ms,
        }
        return post("/generate", json.dumps(body, ensure_ascii=False).encode(), key=key)

    async def fill(self, settings: Settings, numbers: range) -> None:
        """Put TEXTS approved texts for each of these briefs into the champion's pool, straight into the tables."""
        database = Database(settings)
        policy, version = await champion(settings), load_rules(settings.packs_dir).version
        for first in range(numbers.start, numbers.stop, GROUP):
            batches = [
                self._batch(number, policy, version) for number in range(first, min(first + GROUP, numbers.stop))
            ]
            async with database.direct() as connection:
                await save_batches(connection, batches)
        await database.close()

    def _batch(self, number: int, policy: PolicyVersion, rules_version: str) -> Batch:
        brief, spec = AdBrief.model_validate(self.brief(number)), load_spec(PLATFORM)
        texts = [NewText(os.urandom(16), text, "model", TextState.APPROVED, 1.0, ()) for text in self.texts(number)]
        key = pool_key(policy.version, spec, brief)
        return Batch(key, brief, brief_digest(brief), spec.name, spec.version, rules_version, policy.id, texts)


async def champion(settings: Settings) -> PolicyVersion:
    database = Database(settings)
    async with database.begin() as connection:
        registry = await load_registry(connection)
    await database.close()
    return registry.champion


def _base(example: Example, rules: Rules) -> Base | None:
    """None where the example is hostile, regulated, not English, or has no approved text or not TEXTS others once cut
    to 250 words.
    """
    if example.tags or example.platform != PLATFORM or not example.brief().locale.startswith("en"):
        return None
    data, spec = example.brief_data, load_spec(PLATFORM)
    page = " ".join(islice(cycle(data["ad"]["landing_page"].split()), LANDING_PAGE_WORDS))
    data = {**data, "ad": {**data["ad"], "landing_page": page}}
    brief = AdBrief.model_validate(data)
    allowed = [text for text in compose(brief, spec, seed=0) if is_compliant(check(text, brief, spec, rules))]
    approved = any(is_compliant(check(text, brief, spec, rules)) for text in brief.ad.approved)
    return Base(data, allowed[:TEXTS]) if approved and len(allowed) >= TEXTS else None
