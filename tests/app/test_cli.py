"""`relate`, as a person at a shell meets it, beside a real platform."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, sleep

import httpx
import pytest
from shell import BRIEF, ENGLISH, relate, saved

from app.core.secrets import Secrets
from app.core.settings import Settings
from app.up.stack import Stack
from tests.trainer.gate_reports import a_gate_report


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """Not in pytest's own folder: as root PostgreSQL runs as another user, and a second pytest would close that folder
    to it.
    """
    with TemporaryDirectory(prefix="relate-tests-") as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def here(stack: Stack) -> dict[str, str]:
    """The environment of a shell beside that platform: commands find its keys and its database by the data
    directory.
    """
    return {"RELATE_URL": stack.url, "RELATE_DATA_DIR": str(stack.settings.data_dir)}


class TestGenerate:
    def test_an_ad_is_shown_with_who_wrote_it(self, tmp_path: Path, here: dict[str, str]) -> None:
        done = relate(
            "generate", saved(tmp_path, "brief.json", BRIEF), "--platform", "generic", "--deadline-ms", 200, **here
        )
        assert "青禾保湿面霜 不含香精" in done.stdout, done.stderr
        assert "advertiser" in done.stdout

    def test_a_file_of_briefs_is_answered_line_by_line(self, tmp_path: Path, here: dict[str, str]) -> None:
        lines = [
            {"name": "one", "platform": "generic", "tags": [], "brief": BRIEF},
            {"name": "two", "tags": [], "brief": ENGLISH},
        ]
        done = relate("generate", saved(tmp_path, "briefs.jsonl", *lines), "--json", "--deadline-ms", 200, **here)
        assert [len(json.loads(line)["texts"]) for line in done.stdout.splitlines()] == [1, 1], done.stderr

    def test_a_prefill_says_how_many_briefs_have_texts_and_why_others_have_none(
        self, tmp_path: Path, here: dict[str, str]
    ) -> None:
        done = relate("prefill", saved(tmp_path, "briefs.jsonl", {"brief": BRIEF, "platform": "generic"}), **here)
        assert "0 of 1 briefs have texts" in done.stdout
        assert "1 × policy_does_not_write_locale" in done.stdout
        assert done.status == 1

    @pytest.mark.parametrize("command", ["generate", "prefill"])
    def test_an_invalid_brief_is_reported_by_its_line_and_the_others_go_on(
        self, command: str, tmp_path: Path, here: dict[str, str]
    ) -> None:
        lines = [BRIEF, BRIEF | {"locale": "zh"}, ENGLISH | {"query": ""}, BRIEF | {"query": "保湿面霜"}]
        file = saved(tmp_path, "briefs.jsonl", *lines)
        with file.open("a", encoding="utf-8") as more:
            more.write("{]\n")
        deadline = ("--deadline-ms", 200) if command == "generate" else ()
        done = relate(command, file, "--platform", "generic", *deadline, **here)
        assert [line.partition(":")[0].rpartition(" ")[2] for line in done.stderr.splitlines()[:3]] == ["2", "3", "5"]
        assert "locale: Input should be" in done.stderr
        assert (
            ("0 of 2 briefs" in done.stdout) if command == "prefill" else ("3 invalid briefs were left" in done.stderr)
        )
        assert done.status == 1

    def test_a_service_that_does_not_run_is_named_with_what_starts_it(
        self, tmp_path: Path, here: dict[str, str]
    ) -> None:
        done = relate("generate", saved(tmp_path, "brief.json", BRIEF), "--url", "http://127.0.0.1:9", **here)
        assert done.stderr.startswith("relate: http://127.0.0.1:9 does not answer")
        assert "relate up" in done.stderr

    def test_without_a_key_the_way_to_one_is_named(self, tmp_path: Path) -> None:
        done = relate("generate", saved(tmp_path, "brief.json", BRIEF), RELATE_DATA_DIR=str(tmp_path))
        assert "this needs a key with scope generate: pass --key or set RELATE_KEY" in done.stderr


class TestPolicies:
    def test_a_version_is_registered_promoted_and_rolled_back(self, here: dict[str, str]) -> None:
        registered = relate(
            "policies", "register", "--name", "templates", "--kind", "nlg", "--locale", "zh-CN",
            "--locale", "ja-JP", "--temperature", "0.4", **here,
        )  # fmt: skip
        version = registered.stdout.strip()
        shown = json.loads(relate("policies", "show", version, **here).stdout)
        assert (shown["locales"], shown["decoding"]["temperature"]) == (["zh-CN", "ja-JP"], 0.4)
        assert f"the gate never ran for {version}" in relate("policies", "promote", version, **here).stderr
        promoted = relate("policies", "promote", version, "--override", "templates need no gate", **here)
        assert f"champion: {version}" in promoted.stdout
        assert version in relate("policies", "list", **here).stdout
        back = relate("policies", "rollback", **here)  # the model of the first champion does not run here
        assert "cannot be reached" in back.stderr and back.status == 1
        assert relate("policies", "show", "没有", **here).stderr.startswith("relate: there is no policy '没有'")

    def test_a_gate_report_comes_with_its_policy_or_after_it(self, tmp_path: Path, here: dict[str, str]) -> None:
        report = saved(tmp_path, "gate.json", a_gate_report("relate-next", digest="bb22"))
        register = ("policies", "register", "--name", "relate", "--model", "next", "--locale", "zh-CN")
        version = relate(*register, "--gate", report, **here).stdout.strip()
        shown = json.loads(relate("policies", "show", version, **here).stdout)
        assert (shown["digest"], shown["gate"]["passed"]) == ("bb22", True)
        failed = saved(tmp_path, "failed.json", a_gate_report("relate-next", digest="bb22", passed=False))
        assert relate("policies", "gate", version, failed, **here).stdout.startswith("fail: report ")
        assert f"{version} failed the gate" in relate("policies", "promote", version, **here).stderr
        unreadable = saved(tmp_path, "other.json", {"passed": True})
        assert "is no report of the gate" in relate("policies", "gate", version, unreadable, **here).stderr

    def test_a_seeded_policy_cannot_be_registered_a_second_time(self, stack: Stack, here: dict[str, str]) -> None:
        nlg = next(
            line.split()[0]
            for line in relate("policies", "list", **here).stdout.splitlines()
            if line.strip().startswith("nlg-")
        )
        seeded = json.loads(relate("policies", "show", nlg, **here).stdout)
        locales = [word for locale in seeded["locales"] for word in ("--locale", locale)]
        again = relate("policies", "register", "--name", "nlg", "--kind", "nlg", *locales, **here)
        assert f"already registered as {nlg}" in again.stderr


class TestTexts:
    def test_an_advertiser_is_withdrawn_listed_and_restored(self, here: dict[str, str]) -> None:
        done = relate("texts", "withdraw", "--advertiser", "山路靴店", "--reason", "契約終了", **here)
        number = done.stdout.partition(":")[0]
        assert "advertiser 山路靴店 is withdrawn" in done.stdout
        assert "契約終了" in relate("texts", "list", **here).stdout
        assert "advertiser 山路靴店 is served again" in relate("texts", "restore", number, **here).stdout
        assert "契約終了" not in relate("texts", "list", **here).stdout
        assert "no withdrawal has this id" in relate("texts", "restore", number, **here).stderr
        assert "name one thing" in relate("texts", "withdraw", "--reason", "why", **here).stderr


class TestReview:
    def test_the_queue_is_shown_and_the_decisions_are_exported(self, here: dict[str, str], tmp_path: Path) -> None:
        assert "waits for" in relate("review", "queue", "--language", "zh", **here).stdout
        out = tmp_path / "decisions.jsonl"
        assert f"{out}: 0 decisions" in relate("review", "export", str(out), **here).stdout
        assert str(out) in relate("review", "export", str(out), **here).stderr  # nothing is overwritten
        assert "since" in relate("review", "export", str(tmp_path / "b"), "--since", "monday", **here).stderr


class TestRefusals:
    @pytest.mark.parametrize(
        ("arguments", "environment", "said"),
        [
            (("migrate",), {"DATABASE_URL": "mysql://root:geheim@db/x"}, "names a 'mysql' database"),
            (("serve",), {}, "DATABASE_URL is not set"),
            (("serve",), {"DATABASE_URL": "postgresql://x@127.0.0.1:1/x"}, "the database does not answer"),
            (("keys", "list"), {"DATABASE_URL": "postgresql://x@127.0.0.1:1/x"}, "the database does not answer"),
            (("export", "--out", "/proc/nothing/monday"), {}, "/proc/nothing"),
            (("backup", "/proc/nothing/x.tar"), {}, "/proc/nothing"),
        ],
    )
    def test_what_cannot_be_done_is_one_line_and_no_traceback(
        self, tmp_path: Path, here: dict[str, str], arguments: tuple[str, ...], environment: dict[str, str], said: str
    ) -> None:
        secrets = tmp_path / "secrets.json"
        Secrets.generate().save(secrets)
        done = relate(
            *arguments,
            **({} if arguments[0] == "serve" else here) | environment | {"RELATE_SECRETS_FILE": str(secrets)},
        )
        assert done.status == 1
        assert said in done.stderr
        assert "geheim" not in done.stderr
        assert len(done.stderr.splitlines()) == 1


class TestKeys:
    def test_a_key_made_beside_a_running_service_opens_it_at_once_and_one_revoked_does_not(
        self, stack: Stack, here: dict[str, str]
    ) -> None:
        made = relate("keys", "create", "--scope", "report", "--name", "分析师", "--expires", 30, **here)
        key = made.stdout.strip()
        assert key.startswith("rk_"), made.stderr
        assert _status(stack, key) == 200
        row = next(line for line in relate("keys", "list", **here).stdout.splitlines() if key[:11] in line)
        assert "分析师" in row
        number = row.split()[0]
        successor = relate("keys", "rotate", number, "--overlap", 60, **here).stdout.strip()
        assert (_status(stack, key), _status(stack, successor)) == (200, 200)
        assert "is revoked" in relate("keys", "revoke", number, **here).stdout
        deadline = monotonic() + 5  # the announcement takes a moment on a busy machine
        while _status(stack, key) != 401 and monotonic() < deadline:
            sleep(0.05)
        assert (_status(stack, key), _status(stack, successor)) == (401, 200)

    def test_an_unknown_scope_is_refused_with_those_there_are(self, here: dict[str, str]) -> None:
        done = relate("keys", "create", "--scope", "root", **here)
        assert (
            done.stderr
            == "relate: there is no scope 'root': choose from generate, events, report, review, ops, admin\n"
        )

    def test_without_any_database_the_way_to_one_is_named(self, tmp_path: Path) -> None:
        done = relate("keys", "list", RELATE_DATA_DIR=str(tmp_path / "none"))
        assert "there is no database: set DATABASE_URL, or run `relate up` once" in done.stderr
        assert not (tmp_path / "none").exists()

    def test_a_token_key_is_followed_by_another_and_still_opens(self, tmp_path: Path) -> None:
        from app.core.secrets import Secrets

        own = {"RELATE_DATA_DIR": str(tmp_path)}
        assert "was created" in relate("secrets", **own).stdout
        before = Secrets.load(tmp_path / "secrets.json")
        assert "exists and is valid" in relate("secrets", **own).stdout
        assert "restart every replica" in relate("keys", "rotate-token-key", **own).stdout
        after = Secrets.load(tmp_path / "secrets.json")
        assert after.tokens[1] == before.tokens[0]
        assert after.unit == before.unit


def _status(stack: Stack, key: str) -> int:
    """What GET /experiments answers to the key, once every change made so far has reached the service."""
    httpx.get(f"{stack.url}/readyz", trust_env=False)
    return httpx.get(
        f"{stack.url}/experiments", headers={"Authorization": f"Bearer {key}"}, trust_env=False
    ).status_code


class TestExperiments:
    def test_one_lives_from_draft_to_its_report(self, here: dict[str, str]) -> None:
        arms = ("--arm", "control=champion", "--arm", "other=champion:3")
        made = relate("experiments", "create", "titles", *arms, "--coverage", 10, "--start", **here)
        assert "titles is running: 10 % of layer default, phase 1" in made.stdout, made.stderr
        assert "20 % of layer" in relate("experiments", "ramp", "titles", 20, **here).stdout
        assert "phase 2" in relate("experiments", "weights", "titles", 1, 1, **here).stdout
        assert "control 50 %, other 50 %" in relate("experiments", "list", **here).stdout
        shown = " ".join(relate("experiments", "report", "titles", **here).stdout.split())
        assert "CTCVR" in shown and "Phase 1 (--phase 1):" in shown
        assert "The always-valid interval decides" in shown
        assert json.loads(relate("experiments", "report", "titles", "--json", **here).stdout)["phase"] == 2
        assert "titles is stopped" in relate("experiments", "stop", "titles", **here).stdout

    def test_an_arm_that_is_not_spelt_as_one_is_refused_with_an_example(self, here: dict[str, str]) -> None:
        done = relate("experiments", "create", "x", "--arm", "control", **here)
        assert done.stderr.startswith("relate: --arm 'control' is not NAME=POLICY or NAME=POLICY:WEIGHT")


class TestCare:
    def test_retention_finds_nothing_old_in_a_young_database(self, here: dict[str, str]) -> None:
        assert relate("retention", **here).stdout == "nothing is old enough to delete\n"

    def test_migrating_twice_changes_nothing(self, here: dict[str, str]) -> None:
        assert (
            relate("migrate", **here).stdout
            == relate("migrate", **here).stdout
            == "the schema is that of this release\n"
        )

    def test_a_backup_of_a_running_platform_restores_keys_secrets_and_experiments(
        self, tmp_path: Path, stack: Stack, here: dict[str, str]
    ) -> None:
        relate(
            "experiments",
            "create",
            "kept",
            "--arm",
            "control=champion",
            "--arm",
            "other=champion",
            "--layer",
            "kept",
            **here,
        )
        artifact = stack.settings.data_dir / "artifacts" / "sft" / "model.txt"
        artifact.parent.mkdir(parents=True)
        artifact.write_text("权重")
        tar = tmp_path / "relate.tar"
        done = relate("backup", tar, **here)
        assert done.status == 0, done.stderr
        assert tar.stat().st_mode & 0o077 == 0

        there = {"RELATE_DATA_DIR": str(tmp_path / "restored")}
        assert "is as it was" in relate("restore", tar, **there).stdout
        again = relate("restore", tar, **there)
        assert (again.status, "is not empty" in again.stderr, "--force" in again.stderr) == (1, True, True)

        settings = Settings(data_dir=tmp_path / "restored", port=0)
        assert (settings.data_dir / "artifacts" / "sft" / "model.txt").read_text() == "权重"
        assert settings.secrets_path.read_bytes() == stack.settings.secrets_path.read_bytes()
        with Stack(settings, model=False) as restored:
            assert restored.keys == stack.keys
            beside = there | {"RELATE_URL": restored.url}
            first = json.loads(relate("experiments", "report", "kept", "--json", **here).stdout)
            second = json.loads(relate("experiments", "report", "kept", "--json", **beside).stdout)
        assert second["method"]["salt"] == first["method"]["salt"]
        assert second["arms"] == first["arms"]

    def test_a_file_that_is_no_backup_is_refused(self, tmp_path: Path) -> None:
        done = relate("restore", saved(tmp_path, "brief.json", BRIEF), RELATE_DATA_DIR=str(tmp_path / "x"))
        assert "is not a backup: name a file that `relate backup` wrote" in done.stderr
