"""The `marvel` command: arguments in, a call, files and tables out. JAX is imported only by commands that compute."""

import contextlib
import dataclasses
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
from marvel_envs.tasks import TASKS

from marvel_jax import config as configuration
from marvel_jax import runfolder
from marvel_jax.config import PRESET_SUMMARIES, PresetName, RunConfig
from marvel_jax.errors import UserError
from marvel_jax.hyper import Hyper
from marvel_jax.methods import METHODS, SUMMARIES
from marvel_jax.runfolder import RunFolder

Flag = tyro.conf.FlagCreatePairsOff
_METHOD_HELP = "Method: " + "; ".join(f"{name} ({SUMMARIES[name]})" for name in METHODS) + "."
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
    config: Path | None = None
    """Repeat a run: its config.json or folder gives task and defaults for all options."""
    resume: Path | None = None
    """Go on with an interrupted run in its own folder, to the same numbers as an uninterrupted one."""
    source: Annotated[Path | None, tyro.conf.arg(name="from")] = None
    """Take the finished stages of another run (its task, seeds and options become the defaults)."""
    quiet: Flag[bool] = False
    """No progress; print only the run folder."""
    json: Flag[bool] = False
    """No progress; print the summary as one JSON object."""
    hyper: Annotated[Hyper, tyro.conf.arg(name="")] = dataclasses.field(default_factory=Hyper)


class Run(StageOptions):
    """All stages: pretrain offline, align values and multiplier, finetune online, evaluate, draw figures."""


class Pretrain(StageOptions):
    """The offline stage alone: a policy and critics from a fixed dataset (CPQ)."""


class Align(StageOptions):
    """Up to value pre-alignment: critics re-fitted to the online objective (use --from a pretrained run)."""


class Finetune(StageOptions):
    """The online stage under the cost limit (use --from a pretrained or aligned run), with evaluation and figures."""


@dataclass(frozen=True)
class Tasks:
    """List the tasks."""

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
    quiet: Flag[bool] = False
    """No progress."""


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
    json: Flag[bool] = False
    """Print one JSON object."""


@dataclass(frozen=True)
class Plot:
    """Draw the figures of one run, or of several runs together."""

    runs: tyro.conf.Positional[tuple[Path, ...]]
    """Run folders."""
    out: Path | None = None
    """Folder for the PNG files. Default: figures/ of the (first) run."""


@dataclass(frozen=True)
class Parity:
    """Measure a task against a recording of the simulator it models."""

    task: tyro.conf.Positional[str]
    """Task, as listed by `marvel tasks`."""
    recording: Path | None = None
    """Recording (.npz) of the source simulator. Default: the one that comes with the package."""
    json: Flag[bool] = False
    """Print one JSON object, with errors per recorded episode too."""


COMMANDS: dict[str, type] = {
    "run": Run,
    "pretrain": Pretrain,
    "align": Align,
    "finetune": Finetune,
    "evaluate": Evaluate,
    "plot": Plot,
    "collect": Collect,
    "tasks": Tasks,
    "parity": Parity,
}


def main(argv: list[str] | None = None) -> None:
    """Entry point of `marvel`. Exits with 0, with 2 after a wrong request, and with 130 after an interruption."""
    arguments = sys.argv[1:] if argv is None else argv
    try:
        sys.exit(_dispatch(arguments))
    except UserError as error:
        print(f"marvel: error: {error}", file=sys.stderr)
        sys.exit(2)
    except BrokenPipeError:
        sys.exit(1)


def _dispatch(arguments: list[str]) -> int:
    if arguments and arguments[0] in COMMANDS:
        name = arguments[0]
        kind = COMMANDS[name]
        default = _stage_defaults(kind, arguments[1:]) if issubclass(kind, StageOptions) else None
        keywords: dict[str, Any] = {} if default is None else {"default": default}
        options = tyro.cli(
            kind, args=arguments[1:], prog=f"marvel {name}", description=kind.__doc__, config=_TYRO, **keywords
        )
        return _HANDLERS[name](options)
    tyro.extras.subcommand_cli_from_dict(
        COMMANDS,
        args=arguments or ["--help"],
        prog="marvel",
        description="Offline-to-online safe reinforcement learning in JAX. Try: marvel run BallCircle --preset quick",
        config=_TYRO,
    )
    return 0


_TYRO = (tyro.conf.OmitSubcommandPrefixes,)


# Commands that learn -----------------------------------------------------------------------------------------------


def _stage_defaults(kind: type, arguments: list[str]) -> StageOptions:
    """The option defaults that --preset, --method, --config, --resume and --from imply."""

    def given(option: str) -> str | None:
        for index, argument in enumerate(arguments):
            if argument == option and index + 1 < len(arguments):
                return arguments[index + 1]
            if argument.startswith(option + "="):
                return argument.partition("=")[2]
        return None

    for option in ("--resume", "--config", "--from"):
        path = given(option)
        if path is not None:
            saved = configuration.read(Path(path))
            return _with_config(kind, saved, method=given("--method"))
    preset = given("--preset") or "cpu"
    if preset not in PRESET_SUMMARIES:
        return kind()  # the parser itself will say what is wrong
    method = given("--method") or "marvel"
    return kind(
        preset=preset,
        method=method,
        seeds=configuration.preset_seeds(preset),
        hyper=configuration.preset_hyper(preset, method, next((a for a in arguments if a in TASKS), "")),
    )


def _with_config(kind: type, saved: RunConfig, method: str | None) -> StageOptions:
    hyper = saved.hyper
    if method is not None:
        hyper = dataclasses.replace(hyper, method=configuration.preset_hyper("cpu", method, "").method)
    return kind(
        task=saved.task,
        method=method or saved.method,
        seeds=saved.seeds,
        seed=saved.first_seed,
        dataset=None if saved.dataset is None else Path(saved.dataset),
        hyper=hyper,
    )


def _run_config(options: StageOptions) -> RunConfig:
    if not options.task:
        raise UserError("Which task? Give its name, such as BallCircle; `marvel tasks` lists them.")
    config = RunConfig(
        task=options.task,
        method=options.method,
        first_seed=options.seed,
        seeds=options.seeds,
        dataset=None if options.dataset is None else str(options.dataset),
        hyper=options.hyper,
    )
    configuration.check(config)
    if options.dataset is not None and not options.dataset.is_file():
        raise UserError(
            f"There is no dataset at {options.dataset}. Make one with: "
            f"marvel collect {options.task} --out {options.dataset}"
        )
    return config


def _open_folder(options: StageOptions, config: RunConfig) -> RunFolder:
    """The folder to resume in, or a new one; refuses before anything slow happens."""
    if options.resume is not None:
        if config != configuration.read(options.resume):
            raise UserError("--resume goes on with the run's own options; drop the others, or start a new run.")
        if not os.access(options.resume, os.W_OK):
            raise UserError(f"{options.resume} cannot be written: no permission.")
        return RunFolder(options.resume)
    if options.source is not None:
        saved = configuration.read(options.source)
        mine = (config.task, config.first_seed, config.seeds)
        if mine != (saved.task, saved.first_seed, saved.seeds):
            raise UserError(
                f"--from {options.source} is a run of {saved.task} with seeds {saved.first_seed} to "
                f"{saved.first_seed + saved.seeds - 1}; use the same task and seeds."
            )
    path = options.out or runfolder.default_path(config)
    runfolder.check_free(path)
    return RunFolder(path)


def _learn(options: StageOptions, last: str) -> int:
    config = _run_config(options)
    folder = _open_folder(options, config)
    if options.resume is not None and folder.summary.exists():
        return _show(options, folder)
    _prepare_jax(config.seeds)
    from marvel_jax.console import Reporter
    from marvel_jax.pipeline import Interrupted, Pipeline

    source = None if options.source is None else RunFolder(options.source)
    reporter = Reporter(quiet=options.quiet or options.json)
    pipeline = Pipeline(config, folder, reporter, source)
    if options.resume is None:
        runfolder.create(folder.path, config)
    try:
        outcome = pipeline.run(last)
    except Interrupted:
        print(f"Interrupted. Everything is saved; go on with: marvel run --resume {folder.path}", file=sys.stderr)
        return 130
    except UserError:
        if options.resume is None:
            runfolder.discard_unused(folder)
        raise
    if outcome.final is None:
        print(json.dumps({"run": str(folder.path)}) if options.json else folder.path)
        return 0
    _finish(config, folder, pipeline)
    return _show(options, folder)


def _finish(config: RunConfig, folder: RunFolder, pipeline: Any) -> None:
    """Writes the summary and the figures of a run that is done."""
    import jax

    from marvel_jax.report.summarize import summarize

    outcome = pipeline.outcome
    device = jax.devices()[0]
    name = f"{device.device_kind} × {jax.device_count()} ({os.cpu_count()} CPU cores)"
    task = configuration.find_task(config.task)
    result = summarize(config, task, pipeline.metrics.rows, outcome.offline, outcome.final, outcome.seconds, name)
    _draw([folder], folder.figures, {folder.path: result})
    runfolder.write_json(folder.summary, result)


def _show(options: StageOptions, folder: RunFolder) -> int:
    result = folder.read_summary()
    if options.json:
        print(json.dumps({**result, "run": str(folder.path)}))
    elif options.quiet:
        print(folder.path)
    else:
        from marvel_jax.report.tables import print_summary

        print_summary(result, str(folder.path))
    return 0


def _prepare_jax(seeds: int) -> None:
    """Settings that must precede JAX's first computation: one CPU device per core, and a compile cache on disk."""
    import jax

    with contextlib.suppress(RuntimeError):  # inside a program that already uses JAX, its devices stay as they are
        jax.config.update("jax_num_cpu_devices", max(1, min(os.cpu_count() or 1, seeds)))
    if not os.environ.get("JAX_COMPILATION_CACHE_DIR"):
        home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        jax.config.update("jax_compilation_cache_dir", str(home / "marvel_jax"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)


# Other commands ----------------------------------------------------------------------------------------------------


def _tasks(options: Tasks) -> int:
    if options.json:
        for spec in TASKS.values():
            print(json.dumps(dataclasses.asdict(spec)))
        return 0
    from rich.console import Console
    from rich.table import Table

    table = Table("task", "steps", "obs", "act", "limit", "what to do", "models")
    for spec in TASKS.values():
        sizes = (str(spec.episode_length), str(spec.observation_size), str(spec.action_size))
        table.add_row(spec.name, *sizes, f"{spec.cost_limit:g}", spec.summary, spec.source)
    Console().print(table)
    return 0


def _collect(options: Collect) -> int:
    spec = configuration.find_task(options.task)
    counts = ("episodes", "runs", "iterations", "stages", "episodes_per_stage")
    for name in counts:
        if getattr(options, name) < 1:
            raise UserError(f"--{name.replace('_', '-')} is {getattr(options, name)}; give at least 1.")
    if options.iterations % options.stages:
        raise UserError(f"--iterations {options.iterations} is not a multiple of --stages {options.stages}.")
    if not options.limits or min(options.limits) < 0:
        raise UserError(f"--limits is {options.limits}; give one or more costs of 0 or more.")
    out = options.out or Path(f"{spec.name}.hdf5")
    if out.exists():
        raise UserError(f"{out} exists, and nothing is overwritten. Give another --out.")
    if not out.absolute().parent.is_dir() or not os.access(out.absolute().parent, os.W_OK):
        raise UserError(f"{out} cannot be written. Give an --out in a folder that exists and is writable.")
    _prepare_jax(options.runs * len(options.limits))
    import jax
    import marvel_envs

    from marvel_jax.console import Reporter
    from marvel_jax.datasets import dataset as datasets
    from marvel_jax.datasets.collect import behaviour_hyper, collect

    with Reporter(options.quiet) as reporter:
        reporter.begin("collect", "stages", options.stages)
        made = collect(
            marvel_envs.make(spec.name),
            behaviour_hyper(options.iterations),
            jax.random.key(options.seed),
            cost_limits=options.limits,
            runs=options.runs,
            stages=options.stages,
            episodes_per_stage=options.episodes_per_stage,
            keep=options.episodes,
            report=reporter.update,
        )
    datasets.save(out, made, "marvel " + " ".join(["collect", *_changed(options)]))
    returns, costs = made.episode_sums()
    print(
        f"{out}: {len(returns)} episodes, {len(made.ends)} steps, return {returns.min():.0f} to {returns.max():.0f}, "
        f"cost {costs.min():.0f} to {costs.max():.0f}"
    )
    return 0


def _changed(options: Collect) -> list[str]:
    """The options of `marvel collect` that decide the data and differ from their defaults, as typed."""
    words = [options.task]
    for field in dataclasses.fields(options):
        value = getattr(options, field.name)
        if field.name not in ("task", "out", "quiet") and (
            value != field.default or field.name in ("episodes", "seed")
        ):
            values = value if isinstance(value, tuple) else (value,)
            words += [f"--{field.name.replace('_', '-')}", *(f"{v:g}" for v in values)]
    return words


def _evaluate(options: Evaluate) -> int:
    if options.episodes < 1:
        raise UserError(f"--episodes is {options.episodes}; give at least 1.")
    config = configuration.read(options.run)
    configuration.check(config)
    folder = RunFolder(options.run)
    _prepare_jax(config.seeds)
    from marvel_jax.report.evaluation import evaluate_run

    result = evaluate_run(config, folder, options.stage, options.episodes, options.seed)
    if options.json:
        print(json.dumps(result))
        return 0
    from marvel_jax.report.tables import print_evaluation

    print_evaluation(result)
    return 0


def _plot(options: Plot) -> int:
    if not options.runs:
        raise UserError("Which runs? Give one run folder or more.")
    folders = [RunFolder(path) for path in options.runs]
    out = options.out or folders[0].figures
    for path in _draw(folders, out, {folder.path: folder.read_summary() for folder in folders}):
        print(path)
    return 0


def _draw(folders: list[RunFolder], out: Path, summaries: dict[Path, dict[str, Any]]) -> list[Path]:
    from marvel_jax import metrics
    from marvel_jax.report import figures

    methods = [summaries[folder.path]["method"] for folder in folders]
    labels = methods if len(set(methods)) == len(methods) else [folder.path.name for folder in folders]
    data = [
        figures.RunData(label, metrics.read(folder.metrics).rows, summaries[folder.path])
        for label, folder in zip(labels, folders, strict=True)
    ]
    try:
        return figures.draw(data, out)
    except OSError as error:
        raise UserError(f"{out} cannot be written ({error.strerror}). Give another --out.") from None


def _parity(options: Parity) -> int:
    spec = configuration.find_task(options.task)
    _prepare_jax(1)
    import marvel_envs
    from marvel_envs import parity

    env = marvel_envs.make(spec.name)
    path = options.recording or parity.shipped_recording(spec.name)
    try:
        result = parity.parity(env, parity.load_recording(path, env))
    except ValueError as error:
        raise UserError(str(error)) from None
    if options.json:
        print(json.dumps(result))
        return 0
    from marvel_jax.report.tables import print_parity

    print_parity(result)
    return 0


_HANDLERS: dict[str, Any] = {
    "run": lambda options: _learn(options, "finetune"),
    "pretrain": lambda options: _learn(options, "pretrain"),
    "align": lambda options: _learn(options, "align"),
    "finetune": lambda options: _learn(options, "finetune"),
    "evaluate": _evaluate,
    "plot": _plot,
    "collect": _collect,
    "tasks": _tasks,
    "parity": _parity,
}
