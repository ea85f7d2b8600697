"""Golden prompts: a policy writes for one known brief per language before an alias may point at it. A server that is
unreachable, does not know the model, or answers nonsense is refused by name.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from adtext.brief import Ad, AdBrief
from adtext.prompt import parse
from adtext.spec import load_spec
from app.core.problems import Problem
from app.policies.base import WriterUnavailable
from app.policies.clients import PolicyClients
from trainer.registry import PolicyVersion

SAMPLES = 8  # at temperature 1 a small policy leaves the template now and then
LIMIT_S = 60.0  # for all languages together
_SEED = 1

# language → platform, query, bidwords, advertiser, business, selling points, landing page
_BRIEFS: Mapping[str, tuple[str, str, tuple[str, ...], str, str, tuple[str, ...], str]] = {
    "en": (
        "google_rsa", "wide running shoes", ("running shoes", "wide fit trainers"),
        "Greenfield Running", "Online running shoe store", ("Wide fit from 2E to 4E", "30-day returns"),
        "We fit runners with wide feet. Trainers weigh 238 g and start at $89. Orders leave within 48 hours.",
    ),
    "zh": (
        "baidu_search", "宽脚跑鞋", ("跑鞋", "宽楦跑鞋"),
        "青禾跑步", "线上跑鞋店", ("宽楦设计", "30天免费退换"),
        "青禾跑步专注宽脚跑者。新款缓震跑鞋已上架，每双238克，提供36到46码。下单后48小时内发货。",
    ),
    "ja": (
        "generic", "幅広 ランニングシューズ", ("ランニングシューズ",),
        "みどりランニング", "ランニングシューズの通販", ("幅広設計", "30日間返品無料"),
        "みどりランニングは幅広の足に合う靴の専門店です。新作は片足238g、9,800円から。ご注文から48時間以内に発送。",
    ),
}  # fmt: skip


def golden_brief(locale: str) -> tuple[str, AdBrief]:
    """The platform and the brief that a policy of this locale writes for."""
    platform, query, bidwords, advertiser, business, points, page = _BRIEFS[locale[:2]]
    ad = Ad(
        id=f"golden-{locale}", advertiser=advertiser, business=business, selling_points=points, landing_page=page,
        industry="apparel",
    )  # fmt: skip
    return platform, AdBrief(query=query, bidwords=bidwords, ad=ad, locale=locale)


async def require_answers(clients: PolicyClients, policy: PolicyVersion) -> None:
    """Return when the policy wrote a text for every language it states; raise a Problem that says what it did instead.

    Calls the model: never inside a transaction.
    """
    languages = {locale[:2]: locale for locale in reversed(policy.locales)}
    try:
        async with asyncio.timeout(LIMIT_S):
            for locale in languages.values():
                await _require_text(clients, policy, locale)
    except WriterUnavailable as error:
        raise Problem(
            409,
            "policy_unreachable",
            f"{policy.version} cannot be reached: {error}. Start its server, or load it with `relate policies "
            "serve`, then try again",
            field="version",
            value=policy.version,
        ) from error
    except TimeoutError as error:
        raise Problem(
            409,
            "policy_unreachable",
            f"{policy.version} wrote nothing for its golden prompts within {LIMIT_S:g} s: check its server",
            field="version",
            value=policy.version,
        ) from error


async def _require_text(clients: PolicyClients, policy: PolicyVersion, locale: str) -> None:
    platform, brief = golden_brief(locale)
    draft = await clients(policy).write(brief, load_spec(platform), n=SAMPLES, seed=_SEED)
    if not any(parse(completion, brief.language) for completion in draft.completions):
        raise Problem(
            409,
            "golden_prompts",
            f"{policy.version} wrote no ad for the golden prompt of {locale}: none of {SAMPLES} answers follows the "
            "template; check its model and decoding",
            field="version",
            value=policy.version,
        )
