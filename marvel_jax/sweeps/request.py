"""What a sweep is asked to do, checked, and expanded into points. Without JAX."""

import dataclasses
import itertools
from dataclasses import dataclass, field
from typing import Any, Literal

from marvel_jax.config import fields
from marvel_jax.config.check import check
from marvel_jax.config.errors import UserError
from marvel_jax.config.hyper import Hyper, override
from marvel_jax.config.presets import PresetName, layered
from marvel_jax.config.run_config import RunConfig

Sampler = Literal["sobol", "random"]


@dataclass(frozen=True)
class Range:
    """Values of one hyperparameter to draw from, evenly, or evenly in their logarithm."""

    low: float
    high: float
    log: bool = False

    def at(self, share: float) -> float:
        """The value a `share` in [0, 1) of the way up."""
        if self.log:
            return self.low * (self.high / self.low) ** share
        return self.low + share * (self.high - self.low)


@dataclass(frozen=True)
class Request:
    """A sweep: every task × method × point × combination × draw, with every seed.

    Attributes:
      tasks, methods: Names.
      first_seed, seeds: Each point is run with seeds first_seed … first_seed + seeds − 1.
      preset: Defaults to start from.
      fixed: Hyperparameters by dotted path, the same for all runs.
      by_method: The same, for the runs of one method.
      product: Lists of values, of which every combination is run.
      points: Explicit sets of values.
      draw: Ranges, from which `draws` sets of values are drawn.
      draws, sampler, draw_seed: How many, how (a Sobol sequence fills the space evenly), and from which seed.
      datasets: Paths of offline datasets by task; the package's own for others.
      env_module: A user's module that registers tasks.
    """

    tasks: tuple[str, ...] = ()
    methods: tuple[str, ...] = ("marvel",)
    first_seed: int = 0
    seeds: int = 8
    preset: PresetName = "cpu"
    fixed: dict[str, Any] = field(default_factory=dict)
    by_method: dict[str, dict[str, Any]] = field(default_factory=dict)
    product: dict[str, list[Any]] = field(default_factory=dict)
    points: tuple[dict[str, Any], ...] = ()
    draw: dict[str, Range] = field(default_factory=dict)
    draws: int = 16
    sampler: Sampler = "sobol"
    draw_seed: int = 0
    datasets: dict[str, str] = field(default_factory=dict)
    env_module: str | None = None


@dataclass(frozen=True)
class Point:
    """What all seeds of one setting share; `changes` are the hyperparameters in which points differ."""

    task: str
    method: str
    changes: dict[str, Any]
    hyper: Hyper

    @property
    def cost_limit(self) -> float:
        """d, in undiscounted cost per episode."""
        assert self.hyper.cost_limit is not None  # the task's layer sets it
        return float(self.hyper.cost_limit)

    @property
    def label(self) -> str:
        """The method and what was changed, in a few words."""
        return ", ".join([self.method, *changes_in_words(self.changes)])


def changes_in_words(changes: dict[str, Any]) -> list[str]:
    """Each hyperparameter with its value in three digits."""
    return [f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}" for name, value in changes.items()]


def checked(request: Request) -> Request:
    """The request with every value converted to its field's type.

    Raises:
      UserError: Saying what is wrong with it, before anything is done.
    """
    if not request.tasks:
        raise UserError("Which tasks? Give --tasks, such as BallCircle; `marvel tasks` lists them.")
    for name in ("seeds", "draws"):
        if getattr(request, name) < 1:
            raise UserError(f"{name} is {getattr(request, name)}; give at least 1.")
    for name, limits in request.draw.items():
        _check_range(name, limits)
    for name, values in request.product.items():
        if not isinstance(values, list) or not values:
            raise UserError(f"product: {name} must be a list of one value or more.")
    varied = [*request.product, *request.draw, *{name for point in request.points for name in point}]
    for own in request.by_method.values() or ({},):
        together = [*varied, *request.fixed, *own]
        for name in together:
            if together.count(name) > 1:
                raise UserError(f"{name} is given twice; give it once, as fixed, by_method, product, points or draw.")
    for method in request.by_method:
        if method not in request.methods:
            raise UserError(f"by_method: {method} is not among the methods of this sweep.")
    for task in request.datasets:
        if task not in request.tasks:
            raise UserError(f"datasets: {task} is not among the tasks of this sweep.")
    return dataclasses.replace(
        request,
        fixed={name: fields.value(name, value) for name, value in request.fixed.items()},
        by_method={
            method: {name: fields.value(name, value) for name, value in own.items()}
            for method, own in request.by_method.items()
        },
        product={name: [fields.value(name, value) for value in values] for name, values in request.product.items()},
        points=tuple({name: fields.value(name, value) for name, value in p.items()} for p in request.points),
    )


def _check_range(name: str, limits: Range) -> None:
    found = fields.find(name)
    if not found.continuous:
        raise UserError(f"{name} is static: each value needs a program of its own. List its values (--product).")
    if not limits.low < limits.high:
        raise UserError(f"The range of {name} is {limits.low:g} to {limits.high:g}; give the lower end first.")
    if limits.log and limits.low <= 0:
        raise UserError(f"The range of {name} starts at {limits.low:g}; a logarithmic one must start above 0.")


def expand(request: Request) -> list[Point]:
    """All points of a checked request, in order.

    Raises:
      UserError: If one of them cannot run.
    """
    combinations = [
        dict(zip(request.product, values, strict=True)) for values in itertools.product(*request.product.values())
    ]
    points = []
    for task, method in itertools.product(request.tasks, request.methods):
        own = {**request.fixed, **request.by_method.get(method, {})}
        base = layered(request.preset, task, method, **own)
        for parts in itertools.product(request.points or ({},), combinations, _draws(request)):
            changes = {name: value for part in parts for name, value in part.items()}
            point = Point(task, method, changes, override(base, **changes))
            _check_point(request, point)
            points.append(point)
    return points


def _draws(request: Request) -> list[dict[str, Any]]:
    if not request.draw:
        return [{}]
    from scipy.stats import qmc  # slow to import

    names = list(request.draw)
    if request.sampler == "sobol":
        bits = (request.draws - 1).bit_length()
        engine = qmc.Sobol(len(names), seed=request.draw_seed)  # pyright: ignore[reportCallIssue]
        shares = engine.random_base2(bits)[: request.draws]
    else:
        import numpy as np

        shares = np.random.default_rng(request.draw_seed).uniform(size=(request.draws, len(names)))
    return [{n: request.draw[n].at(float(s)) for n, s in zip(names, row, strict=True)} for row in shares]


def _check_point(request: Request, point: Point) -> None:
    dataset = request.datasets.get(point.task)
    config = RunConfig(
        task=point.task,
        method=point.method,
        first_seed=request.first_seed,
        seeds=request.seeds,
        dataset=dataset,
        hyper=point.hyper,
        preset=request.preset,
    )
    try:
        check(config)
    except UserError as error:
        raise UserError(f"{point.task}, {point.label}: {error}" if point.changes else str(error)) from None


def to_json(request: Request) -> dict[str, Any]:
    """The request as JSON's types."""
    return dataclasses.asdict(request)


def from_json(data: dict[str, Any]) -> Request:
    """A request from `to_json`'s result, checked anew; raises as `checked`, or `TypeError` for another version's."""
    values = dict(data)
    values["draw"] = {name: Range(**limits) for name, limits in values["draw"].items()}
    for name in ("tasks", "methods", "points"):
        values[name] = tuple(values[name])
    return checked(Request(**values))
