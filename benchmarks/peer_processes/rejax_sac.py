"""rejax's SAC, whole runs vmapped over seeds, on gymnax's Pendulum: updates/s with an environment step each.

rejax has no costs: its update has one pair of critics where SAC-Lag has two.
"""

import functools

import jax
import protocol
from rejax import SAC

STEPS = 2_000


def trained(seeds: int):
    algorithm = SAC.create(
        env="Pendulum-v1",
        total_timesteps=STEPS + 256,
        eval_freq=STEPS + 256,
        fill_buffer=256,
        num_envs=1,
        num_epochs=1,
        batch_size=64,
        buffer_size=4_096,
        agent_kwargs={"hidden_layer_sizes": (64, 64)},
    ).replace(eval_callback=lambda algorithm, state, key: ())
    train = jax.jit(jax.vmap(algorithm.train))
    keys = jax.random.split(jax.random.key(0), seeds)
    return (lambda: jax.block_until_ready(train(keys))), seeds * STEPS


protocol.serve({f"SAC/hidden 64/batch 64/{n} seeds": functools.partial(trained, n) for n in (1, 16, 64)})
