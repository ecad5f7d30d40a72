"""The online stage: rollouts, gradient updates and one multiplier step per iteration, all inside one scan."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct
from marvel_envs.base import SafetyEnv

from marvel_jax.algorithms.protocol import Experience, Metrics
from marvel_jax.algorithms.registry import ONLINE
from marvel_jax.config import online
from marvel_jax.config.hyper import Hyper, online_section, override
from marvel_jax.core.acting import ActingPolicy
from marvel_jax.core.networks import Networks, Params
from marvel_jax.core.problem import Problem
from marvel_jax.core.rollouts import Rollout
from marvel_jax.core.transitions import Transition
from marvel_jax.multiplier import control
from marvel_jax.training import guides, replay, rollout, step_size


class State(struct.PyTreeNode):
    """Everything a bit-exact continuation needs.

    Attributes:
      learner: The online algorithm's own state.
      control: The multiplier's controller.
      replay: All online transitions so far; None for an on-policy algorithm.
      step_size: How large the policy's steps are.
      iteration: `[]` iterations done.
      key: For everything random from here on.
      guide: The frozen offline policy, if the method acts with it.
    """

    learner: Any
    control: control.State
    replay: Any
    step_size: step_size.State
    iteration: jax.Array
    key: jax.Array
    guide: guides.State | None = None

    @property
    def acting(self) -> ActingPolicy:
        """What plays the episodes."""
        return guides.acting(self.guide, self.learner)


def init(
    hyper: Hyper, problem: Problem, networks: Networks, learner: Any, key: jax.Array, guide: Params | None = None
) -> State:
    """The state before the first iteration of finetuning `learner`, beside `guide` if the method asks for one."""
    kind = hyper.method.guide
    return State(
        learner=learner,
        control=control.init(hyper),
        replay=replay.init(hyper, problem, networks),
        step_size=step_size.init(),
        iteration=jnp.zeros((), jnp.int32),
        key=key,
        guide=None if kind == "none" else guides.init(kind, guide),
    )


def advance(
    hyper: Hyper,
    problem: Problem,
    networks: Networks,
    env: SafetyEnv,
    dataset: Transition,
    state: State,
    iterations: int,
) -> tuple[State, Metrics]:
    """`iterations` further iterations; returns the state and each metric `[iterations]`."""

    def one(state: State, _) -> tuple[State, Metrics]:
        return iteration(hyper, problem, networks, env, dataset, state)

    return jax.lax.scan(one, state, None, length=iterations)


def iteration(
    hyper: Hyper, problem: Problem, networks: Networks, env: SafetyEnv, dataset: Transition, state: State
) -> tuple[State, Metrics]:
    """Episodes of the current policy, one step of the multiplier on their cost, then gradient updates under it.

    Metrics, all `[]`: `reward` and `cost` per episode, the `multiplier` in force during the updates, those of
    `control.update`, `policy_change` and the `actor_learning_rate` it came from, `guide_stage` with a guide, and the
    means of the update's own.
    """
    sampling = jnp.zeros(hyper.online.episodes, bool)
    played = rollout.episodes(env, problem, networks, state.acting, iteration_keys(state)[0], sampling)
    return learn(hyper, problem, networks, dataset, state, played)


def iteration_keys(state: State) -> jax.Array:
    """`[3]` keys of the state's iteration: for rollouts, multiplier and updates."""
    return jax.random.split(jax.random.fold_in(state.key, state.iteration), 3)


def learn(
    hyper: Hyper, problem: Problem, networks: Networks, dataset: Transition, state: State, played: Rollout
) -> tuple[State, Metrics]:
    """What `iteration` does with the episodes that were played, here or in a real simulator."""
    cost = jnp.mean(played.cost)
    kept = replay.add(hyper, problem, state.replay, played)
    experience = Experience(played, replay.batches(hyper, problem, dataset, kept, state.iteration))

    steps = step_size.record_cost(state.step_size, cost)
    scale = _step_scale(hyper, problem, steps, state.iteration)
    learning_rate = steps.factor * scale * online_section(hyper).actor_learning_rate

    learner, controller, metrics = _unless_warming_up(
        hyper, problem, state, lambda: _train(hyper, problem, networks, state, experience, cost, learning_rate)
    )

    changed = ONLINE[hyper.online_algorithm].policy_change(
        online_section(hyper),
        networks,
        state.learner.actor.params,
        learner.actor.params,
        played.transitions.observation,
    )
    steps = step_size.adapt(steps, changed, scale * hyper.step_size.policy_change)

    guide = state.guide
    if guide is not None:
        guide = guides.update(problem, guide, jnp.mean(played.reward), cost, metrics["multiplier"])
        metrics["guide_stage"] = guide.stage.astype(jnp.float32)
    seen = {"reward": jnp.mean(played.reward), "cost": cost}
    moved = {"policy_change": changed, "actor_learning_rate": learning_rate}
    return State(learner, controller, kept, steps, state.iteration + 1, state.key, guide), {**seen, **metrics, **moved}


def _step_scale(hyper: Hyper, problem: Problem, steps: step_size.State, iteration: jax.Array) -> jax.Array:
    """`step_size.step_scale`; a trust region ends the policy's steps, so that they cannot be boosted."""
    scale = step_size.step_scale(hyper.step_size, problem, steps, iteration, hyper.online.iterations)
    return jnp.minimum(scale, 1.0) if online.ONLINE[hyper.online_algorithm].trust_region else scale


def _train(
    hyper: Hyper,
    problem: Problem,
    networks: Networks,
    state: State,
    experience: Experience,
    cost: jax.Array,
    learning_rate: jax.Array,
) -> tuple[Any, control.State, Metrics]:
    """One step of the multiplier on the episodes' cost, and an iteration of updates under it."""
    _, control_key, update_key = iteration_keys(state)
    algorithm, own = ONLINE[hyper.online_algorithm], online_section(hyper)
    controller, multiplier, control_metrics = control.update(
        hyper,
        problem,
        state.control,
        lambda: algorithm.policy_gradients(own, problem, networks, state.learner, experience, control_key),
        cost,
    )
    stepping = override(own, actor_learning_rate=learning_rate)
    learner, update_metrics = algorithm.train_iteration(
        stepping, problem, networks, state.learner, experience, multiplier, update_key, hyper.online.updates
    )
    metrics = {"multiplier": multiplier, **control_metrics, **jax.tree.map(jnp.mean, update_metrics)}
    return learner, controller, metrics


def _unless_warming_up(
    hyper: Hyper, problem: Problem, state: State, train: Callable[[], tuple[Any, control.State, Metrics]]
) -> tuple[Any, control.State, Metrics]:
    """`train()`; while the starting policy only plays, nothing changes and metrics are 0."""
    if hyper.online.warmup_steps == 0:
        return train()
    shapes = jax.eval_shape(train)[2]

    def still() -> tuple[Any, control.State, Metrics]:
        return state.learner, state.control, jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)

    played = (state.iteration + 1) * hyper.online.episodes * problem.episode_length
    return jax.lax.cond(played <= hyper.online.warmup_steps, still, train)
