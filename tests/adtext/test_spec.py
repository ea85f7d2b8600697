"""A platform's limits are data, counted in the platform's own way."""

import pytest

from adtext.spec import SPECS, FieldSpec, load_spec, measure


def test_the_platforms_are_those_with_a_data_file():
    assert set(SPECS) == {"baidu_search", "generic", "google_rsa"}


@pytest.mark.parametrize("name", SPECS)
def test_every_platform_names_its_source_and_has_a_title_and_a_description(name):
    spec = load_spec(name)
    assert spec.source
    assert len(spec.version) == 8
    assert list(spec.fields)[:2] == ["title", "description"]
    assert all(limits.min <= limits.max for limits in spec.fields.values())


@pytest.mark.parametrize(
    ("platform", "field", "low", "high", "mode"),
    [
        ("google_rsa", "title", 1, 30, "width"),
        ("google_rsa", "description", 1, 90, "width"),
        ("baidu_search", "title", 8, 50, "gbk_bytes"),
        ("baidu_search", "description", 8, 80, "gbk_bytes"),
        ("baidu_search", "description_2", 8, 80, "gbk_bytes"),
    ],
)
def test_limits_are_the_platforms(platform, field, low, high, mode):
    limits = load_spec(platform).fields[field]
    assert (limits.min, limits.max, limits.mode) == (low, high, mode)


def test_only_the_second_description_may_be_absent():
    assert [name for name, limits in load_spec("baidu_search").fields.items() if not limits.required] == [
        "description_2"
    ]


def test_an_unknown_platform_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"'yahoo' is unknown: use one of baidu_search, generic, google_rsa"):
        load_spec("yahoo")


def test_a_spec_can_key_a_cache_and_cannot_be_changed():
    spec = load_spec("generic")
    assert hash(spec) == hash(load_spec("generic"))
    with pytest.raises(TypeError):
        spec.fields["title"] = FieldSpec(0, 1, "width")


@pytest.mark.parametrize(
    ("limits", "said"), [((5, 4, "width"), "5 to 4"), ((-1, 4, "width"), "-1 to 4"), ((0, 4, "letters"), "'letters'")]
)
def test_limits_that_make_no_sense_are_refused_by_value(limits, said):
    with pytest.raises(ValueError, match=said):
        FieldSpec(*limits)


@pytest.mark.parametrize(
    ("text", "width", "gbk_bytes", "codepoints"),
    [
        ("", 0, 0, 0),
        ("Running shoes", 13, 13, 13),
        ("宽脚跑鞋", 8, 8, 4),
        ("跑鞋A", 5, 5, 3),
        ("ランニング", 10, 10, 5),
        ("ﾗﾝ", 2, 8, 2),  # half-width katakana: one column each; outside GBK
        ("ＡＢ", 4, 4, 2),  # full-width Latin
        ("café", 4, 5, 4),  # é is two bytes in GBK
        ("£5", 2, 5, 2),  # £ is outside GBK
        ("鞋🔥", 4, 6, 2),
    ],
)
def test_length_is_counted_as_the_platform_counts(text, width, gbk_bytes, codepoints):
    assert (measure(text, "width"), measure(text, "gbk_bytes"), measure(text, "codepoints")) == (
        width,
        gbk_bytes,
        codepoints,
    )
