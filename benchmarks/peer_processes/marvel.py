"""This project: SAC-Lag's and CPQ's updates, PPO-Lag's training, and steps of Swimmer.

Updates with the networks of the PyTorch peer (no layer normalization, and CPQ with the paper's penalty): one run alone,
one per core, and 16 and 64 at once. With a seed as its argument, training alone.
"""

import functools
import os
import sys
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import marvel_envs
import protocol
import swimmer
from updates import learners, of_seeds

from marvel_jax.config.hyper import Hyper, override
from marvel_jax.config.offline import CPQ
from marvel_jax.core.networks import MLP
from marvel_jax.core.seeds import map_seeds
from marvel_jax.core.transitions import blank
from marvel_jax.datasets.hdf5 import load_shipped
from marvel_jax.training import finetune, handover, pretrain
from marvel_jax.training.stages import setting_of

jax.config.update("jax_num_cpu_devices", os.cpu_count() or 1)
CORES = jax.local_device_count()
data = jax.tree.map(jnp.asarray, load_shipped("BallCircle").transitions)


def updates(algorithm: str, width: int, batch: int, steps: int, seeds: int) -> tuple[Callable[[], Any], float]:
    """Of fresh learners, `steps` in all per core or so."""
    made = learners((width, width), batch, CPQ(ood_penalty="linear"), critic=MLP((width, width), 1))
    init, many, _ = made[algorithm]
    run, count = of_seeds(init, many, seeds, max(50, steps // max(1, seeds // CORES)), data)
    return (lambda: jax.block_until_ready(run())), count


def all_updates() -> dict[str, Callable[[], tuple[Callable[[], Any], float]]]:
    """By name; as many seeds as vmapped peers have where those are."""
    return {
        f"{algorithm}/hidden {width}/batch {batch}/{seeds} seeds": functools.partial(
            updates, algorithm, width, batch, int(share * steps), seeds
        )
        for width, batch, steps in ((256, 64, 100), (256, 256, 60), (64, 64, 500), (64, 256, 300))
        for algorithm, share in (("SAC-Lag", 1.0), ("CPQ", 0.6))
        for seeds in {1, CORES, 16, 64}
    }


def training(seeds: int, first_seed: int = 0) -> tuple[Callable[[], dict[str, float]], float]:
    """An epoch of PPO-Lag on Swimmer, from where the last one ended."""
    hyper = override(
        Hyper(),
        online_algorithm="ppo-lag",
        cost_limit=swimmer.COST_LIMIT,
        hidden=swimmer.HIDDEN,
        **{"online.episodes": swimmer.EPISODES, "online.updates": swimmer.UPDATES, "ppo.batch_size": swimmer.BATCH},
    )
    env = marvel_envs.make("SwimmerVelocity")
    problem, offline, online = setting_of(env.spec, hyper)
    nothing = jax.tree.map(lambda x: x[None], blank(env.observation_size, env.action_size))

    def start(_, key: jax.Array) -> finetune.State:
        before = pretrain.init(hyper, problem, offline, key)
        return handover.start_finetuning(hyper, problem, online, before, None, key)

    def epoch(_, state: finetune.State):
        return finetune.iteration(hyper, problem, online, env, nothing, state)

    states = [jax.jit(map_seeds(start))(0, jax.random.split(jax.random.key(first_seed), seeds))]
    run = jax.jit(map_seeds(epoch)).lower(nothing, states[0]).compile()

    def work() -> dict[str, float]:
        states[0], metrics = jax.block_until_ready(run(nothing, states[0]))
        return {name: float(metrics[name][0]) for name in swimmer.METRICS}

    return work, seeds * swimmer.STEPS


def stepping() -> tuple[Callable[[], None], float]:
    """Random actions in 1,024 environments, in groups of at most 64 on one device per core."""
    env, steps, groups, size = marvel_envs.make("SwimmerVelocity"), 20, 16, 64

    def play(_, group):
        states, key = group

        def step(states, key):
            return jax.vmap(env.step)(states, jax.random.uniform(key, (size, env.action_size), minval=-1.0)), None

        return jax.lax.scan(step, states, jax.random.split(key, steps))[0]

    keys = jax.random.split(jax.random.key(1), (groups, size))
    states = jax.jit(jax.vmap(jax.vmap(env.reset)))(keys)
    run = jax.jit(map_seeds(play))
    return (lambda: jax.block_until_ready(run(None, (states, keys[:, 0])))), groups * size * steps


if len(sys.argv) > 1:  # a seed: training alone
    protocol.serve({swimmer.TRAINING: functools.partial(training, 1, int(sys.argv[1]))})
else:
    trained = {f"{swimmer.TRAINING}/{seeds} seeds": functools.partial(training, seeds) for seeds in (1, CORES)}
    protocol.serve({**all_updates(), **trained, swimmer.STEPPING: stepping})
