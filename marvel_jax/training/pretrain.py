"""The offline stage: minibatches of a fixed dataset through an offline algorithm, in one scan, perhaps with a clone."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct
from marvel_envs.base import SafetyEnv

from marvel_jax.algorithms.registry import OFFLINE
from marvel_jax.config.errors import UserError
from marvel_jax.config.hyper import Hyper, offline_section
from marvel_jax.core.acting import ActingPolicy, NetworkPolicy
from marvel_jax.core.networks import Networks
from marvel_jax.core.problem import Problem
from marvel_jax.core.trajectories import episode_costs
from marvel_jax.core.transitions import Transition
from marvel_jax.training import rollout

CLONING = OFFLINE["bc-safe"]
CHOICE_EPISODES = 10
_OF_CLONE = 2**31  # folded into keys for the clone: beyond all that is split off or folded in besides


class State(struct.PyTreeNode):
    """Everything a bit-exact continuation needs.

    Attributes:
      learner: The algorithm's own state.
      step: Updates so far.
      key: The stage's.
      clone: With `pretrain.clone_beyond`, the state of the clone of the data's episodes within the limit.
    """

    learner: Any
    step: jax.Array
    key: jax.Array
    clone: Any = None

    @property
    def acting(self) -> ActingPolicy:
        """What plays episodes with the policy as it is now."""
        return NetworkPolicy(self.learner.actor.params)


def check(hypers: Sequence[Hyper], dataset: Transition) -> None:
    """Refuses what the offline algorithm cannot learn from.

    Raises:
      UserError: Saying what is missing.
    """
    imitating = [hyper for hyper in hypers if hyper.algorithm == "bc-safe" or hyper.pretrain.clone_beyond]
    limits = [float(hyper.cost_limit) for hyper in imitating if hyper.cost_limit is not None]
    if limits:
        cheapest = float(jnp.min(episode_costs(dataset)))
        if min(limits) < cheapest:
            raise UserError(
                f"bc-safe and --pretrain.clone-beyond: no episode of the dataset costs {min(limits):g} or less; the "
                f"cheapest costs {cheapest:g}. Raise --cost-limit, or use --algorithm bc and no clone."
            )


def init(hyper: Hyper, problem: Problem, networks: Networks, key: jax.Array) -> State:
    """Random networks."""
    network_key, key = jax.random.split(key)
    learner = OFFLINE[hyper.algorithm].init(offline_section(hyper), problem, networks, network_key)
    clone = None
    if hyper.pretrain.clone_beyond:
        clone = CLONING.init(hyper.bc, problem, networks, jax.random.fold_in(network_key, _OF_CLONE))
    return State(learner, jnp.zeros((), jnp.int32), key, clone)


def advance(
    hyper: Hyper, problem: Problem, networks: Networks, dataset: Transition, state: State, steps: int
) -> tuple[State, dict[str, jax.Array]]:
    """`steps` further updates on `dataset` `[N]`; returns the state and each metric's mean over them."""
    algorithm, size = OFFLINE[hyper.algorithm], hyper.pretrain.batch_size
    batch, safe_batch = (each.batches(problem, dataset, size) for each in (algorithm, CLONING))

    def update(state: State, _) -> tuple[State, dict[str, jax.Array]]:
        batch_key, update_key = jax.random.split(jax.random.fold_in(state.key, state.step))
        learner, metrics = algorithm.update(
            offline_section(hyper), problem, networks, state.learner, batch(batch_key), update_key
        )
        clone = state.clone
        if clone is not None:
            safe = safe_batch(jax.random.fold_in(batch_key, _OF_CLONE))
            clone, _ = CLONING.update(hyper.bc, problem, networks, clone, safe, update_key)
        return state.replace(learner=learner, step=state.step + 1, clone=clone), metrics

    state, metrics = jax.lax.scan(update, state, None, length=steps)
    return state, jax.tree.map(jnp.mean, metrics)


def choose(
    hyper: Hyper, problem: Problem, networks: Networks, env: SafetyEnv, state: State
) -> tuple[State, dict[str, jax.Array]]:
    """Once all updates are done, puts the clone in the place of a policy that is far over the limit.

    Far is `pretrain.clone_beyond` limits; each of the two plays `CHOICE_EPISODES` for it. Without that option the state
    stays as it is.

    Returns:
      The state, and the metrics `clone_cost` and `cloned`, `[]` each: what the clone costs, and 1 where it was taken.
    """
    if state.clone is None:
        return state, {}
    actors, key = (state.learner.actor, state.clone.actor), jax.random.fold_in(state.key, _OF_CLONE)
    sampling = jnp.zeros(CHOICE_EPISODES, bool)
    own, cloned = (
        jnp.mean(rollout.episodes(env, problem, networks, NetworkPolicy(actor.params), key, sampling).cost)
        for actor in actors
    )
    far = (own > hyper.pretrain.clone_beyond * problem.cost_limit) & (cloned < own)
    taken = far & (state.step >= hyper.pretrain.updates)
    actor = jax.tree.map(lambda mine, clones: jnp.where(taken, clones, mine), *actors)
    chosen = state.replace(learner=state.learner.replace(actor=actor))
    return chosen, {"clone_cost": cloned, "cloned": taken.astype(jnp.float32)}
