"""Velocity tasks against recordings of Safety-Gymnasium: one step from every recorded state."""

import jax
import marvel_envs
import numpy as np
import pytest
from marvel_envs import parity

from marvel_jax.core.seeds import map_seeds

# Generalized positions and velocities, largest error; the other tasks are in benchmarks/velocity_parity.py.
BOUNDS = {"HopperVelocity": (1e-5, 1e-3), "HalfCheetahVelocity": (1e-5, 1e-3), "AntVelocity": (1e-3, 5e-2)}


@pytest.mark.parametrize("task", BOUNDS)
def test_one_step_agrees_with_the_simulator(task):
    env = marvel_envs.make(task)
    recording = parity.load_recording(parity.shipped_recording(task), env)
    recording = {name: array[:150] for name, array in recording.items()}
    result = parity.parity(env, recording)
    position, velocity = BOUNDS[task]
    assert result["position_error"]["max"] <= position
    assert result["velocity_error"]["max"] <= velocity
    assert result["reward_error"] <= 1e-3
    assert result["observation_error"] <= 1e-3
    assert result["cost_agreement"] >= 0.999


def test_falling_terminates_and_is_no_truncation():
    env = marvel_envs.make("HopperVelocity")
    lying = np.array(env.physics.model.qpos0)
    lying[1] = 0.3
    state = jax.jit(env.reset_to)(jax.jit(env.physics_at)(lying, np.zeros(env.physics.model.nv)))
    after = jax.jit(env.step)(state, np.zeros(env.action_size, np.float32))
    assert float(after.done) == float(after.info["termination"]) == 1
    assert float(after.info["truncation"]) == 0


def test_a_recording_of_another_task_is_refused():
    with pytest.raises(ValueError, match="HopperVelocity"):
        parity.load_recording(parity.shipped_recording("Walker2dVelocity"), marvel_envs.make("HopperVelocity"))


def test_an_environment_first_used_on_several_devices_works_on_one():
    env = marvel_envs.make("HopperVelocity")

    def observed(_, seed):
        key, action = seed
        return env.observe(env.advance(env.initial_physics(key), action))

    seeds = jax.random.split(jax.random.key(0), 2), np.zeros((2, env.action_size), np.float32)
    together = jax.jit(map_seeds(observed))(0, seeds)
    placed = jax.device_put(seeds[1], together.sharding)  # what comes from several devices remembers them
    np.testing.assert_allclose(together[1], jax.jit(observed)(0, (seeds[0][1], placed[1])), atol=1e-5)
