"""A user's own Brax environment with a cost."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from brax.envs.base import Env, State
from marvel_envs import SafetyWrapper

from marvel_jax.core.transitions import blank
from marvel_jax.training import experiment

LENGTH = 12


class Cart(Env):
    """A cart on a rail that ends the episode beyond 3 m; written as a user would, with nothing of ours."""

    def reset(self, rng):
        position = jax.random.uniform(rng, (2,), minval=-0.1, maxval=0.1)
        return State(position, position, jnp.zeros(()), jnp.zeros(()), {}, {"start": position[0]})

    def step(self, state, action):
        position, velocity = state.pipeline_state
        moved = jnp.stack([position + 0.5 * velocity, velocity + action[0]])
        done = jnp.where(jnp.abs(moved[0]) > 3.0, 1.0, 0.0)
        return state.replace(pipeline_state=moved, obs=moved, reward=moved[0], done=done)  # pyright: ignore

    @property
    def observation_size(self):
        return 2

    @property
    def action_size(self):
        return 1

    @property
    def backend(self):
        return "plain"


def too_fast(before, action, after):
    del before, action
    return jnp.where(after.obs[1] > 1.0, 1.0, 0.0)


def wrap(cost_fn=too_fast, env=None):
    return SafetyWrapper(env or Cart(), cost_fn, cost_limit=2.0, episode_length=LENGTH)


def test_costs_are_counted_and_both_ends_of_an_episode_told_apart():
    env = wrap()

    def episode(push):
        def step(state, _):
            after = env.step(state, jnp.array([push]))
            return after, (after.info["cost"], after.info["termination"], after.info["truncation"], after.obs)

        return jax.lax.scan(step, env.reset(jax.random.key(0)), None, length=LENGTH)[1]

    cost, termination, truncation, observation = (np.asarray(x) for x in episode(5.0))
    np.testing.assert_array_equal(cost, observation[:, 1] > 1.0)  # 5 was clipped to 1
    assert termination.sum() > 0
    assert np.asarray(episode(0.0)[2])[-1] == 1
    assert not (termination * truncation).any()


def test_the_whole_experiment_runs_on_it(tiny):
    env = wrap()
    env.check(jax.random.key(0))
    rows = jax.tree.map(lambda x: jnp.broadcast_to(x, (32, *x.shape)), blank(2, 1))
    hyper = dataclasses.replace(tiny, cost_limit=2.0)
    result = jax.jit(lambda key: experiment.run(hyper, rows, key, env))(jax.random.key(0))
    assert np.isfinite(result.final.reward).all()


class Unjittable(Cart):
    def reset(self, rng):
        start = float(jax.random.uniform(rng))
        return super().reset(rng).replace(reward=jnp.array(start))  # pyright: ignore


@pytest.mark.parametrize(
    ("cost_fn", "env", "message"),
    [
        (lambda before, action, after: after.obs, None, r"one number per step.*\(2,\)"),
        (lambda before, action, after: 1.0 if after.obs[1] > 1 else 0.0, None, "cost function cannot be traced"),
        (too_fast, Unjittable(), "Unjittable.reset cannot be traced"),
    ],
)
def test_wrong_parts_are_named_before_anything_compiles(cost_fn, env, message):
    with pytest.raises(ValueError, match=message):
        wrap(cost_fn, env)


@pytest.mark.parametrize(
    ("cost_fn", "message"),
    [
        (lambda before, action, after: after.obs[0] * jnp.nan, "cost is not finite"),
        (lambda before, action, after: 3.0 + 0 * after.obs[0], "scale cost function"),
    ],
)
def test_check_takes_real_steps(cost_fn, message):
    with pytest.raises(ValueError, match=message):
        wrap(cost_fn).check(jax.random.key(0))
