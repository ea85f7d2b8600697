"""The comparison of policies as a page: every measure with its interval, paired differences, and texts side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from itertools import groupby
from pathlib import Path

import plotly.graph_objects as go

from adtext.checks import Finding
from trainer.bootstrap import Interval
from trainer.evaluation.compare import PolicyComparison, verdict
from trainer.evaluation.metrics import MEASURES, Measure, Measured
from trainer.page import Html, heading, paragraph, plot, table, write_page
from trainer.rewards.base import Sample

_SHOWN = 12  # briefs whose texts are shown
_SPLITS = {
    "validation": "Validation advertisers",
    "held_out": "Held-out advertisers",
    "new_industry": "New industries",
    "train": "Training advertisers",
}


def write_report(path: Path, found: Mapping[str, tuple[PolicyComparison, Sequence[Measured]]]) -> Path:
    """One page. found: by split, the comparison and the samples it is of."""
    parts: list[Html] = []
    for split, (comparison, measured) in found.items():
        parts += [
            heading(_SPLITS.get(split, split)),
            paragraph(
                f"{comparison.advertisers} advertisers, raw samples at temperature 1, before any filter. Brackets are "
                "95 % intervals of a "
                f"bootstrap over advertisers; differences are paired with {comparison.policies[0]}."
            ),
            means_table(comparison),
            heading(f"Difference from {comparison.policies[0]}"),
            plot(differences_plot(comparison)),
            heading("Texts"),
            texts_table(measured),
        ]
    return write_page(path, "Policies compared", parts)


def means_table(comparison: PolicyComparison) -> Html:
    """Measures by policies, and beside each mean what its paired difference from the first policy says."""
    heads = [
        "measure",
        *(f"{name} ({count:,} texts)" for name, count in zip(comparison.policies, comparison.samples, strict=True)),
    ]
    rows: list[list[str | Html]] = []
    for name, means in comparison.means.items():
        measure, differences = MEASURES[name], comparison.differences[name]
        cells = [
            _mean(measure, means[0]),
            *(_change(measure, *pair) for pair in zip(means[1:], differences[1:], strict=True)),
        ]
        rows.append([measure.label, *cells])
    return table(heads, rows)


def differences_plot(comparison: PolicyComparison) -> go.Figure:
    """A forest plot: difference divided by the first policy's mean, so that measures of different units stand on one
    axis.
    """
    labels = [MEASURES[name].label for name in comparison.means]
    figure = go.Figure()
    for at, policy in enumerate(comparison.policies[1:], start=1):
        ratios = [
            _relative(comparison.differences[name][at], comparison.means[name][0].value) for name in comparison.means
        ]
        figure.add_scatter(
            x=[ratio.value for ratio in ratios],
            y=labels,
            mode="markers",
            name=policy,
            error_x={
                "type": "data",
                "symmetric": False,
                "array": [ratio.high - ratio.value for ratio in ratios],
                "arrayminus": [ratio.value - ratio.low for ratio in ratios],
            },
        )
    figure.add_vline(x=0, line_dash="dot", line_color="gray")
    figure.update_layout(
        xaxis={"title": "relative difference", "tickformat": "+.0%"},
        yaxis={"autorange": "reversed"},
        scattermode="group",
        height=120 + 32 * len(labels),
        margin={"l": 10, "t": 20},
    )
    return figure


def texts_table(measured: Sequence[Measured]) -> Html:
    """One sample of every policy for some briefs, what the checks find in it marked."""
    briefs = [
        [next(samples) for _, samples in groupby(policy.samples, key=lambda sample: sample.prompt)]
        for policy in measured
    ]
    step = max(1, len(briefs[0]) // _SHOWN)
    rows = [
        [
            Html(f"<b>{escape(samples[0].prompt.brief.query)}</b>\n{escape(samples[0].prompt.brief.ad.advertiser)}"),
            *map(marked, samples),
        ]
        for samples in list(zip(*briefs, strict=True))[::step][:_SHOWN]
    ]
    return table(["query", *(policy.name for policy in measured)], rows, kind="text")


def marked(sample: Sample) -> Html:
    """The text with its findings underlined; a completion that does not parse as it is."""
    if sample.text is None:
        return Html(f"<mark title='leaves the template'>{escape(sample.completion)}</mark>")
    return Html(
        "\n".join(
            _marked(value, [finding for finding in sample.findings if finding.field == name])
            for name, value in sample.text.fields()
        )
    )


def _marked(value: str, findings: Sequence[Finding]) -> str:
    written, at = "", 0
    for finding in sorted(findings, key=lambda finding: finding.span):
        start, end = max(at, finding.span.start), max(at, finding.span.end)
        kind = "" if finding.severity == "block" else " class=n"
        written += (
            escape(value[at:start]) + f"<mark{kind} title='{escape(finding.rule)}'>{escape(value[start:end])}</mark>"
        )
        at = end
    return written + escape(value[at:])


def _mean(measure: Measure, mean: Interval) -> Html:
    value, low, high = (value_text(measure, part) for part in (mean.value, mean.low, mean.high))
    return Html(f"{value} <small>[{low}, {high}]</small>")


def _change(measure: Measure, mean: Interval, difference: Interval) -> Html:
    moved = verdict(difference)
    good = moved == "not resolved" or measure.better == "as is"
    kind = "" if good else "up" if (moved == "up") == (measure.better == "more") else "down"
    return Html(f'{_mean(measure, mean)}<br><small class="{kind}">{interval_text(measure, difference)}</small>')


def interval_text(measure: Measure, difference: Interval) -> str:
    """A difference with its interval, all with their signs."""
    value, low, high = (value_text(measure, each, True) for each in (difference.value, difference.low, difference.high))
    return f"{value} [{low}, {high}]"


def value_text(measure: Measure, value: float, sign: bool = False) -> str:
    """A value in its measure's unit: shares and counts plainly, rates in per mille."""
    plus = "+" if sign else ""
    return f"{value * 1000:{plus}.3f} ‰" if measure.unit == "rate" else f"{value:{plus}.3f}"


def _relative(difference: Interval, base: float) -> Interval:
    return (
        Interval(difference.value / base, difference.low / base, difference.high / base)
        if base
        else Interval(0.0, 0.0, 0.0)
    )
