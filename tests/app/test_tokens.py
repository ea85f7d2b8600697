"""Serving tokens: nothing can be read from one, nothing changed in it, and two keys may live."""

from __future__ import annotations

import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.secrets import Secrets
from app.core.tokens import TOKEN_CHARS, ExpiredToken, ForgedToken, Sealer, Served, TokenError, UnknownTokenKey, expire

SECRETS = Secrets.generate()
SEALER = Sealer(SECRETS.tokens)
NOW = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)
_ids = st.binary(min_size=16, max_size=16)
SERVINGS = st.builds(
    Served,
    serve_id=_ids,
    unit=_ids,
    text_id=_ids,
    phase_id=st.integers(0, 2**32 - 1),
    arm=st.integers(0, 255),
    policy_id=st.integers(0, 2**32 - 1),
    source=st.integers(0, 255),
    served_ms=st.integers(0, 4_000_000_000_000),
)


def a_serving(**changes: object) -> Served:
    plain = Served(
        serve_id=os.urandom(16),
        unit=SECRETS.unit_digest("用户-1"),
        text_id=os.urandom(16),
        phase_id=3,
        arm=1,
        policy_id=2,
        source=1,
        served_ms=int(NOW.timestamp() * 1000),
    )
    return replace(plain, **changes)


@given(SERVINGS)
def test_a_token_opens_to_what_was_sealed(served):
    token = SEALER.seal(served)
    assert SEALER.open(token) == served
    assert len(token) == TOKEN_CHARS


@given(SERVINGS, st.integers(0, (1 + 12 + 66 + 16) * 8 - 1))
def test_a_token_with_any_bit_flipped_is_refused(served, bit):
    raw = bytearray(urlsafe_b64decode(SEALER.seal(served) + "="))
    raw[bit // 8] ^= 1 << bit % 8
    with pytest.raises((ForgedToken, UnknownTokenKey)):
        SEALER.open(urlsafe_b64encode(raw).rstrip(b"=").decode())


@given(
    SERVINGS,
    st.integers(0, TOKEN_CHARS - 1),
    st.characters(min_codepoint=1, max_codepoint=0x9FFF, exclude_categories=["Cs"]),
)
def test_a_token_with_any_character_changed_is_refused(served, position, character):
    token = SEALER.seal(served)
    altered = token[:position] + character + token[position + 1 :]
    if altered != token:
        with pytest.raises(TokenError):
            SEALER.open(altered)


LONG = "A" * 100_000


@pytest.mark.parametrize(
    "token", ["", "x", "=" * 127, LONG[:126], LONG[:127], LONG[:128], LONG, "广告" * 60, "a b" * 42, "\x00" * 127]
)
def test_what_is_no_token_is_refused_by_name(token):
    with pytest.raises(TokenError) as refusal:
        SEALER.open(token)
    assert refusal.value.reason in ("forged_token", "unknown_token_key")


@given(SERVINGS)
def test_a_token_of_another_deployment_is_forged(served):
    ours = SECRETS.tokens[0][0]
    stranger = Sealer(((ours, os.urandom(32)),))
    with pytest.raises(ForgedToken):
        SEALER.open(stranger.seal(served))


def test_a_key_that_is_gone_is_named():
    stranger = Sealer(((200, os.urandom(32)),))
    with pytest.raises(UnknownTokenKey, match="200"):
        SEALER.open(stranger.seal(a_serving()))


def test_a_key_id_cannot_be_exchanged_for_another_live_one():
    two = Sealer(SECRETS.rotated().tokens)
    raw = bytearray(urlsafe_b64decode(SEALER.seal(a_serving()) + "="))
    raw[0] = SECRETS.rotated().tokens[0][0]
    with pytest.raises(ForgedToken):
        two.open(urlsafe_b64encode(raw).rstrip(b"=").decode())


def test_after_a_rotation_old_tokens_open_and_new_ones_use_the_new_key():
    old, served = SEALER.seal(a_serving()), a_serving()
    rotated = SECRETS.rotated()
    sealer = Sealer(rotated.tokens)
    assert sealer.open(old).unit == SECRETS.unit_digest("用户-1")
    assert sealer.open(sealer.seal(served)) == served
    with pytest.raises(UnknownTokenKey):
        SEALER.open(sealer.seal(served))


def test_after_two_rotations_the_first_key_is_gone():
    token = SEALER.seal(a_serving())
    with pytest.raises(UnknownTokenKey):
        Sealer(SECRETS.rotated().rotated().tokens).open(token)


@given(SERVINGS)
def test_a_token_shows_nothing_of_what_it_holds(served):
    raw = urlsafe_b64decode(SEALER.seal(served) + "=")
    assert served.unit[:6] not in raw
    assert SEALER.seal(served) != SEALER.seal(served)  # equal servings cannot be told to be equal


@pytest.mark.parametrize(
    ("age", "expired"), [(timedelta(0), False), (timedelta(days=8), False), (timedelta(days=8, milliseconds=1), True)]
)
def test_a_token_lives_as_long_as_its_events_may_count(age, expired):
    served = a_serving()
    window, lateness = timedelta(days=7), timedelta(days=1)
    if expired:
        with pytest.raises(ExpiredToken, match="7 days"):
            expire(served, NOW + age, window, lateness)
    else:
        expire(served, NOW + age, window, lateness)
