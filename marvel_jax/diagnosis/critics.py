"""Critics against the truth: what they say of states in the data, and what then happens."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from marvel_jax.config.shared import Aggregation
from marvel_jax.core.networks import Networks, aggregate
from marvel_jax.core.seeds import map_seeds
from marvel_jax.datasets.hdf5 import Dataset
from marvel_jax.diagnosis import true_values
from marvel_jax.runs.pipeline import Pipeline
from marvel_jax.training.stages import ALIGN, PRETRAIN, setting_of

CRITICS: dict[str, Aggregation] = {"reward": "min", "cost": "max"}


def critics_against_truth(
    pipeline: Pipeline, states: dict[str, Any], data: Dataset, count: int, key: jax.Array
) -> dict[str, Any]:
    """Critics against Monte-Carlo values of the offline policy, which they are of.

    At `count` states of the dataset, with the dataset's actions ("data") and with uniform ones ("random").

    Returns:
      By place, time ("before" and "after" alignment, where there are critics) and kind (reward, cost):
      `values` and `truth` `[seeds, count]`, `rank_correlation` and `bias` `[seeds]`, with returns over the longest of
      `true_values.HORIZONS`; and `rank_correlation_by_horizon`, `[seeds]` by the number of steps: how far ahead the
      critics tell the truth.
    """
    env = pipeline.program.env
    setting = setting_of(env.spec, pipeline.program.hyper)
    rows_key, action_key, play_key = jax.random.split(key, 3)
    rows = np.asarray(jax.random.choice(rows_key, len(data.ends), (min(count, len(data.ends)),), replace=False))
    physics, observation = true_values.physics_at(env, data.physics, rows), data.transitions.observation[rows]
    actions = {"data": jnp.asarray(data.transitions.action[rows])}
    actions["random"] = jax.random.uniform(action_key, actions["data"].shape, minval=-1.0)
    learner = states[PRETRAIN].learner
    with_critics = {"before": learner} if hasattr(learner, "reward_critic") else {}
    with_critics |= {"after": states[ALIGN]} if ALIGN in states else {}

    def truth(action: jax.Array, one: tuple[Any, jax.Array]) -> true_values.MonteCarlo:
        actor, key = one
        return true_values.monte_carlo(env, setting, actor, physics, action, key)

    keys = jax.random.split(play_key, pipeline.program.count)
    play, found = jax.jit(map_seeds(truth)), {}
    for place, action in actions.items():
        real = jax.device_get(play(action, (learner.actor.params, keys)))
        found[place] = {
            when: {kind: _agreement(setting.online, state, kind, real, observation, action) for kind in CRITICS}
            for when, state in with_critics.items()
        }
    return found


def _agreement(networks: Networks, state: Any, kind: str, real: Any, observation: Any, action: Any) -> dict[str, Any]:
    """How well the critics of a kind in `state` agree with Monte-Carlo values `real`, seed by seed."""

    def value(twins: Any) -> jax.Array:
        return aggregate(networks.twin_values(twins, observation, action), CRITICS[kind])

    values = np.asarray(jax.vmap(value)(getattr(state, f"{kind}_critic").params))
    truths = np.moveaxis(np.asarray(getattr(real, kind)), -1, 0)  # [horizons, seeds, count]
    agreements = [[true_values.agreement(v, t) for v, t in zip(values, truth, strict=True)] for truth in truths]
    ranks = [[seed["rank_correlation"] for seed in seeds] for seeds in agreements]
    return {
        "values": values,
        "truth": truths[-1],
        **{name: [seed[name] for seed in agreements[-1]] for name in agreements[-1][0]},
        "rank_correlation_by_horizon": dict(zip(true_values.HORIZONS, ranks, strict=True)),
    }
