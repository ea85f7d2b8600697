"""What goes into a generation and what comes out: the brief an ad system sends, and the ad text it gets back.

Both are the request and response bodies of the API *and* the values that every other package passes around: one
definition, validated once. All of a brief is untrusted: it is data for the prompt and the checks, never an instruction.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from adtext.fold import fold, squeeze
from adtext.products import classify, product_classes
from adtext.remember import remember

Locale = Literal["en-US", "en-GB", "zh-CN", "zh-TW", "ja-JP"]
LOCALES: tuple[str, ...] = get_args(Locale)
Industry = Literal[
    "apparel", "automotive", "beauty", "education", "electronics", "finance", "food", "games", "health", "home",
    "jobs", "legal", "local_services", "real_estate", "software", "travel", "other",
]  # fmt: skip
# industries with a law of their own: PRC Advertising Law art. 16-18, 25; FTC health and money claims
REGULATED: frozenset[str] = frozenset({"finance", "health", "legal"})
ProductClass = Literal[
    "drug", "medical_service", "medical_device", "health_food", "food", "infant_formula", "alcohol", "tobacco",
    "cosmetics", "investment", "loan", "insurance", "course", "property", "legal", "pesticide", "veterinary",
]  # fmt: skip

MAX_LANDING_PAGE = 20_000  # code points: about 3,000 English words, more than any landing page a prompt can use

_CONTROL = re.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)
_BREAK = re.compile(r"[\t\n\r]")


def _printable(value: str) -> str:
    if bad := _CONTROL.search(value):
        raise ValueError(
            f"holds the control character U+{ord(bad.group()):04X} at position {bad.start()}: send printable text only"
        )
    return value


def _one_line(value: str) -> str:
    if bad := _BREAK.search(value):
        raise ValueError(f"holds a line break or tab at position {bad.start()}: send one line")
    return value


Text = Annotated[str, AfterValidator(_printable)]
Line = Annotated[str, StringConstraints(strip_whitespace=True), AfterValidator(_printable), AfterValidator(_one_line)]
Id = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[\w.:@/+-]+$")]


class AdText(BaseModel):
    """One ad text: a title and one or two descriptions, as the platform shows them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: Annotated[Text, Field(max_length=400, description="The headline.")]
    description: Annotated[Text, Field(max_length=800, description="The line under the headline.")]
    description_2: Annotated[Text, Field(max_length=800)] | None = Field(
        default=None, description="The second line, where there are two."
    )

    def fields(self) -> Iterator[tuple[str, str]]:
        """(name, value) of every field that is present, in reading order."""
        yield "title", self.title
        yield "description", self.description
        if self.description_2 is not None:
            yield "description_2", self.description_2


def wording(text: AdText) -> str:
    """Equal for texts that differ only in case, spacing or punctuation."""
    return "\x1f".join(squeeze(value) for _, value in text.fields())


class Ad(BaseModel):
    """The advertiser's facts. Everything a text may claim stands here."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Id
    advertiser: Annotated[Line, Field(min_length=1, max_length=80)]
    business: Annotated[Line, Field(max_length=200)] = Field(default="", description="What is sold, in a few words.")
    selling_points: tuple[Annotated[Line, Field(min_length=1, max_length=200)], ...] = Field(default=(), max_length=12)
    landing_page: Annotated[Text, Field(max_length=MAX_LANDING_PAGE)] = Field(
        default="", description="The page's visible text, untrusted."
    )
    industry: Industry = "other"
    product_class: ProductClass | None = Field(
        default=None, description="What is sold, finer than the industry; absent: inferred from the words of the brief."
    )
    brands: tuple[Annotated[Line, Field(min_length=1, max_length=60)], ...] = Field(
        default=(), max_length=20, description="Brand, product and trademark names the advertiser may use."
    )
    approved: tuple[AdText, ...] = Field(
        default=(), max_length=10, description="Texts the advertiser has approved: the fallback."
    )


class AdBrief(BaseModel):
    """What a text is written for: one user's query, the words the advertiser bids on, the ad."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    query: Annotated[Line, Field(min_length=1, max_length=200)]
    bidwords: tuple[Annotated[Line, Field(min_length=1, max_length=80)], ...] = Field(default=(), max_length=20)
    ad: Ad
    locale: Locale

    @property
    def language(self) -> str:
        """`en`, `zh` or `ja`."""
        return self.locale[:2]

    @property
    def regulated(self) -> bool:
        """True where a fresh text may not be served before a person or a judge has seen it."""
        return self.ad.industry in REGULATED or any(product_classes()[name].regulated for name in products_of(self))

    def own_facts(self) -> Iterator[str]:
        """Every string that supports a claim: the ad's own, without the query and the bidwords, a stranger's words."""
        ad = self.ad
        yield from (ad.advertiser, ad.business, *ad.brands, *ad.selling_points, ad.landing_page)
        for text in ad.approved:
            yield from (value for _, value in text.fields())

    def facts(self) -> Iterator[str]:
        """Every string of the brief that a text may draw on, query first."""
        yield self.query
        yield from self.bidwords
        yield self.ad.advertiser
        yield self.ad.business
        yield from self.ad.brands
        yield from self.ad.selling_points
        yield self.ad.landing_page


@remember(16)
def products_of(brief: AdBrief) -> frozenset[str]:
    """The product classes of a brief: the stated one, else those that its words tell."""
    ad = brief.ad
    if ad.product_class is not None:
        return frozenset({ad.product_class})
    told = "\n".join((brief.query, *brief.bidwords, ad.advertiser, ad.business, *ad.selling_points))
    return classify(ad.industry, fold(told).text, brief.language)
