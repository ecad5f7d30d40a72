"""The experiment's stages and their order: how each starts, advances and is watched, one run at a time.

`experiment.run` goes through them in one program; `runs.pipeline` in chunks, with checkpoints between. Both draw the
same numbers.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax import struct
from marvel_envs.base import SafetyEnv
from marvel_envs.tasks import TaskSpec

from marvel_jax.algorithms.registry import exploring_networks
from marvel_jax.config import offline, online
from marvel_jax.config.fields import by_path
from marvel_jax.config.hyper import Hyper
from marvel_jax.core.networks import Networks, networks_of
from marvel_jax.core.problem import Problem, problem_of
from marvel_jax.core.transitions import Transition
from marvel_jax.training import align, finetune, handover, pretrain
from marvel_jax.training.evaluate import evaluate

MONITOR_EPISODES = 5
PRETRAIN, ALIGN, FINETUNE = STAGES = ("pretrain", "align", "finetune")

Metrics = dict[str, jax.Array]


class Setting(NamedTuple):
    """What the stages are about.

    Attributes:
      problem: The constrained MDP.
      offline: Networks of the offline stage.
      online: The same, whose policy explores as the online algorithm does; value pre-alignment is of that policy.
    """

    problem: Problem
    offline: Networks
    online: Networks


def setting_of(
    spec: TaskSpec, hyper: Hyper, actor: nn.Module | None = None, critic: nn.Module | None = None
) -> Setting:
    """The setting of a task, perhaps with Flax modules of one's own (see `Networks`)."""
    networks = networks_of(spec, hyper, actor, critic)
    return Setting(problem_of(spec, hyper), networks, exploring_networks(hyper, networks))


class StageKeys(struct.PyTreeNode):
    """One key per stage, so that a stage run alone draws the same numbers."""

    pretrain: jax.Array
    align: jax.Array
    finetune: jax.Array
    offline_evaluation: jax.Array
    evaluation: jax.Array


def stage_keys(key: jax.Array) -> StageKeys:
    """The keys of all stages of the experiment with this key."""
    return StageKeys(*jax.random.split(key, 5))


@dataclass(frozen=True)
class Stage:
    """One stage of one run.

    Attributes:
      name: One of `STAGES`.
      unit: What `total` counts, for people.
      total: Updates or iterations of the whole stage.
      chunk: How many of them a driver does between two looks.
      start: `(hyper, key, states of earlier stages by name) -> state`.
      advance: `(dataset, hyper, state, steps) -> (state, metrics)`; metrics are scalars, or `[steps]` where every
        iteration has a row of its own.
      watch: `(hyper, state) -> metrics`, scalars that a driver shows after every chunk; it changes nothing.
    """

    name: str
    unit: str
    total: int
    chunk: int
    start: Callable[[Hyper, jax.Array, dict[str, Any]], Any]
    advance: Callable[[Transition, Hyper, Any, int], tuple[Any, Metrics]]
    watch: Callable[[Hyper, Any], Metrics] = lambda hyper, state: {}


def plan(env: SafetyEnv, hyper: Hyper, actor: nn.Module | None = None, critic: nn.Module | None = None) -> list[Stage]:
    """The stages that a method goes through, in order."""

    def setting(hyper: Hyper) -> Setting:
        return setting_of(env.spec, hyper, actor, critic)

    stages = []
    if handover.uses_offline_stage(hyper):
        stages.append(_pretraining(env, hyper, setting))
    if hyper.method.value_alignment:
        stages.append(_alignment(hyper, setting))
    return [*stages, _finetuning(env, hyper, setting)]


def _pretraining(env: SafetyEnv, hyper: Hyper, setting: Callable[[Hyper], Setting]) -> Stage:
    def start(hyper: Hyper, key: jax.Array, before: dict[str, Any]) -> pretrain.State:
        return _offline_state(hyper, setting(hyper), key, before)

    def advance(dataset: Transition, hyper: Hyper, state: pretrain.State, steps: int) -> tuple[Any, Metrics]:
        problem, networks, _ = setting(hyper)
        state, metrics = pretrain.advance(hyper, problem, networks, dataset, state, steps)
        state, of_clone = pretrain.choose(hyper, problem, networks, env, state)
        return state, {**of_clone, **metrics}

    def watch(hyper: Hyper, state: pretrain.State) -> Metrics:
        problem, networks, _ = setting(hyper)
        # A key of its own, so that watching does not change what is learned.
        key = jax.random.fold_in(state.key, -state.step)
        seen = evaluate(env, problem, networks, state.acting, key, MONITOR_EPISODES)
        return {"reward": jnp.mean(seen.reward), "cost": jnp.mean(seen.cost)}

    total = hyper.pretrain.updates
    return Stage(PRETRAIN, "updates", total, chunk_length(total, 1000), start, advance, watch)


def _alignment(hyper: Hyper, setting: Callable[[Hyper], Setting]) -> Stage:
    def start(hyper: Hyper, key: jax.Array, before: dict[str, Any]) -> align.State:
        offline_state = _offline_state(hyper, setting(hyper), key, before)
        return handover.start_alignment(hyper, setting(hyper).online, offline_state, stage_keys(key).align)

    def advance(dataset: Transition, hyper: Hyper, state: align.State, steps: int) -> tuple[Any, Metrics]:
        problem, _, networks = setting(hyper)
        return align.advance(hyper, problem, networks, dataset, state, steps)

    total = hyper.alignment.updates
    return Stage(ALIGN, "updates", total, chunk_length(total, 2000), start, advance)


def _finetuning(env: SafetyEnv, hyper: Hyper, setting: Callable[[Hyper], Setting]) -> Stage:
    def start(hyper: Hyper, key: jax.Array, before: dict[str, Any]) -> finetune.State:
        problem, _, networks = setting(hyper)
        offline_state, own_key = _offline_state(hyper, setting(hyper), key, before), stage_keys(key).finetune
        return handover.start_finetuning(hyper, problem, networks, offline_state, before.get(ALIGN), own_key)

    def advance(dataset: Transition, hyper: Hyper, state: finetune.State, steps: int) -> tuple[Any, Metrics]:
        problem, _, networks = setting(hyper)
        return finetune.advance(hyper, problem, networks, env, dataset, state, steps)

    total = hyper.online.iterations
    return Stage(FINETUNE, "iterations", total, chunk_length(total, 5), start, advance)


def _offline_state(hyper: Hyper, setting: Setting, key: jax.Array, before: dict[str, Any]) -> pretrain.State:
    """The offline stage's state: its last, if it is done, else its first, which methods without it start from."""
    if PRETRAIN in before:
        return before[PRETRAIN]
    return pretrain.init(hyper, setting.problem, setting.offline, stage_keys(key).pretrain)


def chunk_length(total: int, target: int) -> int:
    """The largest divisor of `total` that is at most `target`: one compiled program serves all chunks."""
    return max(n for n in range(1, min(total, target) + 1) if total % n == 0)


def what_counts(name: str, hyper: Hyper) -> dict[str, Any]:
    """All hyperparameters that a run's state after stage `name` (not finetuning) depends on, by dotted path.

    Everything counts except what is named here: what only later stages read, and the sections of other algorithms.
    """
    later = {"evaluation_episodes", "method.multiplier", "method.multiplier_alignment", "method.offline_fraction"}
    later |= {"method.guide", "method.value_alignment", "gains", "control", "online", "step_size", "replay"}
    own = {offline.OFFLINE[hyper.algorithm].section} | ({"bc"} if hyper.pretrain.clone_beyond else set())
    if name == PRETRAIN:
        later |= {"method", "alignment", "online_algorithm"}
    elif online.ONLINE[hyper.online_algorithm].own_noise:
        own.add(online.ONLINE[hyper.online_algorithm].section)
    sections = {traits.section for table in (offline.OFFLINE, online.ONLINE) for traits in table.values()}
    left_out = later | (sections - own)
    return {
        path: value
        for path, value in by_path(hyper).items()
        if path not in left_out and path.partition(".")[0] not in left_out
    }
