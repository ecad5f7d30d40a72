"""The experiment's stages as the driver sees them: how each starts and advances, one run at a time.

The functions are those of `experiment.run`, with the same keys, so a run through stages and checkpoints and the pure
function draw the same numbers.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
from marvel_envs.base import SafetyEnv
from marvel_envs.tasks import TaskSpec

from marvel_jax.algorithms.registry import OFFLINE
from marvel_jax.config.hyper import Hyper
from marvel_jax.core.problem import Problem, from_environment, from_spec
from marvel_jax.core.seeds import map_seeds
from marvel_jax.core.transitions import Transition
from marvel_jax.runs.simulator import Simulator, actors_of
from marvel_jax.training import align, experiment, finetune, pretrain
from marvel_jax.training.evaluate import evaluate

MONITOR_EPISODES = 5
PRETRAIN, ALIGN, FINETUNE = STAGES = ("pretrain", "align", "finetune")


@dataclass(frozen=True)
class Stage:
    """One stage.

    Attributes:
      name: One of `STAGES`.
      unit: What `total` counts, for people.
      total: Updates or iterations of the whole stage.
      chunk: How many of them one compiled call does.
      start: `(hyper, key, states of earlier stages by name) -> state`, of one run.
      advance: `(dataset, hyper, state) -> (state, metrics)`, of one run; metrics are scalars, or `[chunk]`
        where every iteration has a row of its own.
      on_host: `advance` is not to be jitted and takes all runs at once.
    """

    name: str
    unit: str
    total: int
    chunk: int
    start: Callable[[Hyper, jax.Array, dict[str, Any]], Any]
    advance: Callable[[Transition, Hyper, Any], tuple[Any, dict[str, jax.Array]]]
    on_host: bool = False


def settings(name: str, hyper: Hyper) -> dict[str, Any]:
    """All hyperparameters that decide a run's state after the stages up to `name` (not finetuning), for JSON."""
    offline_part = OFFLINE[hyper.algorithm].part
    parts = ["algorithm", "pretrain", offline_part, "cost_limit", "discount", "reward_scale", "hidden"]
    parts += ["log_std_minimum", "critic_layer_norm"]
    parts += ["cloning"] if hyper.pretrain.clone_beyond else []
    if name == ALIGN:
        parts += ["alignment", "online_algorithm"] + (["td3"] if hyper.online_algorithm == "td3-lag" else [])
    everything = asdict(hyper)
    found = {part: everything[part] for part in parts}
    if name == ALIGN:
        found["start"] = [hyper.method.actor, hyper.method.critics]
    return found


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
    chunk = chunk_length(hyper.pretrain.updates, 1000)

    def start(hyper, key, before):
        return pretrain.init(hyper, from_environment(env, hyper), experiment.stage_keys(key).pretrain)

    def advance(dataset, hyper, state):
        problem = from_environment(env, hyper)
        state, metrics = pretrain.advance(hyper, problem, dataset, state, chunk)
        state, of_clone = pretrain.choose(hyper, problem, env, state)
        # A key of its own, so that watching does not change what is learned.
        watch_key = jax.random.fold_in(state.key, -state.step)
        seen = evaluate(env, problem, state.learner.actor.params, watch_key, MONITOR_EPISODES)
        return state, {"reward": jnp.mean(seen.reward), "cost": jnp.mean(seen.cost), **of_clone, **metrics}

    return Stage(PRETRAIN, "updates", hyper.pretrain.updates, chunk, start, advance)


def _alignment(env: SafetyEnv, hyper: Hyper) -> Stage:
    chunk = chunk_length(hyper.alignment.updates, 2000)

    def start(hyper, key, before):
        problem, keys, offline = _after_pretraining(env, hyper, key, before)
        return experiment.start_alignment(hyper, problem, offline, keys.align)

    def advance(dataset, hyper, state):
        return align.advance(hyper, from_environment(env, hyper), dataset, state, chunk)

    return Stage(ALIGN, "updates", hyper.alignment.updates, chunk, start, advance)


def _finetuning(env: SafetyEnv, hyper: Hyper) -> Stage:
    chunk = chunk_length(hyper.online.iterations, 5)

    def start(hyper, key, before):
        problem, keys, offline = _after_pretraining(env, hyper, key, before)
        return experiment.start_finetuning(hyper, problem, offline, before.get(ALIGN), keys.finetune)

    def advance(dataset, hyper, state):
        return finetune.advance(hyper, from_environment(env, hyper), env, dataset, state, chunk)

    return Stage(FINETUNE, "iterations", hyper.online.iterations, chunk, start, advance)


def in_simulator(stage: Stage, simulator: Simulator) -> Stage:
    """The finetuning stage, played in a real simulator: the same updates on other episodes."""

    def learn_one(dataset, run):
        hyper, state, played = run
        return finetune.learn(hyper, from_spec(simulator.spec, hyper), dataset, state, played)

    learn_all = map_seeds(learn_one)
    learn = jax.jit(lambda dataset, hyper, state, played: learn_all(dataset, (hyper, state, played)), donate_argnums=2)
    roll_keys = jax.jit(jax.vmap(lambda state: finetune.iteration_keys(state)[0]))

    def advance(dataset, hyper, state):
        problem, mean_action = problems(simulator.spec, hyper), finetune.mean_action_episodes(hyper)
        number, actors = int(state.iteration[0]), actors_of(state)
        played = simulator.episodes(problem, actors, roll_keys(state), mean_action, number)
        state, metrics = learn(dataset, hyper, state, played)
        return state, jax.tree.map(lambda x: x[:, None], metrics)

    return replace(stage, chunk=1, advance=advance, on_host=True)


def problems(spec: TaskSpec, hyper: Hyper) -> Problem:
    """The problems of a batch of runs, whose hyperparameters have them on axis 0."""
    return jax.vmap(lambda one: from_spec(spec, one))(hyper)


def _after_pretraining(env: SafetyEnv, hyper: Hyper, key: jax.Array, before: dict[str, Any]):
    """The problem, the run's keys, and its offline stage's state: a random one for methods without that stage."""
    problem, keys = from_environment(env, hyper), experiment.stage_keys(key)
    offline = before[PRETRAIN] if PRETRAIN in before else pretrain.init(hyper, problem, keys.pretrain)
    return problem, keys, offline
