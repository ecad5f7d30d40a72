"""For SAC as Brax does it: an environment that does nothing, and training of which little is environment steps."""

import functools
import itertools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

OBSERVATION, ACTION = 8, 2  # BallCircle's
UPDATES_PER_STEP, STEPS, EPOCHS = 32, 8, 400
UPDATES = UPDATES_PER_STEP * STEPS  # of an epoch


def environment(base: type, state: type) -> Any:
    """An environment of Brax's or a fork's `Env` and `State`: random observations, no physics."""

    class Nothing(base):
        observation_size = OBSERVATION
        action_size = ACTION
        backend = "none"

        def reset(self, rng: jax.Array) -> Any:
            zero, observation = jnp.zeros(()), jax.random.normal(rng, (OBSERVATION,))
            return state(None, observation, zero, zero, info={"key": rng, "cost": zero})

        def step(self, state: Any, action: jax.Array) -> Any:
            key, now = jax.random.split(state.info["key"])
            observation = jax.random.normal(now, (OBSERVATION,))
            return state.replace(obs=observation, reward=jnp.sum(action), info={**state.info, "key": key})

    return Nothing()


def works(algorithm: str, train: Callable[[int, int], Any]) -> dict[str, Callable[[], Any]]:
    """What a process offers, by name: `train(width, batch_size)` at every size."""
    sizes = itertools.product((256, 64), (64, 256))
    return {f"{algorithm}/hidden {width}/batch {n}": functools.partial(train, width, n) for width, n in sizes}


def settings(batch_size: int) -> dict[str, Any]:
    """Arguments of `train`: one environment, `UPDATES_PER_STEP` updates per step, next to no evaluation."""
    return {
        "num_timesteps": 1_000 + EPOCHS * STEPS,
        "episode_length": 100,
        "num_eval_envs": 1,
        "num_evals": EPOCHS + 1,
        "batch_size": batch_size,
        "min_replay_size": 1_000,
        "max_replay_size": 20_000,
        "grad_updates_per_step": UPDATES_PER_STEP,
        "max_devices_per_host": 1,
    }
