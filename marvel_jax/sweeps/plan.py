"""How a sweep is cut: runs that share a program into groups, groups into chunks that fit the memory."""

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import marvel_envs
import numpy as np
from marvel_envs.base import SafetyEnv

from marvel_jax import stages
from marvel_jax.config import find_task
from marvel_jax.datasets import dataset as datasets
from marvel_jax.errors import UserError
from marvel_jax.program import Batch, Program
from marvel_jax.stages import Stage
from marvel_jax.sweeps import fields
from marvel_jax.sweeps.request import Point, Request
from marvel_jax.transitions import Transition

# On CPUs runs are done in turn, so that larger chunks gain nothing and lose more when they are interrupted.
CPU_RUNS_PER_DEVICE = 16
MEMORY_SHARE = 0.8  # of what is available
# Groups whose programs are kept. Each is thousands of mappings of memory on CPUs, and a process has some 65,000.
KEPT_GROUPS = 4


@dataclass(frozen=True)
class Run:
    """One seed of one point; `number` counts through the sweep."""

    number: int
    point: Point
    seed: int


@dataclass(frozen=True)
class Chunk:
    """Runs that are done together, in programs for `size` runs."""

    number: int
    group: int
    size: int
    runs: tuple[Run, ...]


@dataclass(frozen=True)
class Group:
    """Runs of one task that agree in all that is static."""

    task: str
    runs: tuple[Run, ...]

    @property
    def label(self) -> str:
        """The task and the methods."""
        return f"{self.task} ({', '.join(dict.fromkeys(run.point.method for run in self.runs))})"


def groups(request: Request, points: Sequence[Point]) -> list[Group]:
    """All runs, grouped, in order of the groups' first runs."""
    found: dict[Any, list[Run]] = {}
    for index, point in enumerate(points):
        members = found.setdefault((point.task, fields.static_part(point.hyper)), [])
        members += [
            Run(index * request.seeds + offset, point, request.first_seed + offset) for offset in range(request.seeds)
        ]
    return [Group(runs[0].point.task, tuple(runs)) for runs in found.values()]


def chunks(parts: Sequence[Group], sizes: Sequence[int]) -> list[Chunk]:
    """Each group's runs in chunks of its size; the last may have fewer runs."""
    found: list[Chunk] = []
    for index, (group, size) in enumerate(zip(parts, sizes, strict=True)):
        for first in range(0, len(group.runs), size):
            found.append(Chunk(len(found), index, size, group.runs[first : first + size]))
    return found


class Programs:
    """The programs of a sweep's groups, each compiled once for its chunk size, and only when it is needed.

    Only those of a few groups are kept; others come back from JAX's cache on disk. Programs of one task share its
    environment and its dataset on the devices.
    """

    def __init__(self, request: Request, parts: Sequence[Group]):
        self._request, self._parts = request, parts
        self._tasks: dict[str, tuple[SafetyEnv, Transition]] = {}
        self._made: dict[tuple[int, int], Program] = {}
        self._seconds_before = 0.0

    def get(self, group: int, size: int) -> Program:
        """The program of a group for chunks of a size. Raises a `UserError` for a dataset that cannot be used."""
        if (group, size) not in self._made:
            self._make_room(group)
            task = self._parts[group].task
            program = Program(*self.task(group), self._parts[group].runs[0].point.hyper, size)
            self._tasks[task] = program.env, program.dataset  # where it is now, no other program moves it again
            self._made[group, size] = program
        return self._made[group, size]

    def task(self, group: int) -> tuple[SafetyEnv, Transition]:
        """The environment and the dataset of a group. Raises as `get`."""
        task = self._parts[group].task
        if task not in self._tasks:
            path = self._request.datasets.get(task) or datasets.shipped_path(task)
            self._tasks[task] = marvel_envs.make(task), datasets.load(path, find_task(task)).transitions
        return self._tasks[task]

    def _make_room(self, group: int) -> None:
        """Lets the programs of the earliest group go, if there are too many."""
        groups = list(dict.fromkeys(made for made, _ in self._made))
        if group in groups or len(groups) < KEPT_GROUPS:
            return
        self.stop_compiling()  # or it would go on without its caches
        for key in [key for key in self._made if key[0] == groups[0]]:
            self._seconds_before += self._made.pop(key).compile_seconds
        jax.clear_caches()

    def stop_compiling(self) -> None:
        """As a program's, of all of them."""
        for program in self._made.values():
            program.stop_compiling()

    @property
    def datasets(self) -> dict[str, str]:
        """The request's, by task."""
        return self._request.datasets

    @staticmethod
    def even_size(runs: int, most: int) -> int:
        """The smallest batch for `runs` that the devices share evenly, up to `most`."""
        devices = jax.local_device_count()
        return min(-(-runs // devices) * devices, most)

    @property
    def compile_seconds(self) -> float:
        """Spent on compiling so far."""
        return self._seconds_before + sum(program.compile_seconds for program in self._made.values())

    @property
    def count(self) -> int:
        """How many there are: one per stage of each group."""
        return sum(len(self.stages(group)) for group in range(len(self._parts)))

    def stages(self, group: int) -> list[Stage]:
        """The stages of a group's runs, each of which is one program."""
        return stages.plan(self.task(group)[0], self._parts[group].runs[0].point.hyper)

    def batch(self, group: int, size: int, runs: Sequence[Run]) -> Batch:
        """The batch of a chunk's runs; the last is repeated to fill it up."""
        filled = [*runs, *[runs[-1]] * (size - len(runs))]
        return self.get(group, size).batch([run.point.hyper for run in filled], [run.seed for run in filled])


@dataclass(frozen=True)
class Memory:
    """Bytes that a group's program needs.

    Attributes:
      per_run: Of one run's state, at the moment when it is largest.
      shared: Of what does not grow with the number of runs: the dataset.
      compiled: Of one chunk by the compiled programs' own analysis, temporary arrays included.
    """

    per_run: int
    shared: int
    compiled: int


def choose_sizes(
    parts: Sequence[Group], programs: Programs, asked: int | None, say: Callable[[str], None]
) -> tuple[list[int], list[Memory]]:
    """The chunk size of each group, as large as memory allows, and what it needs. Compiles the groups' programs.

    Raises:
      UserError: If not even one run fits.
    """
    first_sizes = [_first_size(group, programs, index, asked) for index, group in enumerate(parts)]
    try:
        if len(parts) <= KEPT_GROUPS:  # all at once, where the hardware compiles side by side
            for index, (group, size) in enumerate(zip(parts, first_sizes, strict=True)):
                _begin(programs, index, size, group.runs)
        return _settle_sizes(parts, programs, first_sizes, asked is None, say)
    except BaseException:  # Ctrl-C among them: the process would go on compiling before it ends
        programs.stop_compiling()
        raise


def _settle_sizes(
    parts: Sequence[Group], programs: Programs, first_sizes: Sequence[int], free: bool, say: Callable[[str], None]
) -> tuple[list[int], list[Memory]]:
    """The chunk sizes, from `first_sizes` on, and what they need; smaller ones if they are free and do not fit."""
    sizes, needs = [], []
    for index, (group, size) in enumerate(zip(parts, first_sizes, strict=True)):
        say(f"compiling {group.label}: {len(group.runs)} runs")
        need = measure(programs, index, size, group.runs)
        while free and need.compiled > available() and size > 1:
            size = max(1, min(size - 1, int(size * available() / need.compiled)))
            need = measure(programs, index, size, group.runs)
        sizes.append(size)
        needs.append(need)
    return sizes, needs


def _first_size(group: Group, programs: Programs, index: int, asked: int | None) -> int:
    """By the shapes of the states alone."""
    devices, on_cpu = jax.local_device_count(), jax.default_backend() == "cpu"
    states: dict[str, Any] = {}
    for stage in programs.stages(index):
        states[stage.name] = jax.eval_shape(stage.start, group.runs[0].point.hyper, jax.random.key(0), states)
    per_run, shared = tree_bytes(states), tree_bytes(programs.task(index)[1])
    fitting = (available() - shared) // per_run
    if fitting < 1:
        raise UserError(
            f"{group.label}: one run needs {megabytes(per_run + shared)}, and {megabytes(available())} are available. "
            "Lower the budget (online.iterations, online.episodes) or the networks (hidden), or use another machine."
        )
    if asked is not None:
        return min(asked, len(group.runs))
    most = min(fitting, CPU_RUNS_PER_DEVICE * devices if on_cpu else fitting)
    count = math.ceil(len(group.runs) / most)
    even = math.ceil(len(group.runs) / count)  # chunks of equal size waste least of the last one
    return even if even < devices else min(math.ceil(even / devices) * devices, most // devices * devices or even)


def _begin(programs: Programs, index: int, size: int, runs: Sequence[Run]) -> tuple[Program, Batch]:
    """A group's program for chunks of a size, which begins to be compiled, and a chunk's batch."""
    program, batch = programs.get(index, size), programs.batch(index, size, runs[:size])
    program.compile_ahead(batch, [stage.name for stage in program.plan])
    return program, batch


def measure(programs: Programs, index: int, size: int, runs: Sequence[Run]) -> Memory:
    """What chunks of a size need, from shapes and from the compiled programs.

    All stages' states count, since those of earlier ones are there when the last one starts.
    """
    program, batch = _begin(programs, index, size, runs)
    states = program.shapes(batch)
    largest = max(program_bytes(program.compiled(stage, batch)) for stage in program.plan)
    every, last = tree_bytes(states), tree_bytes(states[program.plan[-1].name])
    return Memory(every // size, tree_bytes(program.dataset), largest + every - last)


def program_bytes(compiled: Any) -> int:
    """Bytes of arguments, results and temporaries, of all local devices where they share the host's memory."""
    found = compiled.memory_analysis()
    one = (
        found.argument_size_in_bytes + found.output_size_in_bytes + found.temp_size_in_bytes - found.alias_size_in_bytes
    )
    return one * (jax.local_device_count() if jax.default_backend() == "cpu" else 1)


def tree_bytes(tree: Any) -> int:
    """Bytes of all arrays of a tree, or of shapes."""
    total = 0
    for leaf in jax.tree.leaves(tree):
        itemsize = 8 if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) else np.dtype(leaf.dtype).itemsize
        total += math.prod(leaf.shape) * itemsize
    return total


def available() -> int:
    """Bytes that a sweep may use: a share of the devices' memory, or of what the host has left."""
    statistics = jax.local_devices()[0].memory_stats() if jax.default_backend() != "cpu" else None
    if statistics:
        return int(MEMORY_SHARE * statistics["bytes_limit"]) * jax.local_device_count()
    meminfo = Path("/proc/meminfo")
    if meminfo.exists():
        lines = dict(line.split(":", 1) for line in meminfo.read_text().splitlines())
        return int(MEMORY_SHARE * int(lines["MemAvailable"].split()[0]) * 1024)
    return int(MEMORY_SHARE * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2)


def megabytes(count: int) -> str:
    """Bytes for people."""
    return f"{count / 2**20:,.1f} MiB"
