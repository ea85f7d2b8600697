"""Policies that were trained here are served by the running vLLM: their adapters are loaded while it runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fakes import FakePolicyServer
from registering import WHY, answers, move, registered

from app.core.settings import Settings
from app.services.registry.adapter_watch import AdapterWatch
from app.store.migrate import migrate
from app.store.seed import adopt_packaged, trained_in_use

NAME = "relate-20261129-abcdef"
ARTIFACT = f"artifacts/policies/{NAME}"


@pytest.fixture
async def ops(client: Any, bearer: Any, upstream: FakePolicyServer, settings: Settings) -> Any:
    upstream.answer, upstream.adapters = answers, {}
    client.headers.update(await bearer("ops"))
    adapter(settings.data_dir / ARTIFACT)
    return client


def adapter(folder: Path, base: str = "/elsewhere/models/relate-en-5") -> None:
    folder.mkdir(parents=True)
    (folder / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": base, "peft_type": "LORA"}))


async def trained(ops: Any, **over: Any) -> str:
    return await registered(ops, **{"endpoint": None, "model": NAME, "artifact": ARTIFACT, "locales": ["en-US"]} | over)


async def test_an_adapter_is_loaded_once_under_its_own_name_and_can_be_promoted(
    ops: Any, upstream: FakePolicyServer, settings: Settings
) -> None:
    version = await trained(ops)
    first, second = [await ops.post(f"/policies/{version}/serve") for _ in range(2)]
    assert first.json() == {"version": version, "model": NAME, "loaded": True}
    assert second.json()["loaded"] is False
    assert upstream.adapters == {NAME: str((settings.data_dir / ARTIFACT).resolve())}
    assert upstream.bodies[-1]["model"] == NAME  # it wrote for its golden prompts
    assert (await move(ops, "champion", action="promote", version=version, override_reason=WHY)).status_code == 200


async def test_what_cannot_be_served_is_refused_with_the_way_out(
    ops: Any, upstream: FakePolicyServer, settings: Settings
) -> None:
    policies = settings.data_dir / "artifacts" / "policies"
    adapter(policies / "other", base="Qwen/Qwen3-8B")
    (policies / "full").mkdir()
    (policies / "full" / "config.json").write_text("{}")
    cases = [
        ({"model": "full", "artifact": "artifacts/policies/full"}, "full_weights", "--served-model-name full"),
        ({"model": "other", "artifact": "artifacts/policies/other"}, "other_base", "--model Qwen/Qwen3-8B"),
        ({"model": "x", "artifact": None}, "no_artifact", "its server must know x by itself"),
        ({"model": "gone", "artifact": "artifacts/policies/没有"}, "artifact_not_here", "copy them there"),
        ({"model": "out", "artifact": "../../etc"}, "artifact_not_here", "not in the data directory"),
        ({"model": "s3", "artifact": "s3://models/relate-2"}, "artifact_not_here", "copy them there"),
        ({"endpoint": "http://127.0.0.1:9"}, "policy_unreachable", "cannot be reached: http://127.0.0.1:9"),
    ]
    for over, rule, said in cases:
        refusal = await ops.post(f"/policies/{await trained(ops, **over)}/serve")
        detail = refusal.json()["detail"]
        assert (refusal.status_code, refusal.json()["rule"]) == (409, rule), detail
        assert said in detail and "\n" not in detail
    upstream.adapters = None
    refusal = await ops.post(f"/policies/{await trained(ops, name='late')}/serve")
    assert (
        refusal.json()["rule"] == "no_runtime_adapters" and "RELATE_RUNTIME_ADAPTERS=true" in refusal.json()["detail"]
    )
    assert (await ops.post("/policies/relate-没有/serve")).status_code in (404, 422)


async def test_a_server_that_was_restarted_gets_the_adapters_of_policies_in_use_again(
    ops: Any, app: Any, upstream: FakePolicyServer
) -> None:
    version = await trained(ops)
    await ops.post(f"/policies/{version}/serve")
    await move(ops, "champion", action="promote", version=version, override_reason=WHY)
    await trained(ops, name="idle", model="idle")  # no alias points at it, so it is not loaded
    upstream.adapters = {}
    container = app.state.container
    await AdapterWatch(container.state, container.adapters).look()
    assert list(upstream.adapters) == [NAME]


async def test_a_trained_champion_survives_a_restart_of_the_platform(
    ops: Any, settings: Settings, upstream: FakePolicyServer
) -> None:
    assert not trained_in_use(settings)
    version = await trained(ops)
    await ops.post(f"/policies/{version}/serve")
    await move(ops, "champion", action="promote", version=version, override_reason=WHY)
    migrate(settings)
    assert adopt_packaged(settings) is None and trained_in_use(settings)
