"""`marvel sweep`."""

import os
import time
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from marvel_jax.commands._options import Flag, Output, Section
from marvel_jax.commands._shared import import_env_module, prepare_jax, writer_choice
from marvel_jax.commands._sweep_job import Job
from marvel_jax.config.errors import UserError
from marvel_jax.config.presets import PresetName
from marvel_jax.runs.folder import check_free

if TYPE_CHECKING:
    from marvel_jax.sweeps.request import Request


@dataclass(frozen=True)
class Processes:
    """Several processes that share a sweep."""

    distributed: Flag = False
    """Be one of several processes, as SLURM, Kubernetes or MPI tell `jax.distributed`; all need the same --out."""
    processes: int | None = None
    """Be one of that many processes, where nothing tells `jax.distributed`; all need the same --out."""
    process: int | None = None
    """Which of them this is, from 0."""


@dataclass(frozen=True)
class Options:
    """Run many points with many seeds: every task × method × combination × draw, from a TOML file, options or both."""

    file: Annotated[Path | None, tyro.conf.Positional, tyro.conf.arg(metavar="[FILE]")] = None
    """TOML file with any of: tasks, methods, seeds, seed, preset, draws, sampler, draw_seed, env_module, and tables
    fixed, product, draw, points (a list), datasets (see docs/sweeps.md). Options add to it and come first."""
    tasks: tuple[str, ...] = ()
    """Tasks, as listed by `marvel tasks`."""
    methods: tuple[str, ...] = ()
    """Methods, as listed by `marvel methods`. Default: marvel."""
    seeds: int | None = None
    """Seeds of each point. Default: 8."""
    seed: int | None = None
    """The first seed. Default: 0."""
    preset: PresetName | None = None
    """Defaults to start from, see `marvel run --help`. Default: cpu."""
    fixed: tuple[str, ...] = ()
    """FIELD=VALUE for all runs, such as online.iterations=20."""
    product: tuple[str, ...] = ()
    """FIELD=VALUE,VALUE,…: every combination is run, such as cost_limit=10,20,40."""
    draw: tuple[str, ...] = ()
    """FIELD=LOW:HIGH or FIELD=LOW:HIGH:log: a range to draw from."""
    draws: int | None = None
    """How many sets of values to draw. Default: 16."""
    sampler: Literal["sobol", "random"] | None = None
    """How to draw. Default: sobol, which fills the space evenly."""
    draw_seed: int | None = None
    """Seed of the draws. Default: 0."""
    datasets: tuple[str, ...] = ()
    """TASK=PATH of offline datasets, for tasks whose dataset does not come with the package."""
    env_module: str | None = None
    """A Python file or module of yours that registers environments."""
    out: Path | None = None
    """Sweep folder to make; must not exist or be empty. Default: sweeps/TIME."""
    chunk: int | None = None
    """Runs that are done together. Default: as many as fit the memory (on CPUs at most 16 per core)."""
    dry_run: Flag = False
    """Print the plan with memory, number of programs and estimated time, and do nothing."""
    resume: Path | None = None
    """Go on with an interrupted sweep in its own folder, to the same numbers."""
    processes: Annotated[Section[Processes], tyro.conf.arg(name="several processes")] = Processes()
    """Sharing a sweep among processes, on one machine or many."""
    output: Section[Output] = Output()
    """What is shown and written on the way."""


# Options that say how a sweep is gone on with, not what is in it.
WITH_RESUME = ("resume", "processes", "output")


def run(options: Options) -> int:
    """Runs a sweep, or goes on with one; returns the exit status."""
    from marvel_jax.sweeps.request import checked, expand

    processes = options.processes
    if options.resume is None:
        path = options.out or Path("sweeps") / time.strftime("%Y%m%d-%H%M%S")
        request = checked(_request(options))
        if not options.dry_run and not processes.distributed and not processes.process:
            check_free(path)
    else:
        path, request = options.resume, _resumed(options, options.resume)
    points = expand(request)
    _check(options, request)
    choice = writer_choice(options.output)
    prepare_jax(os.cpu_count() or 1)
    from marvel_jax.sweeps.hosts import join

    began = time.monotonic()
    share = join(processes)
    job = Job.make(path, request, points, options.output)
    if options.dry_run:
        return job.show_plan(options.chunk)
    if options.resume is None and share.index == 0:
        job.create(options.chunk)
    return job.run(share, choice, began)


def _request(options: Options) -> "Request":
    """The request of a file, with what options change in it."""
    from marvel_jax.sweeps.reading import assignments, lists, ranges, read_file
    from marvel_jax.sweeps.request import Request

    given: dict[str, Any] = {} if options.file is None else read_file(options.file)
    import_env_module(options.env_module or given.get("env_module"))
    changes = {
        "tasks": options.tasks,
        "methods": options.methods,
        "seeds": options.seeds,
        "first_seed": options.seed,
        "preset": options.preset,
        "draws": options.draws,
        "sampler": options.sampler,
        "draw_seed": options.draw_seed,
        "env_module": options.env_module,
    }
    given |= {name: value for name, value in changes.items() if value not in (None, ())}
    tables = {
        "fixed": assignments(options.fixed, "--fixed"),
        "product": lists(options.product),
        "draw": ranges(options.draw),
        "datasets": assignments(options.datasets, "--datasets"),
    }
    merged: dict[str, Any] = {name: {**given.get(name, {}), **table} for name, table in tables.items()}
    return Request(**{**given, **merged})


def _resumed(options: Options, path: Path) -> "Request":
    """The request of a sweep that is gone on with; refuses options that would change it."""
    from marvel_jax.sweeps.folder import SweepFolder

    request, _ = SweepFolder(path).read_plan()
    asked = [f.name for f in fields(Options) if f.name not in WITH_RESUME and getattr(options, f.name) != f.default]
    if asked:
        names = ", ".join("--" + name.replace("_", "-") for name in asked)
        raise UserError(f"--resume goes on with the sweep's own options; drop {names}, or start a new sweep.")
    if not os.access(path, os.W_OK):
        raise UserError(f"{path} cannot be written: no permission.")
    return request


def _check(options: Options, request: "Request") -> None:
    """Refuses what cannot work, before anything slow happens."""
    process, processes = options.processes.process, options.processes.processes
    if options.chunk is not None and options.chunk < 1:
        raise UserError(f"--chunk is {options.chunk}; give at least 1.")
    if (process is None) != (processes is None):
        raise UserError("Give --process and --processes together.")
    if process is not None and processes is not None and not 0 <= process < processes:
        raise UserError(f"--process is {process} of {processes}; give 0 to {processes - 1}.")
    for dataset in request.datasets.values():
        if not Path(dataset).is_file():
            raise UserError(f"There is no dataset at {dataset}.")
