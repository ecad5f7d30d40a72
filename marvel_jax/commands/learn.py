"""The commands that learn: run, pretrain, align, finetune."""

import dataclasses
import json
import os
import sys
from pathlib import Path
from typing import Any

from marvel_envs.tasks import TASKS

from marvel_jax.commands.options import OnlineOptions, StageOptions
from marvel_jax.commands.shared import device_name, draw_runs, prepare_jax, writer_choice
from marvel_jax.config import run as configuration
from marvel_jax.config.errors import UserError
from marvel_jax.config.run import PRESET_SUMMARIES, RunConfig
from marvel_jax.runs.folder import RunFolder, check_free, create, default_path, discard_unused, write_json
from marvel_jax.runs.interruption import Interrupted


def given_value(arguments: list[str], option: str) -> str | None:
    """What follows an option on the command line, if it is there."""
    for index, argument in enumerate(arguments):
        if argument == option and index + 1 < len(arguments):
            return arguments[index + 1]
        if argument.startswith(option + "="):
            return argument.partition("=")[2]
    return None


def stage_defaults(kind: type, arguments: list[str]) -> StageOptions:
    """The option defaults that --preset, --method, --config, --resume and --from imply."""

    def given(option: str) -> str | None:
        return given_value(arguments, option)

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
        hyper = configuration.with_method(hyper, method)
    return kind(
        task=saved.task,
        method=method or saved.method,
        seeds=saved.seeds,
        seed=saved.first_seed,
        dataset=None if saved.dataset is None else Path(saved.dataset),
        hyper=hyper,
        env_module=saved.env_module,
        **({"simulator": saved.simulator} if issubclass(kind, OnlineOptions) else {}),
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
        simulator=getattr(options, "simulator", None),
        env_module=None if options.env_module is None else _absolute(options.env_module),
    )
    configuration.check(config)
    if options.dataset is not None and not options.dataset.is_file():
        raise UserError(
            f"There is no dataset at {options.dataset}. Make one with: "
            f"marvel collect {options.task} --out {options.dataset}"
        )
    return config


def _absolute(module: str) -> str:
    """A file's path that holds from any working directory; a dotted name as it is."""
    return str(Path(module).resolve()) if module.endswith(".py") else module


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
    path = options.out or default_path(config)
    check_free(path)
    return RunFolder(path)


def learn(options: StageOptions, last: str) -> int:
    """Runs the stages up to `last`, in a new run folder or a resumed one; returns the exit status."""
    config = _run_config(options)
    choice = writer_choice(options)
    folder = _open_folder(options, config)
    if options.resume is not None and folder.summary.exists():
        return _show(options, folder)
    prepare_jax(config.seeds)
    from marvel_jax.runs import pipeline as pipelines
    from marvel_jax.runs import writers
    from marvel_jax.runs.console import Reporter

    source = None if options.source is None else RunFolder(options.source)
    reporter = Reporter(quiet=options.quiet or options.json)
    pipeline = pipelines.of_run(config, folder, reporter, source)
    if options.resume is None:
        create(folder.path, config)
    try:
        series = [config.method] * config.seeds
        with writers.opened(choice, folder.path, series, dataclasses.asdict(config)) as pipeline.writers:
            outcome = pipeline.run(last)
    except Interrupted:
        print(f"Interrupted. Everything is saved; go on with: marvel run --resume {folder.path}", file=sys.stderr)
        return 130
    except OSError as error:
        raise UserError(
            f"{folder.path} can no longer be written ({error.strerror}). Make room, and go on with: "
            f"marvel run --resume {folder.path}"
        ) from None
    except UserError:
        if options.resume is None:
            discard_unused(folder)
        raise
    if outcome.final is None:
        print(json.dumps({"run": str(folder.path)}) if options.json else folder.path)
        return 0
    _finish(config, folder, pipeline)
    return _show(options, folder)


def _finish(config: RunConfig, folder: RunFolder, pipeline: Any) -> None:
    """Writes the summary and the figures of a run that is done."""
    from marvel_jax.report.pictures import draw_trajectories
    from marvel_jax.report.summarize import summarize

    outcome = pipeline.outcome
    task = configuration.find_task(config.task)
    result = summarize(
        config, task, pipeline.metrics.rows, outcome.offline, outcome.final, outcome.seconds, device_name()
    )
    draw_runs([folder], folder.figures, {folder.path: result})
    draw_trajectories(config, pipeline, folder.figures)
    write_json(folder.summary, result)


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
