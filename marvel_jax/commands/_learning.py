"""The way of run, pretrain, align and finetune through the stages of a run."""

import dataclasses
import json
import os
import sys
from typing import TYPE_CHECKING, Literal

from marvel_jax.commands._learning_options import LearningOptions
from marvel_jax.commands._options import Output
from marvel_jax.commands._shared import device_name, draw_runs, prepare_jax, writer_choice
from marvel_jax.config.errors import UserError
from marvel_jax.config.run_config import RunConfig, read
from marvel_jax.config.tasks import find_task
from marvel_jax.runs.folder import RunFolder, check_free, create, default_path, discard_unused, write_json
from marvel_jax.runs.interruption import Interrupted

if TYPE_CHECKING:
    from marvel_jax.runs.pipeline import Pipeline
    from marvel_jax.runs.writers import WriterChoice

Last = Literal["pretrain", "align", "finetune"]


def learn(options: LearningOptions, last: Last) -> int:
    """Runs the stages up to `last`, in a new run folder or a resumed one; returns the exit status."""
    config = options.run_config()
    choice = writer_choice(options.output)
    folder = _open_folder(options, config)
    if options.earlier.resume is not None and folder.summary.exists():
        return _show(options.output, folder)
    prepare_jax(config.seeds)
    from marvel_jax.runs.console import Reporter
    from marvel_jax.runs.pipeline import pipeline_of_run

    start_from = None if options.earlier.start_from is None else RunFolder(options.earlier.start_from)
    pipeline = pipeline_of_run(config, folder, Reporter(quiet=options.output.quiet or options.output.json), start_from)
    if options.earlier.resume is None:
        create(folder.path, config)
    try:
        _do_stages(options, config, pipeline, choice, last)
    except Interrupted:
        print(f"Interrupted. Everything is saved; go on with: marvel run --resume {folder.path}", file=sys.stderr)
        return 130
    if pipeline.outcome.final is None:
        print(json.dumps({"run": str(folder.path)}) if options.output.json else folder.path)
        return 0
    _finish(config, folder, pipeline)
    return _show(options.output, folder)


def _do_stages(
    options: LearningOptions, config: RunConfig, pipeline: "Pipeline", choice: "WriterChoice", last: Last
) -> None:
    """Goes through the stages, with the writers open."""
    from marvel_jax.runs.writers import opened

    folder, series = pipeline.folder, [config.method] * config.seeds
    try:
        with opened(choice, folder.path, series, dataclasses.asdict(config)) as pipeline.writers:
            pipeline.run(last)
    except OSError as error:
        raise UserError(
            f"{folder.path} can no longer be written ({error.strerror}). Make room, and go on with: "
            f"marvel run --resume {folder.path}"
        ) from None
    except UserError:
        if options.earlier.resume is None:
            discard_unused(folder)
        raise


def _open_folder(options: LearningOptions, config: RunConfig) -> RunFolder:
    """The folder to resume in, or a new one; refuses before anything slow happens."""
    resume, start_from = options.earlier.resume, options.earlier.start_from
    if resume is not None:
        if config != read(resume):
            raise UserError("--resume goes on with the run's own options; drop the others, or start a new run.")
        if not os.access(resume, os.W_OK):
            raise UserError(f"{resume} cannot be written: no permission.")
        return RunFolder(resume)
    if start_from is not None:
        saved = read(start_from)
        mine = (config.task, config.first_seed, config.seeds)
        if mine != (saved.task, saved.first_seed, saved.seeds):
            raise UserError(
                f"--from {start_from} is a run of {saved.task} with seeds {saved.first_seed} to "
                f"{saved.first_seed + saved.seeds - 1}; use the same task and seeds."
            )
    path = options.out or default_path(config)
    check_free(path)
    return RunFolder(path)


def _finish(config: RunConfig, folder: RunFolder, pipeline: "Pipeline") -> None:
    """Writes the summary and the figures of a run that is done."""
    from marvel_envs.scenes import scene

    from marvel_jax.diagnosis.episodes import before_and_after
    from marvel_jax.report.run_summary import summarize
    from marvel_jax.report.trajectories import draw

    outcome = pipeline.outcome
    assert outcome.offline is not None
    assert outcome.final is not None
    task, rows = find_task(config.task), pipeline.metrics.rows
    result = summarize(config, task, rows, outcome.offline, outcome.final, outcome.seconds, device_name())
    draw_runs([folder], folder.figures, {folder.path: result})
    shown = scene(pipeline.program.env)
    if shown is not None:
        title = f"{config.task}, {config.method}: one episode of each seed, mean action"
        draw(shown, before_and_after(pipeline), title, folder.figures / "trajectories.png")
    write_json(folder.summary, result)


def _show(output: Output, folder: RunFolder) -> int:
    """Prints the result of a finished run."""
    result = folder.read_summary()
    if output.json:
        print(json.dumps({**result, "run": str(folder.path)}))
    elif output.quiet:
        print(folder.path)
    else:
        from marvel_jax.report.run_table import print_summary

        print_summary(result, str(folder.path))
    return 0
