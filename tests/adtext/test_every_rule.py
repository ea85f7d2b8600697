"""Each rule finds a text of its own, with a reason and a source, and can be switched."""

import pytest
from builders import A_SPEC, a_brief, an_ad
from hypothesis import given
from hypothesis import strategies as st

from adtext.advertiser import AdvertiserRules, OwnChecks, RequiredPhrase, Restriction
from adtext.brief import AdText
from adtext.checks import RULES, check
from adtext.rules import UNSWITCHABLE, load_rules
from adtext.spec import load_spec

EN = {"locale": "en-US"}
GOOGLE, BAIDU = load_spec("google_rsa"), load_spec("baidu_search")
PACKED = load_rules()

EVERY_RULE = {
    "too_short": (an_ad(title="跑鞋"), a_brief(), BAIDU),
    "too_long": (an_ad(**EN, title="Running Shoes For Very Wide Feet"), a_brief(**EN), GOOGLE),
    "missing_field": (an_ad(title="  "), a_brief(), A_SPEC),
    "extra_field": (an_ad(description_2="宽楦设计，轻便缓震。"), a_brief(), A_SPEC),
    "control_character": (an_ad(title="宽脚\n跑鞋"), a_brief(), A_SPEC),
    "repeated_punctuation": (an_ad(title="宽脚跑鞋？？"), a_brief(), A_SPEC),
    "too_many_exclamations": (an_ad(**EN, title="Wide Running Shoes!"), a_brief(**EN), GOOGLE),
    "repeated_words": (an_ad(title="跑鞋跑鞋跑鞋"), a_brief(), A_SPEC),
    "repeated_field": (an_ad(title="宽脚也能穿的跑鞋", description="宽脚，也能穿的跑鞋。"), a_brief(), A_SPEC),
    "emoji": (an_ad(title="宽脚跑鞋👟"), a_brief(), A_SPEC),
    "gimmicky_symbol": (an_ad(title="☆宽脚跑鞋☆"), a_brief(), A_SPEC),
    "half_width_katakana": (an_ad(locale="ja-JP", title="幅広ｼｭｰｽﾞ"), a_brief(locale="ja-JP"), A_SPEC),
    "shouting": (an_ad(**EN, title="WIDE Running Shoes"), a_brief(**EN), A_SPEC),
    "phone_number": (an_ad(title="订购：400-820-8820"), a_brief(), A_SPEC),
    "placeholder": (an_ad(**EN, title="Lorem ipsum shoes"), a_brief(**EN), A_SPEC),
    "markup": (an_ad(**EN, title="# Running Shoes"), a_brief(**EN), A_SPEC),
    "label_left_over": (an_ad(description="描述：宽楦设计，轻便缓震。"), a_brief(), A_SPEC),
    "dynamic_text": (an_ad(**EN, title="{KeyWord:Running Shoes}"), a_brief(**EN), GOOGLE),
    "unfinished": (an_ad(**EN, description="Cushioned trainers in wide fits and"), a_brief(**EN), A_SPEC),
    "wrong_language": (an_ad(title="Shoes made for wide feet"), a_brief(), A_SPEC),
    "wrong_script": (an_ad(title="寬腳也能穿的跑鞋"), a_brief(), A_SPEC),
    "ungrounded_number": (an_ad(title="12种鞋宽可选"), a_brief(), A_SPEC),
    "ungrounded_percentage": (an_ad(title="立省12%的跑鞋"), a_brief(), A_SPEC),
    "ungrounded_price": (an_ad(title="跑鞋只要88元"), a_brief(), A_SPEC),
    "ungrounded_contact": (an_ad(title="跑鞋就上paoxie.cn"), a_brief(), A_SPEC),
    "ungrounded_offer": (an_ad(title="跑鞋免费试用"), a_brief(), A_SPEC),
    "ungrounded_brand": (an_ad(title="阿迪达斯跑鞋"), a_brief(), A_SPEC),
    "ungrounded_place": (an_ad(title="南京的跑鞋店"), a_brief(), A_SPEC),
    "disparagement": (an_ad(title="别家的跑鞋都是垃圾"), a_brief(), A_SPEC),
    "endorsement": (an_ad(**EN, title="Doctors Swear By Our Shoes"), a_brief(**EN), A_SPEC),
    "personal_attribute": (an_ad(**EN, title="Are You Overweight? Run"), a_brief(**EN), A_SPEC),
    "vulgarity": (an_ad(title="跑鞋让你夜夜笙歌"), a_brief(), A_SPEC),
    "restricted_product": (an_ad(title="跑鞋配电子烟"), a_brief(), A_SPEC),
    "missing_disclaimer": (an_ad(), a_brief(business="保健食品"), A_SPEC),
    "canary": (an_ad(title="Relate-Canary-0a1b2c3d"), a_brief(), A_SPEC),
    "prompt_residue": (an_ad(title="作为AI，推荐跑鞋"), a_brief(), A_SPEC),
    "absolute_claim": (an_ad(title="最佳宽脚跑鞋"), a_brief(), A_SPEC),
    "medical_claim": (an_ad(title="根治扁平足的鞋"), a_brief(), A_SPEC),
    "health_claim": (an_ad(title="躺着瘦的跑鞋"), a_brief(), A_SPEC),
    "financial_promise": (an_ad(title="稳赚不赔的加盟"), a_brief(), A_SPEC),
    "education_promise": (an_ad(title="跑步教练包过班"), a_brief(), A_SPEC),
    "property_promise": (an_ad(title="跑道旁的升值潜力房"), a_brief(industry="real_estate"), A_SPEC),
    "guaranteed_result": (an_ad(**EN, title="Guaranteed Results For Runners"), a_brief(**EN), A_SPEC),
    "state_endorsement": (an_ad(title="国家领导人穿的鞋"), a_brief(), A_SPEC),
    "misleading_claim": (an_ad(title="跑鞋跳楼价"), a_brief(), A_SPEC),
    "false_urgency": (an_ad(title="跑鞋最后一天"), a_brief(), A_SPEC),
    "clickbait": (an_ad(title="点击这里看跑鞋"), a_brief(), A_SPEC),
    "solicitation": (an_ad(title="跑鞋请加微信"), a_brief(), A_SPEC),
    "discrimination": (an_ad(title="跑鞋店只招男性"), a_brief(), A_SPEC),
    "prohibited_product": (an_ad(title="高仿跑鞋上新"), a_brief(), A_SPEC),
    "profanity": (an_ad(title="这鞋真他妈的轻"), a_brief(), A_SPEC),
    "excluded_term": (an_ad(title="平价宽脚跑鞋"), a_brief(), A_SPEC),
    "restriction": (an_ad(title="宽脚跑鞋胜过别家"), a_brief(), A_SPEC),
    "required_phrase": (an_ad(), a_brief(), A_SPEC),
}
OWN = OwnChecks(
    AdvertiserRules(
        excluded_terms=("平价",),
        restrictions=(Restriction(reason="never compare", words=("胜过",)),),
        required_phrases=(RequiredPhrase(phrase="详见门店"),),
    )
)


def test_every_rule_has_its_text():
    assert set(EVERY_RULE) == set(RULES)


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_finds_its_text_with_a_reason_and_a_source(rule):
    findings = [finding for finding in check(*EVERY_RULE[rule], PACKED.of_advertiser(OWN)) if finding.rule == rule]
    assert findings
    assert all(finding.reason and finding.source for finding in findings)


@pytest.mark.parametrize("rule", sorted(set(RULES) - UNSWITCHABLE))
def test_a_rule_switched_to_review_blocks_nothing_and_one_that_is_off_is_silent(rule):
    packed = PACKED.of_advertiser(OWN)
    held = [found for found in check(*EVERY_RULE[rule], packed.switched({rule: "review"})) if found.rule == rule]
    silent = check(*EVERY_RULE[rule], packed.switched({rule: "off"}))
    assert held and all(found.severity in ("review", "warn") for found in held)
    assert [found.rule for found in silent if found.rule == rule] == []


def test_switches_change_the_version_and_only_theirs():
    review, off = PACKED.switched({"shouting": "review"}), PACKED.switched({"shouting": "off"})
    assert len({PACKED.version, review.version, off.version}) == 3
    assert PACKED.switched({"shouting": "review"}).version == review.version
    assert PACKED.switched({}) is PACKED


def test_every_kind_is_one_term_of_the_reward():
    assert set(RULES.values()) == {"length", "format", "grounding", "risk"}


@given(
    st.text(st.sampled_from("最佳 a1%$!🔥免费 FREE xX{}\n微信国家级.,click"), max_size=24),
    st.sampled_from(["en-US", "zh-CN", "zh-TW", "ja-JP"]),
)
def test_findings_are_of_known_rules_in_reading_order_and_quote_the_raw_text(value, locale):
    text = AdText(title=value, description=value[::-1])
    findings = check(text, a_brief(locale=locale), A_SPEC, PACKED)
    values = dict(text.fields())
    assert all(finding.rule in RULES for finding in findings)
    assert all(values[finding.field][finding.span.start : finding.span.end] == finding.quote for finding in findings)
    places = [(list(values).index(finding.field), finding.span) for finding in findings]
    assert places == sorted(places)
