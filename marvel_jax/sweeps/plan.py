"""How a sweep is cut: runs that share a program into groups, groups into chunks."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from marvel_jax.config import fields
from marvel_jax.sweeps.request import Point, Request


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


def group_runs(request: Request, points: Sequence[Point]) -> list[Group]:
    """All runs, grouped, in order of the groups' first runs."""
    found: dict[Any, list[Run]] = {}
    for index, point in enumerate(points):
        members = found.setdefault((point.task, fields.static_part(point.hyper)), [])
        members += [
            Run(index * request.seeds + offset, point, request.first_seed + offset) for offset in range(request.seeds)
        ]
    return [Group(runs[0].point.task, tuple(runs)) for runs in found.values()]


def chunks(groups: Sequence[Group], sizes: Sequence[int]) -> list[Chunk]:
    """Each group's runs in chunks of its size; the last may have fewer runs."""
    found: list[Chunk] = []
    for index, (group, size) in enumerate(zip(groups, sizes, strict=True)):
        for first in range(0, len(group.runs), size):
            found.append(Chunk(len(found), index, size, group.runs[first : first + size]))
    return found
