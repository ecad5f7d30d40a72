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
from marvel_jax.config import CPQ, SACLag, ValueAlignment
from marvel_jax.core.distribution import SquashedGaussian
from marvel_jax.core.networks import Networks
from marvel_jax.core.normalization import LayerNorm
from marvel_jax.core.problem import Problem, discounted_limit
from marvel_jax.core.transitions import Transition
from marvel_jax.multiplier import alignment
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


def _batch(networks: Networks, size: int) -> Transition:
    keys = jax.random.split(jax.random.key(0), 5)
    return Transition(
        observation=jax.random.normal(keys[0], (size, networks.observation_size)),
        action=jax.random.uniform(keys[1], (size, networks.action_size), minval=-1.0),
        reward=jax.random.normal(keys[2], (size,)),
        cost=(jax.random.uniform(keys[3], (size,)) < 0.3).astype(jnp.float32),
        discount=jnp.ones(size),
        next_observation=jax.random.normal(keys[4], (size, networks.observation_size)),
    )


@pytest.mark.parametrize("penalty", ["none", "linear"])
def test_only_cpqs_penalty_raises_the_cost_of_actions_where_nothing_costs(penalty):
    problem = Problem(episode_length=100, cost_limit=10.0)
    networks, hyper = Networks(observation_size=2, action_size=1, hidden=(16,)), CPQ(ood_penalty=penalty, vae_hidden=16)

    @jax.jit
    def trained(batch):
        def step(state, key):
            return cpq.update(hyper, problem, networks, state, batch, key)

        start = cpq.init(hyper, problem, networks, jax.random.key(1))
        return jax.lax.scan(step, start, jax.random.split(jax.random.key(0), 400))

    batch = _batch(networks, 64)
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(trained(batch)))
    state, _ = trained(batch.replace(cost=jnp.zeros(64), discount=jnp.zeros(64)))
    action = networks.policy(state.actor.params, batch.observation).mode()
    value = float(jnp.max(networks.twin_values(state.cost_critic.params, batch.observation, action)))
    goal = float(hyper.ood_margin * problem.discounted_cost_limit)
    assert value < 0.3 if penalty == "none" else 0.5 < value < 1.5 * goal


def test_sac_lag_with_a_huge_multiplier_lowers_cost_and_with_none_raises_reward():
    problem, networks = Problem(episode_length=10), Networks(observation_size=1, action_size=1, hidden=(32,))
    observation = jnp.zeros((256, 1))
    action = jnp.linspace(-1, 1, 256)[:, None]
    # Reward and cost are both the action itself; with discount 0 the critics are regressions.
    batch = Transition(observation, action, action[:, 0], action[:, 0], jnp.zeros(256), observation)
    hyper = SACLag(actor_learning_rate=3e-3, temperature=1e-3)

    @jax.jit
    def trained(multiplier):
        def step(state, key):
            return sac_lag.update(hyper, problem, networks, state, batch, multiplier, key)[0], None

        start = sac_lag.init(hyper, problem, networks, jax.random.key(0))
        return jax.lax.scan(step, start, jax.random.split(jax.random.key(1), 500))[0]

    acts = [
        float(networks.policy(trained(jnp.float32(m)).actor.params, observation[0]).mode()[0]) for m in (0.0, 100.0)
    ]
    assert acts[0] > 0.8
    assert acts[1] < -0.8


STATES, DISCOUNT = 4, 0.8
TRANSITION = np.array([[0, 1, 1, 0], [0, 0, 2, 0], [1, 0, 0, 1], [2, 0, 0, 0]]) / 2  # rows of P
REWARD, COST = np.array([1.0, -0.5, 0.2, 2.0]), np.array([0.0, 1.0, 0.0, 0.5])
FINITE = Networks(observation_size=STATES, action_size=1, hidden=())


def finite_mdp() -> Transition:
    """Steps between four one-hot states, as often as P says, whatever the action."""
    here, there = np.nonzero(TRANSITION)
    counts = (TRANSITION * 2)[here, there].astype(int)
    here, there = np.tile(np.repeat(here, counts), 16), np.tile(np.repeat(there, counts), 16)
    one_hot = jnp.eye(STATES)
    return Transition(
        observation=one_hot[here],
        action=jax.random.uniform(jax.random.key(3), (len(here), 1), minval=-1.0),
        reward=jnp.asarray(REWARD[here], jnp.float32),
        cost=jnp.asarray(COST[here], jnp.float32),
        discount=jnp.ones(len(here)),
        next_observation=one_hot[there],
    )


@pytest.fixture(scope="module")
def aligned_by():
    """Alignment of a policy's critics and values under given entropy coefficients, compiled once."""
    problem, batch = Problem(episode_length=10, discount=DISCOUNT), finite_mdp()
    actor = FINITE.init_actor(jax.random.key(0))
    twins = (FINITE.init_twins(jax.random.key(k)) for k in (1, 2))
    values = (FINITE.init_value(jax.random.key(k)) for k in (8, 9))
    start = align.with_values(align.init(actor, *twins, jax.random.key(4)), *values)

    @jax.jit
    def aligned(hyper):
        def step(state, key):
            return align.update(hyper, problem, FINITE, state, batch, key)[0], None

        return jax.lax.scan(step, start, jax.random.split(jax.random.key(5), 6000))[0]

    return aligned


@pytest.mark.parametrize(("reward_entropy", "cost_entropy"), [(0.0, 0.0), (0.2, 0.05)])
def test_value_alignment_converges_to_the_closed_form_on_a_finite_mdp(aligned_by, reward_entropy, cost_entropy):
    """V = (I − γP)⁻¹(r − α·γ·P·E[log π]) on four one-hot states whose transitions ignore the action."""
    hyper = ValueAlignment(
        critic_learning_rate=3e-3, target_rate=0.05, reward_entropy=reward_entropy, cost_entropy=cost_entropy
    )
    state, one_hot = aligned_by(hyper), jnp.eye(STATES)
    samples = jax.vmap(lambda key: FINITE.policy(state.actor, one_hot).sample(key)[1])(
        jax.random.split(jax.random.key(6), 4000)
    )
    log_prob = np.mean(samples, axis=0)
    inverse = np.linalg.inv(np.eye(STATES) - DISCOUNT * TRANSITION)
    aligned = state.critics
    for twins, of_states, signal, entropy in (
        (aligned.reward_twins, aligned.reward_value, REWARD, reward_entropy),
        (aligned.cost_twins, aligned.cost_value, COST, cost_entropy),
    ):
        expected = inverse @ (signal - entropy * DISCOUNT * TRANSITION @ log_prob)
        value = np.mean(FINITE.twin_values(twins, one_hot, jnp.zeros((STATES, 1))), axis=0)
        np.testing.assert_allclose(value, expected, atol=0.12)
        np.testing.assert_allclose(FINITE.state_value(of_states, one_hot), expected, atol=0.12)


def test_cost_targets_stay_where_costs_can_be():
    """A cost value beyond [0, 1/(1 − γ)], as critics extrapolate, is cut off before it is learned."""
    problem, batch = Problem(episode_length=10, discount=DISCOUNT), finite_mdp()
    actor, zero = FINITE.init_actor(jax.random.key(0)), FINITE.init_twins(jax.random.key(1))
    for shift, nearest in ((100.0, 1 / (1 - DISCOUNT)), (-100.0, 0.0)):
        twins = jax.tree.map(lambda x, shift=shift: jnp.zeros_like(x) + (shift if x.shape == (1,) else 0.0), zero)
        state = align.init(actor, twins, twins, jax.random.key(4))
        _, metrics = align.update(ValueAlignment(), problem, FINITE, state, batch, jax.random.key(5))
        assert float(metrics["cost_loss"]) == pytest.approx(2 * (shift - nearest) ** 2, rel=1e-4)


def test_multiplier_alignment_with_linear_critics_has_its_closed_form():
    """With constant gradients r and c and a linear policy, λ₀ = ⟨Jᵀr, Jᵀc⟩/‖Jᵀc‖²."""
    jacobian = np.array([[1.0, 2.0, 0.5], [0.0, 1.0, -1.0]])
    reward, cost = np.array([2.0, 1.0]), np.array([1.0, 0.5])
    pulled_r, pulled_c = jacobian.T @ reward, jacobian.T @ cost
    result = alignment.multiplier_from_gradients({"w": jnp.asarray(pulled_r)}, {"w": jnp.asarray(pulled_c)})
    assert float(result.multiplier) == pytest.approx(pulled_r @ pulled_c / (pulled_c @ pulled_c), rel=1e-5)
    assert float(result.ratio) == pytest.approx(np.linalg.norm(pulled_r) / np.linalg.norm(pulled_c), rel=1e-5)
    opposed = alignment.multiplier_from_gradients({"w": jnp.asarray(-pulled_r)}, {"w": jnp.asarray(pulled_c)})
    assert float(opposed.multiplier) == 0


def test_scaling_the_cost_critic_divides_the_aligned_multiplier():
    networks = Networks(observation_size=3, action_size=2, hidden=())
    keys = jax.random.split(jax.random.key(0), 4)
    actor, twin = networks.init_actor(keys[0]), networks.init_twins(keys[1])[0]
    observation = jax.random.normal(keys[2], (64, 3))

    def aligned(scale):
        scaled = jax.tree.map(lambda p: scale * p, twin)
        twins = (twin, twin), (scaled, scaled)
        return float(alignment.align_multiplier(networks, actor, *twins, observation, keys[3]).multiplier)

    assert aligned(1.0) == pytest.approx(1.0, rel=1e-5)  # the policy gradient of a critic is as large as itself
    assert aligned(4.0) == pytest.approx(0.25, rel=1e-4)


@partial(jax.jit, static_argnums=0)
def normalized(features, offset, spread, seed):
    """Value and gradients of our module and of Flax's on the same numbers; compiled once for each width."""
    noise = jax.random.normal(jax.random.key(seed), (5, features))
    # Rows that are nearly constant would test the rounding of their offset.
    x = offset + spread * noise / (jnp.std(noise, axis=-1, keepdims=True) + 1e-3)
    weight = jax.random.normal(jax.random.key(seed + 1), x.shape)
    ours, theirs = LayerNorm(), nn.LayerNorm(use_fast_variance=False)
    params = ours.init(jax.random.key(0), x)
    assert jax.tree.structure(params) == jax.tree.structure(theirs.init(jax.random.key(0), x))

    def value(module):
        return jax.value_and_grad(lambda p, x: jnp.vdot(weight, module.apply(p, x)), argnums=(0, 1))(params, x)

    return value(ours), value(theirs)


@settings(max_examples=25, deadline=None)
@given(st.sampled_from([2, 3, 17, 64, 70]), st.floats(-50, 50), st.floats(0.1, 50), st.integers(0, 1000))
def test_layer_normalization_and_its_gradient_are_flax_s(features, offset, spread, seed):
    ours, theirs = normalized(features, offset, spread, seed)
    for mine, other in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(mine, other, rtol=2e-3, atol=2e-3)


def test_bfloat16_is_of_hidden_layers_alone_and_changes_values_little():
    exact = Networks(observation_size=3, action_size=1, hidden=(32, 32), critic_layer_norm=False)
    rough = replace(exact, compute_dtype="bfloat16")
    twins, actor = rough.init_twins(jax.random.key(0)), rough.init_actor(jax.random.key(1))
    assert {leaf.dtype for leaf in jax.tree.leaves((twins, actor))} == {jnp.dtype("float32")}
    observation, action = jax.random.normal(jax.random.key(2), (64, 3)), jnp.zeros((64, 1))

    def loss(networks, twins):
        return jnp.mean(networks.twin_values(twins, observation, action) ** 2)

    values, others = (networks.twin_values(twins, observation, action) for networks in (exact, rough))
    assert others.dtype == jnp.float32
    assert 0.0 < float(jnp.max(jnp.abs(values - others))) < 0.02 * float(jnp.std(values)) + 0.02
    assert not jnp.array_equal(exact.policy(actor, observation).mean, rough.policy(actor, observation).mean)
    gradients = [jax.grad(partial(loss, networks))(twins) for networks in (exact, rough)]
    flat = [jnp.concatenate([leaf.ravel() for leaf in jax.tree.leaves(tree)]) for tree in gradients]
    assert float(flat[0] @ flat[1] / jnp.linalg.norm(flat[0]) / jnp.linalg.norm(flat[1])) > 0.999
    program = str(jax.make_jaxpr(jax.grad(partial(loss, rough)))(twins))
    formats = re.findall(r":(f32|bf16)\[[^]]*\] = dot_general", program)
    # Per critic: two hidden layers forwards, three products backwards; the output's forwards and two backwards.
    assert (formats.count("bf16"), formats.count("f32")) == (2 * 5, 2 * 3)
