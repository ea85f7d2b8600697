"""What was shown, to whom, and what came of it: assignment, events, attribution, statistics."""

from abtest.assignment import assign, bucket
from abtest.attribution import attribute
from abtest.report import report
from abtest.stats import (
    FunnelSums,
    Lift,
    SampleRatio,
    UnitSums,
    always_valid_lift,
    benjamini_hochberg,
    holm,
    minimum_detectable_lift,
    ratio_lift,
    required_units,
    sample_ratio,
)

__all__ = [
    "FunnelSums",
    "Lift",
    "SampleRatio",
    "UnitSums",
    "always_valid_lift",
    "assign",
    "attribute",
    "benjamini_hochberg",
    "bucket",
    "holm",
    "minimum_detectable_lift",
    "ratio_lift",
    "report",
    "required_units",
    "sample_ratio",
]
