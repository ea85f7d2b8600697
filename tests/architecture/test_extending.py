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
BLOCKS = dict(
    re.findall(r"```(python|yaml|toml)\n(.*?)```", (ROOT / "docs" / "extending.md").read_text(encoding="utf-8"), re.S)
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


def run(program: str, *arguments: str, path: Path) -> str:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(path), str(ROOT)])}
    command = [sys.executable, "-c", program, *arguments]
    done = subprocess.run(command, cwd=path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_new_reward_is_one_file_and_one_entry_of_a_config(tmp_path: Path) -> None:
    (tmp_path / "my_rewards.py").write_text(BLOCKS["python"], encoding="utf-8")
    assert yaml.safe_load(BLOCKS["yaml"])
    assert run(SCORED, BLOCKS["yaml"], path=tmp_path).strip() == "[1.0, 0.0, 0.0]"


def test_a_new_platform_is_one_file(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "adtext", tmp_path / "adtext", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "adtext" / "specs" / "example_ads.toml").write_text(BLOCKS["toml"], encoding="utf-8")
    rules, prompted = run(CHECKED, path=tmp_path).splitlines()
    assert "too_long" in rules and "too_many_exclamations" in rules and prompted == "True"
