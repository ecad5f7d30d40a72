"""The compiled programs of a sweep's groups."""

from collections.abc import Sequence

import jax
import marvel_envs
from marvel_envs.base import SafetyEnv

from marvel_jax.config.tasks import find_task
from marvel_jax.core.transitions import Transition
from marvel_jax.datasets.hdf5 import load_dataset, shipped_path
from marvel_jax.runs.program import Batch, Program
from marvel_jax.sweeps.plan import Group, Run
from marvel_jax.sweeps.request import Request
from marvel_jax.training import stages
from marvel_jax.training.stages import Stage

# Groups whose programs are kept. Each is thousands of mappings of memory on CPUs, and a process has some 65,000.
KEPT_GROUPS = 4


class Programs:
    """The programs of a sweep's groups, each compiled once for its chunk size, and only when it is needed.

    Only those of a few groups are kept; others come back from JAX's cache on disk. Programs of one task share its
    environment and its dataset on the devices.
    """

    def __init__(self, request: Request, groups: Sequence[Group]):
        self._request, self._groups = request, groups
        self._tasks: dict[str, tuple[SafetyEnv, Transition]] = {}
        self._made: dict[tuple[int, int], Program] = {}
        self._seconds_before = 0.0

    def get(self, group: int, size: int) -> Program:
        """The program of a group for chunks of a size. Raises a `UserError` for a dataset that cannot be used."""
        if (group, size) not in self._made:
            self._make_room(group)
            task = self._groups[group].task
            program = Program(*self.task(group), self._groups[group].runs[0].point.hyper, size)
            self._tasks[task] = program.env, program.dataset  # where it is now, no other program moves it again
            self._made[group, size] = program
        return self._made[group, size]

    def task(self, group: int) -> tuple[SafetyEnv, Transition]:
        """The environment and the dataset of a group. Raises as `get`."""
        task = self._groups[group].task
        if task not in self._tasks:
            path = self._request.datasets.get(task) or shipped_path(task)
            self._tasks[task] = marvel_envs.make(task), load_dataset(path, find_task(task)).transitions
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

    @property
    def all_kept(self) -> bool:
        """Whether no program is let go before the end."""
        return len(self._groups) <= KEPT_GROUPS

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
        return sum(len(self.stages(group)) for group in range(len(self._groups)))

    def stages(self, group: int) -> list[Stage]:
        """The stages of a group's runs, each of which is one program."""
        return stages.plan(self.task(group)[0], self._groups[group].runs[0].point.hyper)

    def batch(self, group: int, size: int, runs: Sequence[Run]) -> Batch:
        """The batch of a chunk's runs; the last is repeated to fill it up."""
        filled = [*runs, *[runs[-1]] * (size - len(runs))]
        return self.get(group, size).batch([run.point.hyper for run in filled], [run.seed for run in filled])
