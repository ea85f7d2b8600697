"""What was reported over HTTP becomes a snapshot: mature impressions with their texts, and reasons for what stayed
behind.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from counting import AdSystem, digest

from app.core.problems import Problem
from app.services.events.export import export
from tests.builders import a_brief, an_ad
from trainer.snapshot import describe_ad, describe_text, read_snapshot

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
NOW = datetime.now(UTC).replace(microsecond=0)
SHOWN = NOW - 12 * DAY


@pytest.fixture
def ads(app, client, keys) -> AdSystem:
    return AdSystem(app, client, keys)


def event(token: str, kind: str, at: datetime) -> dict[str, Any]:
    return {"event_id": f"{kind}-{digest(token).hex()}", "kind": kind, "token": token, "occurred_at": at.isoformat()}


def a_text(url: str, name: str, *, written: datetime = SHOWN - DAY, with_brief: bool = True) -> None:
    """A written Chinese text, as the pool keeps it."""
    brief, ad = a_brief(), an_ad()
    with psycopg.connect(url) as connection:
        policy = connection.execute("SELECT min(id) FROM policies").fetchone()
        if with_brief:
            body = json.dumps(brief.model_dump(mode="json"))
            connection.execute(
                "INSERT INTO briefs (digest, body) VALUES (%s, %s) ON CONFLICT DO NOTHING", (digest("brief"), body)
            )
        connection.execute(
            """INSERT INTO texts (id, pool_key, policy_id, origin, state, title, description, brief_digest, advertiser,
                                  ad_id, industry,
                                  locale, platform, spec_version, rules_version, score, findings, created_at)
               VALUES (%s, '', %s, 'model', 'approved', %s, %s, %s, %s, 'ad', 'apparel', 'zh-CN', 'generic', '1', '1',
                       1, '[]', %s)""",
            (
                UUID(bytes=digest(name)),
                policy[0],
                ad.title,
                ad.description,
                digest("brief" if with_brief else "no brief"),
                brief.ad.advertiser,
                written,
            ),
        )


def a_serving(url: str, token_id: bytes, text: str, query: str = "宽脚跑鞋", position: int = 1) -> None:
    with psycopg.connect(url) as connection:
        connection.execute(
            """INSERT INTO servings (id, at, request_id, unit, text_id, source, position, query, locale, platform,
                                     latency_ms)
               VALUES (%s, %s, 'r', '', %s, 1, %s, %s, 'zh-CN', 'generic', 1)""",
            (UUID(bytes=token_id), SHOWN, UUID(bytes=digest(text)), position, query),
        )


async def shown(
    ads: AdSystem, url: str, name: str, *, text: str = "t", at: datetime = SHOWN, logged: bool = True, **serving: Any
) -> str:
    token = ads.serve(serve_id=digest(name), text_id=digest(text), at=at, **serving)
    if logged:
        a_serving(url, digest(name), text)
    assert [answer["status"] for answer in await ads.report(event(token, "impression", at), at=at)] == ["accepted"]
    return token


async def test_a_mature_impression_is_exported_with_its_query_text_and_times(
    ads, settings, database_url, tmp_path: Path
) -> None:
    a_text(database_url, "t")
    token = await shown(ads, database_url, "one")
    click, conversion = event(token, "click", SHOWN + HOUR), event(token, "conversion", SHOWN + 2 * HOUR)
    await ads.report(click, conversion, at=SHOWN + DAY)
    manifest = await export(ads.container.database, settings, tmp_path / "snapshot")
    snapshot = read_snapshot(tmp_path / "snapshot")
    assert snapshot.manifest == manifest and (manifest.rows, manifest.texts, manifest.left_out) == (1, 1, {})
    row, text = snapshot.exposures.to_pylist()[0], snapshot.texts.to_pylist()[0]
    assert (row["query"], row["position"], row["arm"], row["window_hours"]) == (
        "宽脚跑鞋",
        1,
        "",
        settings.window_hours,
    )
    assert (row["impression_at"], row["click_at"], row["conversion_at"]) == (SHOWN, SHOWN + HOUR, SHOWN + 2 * HOUR)
    assert (text["ad"], text["text"], text["group"]) == (
        describe_ad(a_brief().ad),
        describe_text(an_ad()),
        a_brief().ad.advertiser,
    )


async def test_the_arm_is_the_experiments_and_the_window_too(ads, settings, database_url, tmp_path: Path) -> None:
    a_text(database_url, "t")
    experiment = await ads.experiment()
    await shown(ads, database_url, "one", phase=experiment["phase"], arm=1)
    manifest = await export(ads.container.database, settings, tmp_path / "snapshot")
    row = read_snapshot(tmp_path / "snapshot").exposures.to_pylist()[0]
    assert row["arm"] == "title-test/1/treatment-1" in manifest.arms and row["window_hours"] == 24


async def test_what_stays_behind_is_counted_by_reason(ads, settings, database_url, tmp_path: Path) -> None:
    a_text(database_url, "t")
    a_text(database_url, "late", written=SHOWN + HOUR)
    a_text(database_url, "forgotten", with_brief=False)
    await shown(ads, database_url, "good")
    await shown(ads, database_url, "young", at=NOW - 2 * DAY)
    await shown(ads, database_url, "lost", logged=False)
    await shown(ads, database_url, "early", text="late")
    await shown(ads, database_url, "old", text="forgotten")
    manifest = await export(ads.container.database, settings, tmp_path / "snapshot")
    reasons = ("immature", "serving row missing", "shown before its text was written", "text or brief past retention")
    assert manifest.left_out == dict.fromkeys(reasons, 1) and manifest.rows == 1
    assert read_snapshot(tmp_path / "snapshot").exposures.num_rows == 1


async def test_an_export_as_of_the_past_knows_nothing_later(ads, settings, database_url, tmp_path: Path) -> None:
    a_text(database_url, "t", written=SHOWN - 10 * DAY)
    token = await shown(ads, database_url, "one", at=SHOWN - 9 * DAY)
    await shown(ads, database_url, "two", at=SHOWN)
    await ads.report(event(token, "click", SHOWN - DAY / 2), at=SHOWN - DAY / 2)
    manifest = await export(ads.container.database, settings, tmp_path / "snapshot", as_of=SHOWN - DAY)
    assert manifest.rows == 1 and read_snapshot(tmp_path / "snapshot").exposures["click_at"].null_count == 1


async def test_a_range_takes_its_first_moment_and_not_its_last(ads, settings, database_url, tmp_path: Path) -> None:
    a_text(database_url, "t")
    for hours in range(3):
        await shown(ads, database_url, f"at {hours}", at=SHOWN + hours * HOUR)
    manifest = await export(
        ads.container.database, settings, tmp_path / "snapshot", since=SHOWN + HOUR, until=SHOWN + 2 * HOUR
    )
    assert manifest.rows == 1 and (manifest.since, manifest.until) == (SHOWN + HOUR, SHOWN + 2 * HOUR)


@pytest.mark.parametrize(
    ("times", "said"),
    [({"as_of": NOW + DAY}, "is in the future"), ({"since": NOW, "until": NOW - DAY}, "must be before until")],
)
async def test_times_that_cannot_be_are_refused(ads, settings, tmp_path: Path, times, said) -> None:
    with pytest.raises(Problem, match=said):
        await export(ads.container.database, settings, tmp_path / "snapshot", **times)
    assert not (tmp_path / "snapshot").exists()
