"""Briefs, texts and windows of n-grams for the tests."""

from adtext.brief import Ad, AdBrief, AdText
from adtext.ngrams import FrequentNgrams


def a_brief(number=0, query=None, bidwords=(), advertiser="Acme", brands=(), page=""):
    ad = Ad(id=f"ad-{number}", advertiser=advertiser, brands=brands, landing_page=page)
    return AdBrief(query=query or f"query{number}", bidwords=bidwords, ad=ad, locale="en-US")


def a_text(title, description="", description_2=None):
    return AdText(title=title, description=description, description_2=description_2)


def observed(titles, window=288):
    """What has seen one text a brief."""
    frequent = FrequentNgrams(window)
    for number, title in enumerate(titles):
        frequent.observe(a_brief(number), [a_text(title)])
    return frequent


def quotes(frequent, text, brief=None):
    values = dict(text.fields())
    return [(field, values[field][span.start : span.end]) for field, span in frequent.hits(text, brief)]
