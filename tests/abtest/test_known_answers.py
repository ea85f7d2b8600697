"""Published experiments whose answers are known: control is named first, z and p are unpooled and normal."""

import csv
import math
import os
from pathlib import Path

import pytest
from units import trials

from abtest.lift import ratio_lift
from abtest.sums import UnitSums

DATA = Path(os.environ.get("RELATE_DATA", "")) / "asos_online_experiments" / "expected_final_results.csv"


@pytest.mark.parametrize(
    ("control", "treatment", "z", "p_value"),
    [
        pytest.param((2033, 212_163), (1945, 211_362), -1.282, 0.200, id="Udacity free trial, CTCVR"),
        pytest.param((8502, 44_700), (8279, 45_489), -3.164, 0.0016, id="Cookie Cats, day 7"),
        pytest.param((122, 21_306), (267, 21_307), 7.390, 0.0, id="Hillstrom, men's mail"),  # pooled would be 7.385
        pytest.param((40, 5000), (62, 5000), 2.190, 0.0285, id="40 against 62"),
    ],
)
def test_z_and_p_are_the_published_ones(control, treatment, z, p_value):
    lift = ratio_lift(trials(*treatment), trials(*control))
    assert lift.z == pytest.approx(z, abs=5e-4)
    assert lift.p_value == pytest.approx(p_value, abs=2e-4)


def test_fiellers_interval_of_40_against_62():
    lift = ratio_lift(trials(62, 5000), trials(40, 5000))
    assert (lift.value, lift.low, lift.high) == pytest.approx((0.55, 0.0483, 1.378), abs=5e-4)


# name, control's count, mean and variance, treatment's, relative lift, z, p
# ASOS Digital Experiments Dataset, Liu et al., NeurIPS 2021, doi 10.17605/OSF.IO/64JSB, CC BY 4.0; last checkpoint of
# each
ASOS = [
    (
        "4509ec-1-1",
        28471306,
        0.056871293505,
        0.053636949,
        28461972,
        0.055922126548,
        0.052794842,
        -0.016689737,
        -15.5229871,
        0.000000,
    ),
    (
        "4509ec-1-2",
        28471306,
        0.066553758915,
        0.088349276,
        28461972,
        0.065407059129,
        0.086808755,
        -0.017229677,
        -14.6185100,
        0.000000,
    ),
    (
        "2c8a04-1-1",
        64817937,
        0.063009965899,
        0.05903971,
        64812440,
        0.064235492446,
        0.060109294,
        0.019449726,
        28.5835276,
        0.000000,
    ),
    (
        "2c8a04-1-2",
        64817937,
        0.087378740843,
        0.18203788,
        64812440,
        0.089393513998,
        0.18729421,
        0.023057933,
        26.6904499,
        0.000000,
    ),
    (
        "08bcc2-1-2",
        1384352,
        0.40976493587,
        0.92449355,
        1385163,
        0.40705128899,
        0.90784591,
        -0.0066224477,
        -2.3590472,
        0.018322,
    ),
    (
        "1bacbe-1-1",
        28452160,
        0.04693643646,
        0.044733407,
        28444238,
        0.046857011954,
        0.044661432,
        -0.0016921716,
        -1.4168560,
        0.156525,
    ),
    (
        "2c8a04-1-4",
        64817937,
        6.4973006398,
        1805.0494,
        64812440,
        6.625151466,
        1843.5742,
        0.01967753,
        17.0403027,
        0.000000,
    ),
    (
        "329386-1-4",
        3892143,
        34.595618955,
        14733.586,
        3777635,
        34.550207123,
        14638.085,
        -0.0013126469,
        -0.5188517,
        0.603864,
    ),
    (
        "4509ec-1-3",
        28471306,
        0.19596499726,
        1.3518452,
        28461972,
        0.19155373911,
        1.3105378,
        -0.022510439,
        -14.4243365,
        0.000000,
    ),
    (
        "47a23b-2-2",
        3168538,
        0.42186992519,
        1.3303733,
        3169596,
        0.42268474198,
        1.3247193,
        0.0019314408,
        0.8901963,
        0.373361,
    ),
    (
        "48a675-1-4",
        1514040,
        26.525556681,
        9601.5784,
        1513940,
        26.638400247,
        9568.1957,
        0.004254145,
        1.0028358,
        0.315940,
    ),
    (
        "54a85a-0-1",
        3320536,
        0.25119137392,
        0.18809427,
        102316,
        0.25053755033,
        0.18776849,
        -0.0026028903,
        -0.4753569,
        0.634534,
    ),
    ("591c2c-1-4", 34497, 21.002611544, 4348.6689, 34626, 21.101945584, 4374.9358, 0.0047296042, 0.1977183, 0.843266),
    ("5ca6d6-1-3", 163759, 3.8313138963, 56.336493, 163789, 3.8363273331, 54.566912, 0.0013085424, 0.1926572, 0.847228),
    (
        "873d9d-1-1",
        33420960,
        0.046942667117,
        0.044739053,
        33416336,
        0.046812373445,
        0.044620975,
        -0.0027755916,
        -2.5196843,
        0.011746,
    ),
    (
        "b2da2e-1-2",
        340417,
        0.083372995587,
        0.092851199,
        340608,
        0.084020166014,
        0.094507954,
        0.0077623507,
        0.8724655,
        0.382955,
    ),
    ("b2da2e-3-3", 340417, 0.26713300684, 1.676595, 340710, 0.27237983415, 1.6736647, 0.019641254, 1.6728479, 0.094358),
    (
        "d6e1d7-1-3",
        3226749,
        0.27949338386,
        1.8785404,
        3227367,
        0.27886205315,
        1.8378964,
        -0.0022588395,
        -0.5882971,
        0.556333,
    ),
    (
        "df31d1-1-1",
        2243031,
        0.36282334038,
        0.23118256,
        2247565,
        0.36279440194,
        0.23117462,
        -7.9759037e-05,
        -0.0637710,
        0.949153,
    ),
    (
        "e861d3-1-1",
        28027802,
        0.047186682709,
        0.0449601,
        28018944,
        0.047133253844,
        0.04491171,
        -0.0011322869,
        -0.9434620,
        0.345445,
    ),
]


def of_a_mean(n: float, mean: float, variance: float) -> UnitSums:
    return UnitSums(n, n, n * mean, n, (n - 1) * variance + n * mean**2, n * mean)


@pytest.mark.parametrize(("name", "n_c", "mean_c", "var_c", "n_t", "mean_t", "var_t", "rel_lift", "z", "p_value"), ASOS)
def test_asos_results(name, n_c, mean_c, var_c, n_t, mean_t, var_t, rel_lift, z, p_value):
    lift = ratio_lift(of_a_mean(n_t, mean_t, var_t), of_a_mean(n_c, mean_c, var_c))
    assert (lift.value, lift.z) == (pytest.approx(rel_lift, abs=1e-6), pytest.approx(z, abs=1e-6))
    assert lift.p_value == pytest.approx(p_value, abs=1e-5)  # the source uses Welch's t


@pytest.mark.skipif(
    not DATA.is_file(), reason="RELATE_DATA does not name the folder that holds asos_online_experiments"
)
def test_every_asos_result():
    known = missing = 0
    with DATA.open() as file:
        for row in csv.DictReader(file):
            arms = (
                of_a_mean(*(float(row[f"{name}_{arm}"] or "nan") for name in ("count", "mean", "variance")))
                for arm in "tc"
            )
            lift = ratio_lift(*arms)
            assert lift.value == pytest.approx(float(row["rel_lift"]), abs=1e-6)
            if row["z"]:
                known += 1
                assert lift.z == pytest.approx(float(row["z"]), abs=1e-6)
                assert lift.p_value == pytest.approx(float(row["p_value"]), abs=1e-5)
            else:
                missing += 1
                assert "variance missing" in lift.note
                assert (lift.low, lift.high, lift.p_value) == (None, None, None)
    assert (known, missing) == (289, 15)


def test_a_missing_variance_is_said_in_words():
    lift = ratio_lift(of_a_mean(534_896, 0.201540, math.nan), of_a_mean(536_020, 0.197774, math.nan))
    assert lift.value == pytest.approx(0.01904, abs=1e-5)
    assert (lift.low, lift.p_value, lift.note) == (None, None, "variance missing: the source kept no second moments")
