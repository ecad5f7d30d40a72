"""The algorithms by name, behind one interface for each stage.

To add one: an `init`/`update` pair in a file of its own, its hyperparameters in `hyper`, and a line here.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from marvel_jax.algorithms.offline import bc, bcq_lag, bear_lag, coptidice, cpq
from marvel_jax.algorithms.online import ppo_lag, sac_lag, td3_lag
from marvel_jax.config.hyper import Hyper, OfflineName, OnlineName
from marvel_jax.core import trajectories
from marvel_jax.core.networks import Params, policy
from marvel_jax.core.parameters import Critics, Learner
from marvel_jax.core.problem import Problem
from marvel_jax.core.transitions import Transition, at, sample
from marvel_jax.training import align, step_size
from marvel_jax.training.rollout import Rollout

Source = Callable[[jax.Array], Any]  # key -> batch
CONTROL_BATCHES = 8  # how many batches' states the multiplier is aligned on


class Offline(NamedTuple):
    """An offline algorithm.

    Attributes:
      part: The name of its hyperparameters in `Hyper`.
      init: `(own hyperparameters, problem, key) -> state`, whose `actor` is a `Learner`.
      update: `(own hyperparameters, problem, state, batch, key) -> (state, metrics)`.
      source: `(problem, dataset [N], batch size) -> (key -> batch)`.
    """

    part: str
    init: Callable[..., Any]
    update: Callable[..., Any]
    source: Callable[[Problem, Transition, int], Source]


def _anything(problem: Problem, dataset: Transition, size: int) -> Source:
    return lambda key: sample(dataset, size, key)


def _rows_where(mask: jax.Array, size: int) -> Callable[[jax.Array], jax.Array]:
    """Draws `size` rows where `mask` `[N]` is True."""
    chosen_first = jnp.argsort(~mask)
    return lambda key: chosen_first[jax.random.randint(key, (size,), 0, jnp.sum(mask))]


def _safe_episodes(problem: Problem, dataset: Transition, size: int) -> Source:
    rows = _rows_where(trajectories.episode_costs(dataset) <= problem.cost_limit, size)
    return lambda key: at(dataset, rows(key))


def _with_first_observations(problem: Problem, dataset: Transition, size: int) -> Source:
    rows = _rows_where(trajectories.starts(dataset), size)

    def batch(key: jax.Array) -> coptidice.Batch:
        steps_key, first_key = jax.random.split(key)
        return coptidice.Batch(sample(dataset, size, steps_key), at(dataset, rows(first_key)).observation)

    return batch


OFFLINE: dict[OfflineName, Offline] = {
    "cpq": Offline("cpq", cpq.init, cpq.update, _anything),
    "bear-lag": Offline("bear_lag", bear_lag.init, bear_lag.update, _anything),
    "bcq-lag": Offline("bcq_lag", bcq_lag.init, bcq_lag.update, _anything),
    "coptidice": Offline("coptidice", coptidice.init, coptidice.update, _with_first_observations),
    "bc": Offline("cloning", bc.init, bc.update, _anything),
    "bc-safe": Offline("cloning", bc.init, bc.update, _safe_episodes),
}


class Experience(NamedTuple):
    """What an iteration learns from: the episodes just played, and batches of all that is kept, `key -> [B]`."""

    played: Rollout
    batch: Source


def _in_noise(hyper: Hyper, problem: Problem, before: Params, after: Params, observation: jax.Array) -> jax.Array:
    del hyper
    return step_size.change(problem, before, after, observation)


class Online(NamedTuple):
    """An online algorithm.

    Attributes:
      part: The name of its hyperparameters in `Hyper`.
      start: `(hyper, actor, critics) -> learner`, which has an `actor`.
      improve: `(hyper, problem, learner, experience, multiplier, key) -> (learner, metrics)`: an iteration's updates.
      pull: `(hyper, problem, learner, experience, key) -> MultiplierAlignment`: how reward and cost pull at the policy.
      keeps: Whether it learns from earlier experience too.
      change: `(hyper, problem, before, after, observation) -> []`: how far an iteration moved the policy, in the unit
        of `online.policy_change`.
      bounded: Whether a change of 1 is as far as an iteration can go, so that it cannot be hurried.
    """

    part: str
    start: Callable[[Hyper, Learner, Critics], Any]
    improve: Callable[..., tuple[Any, dict[str, jax.Array]]]
    pull: Callable[..., align.MultiplierAlignment]
    keeps: bool = True
    change: Callable[[Hyper, Problem, Params, Params, jax.Array], jax.Array] = _in_noise
    bounded: bool = False


def _off_policy(algorithm: Any, part: str) -> Online:
    """The interface of an algorithm with twin critics, from its module."""

    def start(hyper: Hyper, actor: Learner, critics: Critics) -> Any:
        return algorithm.start(getattr(hyper, part), actor, critics.reward_twins, critics.cost_twins)

    def improve(hyper: Hyper, problem: Problem, learner: Any, experience: Experience, multiplier, key):
        own = getattr(hyper, part)

        def critics_alone(learner: Any, key: jax.Array) -> tuple[Any, None]:
            batch_key, update_key = jax.random.split(key)
            return algorithm.update_critics(own, problem, learner, experience.batch(batch_key), update_key)[0], None

        def update(learner: Any, key: jax.Array):
            batch_key, update_key = jax.random.split(key)
            if own.critic_updates > 1:
                keys = jax.random.split(jax.random.fold_in(key, 0), own.critic_updates - 1)
                learner, _ = jax.lax.scan(critics_alone, learner, keys)
            return algorithm.update(own, problem, learner, experience.batch(batch_key), multiplier, update_key)

        return jax.lax.scan(update, learner, jax.random.split(key, hyper.online.updates))

    def pull(hyper: Hyper, problem: Problem, learner: Any, experience: Experience, key: jax.Array):
        observation_key, align_key = jax.random.split(key)
        # The gradients are compared where the updates will take them, not only where the policy is now.
        observations = jax.vmap(experience.batch)(jax.random.split(observation_key, CONTROL_BATCHES)).observation
        twins = learner.reward_critic.params, learner.cost_critic.params
        how = getattr(hyper, part).cost_aggregation
        return align.align_multiplier(problem, learner.actor.params, *twins, observations, align_key, how)

    return Online(part, start, improve, pull)


def _judged(hyper: Hyper, problem: Problem, learner: ppo_lag.State, experience: Experience) -> ppo_lag.Batch:
    played = experience.played
    return ppo_lag.judge(hyper.ppo, problem, learner, played.transitions, played.ended)


def _improve_ppo(hyper: Hyper, problem: Problem, learner, experience: Experience, multiplier, key):
    judged = _judged(hyper, problem, learner, experience)
    flat = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), judged)

    def update(learner: ppo_lag.State, key: jax.Array):
        rows = jax.random.randint(key, (hyper.ppo.batch_size,), 0, len(flat.log_prob))
        return ppo_lag.update(hyper.ppo, problem, learner, jax.tree.map(lambda x: x[rows], flat), multiplier, key)

    return jax.lax.scan(update, learner, jax.random.split(key, hyper.online.updates))


def _pull_ppo(hyper: Hyper, problem: Problem, learner, experience: Experience, key: jax.Array):
    del key
    return ppo_lag.align_multiplier(problem, learner.actor.params, _judged(hyper, problem, learner, experience))


def _in_trust_region(hyper: Hyper, problem: Problem, before: Params, after: Params, observation: jax.Array):
    """√(KL / its limit): as a share of the way to where PPO stands still; KL goes with the square of a distance."""
    divergence = policy(problem, before, observation).divergence(policy(problem, after, observation))
    return jnp.sqrt(jnp.mean(divergence) / hyper.ppo.divergence_limit)


def _start_ppo(hyper: Hyper, actor: Learner, critics: Critics) -> ppo_lag.State:
    return ppo_lag.start(actor, critics.reward_value, critics.cost_value)


ONLINE: dict[OnlineName, Online] = {
    "sac-lag": _off_policy(sac_lag, "sac"),
    "td3-lag": _off_policy(td3_lag, "td3"),
    "ppo-lag": Online("ppo", _start_ppo, _improve_ppo, _pull_ppo, keeps=False, change=_in_trust_region, bounded=True),
}
