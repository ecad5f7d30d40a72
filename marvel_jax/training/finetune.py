"""The online stage: rollouts, gradient updates and one multiplier step per iteration, all inside one scan."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import struct
from marvel_envs.base import SafetyEnv

from marvel_jax.algorithms.registry import ONLINE, Experience
from marvel_jax.config.hyper import Hyper, OnlineOffPolicy, override
from marvel_jax.core.networks import Params
from marvel_jax.core.problem import Problem
from marvel_jax.core.transitions import Transition
from marvel_jax.multiplier import control
from marvel_jax.training import guides, rollout, step_size
from marvel_jax.training import replay as replays
from marvel_jax.training.guides import Guided
from marvel_jax.training.rollout import Rollout


class State(struct.PyTreeNode):
    """Everything a bit-exact continuation needs.

    Attributes:
      learner: The online algorithm's own state.
      control: The multiplier's controller.
      replay: All online transitions so far; None for an algorithm that does not keep them.
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
    def acting(self) -> Params | Guided:
        """What plays the episodes."""
        if self.guide is None:
            return self.learner.actor.params
        twins = self.learner.reward_critic.params, self.learner.cost_critic.params
        return Guided(self.learner.actor.params, self.guide, *twins)


def init(hyper: Hyper, problem: Problem, learner: Any, key: jax.Array, guide: Params | None = None) -> State:
    """The state before the first iteration of finetuning `learner`, beside `guide` if the method asks for one."""
    kind = hyper.method.guide
    return State(
        learner=learner,
        control=control.init(hyper),
        replay=replays.init(hyper, problem),
        step_size=step_size.init(),
        iteration=jnp.zeros((), jnp.int32),
        key=key,
        guide=None if kind == "none" else guides.init(kind, guide),
    )


def advance(
    hyper: Hyper, problem: Problem, env: SafetyEnv, dataset: Transition, state: State, iterations: int
) -> tuple[State, dict[str, jax.Array]]:
    """`iterations` further iterations; returns the state and each metric `[iterations]`."""

    def one(state: State, _) -> tuple[State, dict[str, jax.Array]]:
        return iteration(hyper, problem, env, dataset, state)

    return jax.lax.scan(one, state, None, length=iterations)


def iteration(
    hyper: Hyper, problem: Problem, env: SafetyEnv, dataset: Transition, state: State
) -> tuple[State, dict[str, jax.Array]]:
    """Episodes of the current policy, one step of the multiplier on their cost, then gradient updates under it.

    Metrics, all `[]`: `reward` and `cost` per episode of all rollouts, `mean_action_cost` (NaN without such episodes),
    `constraint_cost` (what the controller sees), the `multiplier` in force during the updates, those of
    `control.update`, `policy_change` and the `actor_learning_rate` it came from, `guide_stage` with
    a guide, and the means of the update's own.
    """
    mean_action = mean_action_episodes(hyper)
    played = rollout.episodes(env, problem, state.acting, iteration_keys(state)[0], mean_action)
    return learn(hyper, problem, dataset, state, played)


def iteration_keys(state: State) -> jax.Array:
    """`[3]` keys of the state's iteration: for rollouts, multiplier and updates."""
    return jax.random.split(jax.random.fold_in(state.key, state.iteration), 3)


def mean_action_episodes(hyper: Hyper) -> jax.Array:
    """`[episodes]` booleans: which of an iteration's episodes act with the mean."""
    return jnp.arange(hyper.online.episodes) < hyper.online.mean_action_episodes


def learn(
    hyper: Hyper, problem: Problem, dataset: Transition, state: State, played: Rollout
) -> tuple[State, dict[str, jax.Array]]:
    """What `iteration` does with the episodes that were played, here or in a real simulator."""
    _, control_key, update_key = iteration_keys(state)
    algorithm = ONLINE[hyper.online_algorithm]
    costs = _episode_costs(hyper, played.cost, mean_action_episodes(hyper))
    cost = costs["constraint_cost"]
    replay = replays.add(hyper, problem, state.replay, played)
    experience = Experience(played, replays.source(hyper, problem, dataset, replay, state.iteration))

    steps = step_size.see(state.step_size, cost)
    stepping, learning_rate, urgency = _stepping(hyper, problem, steps, state.iteration)

    def improved(learner: Any, controller: control.State):
        controller, multiplier, control_metrics = control.update(
            *(hyper, problem, controller),
            lambda: algorithm.pull(hyper, problem, learner, experience, control_key),
            cost,
        )
        learner, update_metrics = algorithm.improve(stepping, problem, learner, experience, multiplier, update_key)
        metrics = {"multiplier": multiplier, **control_metrics, **jax.tree.map(jnp.mean, update_metrics)}
        return learner, controller, metrics

    learner, controller, metrics = _unless_warming_up(hyper, problem, state, improved)
    policies = state.learner.actor.params, learner.actor.params
    changed = algorithm.change(hyper, problem, *policies, played.transitions.observation)
    steps = step_size.follow(steps, changed, urgency * hyper.online.policy_change)
    metrics |= {"policy_change": changed, "actor_learning_rate": learning_rate}
    guide = state.guide
    if guide is not None:
        guide = guides.update(problem, guide, jnp.mean(played.reward), cost, metrics["multiplier"])
        metrics["guide_stage"] = guide.stage.astype(jnp.float32)
    next_state = State(learner, controller, replay, steps, state.iteration + 1, state.key, guide)
    return next_state, {"reward": jnp.mean(played.reward), **costs, **metrics}


def _stepping(
    hyper: Hyper, problem: Problem, steps: step_size.State, iteration: jax.Array
) -> tuple[Hyper, jax.Array, jax.Array]:
    """`hyper` with what an iteration's steps are taken with, its learning rate, and how many times as far as usual the
    policy should go."""
    algorithm = ONLINE[hyper.online_algorithm]
    part = getattr(hyper, algorithm.part)
    urgency = step_size.urgency(hyper.online, problem, steps, iteration)
    urgency = jnp.minimum(urgency, 1.0) if algorithm.bounded else urgency
    learning_rate = steps.factor * urgency * part.actor_learning_rate
    changes = {f"{algorithm.part}.actor_learning_rate": learning_rate}
    if isinstance(part, OnlineOffPolicy) and part.desaturate:
        penalty = part.saturation_penalty * step_size.distance(problem, steps)
        changes[f"{algorithm.part}.saturation_penalty"] = penalty
    return override(hyper, **changes), learning_rate, urgency


def _unless_warming_up(hyper: Hyper, problem: Problem, state: State, improved: Any) -> tuple[Any, control.State, dict]:
    """`improved(learner, controller)`; while the starting policy only plays, nothing changes and metrics are 0."""
    if hyper.online.warmup_steps == 0:
        return improved(state.learner, state.control)
    shapes = jax.eval_shape(improved, state.learner, state.control)[2]

    def still(learner: Any, controller: control.State) -> tuple[Any, control.State, dict]:
        return learner, controller, jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)

    played = (state.iteration + 1) * hyper.online.episodes * problem.episode_length
    return jax.lax.cond(played <= hyper.online.warmup_steps, still, improved, state.learner, state.control)


def _episode_costs(hyper: Hyper, cost: jax.Array, mean_action: jax.Array) -> dict[str, jax.Array]:
    """Costs per episode, of all episodes and of the kind that is worse."""
    everything = jnp.mean(cost)
    if not 0 < hyper.online.mean_action_episodes < hyper.online.episodes:
        return {
            "cost": everything,
            "mean_action_cost": everything if hyper.online.mean_action_episodes else jnp.array(jnp.nan),
            "constraint_cost": everything,
        }
    of_mean, of_sampled = jnp.mean(cost, where=mean_action), jnp.mean(cost, where=~mean_action)
    return {"cost": everything, "mean_action_cost": of_mean, "constraint_cost": jnp.maximum(of_mean, of_sampled)}
