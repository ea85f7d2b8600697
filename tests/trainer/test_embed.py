"""Vectors are computed once, kept exactly, and never mixed between encoders."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.trainer.logs import LetterEncoder
from trainer.reward_model.embed import CachedEncoder, SentenceEncoder, Vectors
from trainer.reward_model.hashed import HashedEncoder
from trainer.reward_model.surface import FEATURES, ShapedEncoder, surface

TEXTS = ["宽脚也能穿的跑鞋", "Running Shoes For Wide Feet", "幅広の足に合うランニングシューズ", ""]


def test_a_string_is_embedded_once_and_comes_back_exactly(tmp_path: Path) -> None:
    first = LetterEncoder()
    once = CachedEncoder(first, tmp_path).encode(TEXTS + TEXTS)
    assert sorted(first.asked) == sorted(TEXTS)
    second = LetterEncoder()
    again = CachedEncoder(second, tmp_path).encode(list(reversed(TEXTS)))
    assert second.asked == []
    assert np.array_equal(again[::-1], once[: len(TEXTS)])


def test_only_new_strings_are_embedded(tmp_path: Path) -> None:
    encoder = LetterEncoder()
    cached = CachedEncoder(encoder, tmp_path)
    cached.encode(TEXTS[:2])
    cached.encode(TEXTS)
    assert sorted(encoder.asked[2:]) == sorted(TEXTS[2:])


def test_two_caches_of_one_folder_see_each_others_vectors(tmp_path: Path) -> None:
    first, second = CachedEncoder(LetterEncoder(), tmp_path), CachedEncoder(asked := LetterEncoder(), tmp_path)
    first.encode(TEXTS)
    assert np.array_equal(second.encode(TEXTS), first.encode(TEXTS)) and asked.asked == []


def test_what_a_killed_writer_left_is_cut_off(tmp_path: Path) -> None:
    CachedEncoder(LetterEncoder(), tmp_path).encode(TEXTS[:2])
    vectors = next(tmp_path.glob("*/vectors.f32"))
    with vectors.open("ab") as file:
        file.write(b"half a vector")  # killed before its key was written
    encoder = LetterEncoder()
    found = CachedEncoder(encoder, tmp_path).encode(TEXTS)
    assert sorted(encoder.asked) == sorted(TEXTS[2:]) and np.array_equal(found, LetterEncoder().encode(TEXTS))


def test_a_killed_embedding_keeps_what_it_had_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class DyingEncoder(LetterEncoder):
        def encode(self, strings: Sequence[str]) -> Vectors:
            if self.asked:
                raise KeyboardInterrupt
            return super().encode(strings)

    monkeypatch.setattr("trainer.reward_model.embed._KEPT_AT_ONCE", 2)
    with pytest.raises(KeyboardInterrupt):
        CachedEncoder(DyingEncoder(), tmp_path).encode(TEXTS)
    encoder = LetterEncoder()
    found = CachedEncoder(encoder, tmp_path).encode(TEXTS)
    assert len(encoder.asked) == len(TEXTS) - 2 and np.array_equal(found, LetterEncoder().encode(TEXTS))


def test_other_weights_have_a_cache_of_their_own(tmp_path: Path) -> None:
    CachedEncoder(LetterEncoder(), tmp_path).encode(TEXTS)
    other = LetterEncoder()
    other.name = "letters@2"
    CachedEncoder(other, tmp_path).encode(TEXTS)
    assert sorted(other.asked) == sorted(TEXTS)


def test_the_packaged_encoder_finds_a_paraphrase_closer_than_another_subject() -> None:
    encoder = SentenceEncoder()
    shoes, trainers, loans = encoder.encode(["wide running shoes", "trainers for broad feet", "cheap student loans"])
    assert shoes @ trainers > shoes @ loans + 0.2
    assert encoder.dim == len(shoes) == 384 and encoder.name.startswith("minilm@")


@pytest.mark.parametrize(
    ("close", "far"),
    [("宽楦跑鞋 包邮", "学生贷款"), ("wide running shoe", "student loans"), ("幅広シューズ", "学生ローン")],
)
def test_the_hashed_encoder_reads_characters_in_any_language(close: str, far: str) -> None:
    corpus = [
        "宽楦跑鞋",
        "宽楦跑鞋 满减",
        "学生贷款",
        "学生贷款 利率",
        "wide running shoes",
        "student loans",
        "幅広シューズ",
        "学生ローン",
        "幅広の靴",
    ]
    encoder = HashedEncoder.fit(corpus)
    here = next(text for text in corpus if text[0] == close[0] and text[1] == close[1])
    base, near, other = encoder.encode([here, close, far])
    assert base @ near > base @ other


def test_a_hashed_encoder_is_the_same_after_saving(tmp_path: Path) -> None:
    encoder = HashedEncoder.fit(TEXTS)
    encoder.save(tmp_path / "encoder.npz")
    loaded = HashedEncoder.load(tmp_path / "encoder.npz")
    assert loaded.name == encoder.name == HashedEncoder.fit(TEXTS[::-1]).name
    assert np.array_equal(loaded.encode(TEXTS), encoder.encode(TEXTS)) and encoder.encode(TEXTS).shape == (
        4,
        encoder.dim,
    )


@given(st.lists(st.text(max_size=30), max_size=5))
def test_surface_features_are_finite_for_any_text(texts: list[str]) -> None:
    assert np.isfinite(surface(texts)).all() and surface(texts).shape == (len(texts), FEATURES)


@pytest.mark.parametrize(
    ("first", "second"), [("跑鞋宽楦", "跑鞋宽楦！"), ("Wide Shoes", "Wide shoes?"), ("幅広の靴", "幅広の靴、24足")]
)
def test_shape_tells_texts_apart_that_say_the_same(first: str, second: str, tmp_path: Path) -> None:
    blind = LetterEncoder()
    encoder = ShapedEncoder.fit(blind, [*TEXTS, first, second])
    first_vector, second_vector = encoder.encode([first, second])
    assert (
        not np.array_equal(first_vector[blind.dim :], second_vector[blind.dim :]) and len(first_vector) == encoder.dim
    )
    encoder.save(tmp_path / "surface.npz")
    assert np.array_equal(ShapedEncoder.load(blind, tmp_path / "surface.npz").encode([first]), encoder.encode([first]))


def test_an_encoder_that_is_not_there_is_named_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"encoder '.*nowhere' cannot be loaded: use minilm, hashed, a folder"):
        SentenceEncoder(str(tmp_path / "nowhere"))
