"""Runs the stages of an experiment for a batch of seeds: compile, advance in chunks, report, checkpoint, resume."""

import json
import signal
import threading
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import marvel_envs
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from marvel_jax import checkpoint, metrics, stages
from marvel_jax.config import RunConfig, find_task
from marvel_jax.console import Reporter
from marvel_jax.datasets import dataset as datasets
from marvel_jax.errors import UserError
from marvel_jax.evaluate import Evaluation
from marvel_jax.problem import from_spec
from marvel_jax.runfolder import RunFolder, write_json
from marvel_jax.seeds import devices_for, map_seeds
from marvel_jax.simulate import Simulator, actors_of
from marvel_jax.stages import Shared, Stage

CHECKPOINT_EVERY = 60.0  # seconds


class Interrupted(Exception):
    """The user asked to stop; everything so far is saved."""


class StopRequest:
    """Turns the first Ctrl-C (or SIGTERM) into a request that is honoured between chunks; a second one kills."""

    def __init__(self) -> None:
        self.asked = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "StopRequest":
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._ask)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _ask(self, number: int, _: object) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True


@dataclass
class Outcome:
    """What the pipeline leaves in memory when all asked-for stages are done.

    Attributes:
      states: Final state of every stage by name, seeds on axis 0.
      seconds: Wall time per stage, and `compile` of them all.
      offline, final: Evaluations `[seeds, episodes]`; None if finetuning was not asked for.
    """

    states: dict[str, Any] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    offline: Evaluation | None = None
    final: Evaluation | None = None


class Pipeline:
    """One run. `source`, if given, is another run's folder whose finished stages are used as they are."""

    def __init__(self, config: RunConfig, folder: RunFolder, reporter: Reporter, source: RunFolder | None = None):
        self.config, self.folder, self.reporter, self.source = config, folder, reporter, source
        self.seeds = list(range(config.first_seed, config.first_seed + config.seeds))
        spec = find_task(config.task)
        path = config.dataset or datasets.shipped_path(config.task)
        transitions = datasets.load(path, spec).transitions
        self.env = marvel_envs.make(config.task)
        mesh = Mesh(devices_for(config.seeds), ("seeds",))
        self._everywhere = NamedSharding(mesh, PartitionSpec())
        self._by_seed = NamedSharding(mesh, PartitionSpec("seeds"))
        hyper = jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), config.hyper)
        self.shared = jax.device_put(Shared(hyper, jax.tree.map(jnp.asarray, transitions)), self._everywhere)
        self.keys = jax.device_put(jax.vmap(jax.random.key)(jnp.asarray(self.seeds)), self._by_seed)
        self.metrics = metrics.read(folder.metrics)
        self.outcome = Outcome(seconds=self._read_seconds())

    def run(self, last: str = stages.FINETUNE) -> Outcome:
        """Goes through the method's stages up to `last`, from wherever the folder's checkpoints are.

        Raises:
          Interrupted: After Ctrl-C, with everything saved.
          UserError: If a checkpoint does not fit, or the folder cannot be written.
        """
        plan = stages.plan(self.env, self.config.hyper)
        if last not in [stage.name for stage in plan]:
            raise UserError(f"Method {self.config.method} has no {last} stage. It has: {_names(plan)}.")
        with self.reporter, StopRequest() as stop, self._simulator(last) as simulator:
            if simulator is not None:
                plan[-1] = stages.in_simulator(plan[-1], simulator)
            for stage in plan:
                self.outcome.states[stage.name] = self._run_stage(stage, stop)
                if stage.name == last:
                    break
            if last == stages.FINETUNE:
                self._evaluate(plan, simulator)
        return self.outcome

    def _simulator(self, last: str) -> AbstractContextManager[Simulator | None]:
        """The real simulator, if the online stage is to play in one."""
        if self.config.simulator is None or last != stages.FINETUNE:
            return nullcontext()
        self.reporter.say(f"starting {self.config.simulator}")
        episodes = self.config.hyper.online.episodes
        return Simulator(self.env.spec, self.config.simulator, len(self.seeds), episodes)

    def restore(self, name: str) -> Any:
        """The newest saved state of a stage, seeds on axis 0.

        Raises:
          UserError: If the method has no such stage, or the folder no checkpoint of it.
        """
        plan = stages.plan(self.env, self.config.hyper)
        if name not in [stage.name for stage in plan]:
            raise UserError(f"Method {self.config.method} has no {name} stage. It has: {_names(plan)}.")
        states: dict[str, Any] = {}
        for stage in plan:
            shapes = jax.eval_shape(map_seeds(stage.start), self.shared, (self.keys, states))
            states[stage.name] = shapes
            if stage.name == name:
                break
        return checkpoint.restore(self.folder.checkpoints(name), self._placed(states[name]))

    def policies(self) -> dict[str, Any]:
        """Actors of all seeds (axis 0): "offline" is where finetuning starts, "finetuned" where it has come to.

        To be called after `run`, whose states it uses.
        """
        finetuning = stages.plan(self.env, self.config.hyper)[-1]
        before = {name: state for name, state in self.outcome.states.items() if name != stages.FINETUNE}
        first = jax.jit(map_seeds(finetuning.start))(self.shared, (self.keys, before))
        return {"offline": actors_of(first), "finetuned": actors_of(self.outcome.states[stages.FINETUNE])}

    def _placed(self, shapes: Any) -> Any:
        return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=self._by_seed), shapes)

    def _run_stage(self, stage: Stage, stop: StopRequest) -> Any:
        folder = self.folder.checkpoints(stage.name)
        done = checkpoint.latest_step(folder) or 0
        if done == 0 and self.source and checkpoint.latest_step(self.source.checkpoints(stage.name)) == stage.total:
            return self._take_from_source(stage, self.source)
        start = jax.jit(map_seeds(stage.start))
        inputs = (self.keys, dict(self.outcome.states))
        state = start(self.shared, inputs) if done == 0 else checkpoint.restore(folder, self._abstract_start(stage))
        state = jax.device_put(state, self._by_seed)
        self.metrics.forget(stage.name, done)
        if done == stage.total:
            return state
        self.reporter.begin(stage.name, stage.unit, stage.total, done)
        clock = time.monotonic()
        advance = stage.advance
        if not stage.on_host:
            advance = jax.jit(map_seeds(stage.advance), donate_argnums=1).lower(self.shared, state).compile()
        compiled = time.monotonic()
        self._count("compile", compiled - clock)
        saved = counted = compiled
        while done < stage.total:
            state, measured = advance(self.shared, state)
            measured = jax.device_get(measured)
            done += stage.chunk
            self.metrics.add(stage.name, self.seeds, done, measured)
            self.reporter.update(done, _headline(measured))
            now = time.monotonic()
            if done == stage.total or stop.asked or now - saved > CHECKPOINT_EVERY:
                self._count(stage.name, now - counted)
                self._save(stage, done, state)
                saved = counted = time.monotonic()
            if stop.asked:
                raise Interrupted
        return state

    def _take_from_source(self, stage: Stage, source: RunFolder) -> Any:
        """Another run's finished stage: its state and metrics, copied so that this folder stands alone."""
        self.reporter.say(f"{stage.name}: taken from {source.path}")
        state = checkpoint.restore(source.checkpoints(stage.name), self._abstract_start(stage))
        self.metrics.rows += [row for row in metrics.read(source.metrics).rows if row["stage"] == stage.name]
        self._save(stage, stage.total, state)
        return state

    def _abstract_start(self, stage: Stage) -> Any:
        """Shapes and shardings of a stage's state."""
        inputs = (self.keys, dict(self.outcome.states))
        return self._placed(jax.eval_shape(map_seeds(stage.start), self.shared, inputs))

    def _save(self, stage: Stage, done: int, state: Any) -> None:
        try:
            checkpoint.save(self.folder.checkpoints(stage.name), done, state)
            self.metrics.write()
            write_json(self.folder.seconds, self.outcome.seconds)
        except OSError as error:
            raise UserError(f"{self.folder.path} can no longer be written ({error.strerror}).") from None

    def _read_seconds(self) -> dict[str, float]:
        """What an interrupted run has spent so far."""
        path = self.folder.seconds
        return json.loads(path.read_text()) if path.exists() else {}

    def _count(self, name: str, seconds: float) -> None:
        self.outcome.seconds[name] = self.outcome.seconds.get(name, 0.0) + seconds

    def _evaluate(self, plan: list[Stage], simulator: Simulator | None) -> None:
        """Fresh episodes of the policy before and after finetuning, where it was finetuned."""
        clock = time.monotonic()
        final = self.outcome.states[stages.FINETUNE]
        finetuning = plan[-1]
        before = {name: state for name, state in self.outcome.states.items() if name != stages.FINETUNE}
        if simulator is not None:
            self.reporter.say(f"evaluating in {self.config.simulator}")
            first = jax.jit(map_seeds(finetuning.start))(self.shared, (self.keys, before))
            problem, episodes = from_spec(self.env.spec, self.shared.hyper), self.config.hyper.evaluation_episodes
            self.outcome.offline, self.outcome.final = (
                jax.device_get(simulator.evaluate(problem, actors_of(state), self.keys, episodes, number))
                for number, state in enumerate((first, final))
            )
            self._count("evaluate", time.monotonic() - clock)
            return

        def first_actor(shared, seed):
            key, before = seed
            state = finetuning.start(shared, (key, before))
            return stages.evaluation(self.env, lambda s: s.learner.actor.params, "offline_evaluation")(
                shared, (key, state)
            )

        last_actor = stages.evaluation(self.env, lambda s: s.learner.actor.params, "evaluation")
        self.outcome.offline = jax.device_get(jax.jit(map_seeds(first_actor))(self.shared, (self.keys, before)))
        self.outcome.final = jax.device_get(jax.jit(map_seeds(last_actor))(self.shared, (self.keys, final)))
        self._count("evaluate", time.monotonic() - clock)


def _names(plan: list[Stage]) -> str:
    return ", ".join(stage.name for stage in plan)


def _headline(measured: dict[str, np.ndarray]) -> dict[str, float]:
    """The numbers of a chunk that progress shows: means over seeds (and iterations)."""
    wanted = ("reward", "cost", "multiplier") if "reward" in measured else ("reward_loss", "cost_loss")
    return {name: float(np.mean(measured[name])) for name in wanted if name in measured}
