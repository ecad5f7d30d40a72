"""The four controllers: properties over random cost sequences."""

from functools import partial

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marvel_jax.config import Gains
from marvel_jax.multiplier import controllers

LONGEST = 25
COSTS = st.lists(st.floats(0, 200, width=32), min_size=1, max_size=LONGEST)
FEW = settings(max_examples=25, deadline=None)


def trace(update, gains, costs, limit=20.0):
    """The states after each of at most `LONGEST` costs; sequences of any length share a program."""
    padded = np.pad(np.asarray(costs, np.float32), (0, LONGEST - len(costs)))
    states = jax.device_get(_trace(update, gains, padded, limit))
    return [jax.tree.map(lambda x, step=step: x[step], states) for step in range(len(costs))]


@partial(jax.jit, static_argnums=0)
def _trace(update, gains, costs, limit):
    def step(state, cost):
        state = update(gains, state, cost, limit)
        return state, state

    return jax.lax.scan(step, controllers.init(gains), costs)[1]


@FEW
@given(COSTS)
def test_pid_without_p_and_d_is_dual_ascent(costs):
    gains = Gains(proportional=0.0, derivative=0.0, integral=0.01)
    as_pid, as_dual = trace(controllers.pid, gains, costs), trace(controllers.dual_ascent, gains, costs)
    np.testing.assert_allclose([s.value for s in as_pid], [s.value for s in as_dual], rtol=1e-6)


@FEW
@given(COSTS)
def test_multiplier_and_adaptive_gains_stay_in_their_boxes(costs):
    gains = Gains(adaptation=0.5, adaptation_range=3.0, maximum=0.7)
    start = np.array([gains.proportional, gains.integral, gains.derivative])
    for state in trace(controllers.adaptive_pid, gains, costs):
        assert 0 <= float(state.value) <= gains.maximum
        assert np.all(state.gains >= start / 3 * (1 - 1e-6))
        assert np.all(state.gains <= start * 3 * (1 + 1e-6))


@pytest.mark.parametrize("name", controllers.UPDATES)
def test_cost_at_the_limit_leaves_the_multiplier_at_zero(name):
    for state in trace(controllers.UPDATES[name], Gains(), [20.0] * 15):
        assert float(state.value) == 0


@pytest.mark.parametrize(("cost", "sign"), [(35.0, 1), (5.0, -1)])
def test_gains_move_with_the_sign_of_the_violation(cost, sign):
    gains = Gains(derivative=1.0)
    change = trace(controllers.adaptive_pid, gains, [cost] * 5)[-1].gains / controllers.init(gains).gains - 1
    np.testing.assert_array_equal(np.sign(np.round(change, 6)), [sign, sign, 0])  # a constant cost has no spread


def test_the_first_cost_is_not_mistaken_for_a_rise():
    gains = Gains(proportional=0.0, integral=0.0, derivative=1.0)
    assert float(trace(controllers.pid, gains, [80.0])[0].value) == 0


def test_derivative_looks_back_one_window():
    gains = Gains(proportional=0.0, integral=0.0, derivative=1.0, smoothing=0.0, window=3)
    costs = [10.0, 20.0, 40.0, 80.0, 80.0, 30.0]
    values = [float(s.value) for s in trace(controllers.pid, gains, costs)]
    assert values == [0, 10, 30, 70, 60, 0]  # rises over up to three calls; falls do not count


def test_feed_forward_can_be_cancelled_by_the_integral():
    gains = Gains(proportional=0.0, derivative=0.0, integral=0.1)
    state = controllers.init(gains)
    for _ in range(10):
        state = controllers.pid(gains, state, 0.0, 20.0, feed_forward=0.5)
    assert float(state.integral) == pytest.approx(-0.5)
    assert float(state.value) == 0


def test_a_negative_feed_forward_leaves_nothing_behind_in_the_integral():
    state = controllers.pid(Gains(proportional=0.0), controllers.init(Gains()), 20.0, 20.0, feed_forward=-0.5)
    assert float(state.integral) == 0
    assert float(state.value) == 0


def test_fixed_multiplier_stays():
    assert float(trace(controllers.fixed, Gains(initial=0.3), [90.0, 0.0])[-1].value) == pytest.approx(0.3)
