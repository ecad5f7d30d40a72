"""The Lagrange multipliers that there are before the online stage."""

from typing import Any

import jax
import numpy as np

from marvel_jax.multiplier.alignment import align_multiplier
from marvel_jax.runs.pipeline import Pipeline
from marvel_jax.training.stages import ALIGN, PRETRAIN, setting_of

STATES = 1024  # of the dataset, at which the multiplier is pre-aligned


def starting_multiplier(pipeline: Pipeline, states: dict[str, Any]) -> dict[str, list[float] | None]:
    """Multipliers by where they come from, `[seeds]` each; None where there is none.

    Args:
      pipeline: Of the run.
      states: Saved states of the stages before finetuning.

    Returns:
      `offline`: that of the offline algorithm. `aligned`: what pre-alignment says on the dataset's states.
    """
    learner = states[PRETRAIN].learner if PRETRAIN in states else None
    aligned = _aligned(pipeline, states) if ALIGN in states and learner is not None else None
    return {"offline": _own(learner), "aligned": aligned}


def _own(learner: Any) -> list[float] | None:
    """That of an offline algorithm: of a controller, or softplus of a parameter."""
    own = getattr(learner, "multiplier", None)
    if own is None:
        return None
    return np.asarray(own.value if hasattr(own, "value") else jax.nn.softplus(own.params)).tolist()


def _aligned(pipeline: Pipeline, states: dict[str, Any]) -> list[float]:
    program = pipeline.program
    networks = setting_of(program.env.spec, program.hyper).online
    observation = program.dataset.observation[:: max(1, len(program.dataset.reward) // STATES)]

    def of_one_seed(actor: Any, reward: Any, cost: Any, key: jax.Array) -> jax.Array:
        return align_multiplier(networks, actor, reward, cost, observation, key).multiplier

    after, keys = states[ALIGN], jax.random.split(jax.random.key(0), program.count)
    found = jax.jit(jax.vmap(of_one_seed))(after.actor, after.reward_critic.params, after.cost_critic.params, keys)
    return np.asarray(found).tolist()
