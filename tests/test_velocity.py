"""Velocity tasks against recordings of Safety-Gymnasium: one step from every recorded state."""

import jax
import marvel_envs
import numpy as np
import pytest
from marvel_envs import parity
from marvel_envs.velocity_tasks import VELOCITY_TASKS

from marvel_jax.core.seeds import map_seeds

# Generalized positions and velocities, largest error; the other tasks are in benchmarks/velocity_parity.py.
BOUNDS = {"HopperVelocity": (1e-6, 1e-5), "HalfCheetahVelocity": (1e-5, 1e-3), "AntVelocity": (1e-6, 1e-4)}


@pytest.mark.parametrize("task", BOUNDS)
def test_one_step_agrees_with_the_simulator(task):
    env = marvel_envs.make(task)
    recording = parity.load_recording(parity.shipped_recording(task), env)
    recording = {name: array[:150] for name, array in recording.items()}
    result = parity.parity(env, recording)
    position, velocity = BOUNDS[task]
    assert result["position_error"]["max"] <= position
    assert result["velocity_error"]["max"] <= velocity
    assert result["reward_error"] <= 1e-5
    assert result["observation_error"] <= velocity
    assert result["cost_agreement"] == 1.0


@pytest.mark.parametrize("name", VELOCITY_TASKS)
def test_a_tasks_facts_are_those_of_its_model(name):
    env = marvel_envs.make(name)
    model = env.physics.model
    assert env.spec.control_dt == pytest.approx(env.task.frame_skip * model.opt.timestep)
    np.testing.assert_allclose(np.abs(model.actuator_ctrlrange), env.spec.action_scale, rtol=1e-6)


@pytest.fixture(scope="module")
def hopped():
    """A step of two Hoppers, one upright and one lying, on two devices; and the step as a function of one of them."""
    env = marvel_envs.make("HopperVelocity")

    def step(_, hopper):
        key, height, action = hopper
        physics = env.initial_physics(key)
        state = env.reset_to(physics.replace(qpos=physics.qpos.at[1].set(height)))
        return env.step(state, action)

    hoppers = jax.random.split(jax.random.key(0), 2), np.array([1.25, 0.3]), np.zeros((2, env.action_size), np.float32)
    return step, hoppers, jax.jit(map_seeds(step))(0, hoppers)


def test_falling_terminates_and_is_no_truncation(hopped):
    _, _, after = hopped
    np.testing.assert_array_equal(after.done, [0, 1])
    np.testing.assert_array_equal(after.info["termination"], [0, 1])
    np.testing.assert_array_equal(after.info["truncation"], 0)


def test_a_recording_of_another_task_is_refused():
    with pytest.raises(ValueError, match="HopperVelocity"):
        parity.load_recording(parity.shipped_recording("Walker2dVelocity"), marvel_envs.make("HopperVelocity"))


def test_an_environment_first_used_on_several_devices_works_on_one(hopped):
    step, (keys, heights, actions), together = hopped
    placed = jax.device_put(actions, together.obs.sharding)  # what comes from several devices remembers them
    alone = jax.jit(step)(0, (keys[1], heights[1], placed[1]))
    np.testing.assert_allclose(together.obs[1], alone.obs, atol=1e-5)
