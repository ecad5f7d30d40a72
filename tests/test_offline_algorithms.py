"""Oracles of the offline algorithms beside CPQ: closed forms, a finite CMDP's linear program, support of the data."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from scipy.optimize import linprog

from marvel_jax.algorithms.offline import bcq_lag, bear_lag, coptidice, in_support
from marvel_jax.algorithms.registry import OFFLINE
from marvel_jax.config import BCQLag, Hyper, offline, override
from marvel_jax.config.errors import UserError
from marvel_jax.core import trajectories
from marvel_jax.core.networks import Networks, networks_of
from marvel_jax.core.problem import Problem, problem_of
from marvel_jax.core.transitions import Transition
from marvel_jax.training import pretrain

ROWS = 64


def one_step(action, reward, cost) -> Transition:
    """Steps `[N]` from one state, after which all is over."""
    nothing = jnp.zeros((len(action), 1))
    return Transition(nothing, action[:, None], reward, cost, jnp.zeros(len(action)), nothing)


def own_hyper(name, **changes):
    """An algorithm's own hyperparameters."""
    return override(getattr(Hyper(), offline.OFFLINE[name].section), **changes)


def trainer(name, problem, networks, updates):
    """`(hyper, data) -> (state, metrics [updates])` after full batches of `data`; one program for all of both."""
    algorithm = OFFLINE[name]

    @jax.jit
    def train(hyper, data):
        def step(state, key):
            return algorithm.update(hyper, problem, networks, state, data, key)

        init_key = jax.random.key(0)
        first = algorithm.init(hyper, problem, networks, init_key)
        return jax.lax.scan(step, first, jax.random.split(init_key, updates))

    return train


def test_behaviour_cloning_finds_the_maximum_of_the_likelihood():
    raw = 0.3 + 0.5 * jax.random.normal(jax.random.key(1), (4096,))
    zero = jnp.zeros(len(raw))
    networks = Networks(observation_size=1, action_size=1, hidden=())
    train = trainer("bc", Problem(episode_length=1), networks, 1500)
    state, _ = train(own_hyper("bc", actor_learning_rate=1e-2), one_step(jnp.tanh(raw), zero, zero))
    found = networks.policy(state.actor.params, jnp.zeros(1))
    assert float(found.mean[0]) == pytest.approx(float(raw.mean()), abs=1e-2)
    assert float(jnp.exp(found.log_std[0])) == pytest.approx(float(raw.std()), abs=1e-2)


def test_a_flat_dataset_is_taken_apart_into_episodes():
    position = jnp.array([0.0, 1, 2, 10, 11, 5, 6])[:, None]
    following = jnp.array([1.0, 2, 3, 11, 5, 6, 7])[:, None]
    done = jnp.array([0.0, 0, 0, 0, 1, 0, 0])  # the second episode ends by itself, where the third happens to start
    cost = jnp.array([1.0, 0, 1, 0, 0, 1, 1])
    data = Transition(position, position, jnp.ones(7), cost, 1 - done, following)
    assert trajectories.starts(data).tolist() == [True, False, False, True, False, True, False]
    assert trajectories.episode_costs(data).tolist() == [2, 2, 2, 0, 0, 2, 2]
    returns = trajectories.dataset_with_returns(Problem(discount=0.5, reward_scale=2.0), data).return_to_go
    np.testing.assert_allclose(returns, [3.5, 3, 2, 3, 2, 3, 2])


def test_safe_cloning_draws_from_episodes_within_the_limit_alone(dataset):
    for limit in (5.0, 20.0):
        problem = Problem(cost_limit=limit)
        data = dataset.replace(reward=trajectories.episode_costs(dataset))
        batch = OFFLINE["bc-safe"].batches(problem, data, 512)(jax.random.key(0))
        assert float(batch.reward.max()) <= limit
        assert len(np.unique(batch.observation[:, 0])) > 50


def test_safe_cloning_without_a_safe_episode_is_refused_with_the_cheapest(dataset):
    dear = dataset.replace(cost=jnp.ones(len(dataset.cost)))
    hyper = override(Hyper(), algorithm="bc-safe", cost_limit=20.0)
    pretrain.check([hyper], dataset)
    for imitating in (hyper, override(Hyper(), cost_limit=20.0, **{"pretrain.clone_beyond": 2.0})):
        with pytest.raises(UserError, match="the cheapest costs 100"):
            pretrain.check([override(hyper, cost_limit=200.0), imitating], dear)


class SameEverywhere(nn.Module):
    """A policy that does the same in all states: both actions are its one parameter."""

    @nn.compact
    def __call__(self, observation):
        action = self.param("action", nn.initializers.zeros, ())
        return jnp.broadcast_to(jnp.stack([action, action, -3.0, -3.0]), (*observation.shape[:-1], 4))


@pytest.fixture(scope="module")
def choice(env):
    """`(own, clone, updates, cost_limit) -> chosen actor, own, clone, metrics`, compiled once.

    On BallRun full speed costs nearly every one of 100 steps, standing still none.
    """
    hyper = override(Hyper(), **{"pretrain.clone_beyond": 1.5, "pretrain.updates": 10})
    networks = networks_of(env.spec, hyper, actor=SameEverywhere())

    def doing(state, action):
        return state.replace(actor=jax.tree.map(lambda x: jnp.full_like(x, action), state.actor))

    @jax.jit
    def choose(own, clone, updates, cost_limit):
        problem = problem_of(env.spec, override(hyper, cost_limit=cost_limit))
        state = pretrain.init(hyper, problem, networks, jax.random.key(0)).replace(step=updates)
        state = state.replace(learner=doing(state.learner, own), clone=doing(state.clone, clone))
        chosen, metrics = pretrain.choose(hyper, problem, networks, env, state)
        return chosen.learner.actor, state.learner.actor, state.clone.actor, metrics

    return choose


@pytest.mark.parametrize(
    ("own", "clone", "updates", "cost_limit", "taken"),
    [
        (3.0, 0.0, 10, 20.0, True),
        (3.0, 0.0, 9, 20.0, False),  # not trained yet
        (3.0, 0.0, 10, 80.0, False),  # over the limit, but not far
        (0.0, 3.0, 10, 20.0, False),
        (3.0, 4.0, 10, 20.0, False),  # no better
    ],
)
def test_a_clone_takes_the_place_of_a_policy_far_over_the_limit(choice, own, clone, updates, cost_limit, taken):
    chosen, own_actor, clone_actor, metrics = choice(own, clone, updates, cost_limit)
    assert bool(metrics["cloned"]) == taken
    chex.assert_trees_all_equal(chosen, clone_actor if taken else own_actor)


def test_discrepancy_of_two_points_has_its_closed_form():
    here, there = jnp.zeros((4, 1, 2)), jnp.full((3, 1, 2), 2.0)
    assert float(bear_lag.discrepancy(here, here, 1.0)[0]) == pytest.approx(0, abs=2e-3)
    expected = np.sqrt(2 - 2 * np.exp(-8 / (2 * 3.0)))
    assert float(bear_lag.discrepancy(here, there, 3.0)[0]) == pytest.approx(expected, rel=1e-4)


# What each needs to see more than the middle of the data, and how far it then goes where nothing costs: BEAR until the
# discrepancy is its limit, which of two points Δ apart is √2·Δ before the tanh; BCQ by its perturbation.
IN_SUPPORT = {
    "bear-lag": ({"divergence_limit": 0.2, "divergence_weight_rate": 3e-2, "kernel_variance": 0.5}, 0.2 / 2**0.5),
    "bcq-lag": ({"perturbation": 0.2}, 0.2),
}


@pytest.mark.parametrize("name", IN_SUPPORT)
def test_policies_stay_within_the_data_and_turn_round_where_it_costs(name):
    """Reward grows with the action, of which the data have those in [0, 0.4]. Under a limit of 0.2 the policy goes no
    further than 0.2 if actions beyond that cost 1."""
    action = jax.random.uniform(jax.random.key(2), (ROWS,), minval=0.0, maxval=0.4)
    problem = Problem(episode_length=1, cost_limit=0.2)
    networks = Networks(observation_size=1, action_size=1, hidden=(32,))
    changes, reach = IN_SUPPORT[name]
    hyper = own_hyper(name, actor_learning_rate=3e-3, vae_hidden=32, **changes)
    train, acts, seen = trainer(name, problem, networks, 1500), {}, {}
    for cost in (0.0, 1.0):
        state, _ = train(hyper, one_step(action, action, cost * (action > 0.2)))
        acts[cost] = float(networks.policy(state.actor.params, jnp.zeros(1)).mode()[0])
        seen[cost] = float(state.multiplier.cost)  # E[Q_c] of the actions that the policy wants
    assert acts[0.0] == pytest.approx(0.2 + reach, abs=0.05)
    assert 0.05 < acts[1.0] < 0.2
    assert seen[0.0] == pytest.approx(0.0, abs=0.01)
    # The multiplier swings around the limit; without it the wanted actions would cost 1.
    assert seen[1.0] < 1.5 * problem.cost_limit


def test_targets_take_the_best_candidate_of_mixed_twins():
    networks = Networks(observation_size=2, action_size=1, hidden=(4,))
    twins, weight = networks.init_twins(jax.random.key(0)), in_support.TWIN_WEIGHT
    observation = jnp.broadcast_to(jax.random.normal(jax.random.key(1), (5, 2)), (3, 5, 2))
    action = jax.random.uniform(jax.random.key(2), (3, 5, 1))
    values = np.asarray(networks.twin_values(twins, observation, action))
    expected = (weight * values.min(axis=0) + (1 - weight) * values.max(axis=0)).max(axis=0)
    assert weight == 0.75
    np.testing.assert_allclose(in_support.best_value(networks, twins, observation, action), expected, rtol=1e-5)


def test_perturbation_moves_actions_by_no_more_than_its_bound():
    networks, hyper = Networks(observation_size=2, action_size=2, hidden=(4,)), BCQLag(perturbation=0.1)
    state = jax.jit(bcq_lag.init)(hyper, Problem(episode_length=1), networks, jax.random.key(0))
    large = jax.tree.map(lambda x: 100 * x, state.perturbation.params)
    action = jax.random.uniform(jax.random.key(1), (64, 2), minval=-1.0)
    moved = bcq_lag.moved(hyper, networks, large, jax.random.normal(jax.random.key(2), (64, 2)), action)
    assert float(jnp.abs(moved - action).max()) == pytest.approx(0.1, abs=1e-3)
    assert float(jnp.abs(moved).max()) <= 1


def test_coptidice_reaches_the_linear_program_of_a_finite_cmdp():
    """Three states, two actions: maximise reward over discounted distributions within the cost limit."""
    discount, limit = 0.8, 40.0
    target = np.array([[0, 1], [2, 0], [1, 2]])  # [state, action] -> state
    reward = np.array([[0.1, 0.0], [0.5, 0.2], [0.0, 1.0]])
    cost = np.array([[0.0, 0.0], [0.0, 0.0], [0.0, 1.0]])
    problem = Problem(episode_length=100, discount=discount, cost_limit=limit)
    networks = Networks(observation_size=3, action_size=1, hidden=(), critic_layer_norm=False)
    allowed = float((1 - discount) * problem.discounted_cost_limit)
    flow = np.zeros((3, 6))
    for state in range(3):
        for action in range(2):
            flow[state, 2 * state + action] += 1
            flow[target[state, action], 2 * state + action] -= discount
    first = np.array([1 - discount, 0, 0])
    solved = linprog(-reward.ravel(), cost.ravel()[None], [allowed], flow, first)
    assert cost.ravel() @ solved.x == pytest.approx(allowed)  # the limit binds

    state, action = np.divmod(np.tile(np.arange(6), 4), 2)
    one_hot = jnp.eye(3)
    steps = Transition(
        one_hot[state],
        jnp.asarray(action - 0.5, jnp.float32)[:, None],
        jnp.asarray(reward[state, action], jnp.float32),
        jnp.asarray(cost[state, action], jnp.float32),
        jnp.ones(len(state)),
        one_hot[target[state, action]],
    )
    batch = coptidice.Batch(steps, jnp.broadcast_to(one_hot[0], (len(state), 3)))
    changes = {"value_learning_rate": 3e-3, "divergence_weight": 0.02, "cost_bound": 1e-5}
    hyper = own_hyper("coptidice", multiplier_learning_rate=3e-3, **changes)
    _, metrics = trainer("coptidice", problem, networks, 20_000)(hyper, batch)
    reached = {name: float(np.mean(values[-2000:])) for name, values in metrics.items()}
    assert reached["weighted_cost"] == pytest.approx(allowed, abs=0.03)
    assert reached["weighted_reward"] == pytest.approx(-solved.fun, abs=0.03)


def test_best_ratio_maximises_what_the_divergence_is_the_conjugate_of():
    ratios = jnp.linspace(1e-3, 8, 80_001)
    for advantage in (-3.0, -0.2, 0.0, 0.7, 4.0):
        best = ratios[jnp.argmax(ratios * advantage - coptidice.divergence(ratios))]
        assert float(best) == pytest.approx(float(coptidice.best_ratio(jnp.float32(advantage))), abs=2e-3)


def test_a_wider_cost_bound_is_more_pessimistic():
    problem = Problem(episode_length=10, cost_limit=3.0)
    networks = Networks(observation_size=2, action_size=1, hidden=(8,))
    keys = jax.random.split(jax.random.key(0), 4)
    steps = Transition(
        jax.random.normal(keys[0], (64, 2)),
        jax.random.uniform(keys[1], (64, 1)),
        jnp.ones(64),
        (jax.random.uniform(keys[2], (64,)) < 0.3).astype(jnp.float32),
        jnp.ones(64),
        jax.random.normal(keys[3], (64, 2)),
    )
    train, estimates = trainer("coptidice", problem, networks, 3000), []
    for bound in (1e-4, 0.3):
        hyper = own_hyper("coptidice", cost_bound=bound, multiplier_learning_rate=1e-2)
        _, metrics = train(hyper, coptidice.Batch(steps, steps.observation))
        estimates.append(float(jnp.mean((metrics["cost_estimate"] - metrics["weighted_cost"])[-500:])))
    assert estimates[1] > estimates[0] + 1e-3


@pytest.mark.parametrize("name", OFFLINE)
def test_every_offline_algorithm_trains_on_a_real_dataset(name, env, dataset, tiny_of):
    hyper = tiny_of(algorithm=name, **{"bear_lag.vae_hidden": 8, "bcq_lag.vae_hidden": 8})
    hyper = override(hyper, **{"pretrain.clone_beyond": 2.0})  # as well
    problem, networks = problem_of(env.spec, hyper), networks_of(env.spec, hyper)
    state = jax.jit(pretrain.init)(hyper, problem, networks, jax.random.key(0))
    after, metrics = jax.jit(pretrain.advance, static_argnums=5)(hyper, problem, networks, dataset, state, 3)
    assert all(np.isfinite(x).all() for x in jax.tree.leaves((after.learner, metrics)))
    for part in ("learner", "clone"):
        before, now = (jax.tree.leaves(getattr(s, part).actor.params) for s in (state, after))
        assert any(not np.array_equal(x, y) for x, y in zip(before, now, strict=True))
    chosen, _ = jax.eval_shape(lambda s: pretrain.choose(hyper, problem, networks, env, s), after)
    chex.assert_trees_all_equal_shapes_and_dtypes(chosen, after)
