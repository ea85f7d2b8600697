"""Commands that need no running service: the help of every command, and `relate check`."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from shell import BRIEF, ENGLISH, relate, saved

COMMANDS = [
    (),
    ("up",),
    ("serve",),
    ("secrets",),
    ("generate",),
    ("prefill",),
    ("check",),
    ("migrate",),
    ("upgrade",),
    ("retention",),
    ("backup",),
    ("restore",),
    ("policies",),
    ("policies", "list"),
    ("policies", "show"),
    ("policies", "register"),
    ("policies", "promote"),
    ("policies", "rollback"),
    ("texts",),
    ("texts", "withdraw"),
    ("texts", "restore"),
    ("texts", "list"),
    ("review",),
    ("review", "queue"),
    ("review", "export"),
    ("keys",),
    ("keys", "create"),
    ("keys", "list"),
    ("keys", "rotate"),
    ("keys", "revoke"),
    ("keys", "rotate-token-key"),
    ("experiments",),
    ("experiments", "create"),
    ("experiments", "start"),
    ("experiments", "ramp"),
    ("experiments", "weights"),
    ("experiments", "stop"),
    ("experiments", "list"),
    ("experiments", "report"),
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_and_every_option_is_explained(command: tuple[str, ...]) -> None:
    from typer.main import get_command

    from app.cli import cli

    found = get_command(cli)
    for name in command:
        found = found.commands[name]  # type: ignore[attr-defined]
    assert found.help
    assert [parameter.name for parameter in found.params if not getattr(parameter, "help", None)] == []


class TestCheck:
    def test_a_brief_without_texts_has_its_approved_ones_checked(self, tmp_path: Path) -> None:
        done = relate("check", saved(tmp_path, "brief.json", BRIEF), "--platform", "generic")
        assert (done.status, "no findings" in done.stdout) == (0, True), done.stdout + done.stderr

    def test_a_blocking_finding_is_told_with_its_law_and_ends_in_status_1(self, tmp_path: Path) -> None:
        brief = saved(tmp_path, "brief.json", BRIEF)
        done = relate(
            "check",
            brief,
            "--title",
            "全网最低价面霜",
            "--description",
            "敏感肌也可以用的日常面霜，不含香精，清爽不油腻。",
        )
        assert done.status == 1
        assert re.search(r"block +title: .*absolute_claim", done.stdout)

    def test_findings_are_underlined_where_they_stand(self) -> None:
        from adtext import AdBrief, AdText, check, load_rules, load_spec
        from app.cli.check import underlined

        title = "全网最低价面霜"
        text = AdText(title=title, description="敏感肌也可以用的日常面霜，不含香精，清爽不油腻。")
        findings = [
            finding
            for finding in check(text, AdBrief.model_validate(BRIEF), load_spec("generic"), load_rules())
            if finding.field == "title"
        ]
        shown = underlined(title, findings)
        assert {(span.start, span.end) for span in shown.spans} == {tuple(finding.span) for finding in findings}
        assert any("最低价" in finding.quote for finding in findings)

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            ("", "holds no JSON objects"),
            ("{]", "line 1 is not JSON"),
            ('{"title": "面霜"}', "a brief holds query, locale and ad, and this has title"),
            (json.dumps(ENGLISH | {"locale": "tlh"}), "locale: Input should be 'en-US'"),
            (json.dumps(ENGLISH), "there is no text to check"),
        ],
    )
    def test_a_file_that_is_no_brief_is_refused_in_one_line(self, content: str, said: str) -> None:
        done = relate("check", "-", given=content)
        assert done.status == 1
        assert said in done.stderr
        assert done.stderr.count("\n") == 1
