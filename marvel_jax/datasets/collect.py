"""Making a dataset: behaviour policies really trained online, at several cost limits, recorded at every stage."""

import math
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from marvel_envs.base import SafetyEnv

from marvel_jax.algorithms.online import sac_lag
from marvel_jax.config.errors import UserError
from marvel_jax.config.hyper import Hyper, override
from marvel_jax.config.presets import layered
from marvel_jax.core.rollouts import Rollout
from marvel_jax.core.seeds import map_seeds
from marvel_jax.core.transitions import blank
from marvel_jax.datasets.hdf5 import Dataset
from marvel_jax.datasets.thinning import thin
from marvel_jax.training import finetune, rollout
from marvel_jax.training.stages import setting_of, stage_keys

COST_LIMITS = (5.0, 10.0, 20.0, 40.0, 80.0, 1000.0)


def behaviour_hyper(iterations: int = 200) -> Hyper:
    """SAC-Lag from scratch with steps large enough to learn within `iterations`.

    Every number that matters is set here, so that better defaults elsewhere do not change the shipped datasets.
    """
    changes = {
        "online.iterations": iterations,
        "online.updates": 200,
        "step_size.warmup": 0.0,
        "sac.actor_learning_rate": 3e-4,
        "sac.batch_size": 64,
        "gains.proportional": 0.1,
        "gains.integral": 0.02,
        "gains.derivative": 0.06,
        "gains.smoothing": 0.9,
        "control.margin": 0.0,
        "control.largest_excess": 1e3,
        "critic_layer_norm": False,
        "log_std_minimum": -20.0,
        "gains.adaptation_range": 10.0,
    }
    return layered(method="from-scratch", **changes)


def collect(
    env: SafetyEnv,
    hyper: Hyper,
    key: jax.Array,
    cost_limits: Sequence[float] = COST_LIMITS,
    runs: int = 2,
    stages: int = 10,
    episodes_per_stage: int = 10,
    keep: int = 300,
    report: Callable[[int, dict], None] = lambda stage, metrics: None,
) -> Dataset:
    """Trains `runs` behaviour policies for every cost limit and records sampled episodes at every stage of training.

    Args:
      env: The environment.
      hyper: Of the behaviour policies' training; `hyper.online.iterations` must be a multiple of `stages`.
      key: For everything random.
      cost_limits: Undiscounted cost per episode, one or more.
      runs: Training runs per limit.
      stages: How often during training episodes are recorded.
      episodes_per_stage: Episodes recorded of each policy at each stage.
      keep: Episodes that remain after thinning over the (cost, return) grid.
      report: Called after every stage with its number (from 1) and `reward` and `cost` of the recorded episodes.

    Returns:
      The thinned dataset.
    """
    limits = jnp.repeat(jnp.asarray(cost_limits, jnp.float32), runs)
    thin_key, *keys = jax.random.split(key, len(limits) + 1)
    keys = jnp.stack(keys)
    # Behaviour policies learn without offline data; one blank row satisfies the signature.
    no_data = jax.tree.map(lambda x: x[None], blank(env.observation_size, env.action_size))

    def start(hyper: Hyper, run):
        limit, key = run
        limited = override(hyper, cost_limit=limit)
        (problem, _, networks), keys = setting_of(env.spec, limited), stage_keys(key)
        learner = sac_lag.init(limited.sac, problem, networks, keys.pretrain)
        return finetune.init(limited, problem, networks, learner, keys.finetune)

    def stage(hyper: Hyper, run):
        limit, state = run
        limited = override(hyper, cost_limit=limit)
        problem, _, networks = setting_of(env.spec, limited)
        iterations = hyper.online.iterations // stages
        state, _ = finetune.advance(limited, problem, networks, env, no_data, state, iterations)
        sampled = jnp.zeros(episodes_per_stage, bool)
        record_key = jax.random.fold_in(state.key, state.iteration + hyper.online.iterations)
        return state, rollout.episodes(env, problem, networks, state.acting, record_key, sampled, True)

    state = jax.jit(map_seeds(start))(hyper, (limits, keys))
    advance = jax.jit(map_seeds(stage))
    recorded = []
    for number in range(1, stages + 1):
        state, played = advance(hyper, (limits, state))
        recorded.append(jax.device_get(played))
        report(number, {"reward": float(np.mean(played.reward)), "cost": float(np.mean(played.cost))})
    return _assemble(env, recorded, keep, thin_key)


def _assemble(env: SafetyEnv, recorded: list[Rollout], keep: int, key: jax.Array) -> Dataset:
    """Joins recorded rollouts (`[runs, T, E, ...]` each), thins episodes and flattens the rest."""

    def joined_axes(array: np.ndarray) -> np.ndarray:
        return array.reshape(math.prod(array.shape[:2]), *array.shape[2:])  # -1 cannot be found of empty arrays

    def by_episode(array) -> np.ndarray:
        return joined_axes(np.moveaxis(np.asarray(array), 1, 2))  # [runs · E, T, ...]

    joined = jax.tree.map(
        lambda *arrays: np.concatenate([by_episode(a) for a in arrays]),
        *((r.transitions, r.physics, r.ended) for r in recorded),
    )
    returns, costs = (
        np.concatenate([np.asarray(getattr(r, name)).reshape(-1) for r in recorded]) for name in ("reward", "cost")
    )
    rng = np.random.default_rng(np.asarray(jax.random.key_data(key)))
    kept = thin(returns, costs, keep, env.spec.max_cost, rng)
    if len(kept) == 0:
        raise UserError(
            f"All {len(costs)} recorded episodes cost more than {env.spec.max_cost:g}, the most a dataset of "
            f"{env.spec.name} keeps. Train longer (--iterations) or under smaller --limits."
        )
    transitions, physics, ended = jax.tree.map(lambda a: joined_axes(a[kept]), joined)
    ended[env.spec.episode_length - 1 :: env.spec.episode_length] = 1  # the recording's own end is a time limit
    fields = {path[-1].name: leaf for path, leaf in jax.tree_util.tree_flatten_with_path(physics)[0]}
    return Dataset(task=env.spec, transitions=transitions, ends=ended > 0, physics=fields)
