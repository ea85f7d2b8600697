"""What the policy server is asked, and what of its answer may be kept."""

from __future__ import annotations

import httpx
import psycopg
import pytest
from fakes import FakePolicyServer
from service import BOOTS, KAFFEE, Generate, a_request

from adtext.brief import AdBrief
from adtext.rules import load_rules
from adtext.spec import load_spec
from app.core.settings import Settings
from app.policies.vllm_http import VllmWriter, request_body
from app.store.seed import seed
from trainer.registry import PolicyVersion

QWEN = PolicyVersion(version="relate-20261129-1f3a", kind="vllm", locales=("zh-CN",), model="relate-zh")


@pytest.mark.parametrize("brief", [BOOTS, KAFFEE], ids=["English", "Chinese"])
def test_the_server_is_asked_as_the_policy_was_trained(brief: dict[str, object]) -> None:
    body = request_body(QWEN, AdBrief.model_validate(brief), load_spec("generic"), n=2, seed=1)
    assert body["chat_template_kwargs"] == {"enable_thinking": False}
    # a model's folder brings settings of its own, Qwen3's cuts all but 20 tokens: none of them may apply
    assert (body["top_k"], body["min_p"], body["repetition_penalty"]) == (-1, 0.0, 1.0)


async def test_a_text_that_the_token_limit_cut_off_is_a_candidate_and_never_kept(
    upstream: FakePolicyServer, generate: Generate, database: psycopg.Connection[tuple[int, int]]
) -> None:
    upstream.finish = "length"  # its words happen to be a whole ad
    answer = await generate(a_request())
    assert [text["source"] for text in answer["texts"]] != ["fresh"]
    assert database.execute("SELECT count(*) FROM texts WHERE origin = 'model'").fetchone() == (0,)
    counted = database.execute("SELECT sum(candidates)::int, sum(compliant)::int FROM candidate_counts").fetchone()
    assert counted is not None and counted[0] > 0 and counted[1] == 0


async def test_a_draft_counts_what_was_cut(upstream: FakePolicyServer) -> None:
    upstream.finish = "length"
    writer = VllmWriter(QWEN, upstream.url, timeout_s=5, concurrency=2)
    draft = await writer.write(AdBrief.model_validate(KAFFEE), load_spec("generic"), n=3, seed=1)
    assert (list(draft.completions), draft.cut) == ([], 3)
    await writer.close()


# ---- locales


@pytest.fixture
def settings(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """As docker/compose.yaml sets them, on an installation that has not started yet."""
    monkeypatch.setenv("RELATE_POLICY_LOCALES", "zh-CN, ja-JP,en-US,en-GB")
    qwen = Settings(**dict(settings, policy_locales=Settings().policy_locales, policy_model="relate-base"))
    with psycopg.connect(qwen.database_url) as connection:
        connection.execute("DELETE FROM policy_aliases")
        connection.execute("DELETE FROM policies")
    seed(qwen, load_rules())
    return qwen


async def test_the_locales_that_a_policy_writes_are_data_of_its_row(
    client: httpx.AsyncClient, keys: dict[str, dict[str, str]], upstream: FakePolicyServer
) -> None:
    policies = (await client.get("/policies", headers=keys["ops"])).json()["policies"]
    champion = next(policy for policy in policies if "champion" in policy["aliases"])
    assert champion["locales"] == ["zh-CN", "ja-JP", "en-US", "en-GB"]
    upstream.answer = lambda body: [
        "标题: 云南小粒咖啡豆现烘现发\n描述: 云南小粒咖啡豆，下单后现烘现发，适合手冲，山间咖啡欢迎了解。"
    ]
    body = {"brief": KAFFEE, "platform": "baidu_search", "unit_id": "读者一号", "deadline_ms": 5000}
    answer = (await client.post("/generate", json=body, headers=keys["generate"])).json()
    assert [(text["source"], text["policy"]) for text in answer["texts"]] == [("fresh", champion["version"])], answer
