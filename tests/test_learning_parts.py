"""Closed forms for the parts of the learning code: densities, limits, backups, alignment."""

import re
from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from hypothesis import given, settings
from hypothesis import strategies as st

from marvel_jax.algorithms.offline import cpq
from marvel_jax.algorithms.online import sac_lag
from marvel_jax.config.hyper import CPQ, SACLag, ValueAlignment
from marvel_jax.core.networks import (
    SquashedGaussian,
    init_actor,
    init_twins,
    init_value,
    policy,
    state_value,
    twin_values,
)
from marvel_jax.core.normalization import LayerNorm
from marvel_jax.core.problem import Problem, discounted_limit
from marvel_jax.core.transitions import Transition
from marvel_jax.training import align


@pytest.mark.parametrize(("mean", "log_std"), [(0.0, -1.0), (0.8, 0.0), (-1.5, -2.0)])
def test_squashed_density_integrates_to_one(mean, log_std):
    action = jnp.linspace(-1 + 1e-5, 1 - 1e-5, 200_001)[:, None]
    distribution = SquashedGaussian(jnp.full((1,), mean), jnp.full((1,), log_std))
    density = jnp.exp(jax.vmap(distribution.log_prob)(action))
    assert np.trapezoid(density, action[:, 0]) == pytest.approx(1.0, abs=5e-3)


def test_log_prob_is_finite_at_the_bounds_and_agrees_with_sampling():
    distribution = SquashedGaussian(jnp.array([0.3, -9.0]), jnp.array([-0.5, 1.0]))
    assert np.isfinite(distribution.log_prob(jnp.array([1.0, -1.0])))
    narrow = SquashedGaussian(jnp.array([0.3, -0.2]), jnp.array([-1.0, -0.5]))
    action, log_prob = narrow.sample(jax.random.key(0))
    assert float(narrow.log_prob(action)) == pytest.approx(float(log_prob), abs=1e-3)


@settings(max_examples=50, deadline=None)
@given(st.floats(0, 200), st.floats(0.0, 0.9999), st.integers(1, 1000))
def test_discounted_limit_is_the_geometric_mean_of_steps(limit, discount, length):
    expected = limit * np.mean(discount ** np.arange(length, dtype=float))
    assert float(discounted_limit(limit, discount, length)) == pytest.approx(expected, rel=2e-3, abs=1e-6)


def test_discounted_limit_at_its_ends():
    assert float(discounted_limit(20.0, 0.9, 1)) == pytest.approx(20.0)
    assert float(discounted_limit(20.0, 1.0, 200)) == pytest.approx(20.0)


def test_cpq_backup_with_free_and_with_forbidden_continuations():
    reward, bootstrap, value = jnp.array([1.0, -2.0]), jnp.array([0.9, 0.9]), jnp.array([10.0, -3.0])
    plain = cpq.penalized_target(reward, bootstrap, value, jnp.zeros(2), jnp.array(5.0))
    np.testing.assert_allclose(plain, reward + bootstrap * value)
    forbidden = cpq.penalized_target(reward, bootstrap, value, jnp.full(2, jnp.inf), jnp.array(5.0))
    np.testing.assert_allclose(forbidden, reward)


def _batch(problem: Problem, size: int, key=None) -> Transition:
    keys = jax.random.split(key if key is not None else jax.random.key(0), 5)
    return Transition(
        observation=jax.random.normal(keys[0], (size, problem.observation_size)),
        action=jax.random.uniform(keys[1], (size, problem.action_size), minval=-1.0),
        reward=jax.random.normal(keys[2], (size,)),
        cost=(jax.random.uniform(keys[3], (size,)) < 0.3).astype(jnp.float32),
        discount=jnp.ones(size),
        next_observation=jax.random.normal(keys[4], (size, problem.observation_size)),
    )


@pytest.mark.parametrize("penalty", ["none", "hinge", "linear"])
def test_cpq_updates_are_finite_for_every_penalty(penalty):
    problem = Problem(observation_size=3, action_size=2, episode_length=50, hidden=(8,))
    hyper = CPQ(ood_penalty=penalty, vae_hidden=8)
    state = cpq.init(hyper, problem, jax.random.key(0))
    update = jax.jit(cpq.update)
    for step in range(3):
        state, metrics = update(hyper, problem, state, _batch(problem, 32), jax.random.key(step))
    assert all(np.isfinite(m).all() for m in jax.tree.leaves((state, metrics)))


def test_hinge_penalty_raises_the_cost_of_unlikely_actions_only_up_to_its_goal():
    problem = Problem(observation_size=2, action_size=1, episode_length=100, hidden=(16,), cost_limit=10.0)
    hyper = CPQ(ood_penalty="hinge", vae_hidden=16, ood_quantile=0.0)  # every policy action counts
    batch = _batch(problem, 64).replace(cost=jnp.zeros(64), discount=jnp.zeros(64))
    state = cpq.init(hyper, problem, jax.random.key(1))
    update = jax.jit(cpq.update)
    for step in range(400):
        state, _ = update(hyper, problem, state, batch, jax.random.key(step))
    goal = hyper.ood_margin * problem.discounted_cost_limit
    observation = batch.observation
    action = policy(problem, state.actor.params, observation).mode()
    value = np.max(twin_values(problem, state.cost_critic.params, observation, action))
    assert 0.5 < value < 1.5 * goal


def test_sac_lag_with_a_huge_multiplier_lowers_cost_and_with_none_raises_reward():
    problem = Problem(observation_size=1, action_size=1, episode_length=10, hidden=(32,))
    observation = jnp.zeros((256, 1))
    action = jnp.linspace(-1, 1, 256)[:, None]
    # Reward and cost are both the action itself; with discount 0 the critics are regressions.
    batch = Transition(observation, action, action[:, 0], action[:, 0], jnp.zeros(256), observation)
    hyper = SACLag(actor_learning_rate=3e-3, temperature=1e-3)

    @jax.jit
    def trained(multiplier):
        def step(state, key):
            return sac_lag.update(hyper, problem, state, batch, multiplier, key)[0], None

        start = sac_lag.init(hyper, problem, jax.random.key(0))
        return jax.lax.scan(step, start, jax.random.split(jax.random.key(1), 500))[0]

    acts = [
        float(policy(problem, trained(jnp.float32(m)).actor.params, observation[0]).mode()[0]) for m in (0.0, 100.0)
    ]
    assert acts[0] > 0.8
    assert acts[1] < -0.8


@pytest.mark.parametrize(("reward_entropy", "cost_entropy"), [(0.0, 0.0), (0.2, 0.05)])
def test_value_alignment_converges_to_the_closed_form_on_a_finite_mdp(reward_entropy, cost_entropy):
    """V = (I − γP)⁻¹(r − α·γ·P·E[log π]) on four one-hot states whose transitions ignore the action."""
    states, discount = 4, 0.8
    problem = Problem(observation_size=states, action_size=1, episode_length=10, hidden=(), discount=discount)
    transition = np.array([[0, 1, 1, 0], [0, 0, 2, 0], [1, 0, 0, 1], [2, 0, 0, 0]]) / 2  # rows of P
    reward, cost = np.array([1.0, -0.5, 0.2, 2.0]), np.array([0.0, 1.0, 0.0, 0.5])
    here, there = np.nonzero(np.repeat(transition * 2, 1, axis=0))
    weight = (transition * 2)[here, there].astype(int)
    here, there = np.repeat(here, weight), np.repeat(there, weight)
    one_hot = jnp.eye(states)
    repeats = 16
    here, there = np.tile(here, repeats), np.tile(there, repeats)
    batch = Transition(
        observation=one_hot[here],
        action=jax.random.uniform(jax.random.key(3), (len(here), 1), minval=-1.0),
        reward=jnp.asarray(reward[here], jnp.float32),
        cost=jnp.asarray(cost[here], jnp.float32),
        discount=jnp.ones(len(here)),
        next_observation=one_hot[there],
    )
    actor = init_actor(problem, jax.random.key(0))
    hyper = ValueAlignment(
        critic_learning_rate=3e-3, target_rate=0.05, reward_entropy=reward_entropy, cost_entropy=cost_entropy
    )
    start = align.init(
        actor, init_twins(problem, jax.random.key(1)), init_twins(problem, jax.random.key(2)), jax.random.key(4)
    )
    values = (init_value(problem, jax.random.key(k)) for k in (8, 9))
    start = align.with_values(start, *values)

    @jax.jit
    def aligned():
        def step(state, key):
            return align.update(hyper, problem, state, batch, key)[0], None

        return jax.lax.scan(step, start, jax.random.split(jax.random.key(5), 6000))[0]

    state = aligned()
    samples = jax.vmap(lambda key: policy(problem, actor, one_hot).sample(key)[1])(
        jax.random.split(jax.random.key(6), 4000)
    )
    log_prob = np.mean(samples, axis=0)
    inverse = np.linalg.inv(np.eye(states) - discount * transition)
    aligned = state.critics
    for twins, of_states, signal, entropy in (
        (aligned.reward_twins, aligned.reward_value, reward, reward_entropy),
        (aligned.cost_twins, aligned.cost_value, cost, cost_entropy),
    ):
        expected = inverse @ (signal - entropy * discount * transition @ log_prob)
        value = np.mean(twin_values(problem, twins, one_hot, jnp.zeros((states, 1))), axis=0)
        np.testing.assert_allclose(value, expected, atol=0.12)
        np.testing.assert_allclose(state_value(problem, of_states, one_hot), expected, atol=0.12)


def test_multiplier_alignment_with_linear_critics_has_its_closed_form():
    """With constant gradients r and c and a linear policy, λ₀ = ⟨Jᵀr, Jᵀc⟩/‖Jᵀc‖²."""
    jacobian = np.array([[1.0, 2.0, 0.5], [0.0, 1.0, -1.0]])
    reward, cost = np.array([2.0, 1.0]), np.array([1.0, 0.5])
    pulled_r, pulled_c = jacobian.T @ reward, jacobian.T @ cost
    result = align.multiplier_from_gradients({"w": jnp.asarray(pulled_r)}, {"w": jnp.asarray(pulled_c)})
    assert float(result.multiplier) == pytest.approx(pulled_r @ pulled_c / (pulled_c @ pulled_c), rel=1e-5)
    assert float(result.ratio) == pytest.approx(np.linalg.norm(pulled_r) / np.linalg.norm(pulled_c), rel=1e-5)
    opposed = align.multiplier_from_gradients({"w": jnp.asarray(-pulled_r)}, {"w": jnp.asarray(pulled_c)})
    assert float(opposed.multiplier) == 0


def test_scaling_the_cost_critic_divides_the_aligned_multiplier():
    problem = Problem(observation_size=3, action_size=2, episode_length=10, hidden=())
    keys = jax.random.split(jax.random.key(0), 4)
    actor, twins = init_actor(problem, keys[0]), init_twins(problem, keys[1])
    observation = jax.random.normal(keys[2], (64, 3))

    def aligned(scale):
        scaled = jax.tree.map(lambda p: scale * p, twins)
        return float(align.align_multiplier(problem, actor, twins, scaled, observation, keys[3], "min").multiplier)

    assert aligned(1.0) == pytest.approx(1.0, rel=1e-5)  # a critic pulls as hard as itself
    assert aligned(4.0) == pytest.approx(0.25, rel=1e-4)


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 70), st.floats(-50, 50), st.floats(0.1, 50), st.integers(0, 1000))
def test_layer_normalization_and_its_gradient_are_flax_s(features, offset, spread, seed):
    noise = jax.random.normal(jax.random.key(seed), (5, features))
    # Rows that are nearly constant would test the rounding of their offset.
    x = offset + spread * noise / (jnp.std(noise, axis=-1, keepdims=True) + 1e-3)
    weight = jax.random.normal(jax.random.key(seed + 1), x.shape)
    ours, theirs = LayerNorm(), nn.LayerNorm(use_fast_variance=False)
    params = ours.init(jax.random.key(0), x)
    assert jax.tree.structure(params) == jax.tree.structure(theirs.init(jax.random.key(0), x))

    def value(module):
        return jax.value_and_grad(lambda p, x: jnp.vdot(weight, module.apply(p, x)), argnums=(0, 1))(params, x)

    for mine, other in zip(jax.tree.leaves(value(ours)), jax.tree.leaves(value(theirs)), strict=True):
        np.testing.assert_allclose(mine, other, rtol=2e-3, atol=2e-3)


def test_bfloat16_products_are_of_hidden_layers_alone_and_change_values_little():
    sizes = {"observation_size": 3, "action_size": 1, "episode_length": 10, "hidden": (32, 32)}
    exact = Problem(**sizes, critic_layer_norm=False)
    rough = replace(exact, products="bfloat16")
    twins, actor = init_twins(rough, jax.random.key(0)), init_actor(rough, jax.random.key(1))
    assert {leaf.dtype for leaf in jax.tree.leaves((twins, actor))} == {jnp.dtype("float32")}
    observation, action = jax.random.normal(jax.random.key(2), (64, 3)), jnp.zeros((64, 1))

    def loss(problem, twins):
        return jnp.mean(twin_values(problem, twins, observation, action) ** 2)

    values, others = (twin_values(problem, twins, observation, action) for problem in (exact, rough))
    assert others.dtype == jnp.float32
    assert 0.0 < float(jnp.max(jnp.abs(values - others))) < 0.02 * float(jnp.std(values)) + 0.02
    assert not jnp.array_equal(policy(exact, actor, observation).mean, policy(rough, actor, observation).mean)
    gradients = [jax.grad(partial(loss, problem))(twins) for problem in (exact, rough)]
    flat = [jnp.concatenate([leaf.ravel() for leaf in jax.tree.leaves(tree)]) for tree in gradients]
    assert float(flat[0] @ flat[1] / jnp.linalg.norm(flat[0]) / jnp.linalg.norm(flat[1])) > 0.999
    program = str(jax.make_jaxpr(jax.grad(partial(loss, rough)))(twins))
    formats = re.findall(r":(f32|bf16)\[[^]]*\] = dot_general", program)
    # Per critic: two hidden layers forwards, three products backwards; the output's forwards and two backwards.
    assert (formats.count("bf16"), formats.count("f32")) == (2 * 5, 2 * 3)
