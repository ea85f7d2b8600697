"""The worked examples of docs/extending.md, executed as they stand there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
BLOCKS = re.findall(
    r"```(python|yaml|toml)\n(.*?)```", (ROOT / "docs" / "extending.md").read_text(encoding="utf-8"), re.S
)
SCORED = """
import sys
from trainer.config import GrpoConfig
from trainer.prompts import load_prompts
from trainer.rewards.base import Given, read
from trainer.rewards.registry import build_terms
from adtext.rules import load_rules
import yaml

terms = build_terms(GrpoConfig.model_validate(yaml.safe_load(sys.argv[1])).terms, Given())
prompt, rules = load_prompts()[0], load_rules()
name = prompt.brief.ad.advertiser
samples = [read(prompt, f"Title: {name}\\nDescription: Open daily.", rules),
           read(prompt, "Title: Open Daily\\nDescription: Come in.", rules), read(prompt, "nonsense", rules)]
print(terms["my_rewards:NamesTheAdvertiser"].score(samples).tolist())
"""
CHECKED = """
from adtext.brief import AdText
from adtext.checks import check
from adtext.prompt import render
from adtext.rules import load_rules
from adtext.spec import load_spec
from app.core.contract import GenerateRequest
from trainer.prompts import load_prompts

brief, spec = load_prompts()[0].brief, load_spec("example_ads")
request = GenerateRequest(brief=brief, platform="example_ads", unit_id="u")
text = AdText(title="A title of twenty-six chars", description="Open daily!")
print(sorted({finding.rule for finding in check(text, brief, spec, load_rules())}))
print("1 to 25 characters" in render(brief, spec)[0]["content"])
"""


CLAIMS = """
from adtext.brief import AdText
from adtext.checks import check
from adtext.rules import load_rules
from adtext.spec import load_spec
from trainer.prompts import load_prompts

brief, spec, rules = load_prompts()[0].brief, load_spec("generic"), load_rules()
for title in ("LIMITLESS power", "无 限 电 力", "電気代ゼロ", "It is not limitless power", "Power at home"):
    findings = check(AdText(title=title, description="Open daily."), brief, spec, rules)
    print([f.quote for f in findings if f.source.startswith("Example Energy")])
print(rules.version)
"""


REFUSED = """
from adtext.rules import PackError, load_rules

try:
    load_rules()
except PackError as error:
    print(error)
"""


def block(language: str, first: str = "") -> str:
    """The example in this language whose first line names this file."""
    (found,) = [text for written_in, text in BLOCKS if written_in == language and text.startswith(first)]
    return found


def packages(folder: Path) -> Path:
    """A copy of adtext to add files to."""
    shutil.copytree(ROOT / "adtext", folder / "adtext", ignore=shutil.ignore_patterns("__pycache__"))
    return folder / "adtext"


def run(program: str, *arguments: str, path: Path) -> str:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(path), str(ROOT)])}
    command = [sys.executable, "-c", program, *arguments]
    done = subprocess.run(command, cwd=path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_new_reward_is_one_file_and_one_entry_of_a_config(tmp_path: Path) -> None:
    (tmp_path / "my_rewards.py").write_text(block("python"), encoding="utf-8")
    assert yaml.safe_load(block("yaml"))
    assert run(SCORED, block("yaml"), path=tmp_path).strip() == "[1.0, 0.0, 0.0]"


def test_a_new_platform_is_one_file(tmp_path: Path) -> None:
    example = block("toml", "# adtext/specs/example_ads.toml")
    (packages(tmp_path) / "specs" / "example_ads.toml").write_text(example, encoding="utf-8")
    rules, prompted = run(CHECKED, path=tmp_path).splitlines()
    assert "too_long" in rules and "too_many_exclamations" in rules and prompted == "True"


def test_a_new_rule_pack_is_one_file(tmp_path: Path) -> None:
    added = packages(tmp_path) / "packs" / "example_energy_code.toml"
    before = run(CLAIMS, path=tmp_path).splitlines()
    assert before[:5] == ["[]"] * 5
    added.write_text(block("toml", "# adtext/packs/example_energy_code.toml"), encoding="utf-8")
    after = run(CLAIMS, path=tmp_path).splitlines()
    assert after[:5] == ["['LIMITLESS power']", "['无 限 电 力']", "['電気代ゼロ']", "[]", "[]"]
    assert after[5] != before[5]


def test_a_rule_pack_with_a_wrong_example_is_refused_by_file_and_line(tmp_path: Path) -> None:
    wrong = block("toml", "# adtext/packs/example_energy_code.toml").replace("Power for your home", "Limitless power")
    (packages(tmp_path) / "packs" / "example_energy_code.toml").write_text(wrong, encoding="utf-8")
    assert "example_energy_code.toml, line" in run(REFUSED, path=tmp_path)
