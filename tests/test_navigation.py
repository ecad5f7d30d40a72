"""Navigation tasks: against recordings of Safety-Gymnasium, and their parts against what they promise."""

import jax
import jax.numpy as jnp
import marvel_envs
import numpy as np
import pytest
from marvel_envs import parity
from marvel_envs.navigation import car, layout, vase
from marvel_envs.navigation.lidar import BINS, lidar
from marvel_envs.navigation.point import Point

# Largest tolerated 99th percentile of a one-step velocity error, m/s, and median replay error over 25 steps.
BOUNDS = {"PointGoal1": (1e-3, 1e-3), "CarCircle1": (5e-6, 5e-6)}


@pytest.mark.parametrize("task", BOUNDS)
def test_matches_the_recorded_simulator(task):
    env = marvel_envs.make(task)
    recording = parity.load_recording(parity.shipped_recording(task), env)
    recording = {name: array[:600] for name, array in recording.items()}
    states = parity.tracked_states(env, recording)
    formulas = parity.formula_errors(env, recording, states)
    assert formulas["cost_agreement"] == formulas["termination_agreement"] == formulas["reward_agreement"] == 1.0
    assert formulas["observation_agreement"] > 0.95  # others: the accelerometer of an agent that touches the vase
    step, replay = BOUNDS[task]
    assert parity.one_step_errors(recording, states)["velocity"]["p99"] < step
    errors, _ = parity.replay_errors(env, recording, states, (25,))[25]
    assert np.median(errors["position"]) < replay


def test_a_pushed_vase_goes_where_the_simulators_goes():
    env = marvel_envs.make("CarGoal1")
    recording = parity.load_recording(parity.shipped_recording("CarGoal1"), env)
    recording = {name: array[400:600] for name, array in recording.items()}  # the episode that steers at the vase
    states = parity.tracked_states(env, recording)
    moved = np.linalg.norm((recording["next_vase"] - recording["vase"])[:, :2], axis=1)
    error = np.linalg.norm(np.asarray(states.advanced.vase - recording["next_vase"])[:, :2], axis=1)
    assert np.sum(moved > 1e-3) > 20
    assert error[moved > 1e-3].mean() < 0.3 * moved[moved > 1e-3].mean()
    assert error[moved < 1e-6].max() < 1e-3


@pytest.fixture(scope="module")
def layouts():
    """PointGoal1 and 500 first states of it."""
    env = marvel_envs.make("PointGoal1")
    return env, jax.jit(jax.vmap(env.initial_physics))(jax.random.split(jax.random.key(0), 500))


def test_layouts_keep_their_distances_and_fill_the_arena(layouts):
    env, physics = layouts
    places = [physics.position[:, None, :2], physics.goal[:, None], physics.hazards, physics.vase[:, None, :2]]
    places = np.concatenate(places, axis=1)
    keepouts = np.array([0.4, 0.305, *[0.18] * 8, 0.15])
    distances = np.linalg.norm(places[:, :, None] - places[:, None], axis=-1)
    assert (distances >= keepouts + keepouts[:, None] - 1e-5)[:, ~np.eye(11, dtype=bool)].all()
    assert (np.abs(places).max(axis=2) <= 1.5 - keepouts + 1e-5).all()
    assert np.abs(places).max(axis=(0, 2)) == pytest.approx(1.5 - keepouts, abs=0.02)
    first = jax.jit(env.observe)(jax.tree.map(lambda x: x[0], physics))
    assert first.shape == (env.observation_size,)


def test_a_reached_goal_pays_and_moves_away(layouts):
    env, physics = layouts
    # On the goal's rim, going in.
    toward = jnp.zeros((500, 3)).at[:, 0].set(1.0)
    position = jnp.concatenate([physics.goal - jnp.array([0.301, 0.0]), jnp.full((500, 1), 0.1)], axis=1)
    physics = physics.replace(agent=physics.agent.replace(position=position, velocity=toward))
    action = jnp.zeros((500, 2))
    advance = jax.jit(jax.vmap(env.advance))
    after = advance(physics, action)
    reward, _, termination = jax.vmap(env.outcome)(physics, action, after)
    assert np.asarray(reward) == pytest.approx(1.02, abs=0.005)
    assert not termination.any()
    assert (np.linalg.norm(after.goal - after.position[:, :2], axis=1) >= 0.4 + 0.305 - 1e-5).all()
    to_hazards = np.linalg.norm(after.goal[:, None] - after.hazards, axis=-1)
    assert (to_hazards >= 0.305 + 0.18 - 1e-5).all()
    resting = advance(after, action)
    np.testing.assert_array_equal(resting.goal, after.goal)


def test_no_room_for_a_goal_ends_the_search():
    corners = jnp.array([[-0.6, -0.6], [-0.6, 0.6], [0.6, -0.6], [0.6, 0.6]])
    full = layout.draw_clear_of(jax.random.key(0), jnp.array(True), 0.3, corners, jnp.full(4, 3.0))
    assert not bool(full[1])
    roomy = layout.draw_clear_of(jax.random.key(0), jnp.array(True), 0.3, corners, jnp.full(4, 0.1))
    assert bool(roomy[1])


def test_lidar_turns_with_the_agent():
    objects = jax.random.uniform(jax.random.key(0), (5, 2), minval=-1.5, maxval=1.5)

    def seen(angle):
        rotation = jnp.zeros((3, 3)).at[:2, :2].set(vase.turn(angle)).at[2, 2].set(1.0)
        return lidar(objects, jnp.array([0.1, -0.2, 0.1]), rotation, 3.0)

    bin_angle = 2 * np.pi / BINS
    np.testing.assert_allclose(seen(jnp.array(0.2 + 3 * bin_angle)), jnp.roll(seen(jnp.array(0.2)), -3), atol=1e-5)
    ahead = lidar(jnp.array([[1.0, 1e-5]]), jnp.zeros(3), jnp.eye(3), 3.0)
    np.testing.assert_allclose(ahead, [2 / 3, *[0.0] * (BINS - 2), 2 / 3], atol=1e-4)


@pytest.mark.parametrize("agent", [Point(), car.Car()])
def test_a_vase_gets_out_of_the_way(agent):
    """Agents that drive 0.6 m through where a vase stood end up clear of it, and have not touched others."""
    parts, steps = agent.footprint, 30
    keys = jax.random.split(jax.random.key(0), 3)
    side, vase_yaw, yaw = (jax.random.uniform(key, (200,), minval=-0.4, maxval=0.4) for key in keys)
    start = jnp.stack([jnp.full(200, 0.4), side, vase_yaw], axis=1)

    def drive(standing, yaw):
        def step(at, number):
            position = jnp.stack([0.02 * number, jnp.zeros(())])
            at = vase.pushed(at, parts, position, yaw)
            return at, vase.deepest_overlap(at, parts, position, yaw)[0]

        return jax.lax.scan(step, standing, jnp.arange(steps))

    end, depth = jax.jit(jax.vmap(drive))(start, yaw)
    assert depth.max() < 2e-3
    moved = np.linalg.norm((end - start)[:, :2], axis=1)
    assert moved[np.abs(side) < 0.1].min() > 0.1
    np.testing.assert_array_equal(end[np.abs(side) > 0.36], start[np.abs(side) > 0.36])
