"""Environments against recordings of the real simulator, and the contract every environment keeps."""

import re

import jax
import jax.numpy as jnp
import marvel_envs
import numpy as np
import pytest
from marvel_envs import parity

# Largest tolerated median replay error over 25 steps, as a share of the distance travelled.
REPLAY_BOUND = {"BallCircle": 0.02, "BallRun": 1e-5}


@pytest.mark.parametrize("task", REPLAY_BOUND)
def test_matches_the_recorded_simulator(task):
    env = marvel_envs.make(task)
    result = parity.parity(env, parity.load_recording(parity.shipped_recording(task), env))
    assert result["cost_agreement"] == 1.0
    assert result["observation_error"] < 1e-6
    assert result["reward_error"] < 2e-4  # 60 · float32 rounding of positions near 30 m
    assert result["replay"]["25"]["median"] < REPLAY_BOUND[task]


# Largest tolerated 99th percentile of a one-step position error, m, from recorded states.
STEP_BOUND = {"DroneRun": 1e-4, "CarRun": 5e-3, "AntRun": 1e-4}


@pytest.mark.parametrize("task", STEP_BOUND)
def test_multibodies_match_the_recorded_simulator(task):
    env = marvel_envs.make(task)
    recording = parity.load_recording(parity.shipped_recording(task), env)
    recording = {name: array[:600] for name, array in recording.items()}
    states = parity.tracked_states(env, recording)
    formulas = parity.formula_errors(env, recording, states)
    assert formulas["cost_agreement"] == formulas["termination_agreement"] == 1.0
    # Others: a rotor's corner that just touches, and the first step of an episode, whose "before" is not recorded.
    assert formulas["reward_agreement"] > 0.99
    assert formulas["observation_agreement"] > 0.99  # a foot's contact
    assert parity.one_step_errors(recording, states)["position"]["p99"] < STEP_BOUND[task]


@pytest.mark.parametrize("task", REPLAY_BOUND)
def test_time_limit_truncates_and_does_not_terminate(task):
    env = marvel_envs.make(task)
    steps = env.spec.episode_length
    start = jax.vmap(env.reset)(jax.random.split(jax.random.key(0), 3))
    action = jnp.ones((3, env.action_size))
    _, seen = jax.lax.scan(lambda s, _: (lambda n: (n, n))(jax.vmap(env.step)(s, action)), start, None, length=steps)
    assert seen.obs.shape == (steps, 3, env.observation_size)
    np.testing.assert_array_equal(seen.done[:-1], 0)
    np.testing.assert_array_equal(seen.done[-1], 1)
    np.testing.assert_array_equal(seen.info["truncation"][-1], 1)
    np.testing.assert_array_equal(seen.info["termination"], 0)
    np.testing.assert_array_equal(seen.info["cost"], seen.metrics["cost"])


def test_every_episode_starts_from_a_fresh_draw():
    env = marvel_envs.FreshReset(marvel_envs.make("BallCircle"))
    length = marvel_envs.TASKS["BallCircle"].episode_length
    state = env.reset(jax.random.key(3))

    def step(state, _):
        state = env.step(state, jnp.zeros(2))
        return state, (state.pipeline_state.position, state.done, state.info["final_observation"])

    _, (position, done, final_observation) = jax.lax.scan(step, state, None, length=3 * length)
    starts = np.asarray(position)[np.asarray(done) > 0, :2]
    assert len(starts) == 3
    assert len(np.unique(starts.round(4), axis=0)) == 3
    # The stored observation is of the state before the reset: a ball that is not pushed is where its episode began.
    resting = np.asarray(final_observation)[np.asarray(done) > 0][:, :2] * 10
    began = np.concatenate([state.pipeline_state.position[None, :2], starts[:-1]])
    np.testing.assert_allclose(resting, began, atol=1e-5)


def test_circle_reset_distribution_is_uniform_on_the_ring():
    env = marvel_envs.make("BallCircle")
    position = jax.vmap(lambda key: env.initial_physics(key).position)(jax.random.split(jax.random.key(0), 20_000))
    radius = np.linalg.norm(position[:, :2], axis=1)
    assert radius.min() >= 2
    assert radius.max() <= 4
    assert np.mean(radius < 3) == pytest.approx((9 - 4) / (16 - 4), abs=0.02)
    np.testing.assert_allclose(np.mean(position[:, :2], axis=0), 0, atol=0.05)


def test_an_environment_can_be_put_into_a_given_physics_state():
    env = marvel_envs.make("BallCircle")
    state = env.reset(jax.random.key(0))
    for _ in range(5):
        state = env.step(state, jnp.array([0.3, -0.8]))
    restored = env.reset_to(state.pipeline_state)
    np.testing.assert_array_equal(restored.obs, state.obs)
    a, b = (env.step(s, jnp.array([1.0, 0.2])) for s in (state, restored))
    np.testing.assert_array_equal(a.obs, b.obs)
    assert float(restored.info["steps"]) == 0


def test_the_ball_stays_inside_the_walls():
    env = marvel_envs.make("BallCircle")
    start = jax.vmap(env.initial_physics)(jax.random.split(jax.random.key(1), 64))
    actions = jax.random.uniform(jax.random.key(2), (300, 64, 2), minval=-1.0)
    held = jnp.repeat(actions[::30], 30, axis=0)  # half a minute of pushing each way
    _, position = jax.lax.scan(lambda p, a: (lambda n: (n, n.position))(jax.vmap(env.advance)(p, a)), start, held)
    assert np.linalg.norm(position[..., :2], axis=-1).max() < 12.5  # corners are at 12.34, and fast balls penetrate


@pytest.mark.parametrize("task", marvel_envs.TASKS)
def test_a_steps_result_has_the_type_of_its_input(task):
    """Down to weak types: otherwise a jitted step would compile again when given its own result."""
    env = marvel_envs.FreshReset(marvel_envs.make(task))
    before = jax.eval_shape(env.reset, jax.eval_shape(lambda: jax.random.key(0)))
    after = jax.eval_shape(env.step, before, jax.ShapeDtypeStruct((env.action_size,), jnp.float32))

    def types(state):
        return jax.tree.map(lambda x: (x.shape, x.dtype, x.weak_type), state)

    assert types(after) == types(before)
    assert after.obs.shape == (env.observation_size,)


def test_mechanics_are_computed_in_full_precision_whoever_asks():
    env = marvel_envs.make("CarRun")
    physics = jax.eval_shape(env.initial_physics, jax.random.key(0))
    traced = str(jax.make_jaxpr(env.advance)(physics, jnp.zeros(2)))
    products = re.findall(r"dot_general\[.*?\] ", traced, re.DOTALL)
    assert products
    assert all("HIGHEST" in product for product in products)


def test_unknown_task_names_the_nearest():
    with pytest.raises(ValueError, match="Did you mean BallCircle"):
        marvel_envs.task_spec("ballcirle")
