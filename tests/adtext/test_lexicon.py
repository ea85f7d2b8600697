"""Terms and patterns are found however they are spelled, at word borders, and not where their context excuses them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adtext.fold import views
from adtext.lexicon import Entry, Lexicon
from adtext.rules import RULES, PackError, load_rules

PACK = """
source = "a test's law"
[[group]]
rule = "absolute_claim"
severity = "block"
category = "superlative"
reason = "a test"
languages = ["zh"]
terms = ["世无其二"]
hit = ["世无其二的茶"]
miss = ["世间的茶"]
"""


def entry(term, **over):
    return Entry(
        **({"term": term, "rule": "absolute_claim", "severity": "block", "reason": "a test", "source": "a test"} | over)
    )


def found(lexicon, text):
    return [text[hit.span.start : hit.span.end] for hit in lexicon.find(views(text), "en")]


@pytest.mark.parametrize(
    ("term", "text", "quotes"),
    [
        ("best", "The best shoes", ["best"]),
        ("best", "The BEST shoes", ["BEST"]),
        ("best", "Bestow shoes", []),
        ("best", "The b e s t shoes", ["b e s t"]),
        ("best", "The b.e-s.t shoes", ["b.e-s.t"]),
        ("best", "The be*st shoes", ["be*st"]),
        ("best", "Scrub, est. 1990", []),
        ("best", "A club estate", []),
        ("best", "Bе\u200bst", ["Bе\u200bst"]),  # Cyrillic е and a zero-width space
        ("therapist", "See the rapist film", []),
        ("click here", "Click here", ["Click here"]),
        ("click here", "click  here", ["click  here"]),
        ("click here", "clickhere", ["clickhere"]),
        ("click here", "click-here", ["click-here"]),
        ("click here", "One click. Here you are", []),
        ("#1", "The #1 shop", ["#1"]),
        ("#1", "Gate #12", []),
        ("最佳", "最佳跑鞋", ["最佳"]),
        ("最佳", "最 佳跑鞋", ["最 佳"]),
        ("最佳", "最*佳跑鞋", ["最*佳"]),
        ("最佳", "穿得最，佳人", []),
        ("全网最低价", "全，网，最，低，价", ["全，网，最，低，价"]),
        ("全网最低价", "全網最低價", ["全網最低價"]),
        ("送料無料", "送料 無料です", ["送料 無料"]),
        ("ナイキ", "ﾅｲｷの靴", ["ﾅｲｷ"]),
        ("0元", "100元起", []),
    ],
)
def test_a_term_is_found_however_it_is_spelled(term, text, quotes):
    assert found(Lexicon([entry(term)]), text) == quotes


@pytest.mark.parametrize(
    ("text", "quotes"),
    [("最好的鞋", ["最好"]), ("最好是早点来", []), ("最好的鞋，最好是现在", ["最好"]), ("最\u200b好是早点来", [])],
)
def test_a_context_excuses_the_term_inside_it_and_no_other(text, quotes):
    assert found(Lexicon([entry("最好", excused_by=("最好是",))]), text) == quotes


def test_a_pattern_is_searched_in_the_folded_text_and_answers_with_the_raw_one():
    lexicon = Lexicon([entry("earn [0-9]+ a day", kind="pattern")])
    assert found(lexicon, "ＥＡＲＮ 500 a day") == ["ＥＡＲＮ 500 a day"]


def test_one_spelling_may_stand_for_several_entries():
    lexicon = Lexicon([entry("cures"), entry("CURES", rule="health_claim")])
    assert [hit.entry.rule for hit in lexicon.find(views("It cures"), "en")] == ["absolute_claim", "health_claim"]


@given(st.text(st.sampled_from("最佳好是 be st.-鞋"), max_size=16))
def test_every_hit_squeezes_to_its_term(text):
    for hit in Lexicon([entry("最佳"), entry("best")]).find(views(text), "en"):
        assert views(text[hit.span.start : hit.span.end]).squeezed_text == hit.entry.term


@given(
    st.text(st.sampled_from("宽脚跑鞋 shoe,，."), max_size=12),
    st.text(st.sampled_from("宽脚跑鞋 shoe,，."), max_size=12),
)
def test_a_chinese_term_is_found_whatever_stands_around_it(before, after):
    assert "国家级" in found(Lexicon([entry("国家级")]), f"{before}国家级{after}")


def test_no_entries_find_nothing():
    assert found(Lexicon([]), "最佳 best") == []


# ---- packs


def test_the_packaged_packs_load_and_every_entry_has_its_source_and_reason():
    entries = load_rules().lexicon.entries
    assert len(entries) > 1000
    assert all(entry.source and entry.reason and entry.rule in RULES for entry in entries)


def test_a_further_folder_of_packs_joins_the_packaged_ones_and_changes_the_version(tmp_path):
    (tmp_path / "own.toml").write_text(PACK, encoding="utf-8")
    packaged, joined = load_rules(), load_rules(tmp_path)
    assert len(joined.lexicon.entries) == len(packaged.lexicon.entries) + 1
    assert joined.version != packaged.version
    assert found(joined.lexicon, "世 无 其 二") == ["世 无 其 二"]


def test_the_same_packs_have_the_same_version():
    assert load_rules().version == load_rules().version


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            '"absolute_claim"',
            '"absolut_claim"',
            "own.toml, line 4: rule 'absolut_claim' is unknown; use one of absolute_claim",
        ),
        ('"block"', '"deny"', "severity 'deny' is unknown; use one of block, review, warn"),
        ('["zh"]', '["fr"]', "languages 'fr' is unknown; use one of en, ja, zh"),
        ('languages = ["zh"]', 'industries = ["shoes"]', "industries 'shoes' is unknown; use one of apparel"),
        ('terms = ["世无其二"]', 'words = ["世无其二"]', "key 'words' is unknown"),
        ('reason = "a test"', "", "reason is missing"),
        ('source = "a test\'s law"', "", "source is missing"),
        ('["世无其二"]', '[""]', "a term is empty"),
        ("terms =", "patterns = ['(']\nterms =", "pattern '(' does not compile"),
        ("terms =", "patterns = ['a*']\nterms =", "matches the empty text"),
        ("terms =", "patterns = ['(?:a+)+b']\nterms =", "own.toml, line 9: pattern '(?:a+)+b' takes more than"),
        (
            "terms =",
            "families = ['zh.nobody > zh.knows']\nterms =",
            "names the class 'zh.nobody', which no pack defines",
        ),
        ("terms =", "families = ['zh.nobody']\nterms =", "own.toml, line 9: family 'zh.nobody' is not two classes"),
        ("[[group]]", "[class]\nnobody = { words = ['x'] }\n[[group]]", "class 'nobody' has no language"),
        ('["世无其二的茶"]', '["无物"]', "own.toml, line 10: the group does not find its example '无物'"),
        ('["世间的茶"]', '["世无其二"]', "own.toml, line 11: '世无其二' matches the counter-example '世无其二'"),
        (
            'terms = ["世无其二"]',
            "patterns = ['世[无间]']",
            "own.toml, line 11: '世[无间]' matches the counter-example '世间的茶'",
        ),
        ('hit = ["世无其二的茶"]', "", "own.toml, line 3: hit is missing; give an example that the group finds"),
        ('miss = ["世间的茶"]', "", "miss is missing; give an example that it does not find"),
        ('category = "superlative"', "", "category is missing"),
        ('"superlative"', '"superlativ"', "own.toml, line 6: category 'superlativ' is unknown; use one of alcohol"),
        ("terms =", "suggestions = {'世无' = '好茶'}\nterms =", "line 9: suggestions name '世无', which is no entry"),
        (
            "terms =",
            "patterns = ['(世|无|世无)+$']\nterms =",
            "own.toml, line 9: pattern '(世|无|世无)+$' takes more than",
        ),
        ("terms =", "patterns = ['世.*无.*其.*二.*好']\nterms =", "takes more than"),
        ("[[group]]", "[[group", "a pack is a TOML file in UTF-8"),
    ],
)
def test_a_broken_pack_is_refused_by_file_value_and_rule(tmp_path, old, new, said):
    (tmp_path / "own.toml").write_text(PACK.replace(old, new), encoding="utf-8")
    with pytest.raises(PackError) as refused:
        load_rules(tmp_path)
    assert said in str(refused.value)


def test_a_missing_folder_of_packs_is_refused_by_name(tmp_path):
    with pytest.raises(PackError, match=r"nowhere is not a folder"):
        load_rules(tmp_path / "nowhere")
