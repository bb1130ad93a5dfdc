"""The arithmetic of parity: a row may lie from float64 by max(8 · |torch32 − f64|, ulps · 2⁻²³ · |f64|)."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra.numpy import arrays

from zoo.errors import ParityError
from zoo.parity.precisions import PRECISIONS
from zoo.parity.tolerance import Compared, compare, reduced_tolerance, tolerance, usual_size
from zoo.protocols import TensorSpec

ULP = 2.0**-23
OUTPUTS = {"out": TensorSpec("float32", ("batch", 2))}
NUMBERS = arrays(np.float64, (3, 2), elements=st.floats(-1e6, 1e6))


def judged(found, expected, allowed=0.1):
    expected = np.array(expected, np.float64)
    allowed = np.full(len(expected), allowed)
    return compare(
        "encode", "zeros", {"out": np.array(found, np.float32)}, {"out": expected}, {"out": allowed}, OUTPUTS
    )


@settings(max_examples=50, deadline=None, derandomize=True)
@given(NUMBERS, NUMBERS, st.integers(1, 1000))
def test_the_tolerance_is_the_larger_of_both_shares_over_the_row(torch32, float64, ulps):
    for row, allowed in enumerate(tolerance(torch32, float64, ulps)):
        error, size = np.abs(torch32[row] - float64[row]).max(), np.abs(float64[row]).max()
        assert allowed == max(8 * error, ulps * ULP * size)


def test_the_tolerance_counts_finite_numbers_only():
    float64 = np.array([[np.nan, 2.0], [np.inf, 4.0], [-np.inf, np.nan]])
    torch32 = np.array([[np.nan, 2.0], [np.inf, 5.0], [-np.inf, np.nan]])
    assert tolerance(torch32, float64, 16).tolist() == [32 * ULP, 8.0, 0.0]


def test_the_tolerance_of_a_row_looks_at_no_other_row():
    float64 = np.array([[1.0, 0.0], [1e6, 0.0]])
    assert tolerance(float64, float64, 16).tolist() == [16 * ULP, 16e6 * ULP]


def test_a_row_of_logarithms_counts_as_one_at_least():
    allowed = tolerance(np.float32([[0.25], [3.0]]), np.array([[0.25], [3.0]]), 16, logarithm=True)
    assert allowed.tolist() == [16 * 2.0**-23, 3 * 16 * 2.0**-23]


def test_rows_with_no_numbers_are_allowed_nothing():
    assert tolerance(np.zeros((2, 0)), np.zeros((2, 0)), 16).tolist() == [0.0, 0.0]


def test_what_lies_within_tells_the_share_that_was_used():
    found = judged([[1.0, 2.0], [3.0, 4.05]], [[1.0, 2.0], [3.0, 4.0]])
    assert (found.case, found.output) == ("zeros", "out")
    assert found.used == pytest.approx(0.5, rel=1e-4)
    assert found.max_abs_error == pytest.approx(0.05, rel=1e-4)


def test_an_exact_answer_uses_nothing_even_where_nothing_is_allowed():
    assert judged([[0.0, 0.0]], [[0.0, 0.0]], allowed=0.0).used == 0


def test_the_row_that_differs_is_named_with_both_numbers():
    expected = r"^encode, case 'zeros', output 'out', row 1: differs from float64 by 0.5, allowed is 0.1; look for"
    with pytest.raises(ParityError, match=expected):
        judged([[1.0, 2.0], [3.0, 4.5]], [[1.0, 2.0], [3.0, 4.0]])


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ([[np.nan, 1.0]], [[0.0, 1.0]]),
        ([[0.0, 1.0]], [[np.nan, 1.0]]),
        ([[1.0, np.nan]], [[np.nan, 1.0]]),
        ([[np.inf, 1.0]], [[3e38, 1.0]]),
        ([[-np.inf, 1.0]], [[np.inf, 1.0]]),
        ([[np.nan, 1.0]], [[np.inf, 1.0]]),
    ],
)
def test_nan_and_infinity_must_stand_in_the_same_places(found, expected):
    with pytest.raises(ParityError, match="output 'out': NaN or infinity is in other places than in torch"):
        judged(found, expected, allowed=1e300)


def test_nan_in_the_same_place_agrees():
    assert judged([[np.nan, 1.0]], [[np.nan, 1.0]]).used == 0


@pytest.mark.parametrize(
    ("found", "came"),
    [
        (np.zeros((1, 2), np.float64), r"float64 of shape \(1, 2\)"),
        (np.zeros((2, 2), np.float32), r"float32 of shape \(2, 2\)"),
        (np.zeros((1, 2, 1), np.float32), r"float32 of shape \(1, 2, 1\)"),
    ],
)
def test_dtype_and_shape_must_be_the_declared_ones(found, came):
    with pytest.raises(ParityError, match=rf"expected float32 of shape \(1, 2\), the file gives {came}"):
        compare("encode", "zeros", {"out": found}, {"out": np.zeros((1, 2))}, {"out": np.ones(1)}, OUTPUTS)


def test_a_missing_output_is_named_with_those_there_are():
    with pytest.raises(ParityError, match="output 'out': the file has no such output; it has other"):
        compare("encode", "zeros", {"other": np.zeros(1)}, {}, {}, OUTPUTS)


def test_numbers_that_are_whole_or_true_are_compared_too():
    outputs = {"ids": TensorSpec("int64", ("batch",)), "mask": TensorSpec("bool", ("batch",))}
    right = {"ids": np.array([1, 2]), "mask": np.array([True, False])}
    allowed = {"ids": np.zeros(2), "mask": np.zeros(2)}
    assert compare("encode", "zeros", right, right, allowed, outputs).used == 0
    for wrong in ({"ids": np.array([1, 3])}, {"mask": np.array([True, True])}):
        with pytest.raises(ParityError, match="row 1: differs from float64 by 1, allowed is 0"):
            compare("encode", "zeros", {**right, **wrong}, right, allowed, outputs)


def test_the_nearest_to_its_tolerance_is_the_largest():
    assert max(Compared("a", "x", 0.1, 5.0), Compared("b", "x", 0.9, 0.1)).case == "b"


def test_a_row_at_reduced_precision_may_be_off_by_a_share_of_its_largest():
    float64 = np.array([[1.0, -4.0], [2.0, 0.5]])
    assert reduced_tolerance(float64, 0.0, PRECISIONS["int8"]).tolist() == pytest.approx([0.8, 0.4])


def test_a_small_row_at_reduced_precision_may_be_off_by_a_share_of_the_usual():
    assert reduced_tolerance(np.array([[1e-9, 0.0]]), 2.0, PRECISIONS["int8"]).tolist() == pytest.approx([0.4])


def test_the_usual_size_is_that_of_the_middle_row_of_all_cases():
    assert usual_size([np.array([[1.0, -3.0]]), np.array([[5.0, 0.0], [np.inf, 4.0]])]) == 4.0
    assert usual_size([np.zeros((0, 2))]) == 0.0


def test_whole_numbers_are_not_compared_at_reduced_precision():
    assert reduced_tolerance(np.array([1, 2]), 1.0, PRECISIONS["fp16"]).tolist() == [np.inf, np.inf]


def test_fewer_bits_are_allowed_more():
    assert 16 * ULP < PRECISIONS["fp16"].row_error < PRECISIONS["int8"].row_error < 1
