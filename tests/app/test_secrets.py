"""The deployment's secrets: kept in a file only its owner reads; a unit's id never leaves as itself."""

from __future__ import annotations

import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.secrets import Secrets, SecretsError

SECRETS = Secrets.generate()
UNITS = st.text(min_size=1, max_size=128)


def test_secrets_come_back_as_they_were_saved(tmp_path):
    path = tmp_path / "data" / "secrets.json"
    SECRETS.save(path)
    assert Secrets.load(path) == SECRETS


def test_only_the_owner_can_read_the_file(tmp_path):
    SECRETS.save(tmp_path / "secrets.json")
    assert stat.S_IMODE((tmp_path / "secrets.json").stat().st_mode) == 0o600


def test_a_rotation_keeps_units_and_sessions():
    rotated = SECRETS.rotated()
    assert (rotated.unit, rotated.cookies) == (SECRETS.unit, SECRETS.cookies)
    assert rotated.tokens[1] == SECRETS.tokens[0]
    assert len(rotated.rotated().tokens) == 2


def test_missing_secrets_say_how_to_get_them(tmp_path):
    with pytest.raises(SecretsError, match="relate up"):
        Secrets.load(tmp_path / "secrets.json")


@pytest.mark.parametrize(
    "content",
    ["", "{}", "[]", "null", '{"unit": "zz", "tokens": [], "cookies": ""}', '{"unit": 1, "tokens": 2, "cookies": 3}'],
)
def test_a_damaged_file_is_named_and_not_replaced(tmp_path, content):
    path = tmp_path / "secrets.json"
    path.write_text(content)
    with pytest.raises(SecretsError, match=r"secrets\.json"):
        Secrets.load(path)
    assert path.read_text() == content


@given(UNITS)
def test_a_unit_digest_reveals_nothing_without_the_secret(unit_id):
    digest = SECRETS.unit_digest(unit_id)
    assert digest == SECRETS.unit_digest(unit_id)
    assert digest != Secrets.generate().unit_digest(unit_id)
    assert len(digest) == 16


@given(UNITS, UNITS)
def test_units_are_told_apart(unit, other):
    assert (SECRETS.unit_digest(unit) == SECRETS.unit_digest(other)) == (unit == other)
