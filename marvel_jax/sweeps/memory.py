"""How large chunks can be: what runs need, by their shapes and by the compiled programs, and what there is."""

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from marvel_jax.config.errors import UserError
from marvel_jax.runs.program import Batch, Program
from marvel_jax.sweeps.plan import Group, Run
from marvel_jax.sweeps.programs import Programs

# On CPUs runs are done in turn, so that larger chunks gain nothing and lose more when they are interrupted.
CPU_RUNS_PER_DEVICE = 16
MEMORY_SHARE = 0.8  # of what is available


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
    groups: Sequence[Group], programs: Programs, asked: int | None, say: Callable[[str], None]
) -> tuple[list[int], list[Memory]]:
    """The chunk size of each group, as large as memory allows, and what it needs. Compiles the groups' programs.

    Raises:
      UserError: If not even one run fits.
    """
    first_sizes = sizes_by_shape(groups, programs, asked)
    try:
        if programs.all_kept:  # all at once, where the hardware compiles side by side
            for index, (group, size) in enumerate(zip(groups, first_sizes, strict=True)):
                _begin(programs, index, size, group.runs)
        return _settle_sizes(groups, programs, first_sizes, asked is None, say)
    except BaseException:  # Ctrl-C among them: the process would go on compiling before it ends
        programs.stop_compiling()
        raise


def sizes_by_shape(groups: Sequence[Group], programs: Programs, asked: int | None) -> list[int]:
    """The chunk size of each group by the shapes of the states alone, without compiling anything. Raises likewise."""
    return [_first_size(group, programs, index, asked) for index, group in enumerate(groups)]


def _settle_sizes(
    groups: Sequence[Group], programs: Programs, first_sizes: Sequence[int], free: bool, say: Callable[[str], None]
) -> tuple[list[int], list[Memory]]:
    """The chunk sizes, from `first_sizes` on, and what they need; smaller ones if they are free and do not fit."""
    sizes, needs = [], []
    for index, (group, size) in enumerate(zip(groups, first_sizes, strict=True)):
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
