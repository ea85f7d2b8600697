"""Reports of the gate as `relate evaluate gate` writes them."""

from __future__ import annotations

from typing import Any

_LINES = ("structure", "clean", "diversity", "semantics", "ctcvr", "held_out_reward_model")


def a_gate_report(challenger: str, *, passed: bool = True, digest: str = "bb22", **over: Any) -> dict[str, Any]:
    """The report on a challenger; one that failed lost diversity."""
    return {
        "decided_at": "2026-11-22T08:00:00Z",
        "champion": {"name": "relate-1", "digests": {"policy": "aa11"}},
        "challenger": {"name": challenger, "digests": {"policy": digest}},
        "prompts": {"split": "validation", "language": "zh", "advertisers": 40, "prompts": 160, "digest": "cc33"},
        "reward_models": {"ctcvr": "dd44", "held_out_reward_model": "ee55"},
        "config": {"samples": 5},
        "lines": [_line(measure, "pass" if passed or measure != "diversity" else "fail") for measure in _LINES],
        "texts": [
            {
                "query": "宽脚跑鞋",
                "advertiser": "青禾跑步",
                "champion": "标题：<b>跑鞋",
                "challenger": "标题：宽楦跑鞋",
            },
            {
                "query": "幅広 靴",
                "advertiser": "みどり",
                "champion": "タイトル：靴",
                "challenger": "タイトル：幅広の靴",
            },
        ],
        "passed": passed,
    } | over


def _line(measure: str, status: str) -> dict[str, Any]:
    lost = status == "fail"
    return {
        "measure": measure,
        "label": measure.replace("_", " "),
        "rule": "better" if measure in ("ctcvr", "held_out_reward_model") else "no_worse",
        "margin": 0.05,
        "floor": None,
        "required": True,
        "status": status,
        "reason": "the difference may be -0.700" if lost else "the difference is at least -0.010",
        "champion": {"value": 0.9, "low": 0.88, "high": 0.92},
        "challenger": {"value": 0.21 if lost else 0.91, "low": 0.2, "high": 0.93},
        "difference": {"value": -0.69 if lost else 0.01, "low": -0.7 if lost else -0.01, "high": 0.03},
    }
