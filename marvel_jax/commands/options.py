"""What each command of `marvel` can be given; importable in milliseconds, without JAX."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro

from marvel_jax.config.hyper import Hyper
from marvel_jax.config.methods import METHODS
from marvel_jax.config.run import PRESET_SUMMARIES, PresetName, WriterName

SimulatorName = Literal["safety-gymnasium", "bullet-safety-gym"]
Flag = tyro.conf.FlagCreatePairsOff
_METHOD_HELP = f"Method; `marvel methods` explains them: {', '.join(METHODS)}."
_PRESET_HELP = "Defaults to start from: " + "; ".join(f"{n} ({s})" for n, s in PRESET_SUMMARIES.items()) + "."


@dataclass(frozen=True)
class StageOptions:
    """Options of every command that learns. Fields marked (static) are compiled in; all other numbers are traced."""

    task: tyro.conf.Positional[str] = ""
    """Task, as listed by `marvel tasks` (not needed with --resume or --config)."""
    preset: Annotated[PresetName, tyro.conf.arg(help=_PRESET_HELP)] = "cpu"
    method: Annotated[str, tyro.conf.arg(help=_METHOD_HELP)] = "marvel"
    seeds: int = 8
    """How many seeds to run as one batch."""
    seed: int = 0
    """The first seed."""
    out: Path | None = None
    """Run folder to make; must not exist or be empty. Default: runs/TASK-METHOD-TIME."""
    dataset: Path | None = None
    """Offline dataset in DSRL's HDF5 layout. Default: the one that comes with the package."""
    env_module: str | None = None
    """A Python file or module of yours that registers environments (see docs/your-own-environment.md)."""
    config: Path | None = None
    """Repeat a run: its config.json or folder gives task and defaults for all options."""
    resume: Path | None = None
    """Go on with an interrupted run in its own folder, to the same numbers as an uninterrupted one."""
    source: Annotated[Path | None, tyro.conf.arg(name="from")] = None
    """Take the finished stages of another run (its task, seeds and options become the defaults)."""
    writers: tuple[WriterName, ...] = ()
    """Also write the curves (means over seeds) to tensorboard/ or Weights & Biases (needs the extra `writers`; its mode
    and project are WANDB_MODE and WANDB_PROJECT)."""
    write_every: int = 1
    """Iterations between two points of those curves."""
    quiet: Flag[bool] = False
    """No progress; print only the run folder."""
    json: Flag[bool] = False
    """No progress; print the summary as one JSON object."""
    hyper: Annotated[Hyper, tyro.conf.arg(name="")] = field(default_factory=Hyper)


@dataclass(frozen=True)
class OnlineOptions(StageOptions):
    """Options of the commands that finetune."""

    simulator: SimulatorName | None = None
    """Play the online episodes, and evaluate, in the real simulator that the task is modelled on (needs the extra
    `simulators`)."""


class Run(OnlineOptions):
    """All stages: pretrain offline, align values and multiplier, finetune online, evaluate, draw figures."""


class Pretrain(StageOptions):
    """The offline stage alone: a policy and critics from a fixed dataset, by --algorithm."""


class Align(StageOptions):
    """Up to value pre-alignment: critics re-fitted to the online objective (use --from a pretrained run)."""


class Finetune(OnlineOptions):
    """The online stage under the cost limit (use --from a pretrained or aligned run), with evaluation and figures."""


@dataclass(frozen=True)
class Sweep:
    """Run many points with many seeds: every task × method × combination × draw, from a TOML file, options or both."""

    file: tyro.conf.Positional[Path | None] = None
    """TOML file with any of: tasks, methods, seeds, seed, preset, draws, sampler, draw_seed, env_module, and tables
    fixed, product, draw, points (a list), datasets (see docs/sweeps.md). Options add to it and come first."""
    tasks: tuple[str, ...] = ()
    """Tasks, as listed by `marvel tasks`."""
    methods: Annotated[tuple[str, ...], tyro.conf.arg(help="Methods (default: marvel), see `marvel run --help`.")] = ()
    seeds: int | None = None
    """Seeds of each point (default: 8)."""
    seed: int | None = None
    """The first seed (default: 0)."""
    preset: PresetName | None = None
    """Defaults to start from (default: cpu), see `marvel run --help`."""
    fixed: tuple[str, ...] = ()
    """FIELD=VALUE for all runs, such as online.iterations=20."""
    product: tuple[str, ...] = ()
    """FIELD=VALUE,VALUE,…: every combination is run, such as cost_limit=10,20,40."""
    draw: tuple[str, ...] = ()
    """FIELD=LOW:HIGH or FIELD=LOW:HIGH:log: a range to draw from."""
    draws: int | None = None
    """How many sets of values to draw (default: 16)."""
    sampler: Literal["sobol", "random"] | None = None
    """How to draw (default: sobol, which fills the space evenly)."""
    draw_seed: int | None = None
    """Seed of the draws (default: 0)."""
    datasets: tuple[str, ...] = ()
    """TASK=PATH of offline datasets, for tasks whose dataset does not come with the package."""
    env_module: str | None = None
    """A Python file or module of yours that registers environments."""
    out: Path | None = None
    """Sweep folder to make; must not exist or be empty. Default: sweeps/TIME."""
    chunk: int | None = None
    """Runs that are done together. Default: as many as fit the memory (on CPUs at most 16 per core)."""
    dry_run: Flag[bool] = False
    """Print the plan with memory, number of programs and estimated time, and do nothing."""
    resume: Path | None = None
    """Go on with an interrupted sweep in its own folder, to the same numbers."""
    distributed: Flag[bool] = False
    """Be one of several processes, as SLURM, Kubernetes or MPI tell `jax.distributed`; all need the same --out."""
    processes: int | None = None
    """Be one of that many processes, where nothing tells `jax.distributed`; all need the same --out."""
    process: int | None = None
    """Which of them this is, from 0."""
    writers: tuple[WriterName, ...] = ()
    """Also write the curves (means over a point's seeds in a chunk) to tensorboard/ or Weights & Biases (needs the
    extra `writers`; its mode and project are WANDB_MODE and WANDB_PROJECT)."""
    write_every: int = 1
    """Iterations between two points of those curves."""
    quiet: Flag[bool] = False
    """No progress; print only the sweep folder."""
    json: Flag[bool] = False
    """No progress; print the summary (or the plan) as one JSON object."""


@dataclass(frozen=True)
class Tasks:
    """List the tasks."""

    env_module: str | None = None
    """A Python file or module of yours that registers environments."""
    json: Flag[bool] = False
    """Print one JSON object per line."""


@dataclass(frozen=True)
class Methods:
    """List the methods that `marvel run --method` knows: what each does and what it changes."""

    env_module: str | None = None
    """A Python file or module of yours that adds methods (see docs/your-own-method.md)."""
    json: Flag[bool] = False
    """Print one JSON object per line."""


@dataclass(frozen=True)
class Collect:
    """Make an offline dataset: train behaviour policies at several cost limits, record them, thin the episodes."""

    task: tyro.conf.Positional[str]
    """Task, as listed by `marvel tasks`."""
    out: Path | None = None
    """HDF5 file to write; must not exist. Default: TASK.hdf5."""
    episodes: int = 300
    """Largest number of episodes to keep."""
    seed: int = 0
    """Seed of everything random."""
    limits: tuple[float, ...] = (5.0, 10.0, 20.0, 40.0, 80.0, 1000.0)
    """Cost limits of the behaviour policies, undiscounted cost per episode."""
    runs: int = 2
    """Training runs per cost limit."""
    iterations: int = 200
    """Training iterations of 5 episodes and 200 updates each; a multiple of --stages."""
    stages: int = 10
    """How often during training episodes are recorded."""
    episodes_per_stage: int = 10
    """Episodes recorded of each policy at each stage."""
    env_module: str | None = None
    """A Python file or module of yours that registers environments."""
    quiet: Flag[bool] = False
    """No progress."""


@dataclass(frozen=True)
class Dataset:
    """What a dataset offers under a cost limit: returns and costs of its episodes, and the best within the limit."""

    task: tyro.conf.Positional[str]
    """Task, as listed by `marvel tasks`."""
    dataset: Path | None = None
    """HDF5 file in DSRL's layout. Default: the one that comes with the package."""
    cost_limit: float | None = None
    """Undiscounted cost per episode. Default: the task's."""
    out: Path | None = None
    """PNG file to draw every episode's return and cost into; must not exist."""
    env_module: str | None = None
    """A Python file or module of yours that registers environments."""
    json: Flag[bool] = False
    """Print one JSON object."""


@dataclass(frozen=True)
class Evaluate:
    """Evaluate a run's policies in fresh episodes, with the mean action and sampled."""

    run: tyro.conf.Positional[Path]
    """Run folder."""
    episodes: int = 100
    """Episodes per seed and kind of policy."""
    seed: int = 1_000_000
    """Seed of the episodes."""
    stage: Literal["finetune", "pretrain"] = "finetune"
    """Which stage's policy."""
    confidence: float = 0.95
    """Confidence of the bounds on the mean policy's expected cost and on its probability to exceed the limit."""
    risk: float = 0.1
    """Share of episodes that may exceed the limit."""
    simulator: SimulatorName | None = None
    """Play the episodes in the real simulator that the task is modelled on as well (needs the extra `simulators`)."""
    render: Flag[bool] = False
    """Also write an episode of the first seed as an animation (GIF) and as an interactive page (HTML, which loads
    Brax's viewer from the network when it is opened)."""
    out: Path | None = None
    """Folder for what --render writes. Default: figures/ of the run."""
    json: Flag[bool] = False
    """Print one JSON object."""


@dataclass(frozen=True)
class Plot:
    """Draw the figures of one run, of several runs together, or of a sweep (with its table)."""

    runs: tyro.conf.Positional[tuple[Path, ...]]
    """Run folders, or one sweep folder."""
    out: Path | None = None
    """Folder for the PNG files. Default: figures/ of the (first) run."""


@dataclass(frozen=True)
class Compare:
    """Compare finished runs of one task, limit and budget: a table with intervals, and which differences hold up.

    Of a sweep all points are compared, in a table for each task, limit and budget."""

    runs: tyro.conf.Positional[tuple[Path, ...]]
    """Run folders, two or more, or one sweep folder."""
    reference: str | None = None
    """Label in the table of the one that the others are judged against. Default: the first."""
    out: Path | None = None
    """Folder to make, for the table as JSON, CSV and Markdown, and for figures."""
    json: Flag[bool] = False
    """Print one JSON object."""


DiagnosisPart = Literal["critics", "fixed", "initial", "gains"]


@dataclass(frozen=True)
class Diagnose:
    """What a finished run's critics, multiplier and gains were worth.

    critics: Q against Monte-Carlo values before and after value pre-alignment, at the dataset's states. fixed: the
    online stage under fixed multipliers, and the best of them. initial: from other first multipliers. gains: a map of
    K_p and K_i."""

    run: tyro.conf.Positional[Path]
    """Run folder."""
    parts: tuple[DiagnosisPart, ...] = ("critics", "fixed", "initial", "gains")
    """Which parts."""
    states: int = 256
    """States at which critics are compared with the truth."""
    seeds: int = 2
    """How many of the run's seeds finetune again, at every point of a grid."""
    seed: int = 0
    """Seed of the chosen states."""
    out: Path | None = None
    """Folder to make. Default: diagnosis/ of the run."""
    json: Flag[bool] = False
    """No progress; print one JSON object."""


@dataclass(frozen=True)
class Parity:
    """Measure a task against a recording of the simulator it models."""

    task: tyro.conf.Positional[str]
    """Task, as listed by `marvel tasks`."""
    recording: Path | None = None
    """Recording (.npz) of the source simulator. Default: the one that comes with the package."""
    json: Flag[bool] = False
    """Print one JSON object, with errors per recorded episode too."""
