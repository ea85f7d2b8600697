"""Advertiser files become prompts; a line that does not follow the format is named."""

import json

import pytest

from adtext.brief import AdText
from trainer.prompts import PromptError, load_prompts

LINE = {
    "ad": {"id": "kite-shop", "advertiser": "Windle Kites", "industry": "other"},
    "locale": "en-US",
    "platform": "google_rsa",
    "split": "train",
    "queries": [
        {
            "query": "stunt kite",
            "bidwords": ["kites"],
            "references": [{"title": "Kites From Whitby", "description": "Sewn here."}],
        }
    ],
}


@pytest.fixture
def written(tmp_path):
    def write(*lines, name="kites.jsonl"):
        path = tmp_path / name
        path.write_text(
            "\n".join(line if isinstance(line, str) else json.dumps(line, ensure_ascii=False) for line in lines),
            encoding="utf-8",
        )
        return path

    return write


def test_a_prompt_is_one_query_of_one_advertiser(written):
    (prompt,) = load_prompts(written(LINE))
    assert (prompt.brief.query, prompt.brief.ad.id, prompt.spec.name, prompt.split) == (
        "stunt kite",
        "kite-shop",
        "google_rsa",
        "train",
    )
    assert prompt.references == (AdText(title="Kites From Whitby", description="Sewn here."),)


@pytest.mark.parametrize(
    ("language", "locale", "query"),
    [("en", "en-GB", "stunt kite"), ("zh", "zh-CN", "特技风筝"), ("ja", "ja-JP", "スポーツカイト")],
)
def test_prompts_are_asked_for_by_language(written, language, locale, query):
    lines = [
        LINE | {"locale": other, "queries": [LINE["queries"][0] | {"query": words}]}
        for other, words in (("en-GB", "stunt kite"), ("zh-CN", "特技风筝"), ("ja-JP", "スポーツカイト"))
    ]
    assert [
        (prompt.brief.locale, prompt.brief.query) for prompt in load_prompts(written(*lines), language=language)
    ] == [(locale, query)]


def test_a_folder_is_read_file_by_file_and_split_by_split(written):
    written(LINE | {"split": "held_out"}, LINE | {"split": "validation"}, name="b.jsonl")
    folder = written(LINE, LINE | {"split": "new_industry"}, name="a.jsonl").parent
    assert [prompt.split for prompt in load_prompts(folder)] == ["train", "new_industry", "held_out", "validation"]
    assert [prompt.split for prompt in load_prompts(folder, split="held_out")] == ["held_out"]
    assert [prompt.split for prompt in load_prompts(folder, split="validation")] == ["validation"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "JSONDecodeError"),
        (LINE | {"split": "test"}, "split 'test' is unknown: use one of train, validation, held_out, new_industry"),
        (LINE | {"platform": "radio"}, "platform 'radio' is unknown"),
        (LINE | {"queries": "stunt kite"}, "queries must be a list"),
        ({key: value for key, value in LINE.items() if key != "locale"}, "KeyError('locale')"),
        (LINE | {"ad": {"id": "kite shop"}}, "advertiser"),
    ],
)
def test_a_wrong_line_is_named_with_its_file_and_number(written, line, said):
    path = written(LINE, line)
    with pytest.raises(PromptError) as raised:
        load_prompts(path)
    assert str(raised.value).startswith(f"{path}, line 2: ") and said in str(raised.value)


def test_a_set_without_prompts_in_the_language_is_refused(written):
    with pytest.raises(PromptError, match="no prompts in 'ja' of split any"):
        load_prompts(written(LINE), language="ja")
