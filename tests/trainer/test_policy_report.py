"""From entrants to page and blind pairs: samples are drawn once, numbers are repeated to the digit, and nobody can tell
who wrote what.
"""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
from builders import A_SPEC, a_brief, an_ad

from adtext.brief import AdText
from adtext.prompt import write
from adtext.rules import load_rules
from tests.trainer.small import save_small_policy, small_prompts
from trainer.baselines.nlg import Nlg
from trainer.config import LoraSettings
from trainer.evaluation.compare import compare
from trainer.evaluation.metrics import measure
from trainer.evaluation.pairs import write_pairs
from trainer.evaluation.report import marked, write_report
from trainer.evaluation.sampling import Entrant, Sampling, sample
from trainer.policy import load_policy, save_policy
from trainer.prompts import Prompt
from trainer.rewards.base import read
from trainer.rewards.semantics import Relevance

RULES = load_rules()


class Letters:
    """An encoder that counts letters."""

    name, dim = "letters", 26

    def encode(self, strings):
        return np.array(
            [[string.lower().count(chr(97 + letter)) + 0.1 for letter in range(26)] for string in strings],
            dtype=np.float32,
        )


RELEVANCE = Relevance(Letters(), slope=5.0, middle=0.5)
PROMPTS = [
    Prompt(a_brief(locale="en-US", id=f"ad-{at}", query=f"running shoes {at}"), A_SPEC, (), "held_out")
    for at in range(6)
]


@pytest.mark.parametrize(
    ("argument", "entrant"),
    [
        ("nlg", Entrant("nlg", "nlg", 0)),
        ("runs/sft", Entrant("sft", "runs/sft", 0)),
        ("base=models/relate-base@2", Entrant("base", "models/relate-base", 2)),
    ],
)
def test_a_policy_is_named_with_its_source_and_its_worked_examples(argument, entrant):
    assert Entrant.of(argument) == entrant


@pytest.mark.parametrize("argument", ["", "sft=", "=runs/sft", "base=models/base@3", "base=models/base@"])
def test_a_policy_that_cannot_be_read_is_refused(argument):
    with pytest.raises(ValueError, match="is not NAME=SOURCE"):
        Entrant.of(argument)


# ---- sampling


def drawn(tmp_path, prompts=PROMPTS, sampling=Sampling(samples=3), nlg=None):
    return sample(Entrant("nlg", "nlg"), prompts, sampling, tmp_path / "nlg.jsonl", RULES, nlg=nlg or Nlg())


@pytest.mark.parametrize("torn", [b'{"ad": "ad-1", "query": "run', "羊".encode()[:2]], ids=["word", "character"])
@pytest.mark.parametrize("rows", [0, 3, 8, 11])
def test_a_line_that_a_kill_tore_is_drawn_again_with_its_batch(tmp_path, torn, rows):
    prompts = [
        replace(PROMPTS[0], brief=a_brief(locale="en-US", id=f"ad-{at}", query=f"鞋 {at}\u2028")) for at in range(12)
    ]
    drawn(tmp_path, prompts)
    file = tmp_path / "nlg.jsonl"
    whole = file.read_bytes()
    file.write_bytes(b"".join(whole.splitlines(keepends=True)[: 1 + rows]) + torn)
    drawn(tmp_path, prompts)
    assert file.read_bytes() == whole


def test_kept_samples_know_the_base_of_their_adapter(tmp_path):
    prompts = small_prompts()
    base = save_small_policy(tmp_path / "base", prompts, width=16)
    adapted, tokenizer = load_policy(base, lora=LoraSettings(rank=2, alpha=4))
    save_policy(adapted, tokenizer, tmp_path / "adapter")
    other = save_small_policy(tmp_path / "other base", prompts, width=16, seed=1)

    def draw(source):
        entrant, sampling = Entrant("a", str(tmp_path / "adapter")), Sampling(samples=2, max_completion=4)
        return sample(entrant, prompts[:2], sampling, tmp_path / "a.jsonl", RULES, nlg=Nlg(), base=str(source))

    drawn_once = draw(base)
    assert draw(base) == drawn_once and all(text.cut for text in drawn_once)  # 4 tokens are no ad
    with pytest.raises(ValueError, match="samples of another policy, base or sampling"):
        draw(other)


def test_samples_are_kept_and_a_killed_run_goes_on(tmp_path):
    whole = drawn(tmp_path)
    file = tmp_path / "nlg.jsonl"
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    file.write_text("".join(lines[:1]), encoding="utf-8")  # killed before the first batch was written
    assert drawn(tmp_path) == whole
    assert file.read_text(encoding="utf-8").splitlines(keepends=True) == lines

    class Mute(Nlg):
        def write(self, *_, **__):
            raise AssertionError("drawn again")

    assert drawn(tmp_path, nlg=Mute()) == whole


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"sampling": Sampling(samples=4)}, "another policy, base or sampling"),
        ({"nlg": Nlg({"Tern Boots": [an_ad()]})}, "another policy, base or sampling"),
        (
            {
                "prompts": [
                    replace(
                        PROMPTS[0],
                        brief=a_brief(
                            locale="en-US", id="ad-0", query="running shoes 0", selling_points=("Now in red",)
                        ),
                    ),
                    *PROMPTS[1:],
                ]
            },
            "other prompts",
        ),
        ({"prompts": PROMPTS[:3]}, "other prompts"),
        ({"prompts": PROMPTS[::-1]}, "other prompts"),
    ],
)
def test_samples_of_something_else_are_not_mixed_in(tmp_path, change, said):
    drawn(tmp_path)
    with pytest.raises(ValueError, match=said):
        drawn(tmp_path, **change)


# ---- report


def two_policies():
    texts = {
        "plain": an_ad(locale="en-US"),
        "loud": AdText(title="BEST Shoes Ever", description="Number one <b>anywhere</b>, 90% off!"),
    }
    return [
        measure(name, [read(prompt, write(text, "en"), RULES) for prompt in PROMPTS for _ in range(2)], RELEVANCE, {})
        for name, text in texts.items()
    ]


def test_the_page_shows_measures_differences_and_texts_without_a_network(tmp_path):
    measured = two_policies()
    page = write_report(tmp_path / "report.html", {"held_out": (compare(measured), measured)}).read_text(
        encoding="utf-8"
    )
    body = page[page.index("</script>") :]
    assert "Compliance Rate (eq. 11)" in body and "-1.000 [-1.000, -1.000]" in body
    assert "<mark title='absolute_claim'>" in body or "<mark title='shouting'>" in body
    assert "<b>anywhere</b>" not in body and 'src="http' not in page


def test_findings_are_marked_in_place_and_markup_is_escaped():
    loud = read(PROMPTS[0], "Title: Shoes & More\nDescription: Now 90% wool for all.", RULES)
    assert str(marked(loud)) == "Shoes &amp; More\nNow <mark title='ungrounded_percentage'>90%</mark> wool for all."
    assert "leaves the template" in marked(read(PROMPTS[0], "<Buy>", RULES)) and "&lt;Buy&gt;" in marked(
        read(PROMPTS[0], "<Buy>", RULES)
    )


# ---- blind pairs


def rows(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_pairs_are_blind_and_their_key_is_kept_apart(tmp_path):
    samples = {policy.name: policy.samples for policy in two_policies()}
    pairs, key = tmp_path / "pairs.csv", tmp_path / "key.csv"
    assert write_pairs(samples, pairs, key, count=10) == 10
    shown, kept = rows(pairs), rows(key)
    assert "plain" not in pairs.read_text(encoding="utf-8") and "loud" not in pairs.read_text(encoding="utf-8")
    assert {row["left"] for row in kept} == {"plain", "loud"}, "sides are drawn, not fixed"
    title = {"plain": an_ad(locale="en-US").title, "loud": "BEST Shoes Ever"}
    for pair, sides in zip(shown, kept, strict=True):
        assert pair["pair"] == sides["pair"] and pair["verdict"] == ""
        assert (pair["left_title"], pair["right_title"]) == (title[sides["left"]], title[sides["right"]])


def test_every_prompt_has_its_turn_before_any_has_its_second(tmp_path):
    samples = {policy.name: policy.samples for policy in two_policies()}
    write_pairs(samples, tmp_path / "pairs.csv", tmp_path / "key.csv", count=len(PROMPTS))
    assert len({row["query"] for row in rows(tmp_path / "pairs.csv")}) == len(PROMPTS)


def test_a_pair_is_of_two_texts_that_parse(tmp_path):
    plain, loud = two_policies()
    broken = [replace(sample, text=None) for sample in loud.samples[:-1]] + [loud.samples[-1]]
    assert write_pairs({"plain": plain.samples, "loud": broken}, tmp_path / "pairs.csv", tmp_path / "key.csv") == 1


def test_pairs_and_key_are_two_files_and_policies_are_two(tmp_path):
    samples = two_policies()[0].samples
    with pytest.raises(ValueError, match="name two files"):
        write_pairs({"a": samples, "b": samples}, tmp_path / "pairs.csv", tmp_path / "pairs.csv")
    with pytest.raises(ValueError, match="1 policies"):
        write_pairs({"a": samples}, tmp_path / "pairs.csv", tmp_path / "key.csv")


def test_kept_samples_are_lines_of_json(tmp_path):
    drawn(tmp_path)
    lines = (tmp_path / "nlg.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(lines[0])["source"] == "nlg" and json.loads(lines[1])["query"] == PROMPTS[0].brief.query
