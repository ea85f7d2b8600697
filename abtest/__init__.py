"""A/B tests: assignment, events, attribution, statistics and the report.

Assignment decides which arm a unit sees. Events record what was shown and how the user responded. Attribution decides
which events count. The statistics compare arms from sums alone. `report` is the client of the report endpoint.
"""

from abtest import report
from abtest.assignment import assign, bucket
from abtest.attribution import attribute
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
