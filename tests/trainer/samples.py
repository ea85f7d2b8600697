"""Completions as rewards see them, of ordinary texts in three languages."""

from __future__ import annotations

from adtext.brief import AdText
from adtext.prompt import write
from adtext.rules import load_rules
from adtext.spec import load_spec
from tests.builders import a_brief
from trainer.prompts import Prompt
from trainer.rewards.base import Sample, read

LOCALES = {"en": "en-US", "zh": "zh-CN", "ja": "ja-JP"}
THE_RULES = load_rules()
GOOD = AdText(title="Wide Running Shoes", description="Greenfield Running fits runners with wide feet, from 2E to 4E.")
GOOD_ZH = AdText(title="宽脚跑鞋就选青禾", description="青禾跑步专注宽脚跑者，新款缓震跑鞋已上架，欢迎试穿。")
GOOD_JA = AdText(
    title="幅広の足に合うランニングシューズ", description="みどりランニングは幅広の足に合う靴の専門店です。"
)


def a_prompt(language: str = "en", spec: str = "google_rsa", references: tuple[AdText, ...] = ()) -> Prompt:
    return Prompt(a_brief(locale=LOCALES[language]), load_spec(spec), references, "train")


def a_sample(text: AdText | str, language: str = "en", spec: str = "google_rsa") -> Sample:
    completion = text if isinstance(text, str) else write(text, language)
    return read(a_prompt(language, spec), completion, THE_RULES)
