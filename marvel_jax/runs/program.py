"""The compiled functions of an experiment's stages, for batches of runs of one size."""

import functools
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from marvel_envs.base import SafetyEnv

from marvel_jax.config.hyper import Hyper
from marvel_jax.core.seeds import advance_seeds, devices_for, map_seeds
from marvel_jax.core.transitions import Transition
from marvel_jax.training import pretrain, stages
from marvel_jax.training.evaluate import Evaluation, evaluate
from marvel_jax.training.stages import Stage

_START, _ADVANCE, _EVALUATE = "start", "advance", "evaluate"


class Batch(struct.PyTreeNode):
    """Runs side by side.

    Attributes:
      hyper: Hyperparameters, every traced field `[runs]`.
      key: `[runs]` the seeds' keys.
    """

    hyper: Hyper
    key: jax.Array


class Program:
    """What a batch of runs does, compiled once for any number of batches.

    Args:
      env: The environment.
      dataset: `[N]` offline transitions; one copy on every device, whatever the number of runs.
      hyper: What is static in it shapes the program. Runs may differ in everything that is traced.
      count: Runs of a batch.
    """

    def __init__(self, env: SafetyEnv, dataset: Transition, hyper: Hyper, count: int):
        self.env, self.hyper, self.count = env, hyper, count
        self.plan = stages.plan(env, hyper)
        mesh = Mesh(devices_for(count), ("seeds",))
        self._by_run = NamedSharding(mesh, PartitionSpec("seeds"))
        self.dataset = jax.device_put(jax.tree.map(jnp.asarray, dataset), NamedSharding(mesh, PartitionSpec()))
        self.compile_seconds = 0.0  # that were waited for
        self._executables: dict[tuple[str, str], Future[Any]] = {}
        self._shapes: dict[str, Any] = {}

    def batch(self, hypers: Sequence[Hyper], seeds: Sequence[int]) -> Batch:
        """The runs with given hyperparameters and seeds, on the devices. Raises as `pretrain.check`."""
        if any(stage.name == stages.PRETRAIN for stage in self.plan):
            pretrain.check(hypers, self.dataset)
        stacked = jax.tree.map(lambda *values: jnp.asarray(values, jnp.float32), *hypers)
        keys = jax.vmap(jax.random.key)(jnp.asarray(seeds))
        return jax.device_put(Batch(stacked, keys), self._by_run)

    def place(self, states: Any) -> Any:
        """States of a batch's runs, on axis 0, where this program wants them."""
        return jax.device_put(states, self._by_run)

    def shapes(self, batch: Batch) -> dict[str, Any]:
        """Shapes and shardings of every stage's state, by name."""
        for stage in self.plan:
            if stage.name not in self._shapes:
                shapes = jax.eval_shape(_start_of(stage), batch, self._shapes)
                placed = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=self._by_run), shapes)
                self._shapes[stage.name] = placed
        return self._shapes

    def start(self, stage: Stage, batch: Batch, before: dict[str, Any]) -> Any:
        """The stage's first state, given the final states of those before it; runs on axis 0."""
        earlier = {name: self.place(before[name]) for name in self._before(stage)}
        return self.place(self._executable(_START, stage, batch)(batch, earlier))

    def advance(self, stage: Stage, batch: Batch, state: Any) -> tuple[Any, dict[str, Any]]:
        """One chunk of the stage; `state` is given away. Metrics have runs on axis 0."""
        return self.compiled(stage, batch)(self.dataset, batch.hyper, state)

    def compiled(self, stage: Stage, batch: Batch) -> Any:
        """A chunk of the stage as an executable."""
        return self._executable(_ADVANCE, stage, batch)

    def evaluate(self, batch: Batch, policies: Any, final: bool) -> Evaluation:
        """Fresh episodes `[runs, episodes]` of acting policies, by the keys of the final or the offline evaluation."""
        executable = self._executable(_EVALUATE, self.plan[-1], batch)
        return executable(jnp.asarray(final), (batch.hyper, self.place(policies), batch.key))

    def compile_ahead(self, batch: Batch, names: Sequence[str]) -> None:
        """Begins to compile what these stages need in the background, in the order in which it is needed."""
        for stage in self.plan:
            if stage.name in names:
                for kind in (_START, _EVALUATE, _ADVANCE) if stage.name == stages.FINETUNE else (_START, _ADVANCE):
                    self._begin(kind, stage, batch)

    def stop_compiling(self) -> None:
        """Gives up what has not begun, and waits for what has: both would hold up the end of the process."""
        self._executables = {name: work for name, work in self._executables.items() if not work.cancel()}
        wait(self._executables.values())

    def _executable(self, kind: str, stage: Stage, batch: Batch) -> Any:
        """One of a stage's compiled functions, as soon as it is there."""
        work, clock = self._begin(kind, stage, batch), time.monotonic()
        executable = work.result()
        self.compile_seconds += time.monotonic() - clock
        return executable

    def _begin(self, kind: str, stage: Stage, batch: Batch) -> Future[Any]:
        if (kind, stage.name) not in self._executables:
            function, *arguments = self._traceable(kind, stage, batch)
            self._executables[kind, stage.name] = _compilers().submit(lambda: function.lower(*arguments).compile())
        return self._executables[kind, stage.name]

    def _traceable(self, kind: str, stage: Stage, batch: Batch) -> tuple[Any, ...]:
        """A stage's function of a kind, and the shapes of its arguments."""
        shapes = self.shapes(batch)
        if kind == _START:
            return jax.jit(_start_of(stage)), batch, {name: shapes[name] for name in self._before(stage)}
        if kind == _ADVANCE:
            function = jax.jit(advance_seeds(_chunk_of(stage)), donate_argnums=2)
            return function, self.dataset, batch.hyper, shapes[stage.name]
        policies = shapes[stage.name].acting
        return jax.jit(map_seeds(self._evaluate_one)), jnp.asarray(True), (batch.hyper, policies, batch.key)

    def _before(self, stage: Stage) -> list[str]:
        """The stages that a stage follows."""
        names = [each.name for each in self.plan]
        return names[: names.index(stage.name)]

    def _evaluate_one(self, final: jax.Array, run: tuple[Hyper, Any, jax.Array]) -> Evaluation:
        hyper, policy, key = run
        keys, (problem, _, networks) = stages.stage_keys(key), stages.setting_of(self.env.spec, hyper)
        key = jnp.where(final, keys.evaluation, keys.offline_evaluation)
        return evaluate(self.env, problem, networks, policy, key, hyper.evaluation_episodes)


def host_is_free() -> bool:
    """Whether the host's cores can compile while runs go on: on a CPU these need them themselves."""
    return jax.default_backend() != "cpu"


@functools.cache
def _compilers() -> ThreadPoolExecutor:
    """Threads that compile."""
    cores = os.cpu_count() or 1
    return ThreadPoolExecutor(max(1, cores // 2) if host_is_free() else 1, "compile")


def _start_of(stage: Stage) -> Callable[[Batch, dict[str, Any]], Any]:
    each = map_seeds(lambda _, run: stage.start(*run))
    return lambda batch, before: each(None, (batch.hyper, batch.key, before))


def _chunk_of(stage: Stage) -> Callable[[Transition, Hyper, Any], tuple[Any, dict[str, jax.Array]]]:
    """A chunk of a stage, and what is shown after it."""

    def chunk(dataset: Transition, hyper: Hyper, state: Any) -> tuple[Any, dict[str, jax.Array]]:
        state, metrics = stage.advance(dataset, hyper, state, stage.chunk)
        return state, {**stage.watch(hyper, state), **metrics}

    return chunk


class OnDevice:
    """A stage that a program plays: what advances it, for `pipeline`.

    Attributes:
      chunk: Updates or iterations of one call of `advance`.
    """

    def __init__(self, program: Program, stage: Stage):
        self._program, self._stage, self.chunk = program, stage, stage.chunk

    def prepare(self, batch: Batch) -> None:
        """Waits until it is compiled."""
        self._program.compiled(self._stage, batch)

    def advance(self, batch: Batch, state: Any) -> tuple[Any, dict[str, Any]]:
        """As `Program.advance`."""
        return self._program.advance(self._stage, batch, state)
