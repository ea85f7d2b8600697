"""Features of fit: whether the title names what is searched for or sold, and whether the description goes with it."""

from __future__ import annotations

from collections.abc import Sequence

from trainer.scoring.facts import BriefFacts, Sentence, longest_common


def answers(title: Sentence, body: Sequence[Sentence], facts: BriefFacts) -> dict[str, float]:
    """The features of one text, by name."""
    head, asked = set(title.content_stems), {item for sentence in facts.asked for item in sentence.content_stems}
    flat = [item for sentence in body for item in sentence.content_stems]
    sold = {item for sentence in facts.own[: facts.page] for item in sentence.content_stems}
    best_asked = max(facts.asked, key=lambda sentence: longest_common(title.stems, sentence.stems), default=title)
    best_own = max(
        facts.own[: facts.page], key=lambda sentence: longest_common(title.stems, sentence.stems), default=title
    )
    sets = [set(sentence.content_stems) for sentence in body]
    return {
        "title_asked": len(head & asked) / max(len(head), 1),
        "title_sold": len(head & sold) / max(len(head), 1),
        "title_only_asked": len(head - facts.stems),
        "title_like_asked": _alike(title, best_asked),
        "title_like_own": _alike(title, best_own),
        "title_is_asked": float(any(title.stems == sentence.stems for sentence in facts.asked)),
        "title_is_own": float(any(title.stems == sentence.stems for sentence in facts.own[: facts.page])),
        "title_number": float(any(word[0].isdigit() for word in title.words)),
        "body_asked": len(asked & set(flat)) / max(len(asked), 1),
        "body_on_title": max((len(head & content) for content in sets), default=0),
        "same_twice": sum(
            len(left & right) / max(min(len(left), len(right)), 1)
            for at, left in enumerate(sets)
            for right in sets[at + 1 :]
        ),
        "title_in_body": max((len(head & content) / max(len(content), 1) for content in sets), default=0),
        "points": sum(any(sentence.stems == fact.stems for fact in facts.own) for sentence in body),
        "exact_share": sum(any(sentence.stems == fact.stems for fact in facts.own) for sentence in body)
        / max(len(body), 1),
        "least_content": min((len(content) for content in sets), default=0),
    }


def _alike(left: Sentence, right: Sentence) -> float:
    return 2 * longest_common(left.stems, right.stems) / max(len(left.stems) + len(right.stems), 1)
