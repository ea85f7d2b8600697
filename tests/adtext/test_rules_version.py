"""The rules version covers every file that decides a finding: changing one of them changes it."""

from importlib import resources

import pytest

from adtext import rules
from adtext.rules import deciding_files, load_rules

PACKAGE = resources.files("adtext")
DECIDING = deciding_files(PACKAGE) + [
    file for file in PACKAGE.joinpath("packs").iterdir() if file.name.endswith(".toml")
]


def version(contents):
    return rules.version_of(contents)


@pytest.mark.parametrize("changed", range(len(DECIDING)), ids=[file.name for file in DECIDING])
def test_a_change_of_a_deciding_file_changes_the_version(changed):
    contents = [file.read_bytes() for file in DECIDING]
    before = version(contents)
    contents[changed] += b"\n"
    assert version(contents) != before


def test_the_brief_the_packs_code_and_the_data_decide():
    names = {file.name for file in DECIDING}
    assert {"brief.py", "checks.py", "packs.py", "products.toml", "pinyin.txt", "places.txt", "japan.toml"} <= names


def test_the_version_in_force_is_that_of_the_files():
    assert load_rules().version == load_rules().version != ""


def test_packs_that_did_not_change_are_compiled_once(tmp_path):
    assert load_rules().lexicon is load_rules().lexicon
    (tmp_path / "own.toml").write_text("", encoding="utf-8")
    assert load_rules(tmp_path).lexicon is not load_rules().lexicon
