"""L-BFGS with absolute values and over cliffs, and what penalties add."""

import numpy as np
import pytest
from scipy import optimize

from gym_ilrl.irl.minimise import Stop, minimise, scales
from gym_ilrl.irl.penalty import Penalty
from gym_ilrl.planning import DivergenceError


def quadratic(hessian, centre):
    return lambda x: (float(0.5 * (x - centre) @ hessian @ (x - centre)), hessian @ (x - centre))


@pytest.mark.parametrize("unit", [1.0, 1e-3])
def test_a_lasso_in_closed_form(unit):
    curvature, centre = np.array([1.0, 4.0, 0.5, 2.0]), np.array([3.0, -1.0, 0.1, -0.2])
    found = minimise(quadratic(np.diag(curvature), centre), np.zeros(4), np.full(4, unit), l1_coef=0.5)
    soft = np.sign(centre) * np.maximum(np.abs(centre) - 0.5 / curvature, 0.0)
    np.testing.assert_allclose(found.point, soft, atol=1e-6)
    assert (found.point[2:] == 0.0).all()  # exactly
    assert not found.is_stopped


def test_the_same_minimum_from_everywhere_and_in_any_units():
    generator = np.random.default_rng(0)
    root = generator.normal(size=(5, 5))
    function = quadratic(root @ root.T + np.eye(5), generator.normal(size=5))
    points = [
        minimise(function, start, scale, 0.3).point
        for start in (np.zeros(5), generator.normal(size=5))
        for scale in (np.ones(5), np.array([1e2, 1.0, 1e-2, 3.0, 1.0]))
    ]
    for point in points[1:]:
        np.testing.assert_allclose(point, points[0], atol=1e-5)


def test_the_best_point_is_kept_when_it_is_stopped():
    seen = []

    def function(x):
        if len(seen) == 4:
            raise Stop
        value, gradient = quadratic(np.diag([1.0, 100.0]), np.array([1.0, -1.0]))(x)
        seen.append((value, x.copy()))
        return value, gradient

    found = minimise(function, np.array([5.0, 5.0]), np.ones(2))
    assert found.is_stopped
    assert found.loss == min(value for value, _ in seen)
    np.testing.assert_array_equal(found.point, min(seen, key=lambda pair: pair[0])[1])


def test_it_comes_back_from_where_values_are_infinite():
    refused = []

    def function(x):
        if x[0] >= 1.0:
            refused.append(x.copy())
            raise DivergenceError("beyond")
        # falls towards a barrier that is thin
        return float(-x[0] - 0.01 * np.log(1.0 - x[0]) + x[1] ** 2), np.array([-1.0 + 0.01 / (1.0 - x[0]), 2.0 * x[1]])

    found = minimise(function, np.array([-3.0, 2.0]), np.ones(2))
    assert refused
    np.testing.assert_allclose(found.point, [0.99, 0.0], atol=1e-6)
    with pytest.raises(DivergenceError, match="beyond"):
        minimise(function, np.array([2.0, 0.0]), np.ones(2))


def test_units_put_features_met_often_and_seldom_on_a_par():
    np.testing.assert_allclose(scales(np.array([4.0, -1.0, 0.0])), [0.5, 1.0, 1.0 / np.sqrt(4e-3)])
    np.testing.assert_array_equal(scales(np.zeros(3)), 1.0)


def test_penalties_and_their_slopes():
    penalty = Penalty(0.7, np.array([1.0, 2.0, 0.0]), np.array([0.5, 0.0, 3.0]))
    point = np.array([2.0, -1.0, 4.0])
    value, slope = penalty.squares(point)
    assert value == pytest.approx(0.5 * (1.5**2 + 2.0))
    np.testing.assert_allclose(slope, optimize.approx_fprime(point, lambda x: penalty.squares(x)[0]), atol=1e-6)
    assert penalty.absolutes(point) == pytest.approx(0.7 * 7.0)
    assert Penalty().squares(point)[0] == 0.0


def test_the_least_slope_is_zero_where_the_absolute_value_holds_a_weight():
    penalty, gradient = Penalty(0.5), np.array([0.4, -0.6, 0.2, 0.2])
    least = penalty.least_slope(np.array([0.0, 0.0, 1.0, -1.0]), gradient)
    np.testing.assert_allclose(least, [0.0, -0.1, 0.7, -0.3])
    np.testing.assert_array_equal(Penalty().least_slope(np.zeros(4), gradient), gradient)
