"""The gate decides whether a challenger may take traffic. It compares the measures of table 3 with the champion's."""

from __future__ import annotations

from collections.abc import Mapping
from math import isnan

from trainer.bootstrap import Interval
from trainer.config import GateConfig, GateLine
from trainer.evaluation.compare import PolicyComparison
from trainer.evaluation.metrics import MEASURES, Measure
from trainer.evaluation.report import value_text
from trainer.gate_report import Estimate, Line, Status

_NEEDS = {
    "truth": "no judge scored the texts",
    "fluency": "no judge scored the texts",
    "ctcvr": "no reward model was given",
    "held_out_reward_model": "no held-out reward model was given",
}


def decide(comparison: PolicyComparison, config: GateConfig) -> tuple[Line, ...]:
    """What every configured line says. comparison: of the champion and the challenger, in this order.

    no_worse   low(challenger − champion) ≥ −margin
    better     low(challenger − champion) > 0
    floor      low(challenger) ≥ floor, where a line has one

    low is the lower end of the 95 % interval of the bootstrap by advertiser, so a difference that the set of prompts
    cannot tell apart from a loss fails. A measure without values is undecided.
    """
    if len(comparison.policies) != 2:
        raise ValueError(f"{len(comparison.policies)} policies: the gate compares the champion and one challenger")
    return tuple(_line(name, line, comparison) for name, line in config.lines.configured().items())


def passes(lines: tuple[Line, ...]) -> bool:
    """Whether no line blocks."""
    return not any(line.blocks for line in lines)


def _line(name: str, line: GateLine, comparison: PolicyComparison) -> Line:
    measure = MEASURES[name]
    found = _measured(comparison.means, comparison.differences, name)
    if found is None:
        return _result(name, line, "undecided", f"not decided: {_NEEDS.get(name, 'no text has this measure')}")
    champion, challenger, difference = found
    faults = [*_too_low(measure, line, challenger), *_worse(measure, line, difference)]
    reason = "; ".join(faults) or _kept(measure, line, difference)
    estimates = {
        "champion": Estimate.of(champion),
        "challenger": Estimate.of(challenger),
        "difference": Estimate.of(difference),
    }
    return _result(name, line, "fail" if faults else "pass", reason, **estimates)


def _result(name: str, line: GateLine, status: Status, reason: str, **estimates: Estimate) -> Line:
    return Line(
        measure=name,
        label=MEASURES[name].label,
        rule=line.rule,
        margin=line.margin,
        floor=line.floor,
        required=line.required,
        status=status,
        reason=reason,
        **estimates,
    )


def _measured(
    means: Mapping[str, tuple[Interval, ...]], differences: Mapping[str, tuple[Interval, ...]], name: str
) -> tuple[Interval, Interval, Interval] | None:
    """Champion, challenger and their difference; None where one of them is not known."""
    if name not in means:
        return None
    champion, challenger = means[name]
    found = champion, challenger, differences[name][1]
    return None if any(isnan(part) for each in found for part in (each.value, each.low, each.high)) else found


def _worse(measure: Measure, line: GateLine, difference: Interval) -> list[str]:
    """Why the difference does not satisfy the rule."""
    low = value_text(measure, difference.low, sign=True)
    if line.rule == "better":
        return [] if difference.low > 0 else [f"not better: the difference may be {low}"]
    if difference.low >= -line.margin:
        return []
    return [f"the difference may be {low}, below the margin of {value_text(measure, -line.margin, sign=True)}"]


def _too_low(measure: Measure, line: GateLine, challenger: Interval) -> list[str]:
    if line.floor is None or challenger.low >= line.floor:
        return []
    low, floor = value_text(measure, challenger.low), value_text(measure, line.floor)
    return [f"the challenger may be at {low}, under the floor of {floor}"]


def _kept(measure: Measure, line: GateLine, difference: Interval) -> str:
    low = value_text(measure, difference.low, sign=True)
    if line.rule == "better":
        return f"better by at least {low}"
    return f"the difference is at least {low}, within the margin of {value_text(measure, -line.margin, sign=True)}"
