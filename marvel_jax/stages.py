"""The experiment's stages as the driver sees them: how each starts and advances, one seed at a time.

The functions are those of `experiment.run`, with the same keys, so a run through stages and checkpoints and the pure
function draw the same numbers.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
from marvel_envs.base import SafetyEnv

from marvel_jax import align, experiment, finetune, pretrain
from marvel_jax.evaluate import Evaluation, evaluate
from marvel_jax.hyper import Hyper
from marvel_jax.problem import from_environment, from_spec
from marvel_jax.seeds import map_seeds
from marvel_jax.simulate import Simulator, actors_of
from marvel_jax.transitions import Transition

MONITOR_EPISODES = 5
PRETRAIN, ALIGN, FINETUNE = STAGES = ("pretrain", "align", "finetune")


@dataclass(frozen=True)
class Shared:
    """What all seeds share."""

    hyper: Hyper
    dataset: Transition


jax.tree_util.register_dataclass(Shared, data_fields=["hyper", "dataset"], meta_fields=[])


@dataclass(frozen=True)
class Stage:
    """One stage.

    Attributes:
      name: One of `STAGES`.
      unit: What `total` counts, for people.
      total: Updates or iterations of the whole stage.
      chunk: How many of them one compiled call does.
      start: `(shared, (seed key, states of earlier stages by name)) -> state`, of one seed.
      advance: `(shared, state) -> (state, metrics)`, of one seed; metrics are scalars, or `[chunk]`
        where every iteration has a row of its own.
      on_host: `advance` is not to be jitted and takes all seeds at once.
    """

    name: str
    unit: str
    total: int
    chunk: int
    start: Callable[[Shared, tuple[jax.Array, dict[str, Any]]], Any]
    advance: Callable[[Shared, Any], tuple[Any, dict[str, jax.Array]]]
    on_host: bool = False


def chunk_length(total: int, target: int) -> int:
    """The largest divisor of `total` that is at most `target`: one compiled program serves all chunks."""
    return max(n for n in range(1, min(total, target) + 1) if total % n == 0)


def plan(env: SafetyEnv, hyper: Hyper) -> list[Stage]:
    """The stages that a method goes through, in order."""
    stages = []
    if experiment.uses_offline_stage(hyper):
        stages.append(_pretraining(env, hyper))
    if hyper.method.value_alignment:
        stages.append(_alignment(env, hyper))
    return [*stages, _finetuning(env, hyper)]


def _pretraining(env: SafetyEnv, hyper: Hyper) -> Stage:
    chunk = chunk_length(hyper.cpq.updates, 1000)

    def start(shared, seed):
        key, _ = seed
        return pretrain.init(shared.hyper, from_environment(env, shared.hyper), experiment.stage_keys(key).pretrain)

    def advance(shared, state):
        problem = from_environment(env, shared.hyper)
        state, metrics = pretrain.advance(shared.hyper, problem, shared.dataset, state, chunk)
        # A key of its own, so that watching does not change what is learned.
        watch_key = jax.random.fold_in(state.key, -state.step)
        seen = evaluate(env, problem, state.learner.actor.params, watch_key, MONITOR_EPISODES)
        return state, {"reward": jnp.mean(seen.reward), "cost": jnp.mean(seen.cost), **metrics}

    return Stage(PRETRAIN, "updates", hyper.cpq.updates, chunk, start, advance)


def _alignment(env: SafetyEnv, hyper: Hyper) -> Stage:
    chunk = chunk_length(hyper.alignment.updates, 2000)

    def start(shared, seed):
        problem, keys, offline = _after_pretraining(env, shared, seed)
        return experiment.start_alignment(shared.hyper, problem, offline, keys.align)

    def advance(shared, state):
        problem = from_environment(env, shared.hyper)
        return align.advance(shared.hyper, problem, shared.dataset, state, chunk)

    return Stage(ALIGN, "updates", hyper.alignment.updates, chunk, start, advance)


def _finetuning(env: SafetyEnv, hyper: Hyper) -> Stage:
    chunk = chunk_length(hyper.online.iterations, 5)

    def start(shared, seed):
        problem, keys, offline = _after_pretraining(env, shared, seed)
        _, before = seed
        return experiment.start_finetuning(shared.hyper, problem, offline, before.get(ALIGN), keys.finetune)

    def advance(shared, state):
        problem = from_environment(env, shared.hyper)
        return finetune.advance(shared.hyper, problem, env, shared.dataset, state, chunk)

    return Stage(FINETUNE, "iterations", hyper.online.iterations, chunk, start, advance)


def in_simulator(stage: Stage, simulator: Simulator) -> Stage:
    """The finetuning stage, played in a real simulator: the same updates on other episodes."""

    def learn_one(shared, seed):
        state, played = seed
        problem = from_spec(simulator.spec, shared.hyper)
        return finetune.learn(shared.hyper, problem, shared.dataset, state, played)

    learn = jax.jit(map_seeds(learn_one), donate_argnums=1)
    roll_keys = jax.jit(jax.vmap(lambda state: finetune.iteration_keys(state)[0]))

    def advance(shared, state):
        problem, mean_action = from_spec(simulator.spec, shared.hyper), finetune.mean_action_episodes(shared.hyper)
        number, actors = int(state.iteration[0]), actors_of(state)
        played = simulator.episodes(problem, actors, roll_keys(state), mean_action, number)
        state, metrics = learn(shared, (state, played))
        return state, jax.tree.map(lambda x: x[:, None], metrics)

    return replace(stage, chunk=1, advance=advance, on_host=True)


def _after_pretraining(env: SafetyEnv, shared: Shared, seed: tuple[jax.Array, dict[str, Any]]):
    """The problem, the seed's keys, and its offline stage's state: a random one for methods without that stage."""
    key, before = seed
    problem, keys = from_environment(env, shared.hyper), experiment.stage_keys(key)
    offline = before[PRETRAIN] if PRETRAIN in before else pretrain.init(shared.hyper, problem, keys.pretrain)
    return problem, keys, offline


def evaluation(env: SafetyEnv, actor_of: Callable[[Any], Any], which: str) -> Callable[[Shared, Any], Evaluation]:
    """`(shared, (seed key, state)) -> Evaluation` of `actor_of(state)`; `which` names the key of `StageKeys`."""

    def of_one_seed(shared, seed):
        key, state = seed
        problem = from_environment(env, shared.hyper)
        episodes = shared.hyper.evaluation_episodes
        return evaluate(env, problem, actor_of(state), getattr(experiment.stage_keys(key), which), episodes)

    return of_one_seed
