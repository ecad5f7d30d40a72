"""The control loop around the multiplier: its units, its bounds, and the four ways of pre-alignment; the step size."""

import math
from functools import partial
from typing import get_args, get_type_hints

import jax
import jax.numpy as jnp
import pytest

from marvel_jax.algorithms.online import sac_lag
from marvel_jax.algorithms.online.policy_change import in_noise
from marvel_jax.config import Hyper, Method, SACLag, StepSize, override
from marvel_jax.core.networks import Networks
from marvel_jax.core.problem import Problem
from marvel_jax.multiplier import control
from marvel_jax.multiplier.alignment import align_multiplier
from marvel_jax.training import step_size

PROBLEM = Problem(episode_length=10, cost_limit=20.0)
NETWORKS = Networks(observation_size=3, action_size=2, hidden=(8,))
RANDOM = sac_lag.init(SACLag(), PROBLEM, NETWORKS, jax.random.key(3))
TWIN = RANDOM.reward_critic.params[0]
# The policy gradients of reward and cost are the same (cos φ = 1), as where speed earns both.
LEARNER = RANDOM.replace(
    reward_critic=RANDOM.reward_critic.replace(params=(TWIN, TWIN)),
    cost_critic=RANDOM.cost_critic.replace(params=(TWIN, TWIN)),
)
OBSERVATION = jax.random.normal(jax.random.key(1), (64, 3))
WAYS = get_args(get_type_hints(Method)["multiplier_alignment"])


def last_multiplier(way, costs, cost_limit=20.0, reward_factor=1.0, cost_factor=1.0) -> float:
    """λ after `costs` `[n]`, with critics whose values (and so their gradients) are multiplied."""
    return float(_last_multiplier(way, costs, cost_limit, reward_factor, cost_factor))


@partial(jax.jit, static_argnums=0)
def _last_multiplier(way, costs, cost_limit, reward_factor, cost_factor):
    hyper = override(Hyper(), **{"method.multiplier_alignment": way, "control.ratio_maximum": 1e6})
    problem = override(PROBLEM, cost_limit=cost_limit)
    learner = LEARNER.replace(
        reward_critic=scaled(LEARNER.reward_critic, reward_factor), cost_critic=scaled(LEARNER.cost_critic, cost_factor)
    )

    def one(state, cost):
        state, multiplier, _ = control.update(hyper, problem, state, lambda: gradients_of(learner), cost)
        return state, multiplier

    return jax.lax.scan(one, control.init(hyper), costs)[1][-1]


def gradients_of(learner):
    twins = learner.reward_critic.params, learner.cost_critic.params
    return align_multiplier(NETWORKS, learner.actor.params, *twins, OBSERVATION, jax.random.key(0))


def scaled(critic, factor):
    """Critics with the last layer, and so the values, multiplied."""

    def scale(path, leaf):
        return leaf * factor if "Dense_1" in jax.tree_util.keystr(path) else leaf

    return critic.replace(params=jax.tree_util.tree_map_with_path(scale, critic.params))


COSTS = jnp.array([30.0, 25.0, 40.0, 10.0, 22.0])


def test_scale_free_multiplier_has_the_unit_of_reward_per_cost():
    reference = last_multiplier("scale-free", COSTS)
    assert reference > 0
    assert last_multiplier("scale-free", COSTS, reward_factor=5.0) == pytest.approx(5 * reference, rel=1e-3)
    assert last_multiplier("scale-free", COSTS, cost_factor=5.0) == pytest.approx(reference / 5, rel=1e-3)


@pytest.mark.parametrize("way", WAYS)
def test_costs_count_as_multiples_of_the_limit(way):
    assert last_multiplier(way, 3 * COSTS, cost_limit=60.0) == pytest.approx(last_multiplier(way, COSTS), rel=1e-4)


@pytest.mark.parametrize("way", WAYS)
def test_costs_far_over_the_limit_count_no_more_than_twice_the_setpoint(way):
    assert last_multiplier(way, jnp.full(5, 1000.0)) == last_multiplier(way, jnp.full(5, 40.0))


@pytest.mark.parametrize("way", WAYS)
def test_a_limit_of_zero_is_kept_by_a_finite_multiplier(way):
    assert 0 < last_multiplier(way, COSTS, cost_limit=0.0) < jnp.inf


@jax.jit
def multipliers(hyper, costs):
    """The last state, and `[n]` λ, what is left of the offset, and λ₀, after each of `costs` `[n]`."""

    def one(state, cost):
        state, multiplier, metrics = control.update(hyper, PROBLEM, state, lambda: gradients_of(LEARNER), cost)
        return state, (multiplier, state.offset, metrics["aligned_multiplier"])

    return jax.lax.scan(one, control.init(hyper), costs)


def test_initial_alignment_is_the_first_multiplier_and_is_not_computed_again():
    hyper = override(Hyper(), **{"method.multiplier_alignment": "initial", "method.multiplier": "fixed"})
    _, (found, _, aligned) = multipliers(hyper, jnp.array([0.0, 90.0]))
    assert float(found[0]) == pytest.approx(min(float(aligned[0]), hyper.control.ratio_maximum))
    assert found[1] == found[0]
    assert jnp.isnan(aligned[1])


def test_margin_is_as_wide_as_costs_rise_and_no_wider_than_it_is_set():
    def after(costs, overshoot_factor):
        changes = {"control.margin": 0.4, "control.overshoot_factor": overshoot_factor, "control.offset": 0.0}
        return multipliers(override(Hyper(), **changes), jnp.array(costs * 50))[1][0]

    steady, wild = [18.0, 18.0], [0.0, 36.0]  # the limit is 20, the margin 8
    assert float(after(steady, 0.0)[-1]) > 1.2 * float(after(steady, 0.0)[0])
    assert float(after(steady, 1.0)[-1]) < 0.8 * float(after(steady, 0.0)[0])
    assert jnp.array_equal(after(wild, 1.0), after(wild, 0.0))


def test_offset_goes_as_fast_as_there_is_headroom_under_the_setpoint_and_not_over_it():
    changes = {"method.multiplier_alignment": "scale-free", "control.margin": 0.0, "control.overshoot_factor": 0.0}
    changes |= {"control.offset_decay": 2.0, "online.iterations": 4}

    def relative(offset, cost):
        hyper = override(Hyper(), **changes, **{"control.offset": offset})
        state, (found, _, _) = multipliers(hyper, jnp.full(3, cost))
        return found / state.ratio

    for cost, kept in ((0.0, 0.5), (10.0, 0.75), (20.0, 1.0), (50.0, 1.0)):
        above = relative(3.0, cost) - relative(0.0, cost)
        assert jnp.allclose(above, 3.0 * kept ** jnp.arange(1, 4), rtol=1e-3), cost


def test_offset_stays_after_an_overshoot_of_the_limit_until_that_is_forgotten():
    hyper = override(Hyper(), **{"control.offset_decay": 2.0, "online.iterations": 100})
    _, (_, left, _) = multipliers(hyper, jnp.array([0.0, 90.0, *[0.0] * 40]))
    assert float(left[0]) == pytest.approx(0.98 * hyper.control.offset)
    assert left[20] == left[1] == left[0]  # 90 · 0.95^19 = 34, and the limit is 20
    assert left[-1] < left[-2] < left[0]  # 90 · 0.95^40 = 12


def test_policy_is_to_move_farther_far_over_the_limit_and_less_towards_the_end():
    hyper = StepSize(largest_boost=9.0, warmup=4.0, decay=0.8)
    for costs, iteration, factor in (
        ([80.0], 10, 8.0 + 0.92),  # one cost so far
        ([90.0, 30.0], 10, 4.0 + 0.92),
        ([90.0, 20.0], 10, 0.92),
        ([0.0, 90.0], 10, 0.92),
        ([80.0, 80.0], 0, 1.8),  # while the policy's steps still grow to their size
        ([0.0, 0.0], 50, 0.6),  # as they decay
        ([0.0, 0.0], 100, 0.2),
        ([80.0, 80.0], 100, 8.2),  # far over the limit they do not decay
        ([0.0, 0.0], 150, 0.2),  # beyond the budget
    ):
        state = step_size.init()
        for cost in costs:
            state = step_size.record_cost(state, jnp.float32(cost))
        scale = step_size.step_scale(hyper, PROBLEM, state, jnp.int32(iteration), 100)
        assert float(scale) == pytest.approx(factor), costs


@pytest.mark.parametrize("power", [0.5, 1.0])
def test_learning_rate_is_found_that_moves_the_policy_as_far_as_wanted(power):
    state, wanted = step_size.init(), 0.03
    for _ in range(20):
        changed = 0.3 * state.factor**power  # steps to and fro, or all in one direction
        state = step_size.adapt(state, changed, wanted)
    assert float(changed) == pytest.approx(wanted, rel=0.05)
    assert float(step_size.adapt(state, jnp.float32(5.0), 0.0).factor) == float(state.factor)
    assert float(step_size.adapt(state, jnp.float32(0.0), wanted).factor) == float(state.factor)


def test_policy_change_is_measured_in_deviations_of_the_exploration_noise():
    actor = RANDOM.actor.params
    other = jax.tree.map(lambda x: x + 0.1, actor)
    difference = NETWORKS.policy(actor, OBSERVATION).mode() - NETWORKS.policy(other, OBSERVATION).mode()
    moved = float(jnp.linalg.norm(difference)) / difference.size**0.5
    for log_std in (-2.5, 0.0):
        networks = override(NETWORKS, log_std_minimum=log_std, log_std_maximum=log_std)
        assert float(in_noise(networks, actor, actor, OBSERVATION)) == 0.0
        changed = float(in_noise(networks, actor, other, OBSERVATION))
        assert changed == pytest.approx(moved / math.tanh(math.exp(log_std)), rel=1e-4)
