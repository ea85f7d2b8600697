"""What an ad text is and when it is allowed."""

from adtext.brief import Ad, AdBrief, AdText
from adtext.checks import Finding, Span, check, is_compliant
from adtext.rules import RULES, Rules, load_rules
from adtext.spec import SPECS, TextSpec, load_spec

__all__ = [
    "RULES",
    "SPECS",
    "Ad",
    "AdBrief",
    "AdText",
    "Finding",
    "Rules",
    "Span",
    "TextSpec",
    "check",
    "is_compliant",
    "load_rules",
    "load_spec",
]
