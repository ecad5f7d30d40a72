"""The commands around learning: tasks, methods, evaluate, plot, parity."""

import dataclasses
import json

from marvel_envs.tasks import TASKS

from marvel_jax.commands.options import Evaluate, Methods, Parity, Plot, Tasks
from marvel_jax.commands.shared import draw_runs, prepare_jax
from marvel_jax.commands.sweep import plot_sweep
from marvel_jax.config import run as configuration
from marvel_jax.config.errors import UserError
from marvel_jax.config.methods import METHODS
from marvel_jax.runs.folder import RunFolder


def tasks_command(options: Tasks) -> int:
    """Lists the tasks."""
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


def methods_command(options: Methods) -> int:
    """Lists the methods."""
    if options.json:
        for name, recipe in METHODS.items():
            print(json.dumps({"method": name, **dataclasses.asdict(recipe)}))
        return 0
    from rich.console import Console
    from rich.table import Table

    console = Console(width=None if Console().is_terminal else 120)
    table = Table(show_lines=True)
    table.add_column("method", no_wrap=True)
    table.add_column("what it does")
    table.add_column("what it changes", no_wrap=True)
    for name, recipe in METHODS.items():
        changes = "\n".join(f"{path.removeprefix('method.')} {value}" for path, value in recipe.changes.items())
        table.add_row(name, f"{recipe.summary} [dim]({recipe.source})[/dim]", changes)
    console.print(table)
    return 0


def evaluate_command(options: Evaluate) -> int:
    """Evaluates a run's policies anew."""
    if options.episodes < 1:
        raise UserError(f"--episodes is {options.episodes}; give at least 1.")
    for name in ("confidence", "risk"):
        if not 0 < getattr(options, name) < 1:
            raise UserError(f"--{name} is {getattr(options, name)}; give a number between 0 and 1.")
    config = configuration.read(options.run)
    configuration.check(config)
    if options.simulator is not None:
        configuration.check_simulator(configuration.find_task(config.task), options.simulator)
    folder = RunFolder(options.run)
    prepare_jax(config.seeds)
    from marvel_jax.diagnosis.evaluation import Question, evaluate_run
    from marvel_jax.runs import pipeline as pipelines
    from marvel_jax.runs.console import Reporter

    pipeline = pipelines.of_run(config, folder, Reporter(quiet=True))
    question = Question(options.confidence, options.risk)
    result = evaluate_run(config, pipeline, options.stage, options.episodes, options.seed, options.simulator, question)
    if options.render:
        from marvel_jax.report.pictures import render_run

        result["rendered"] = [
            str(p) for p in render_run(config, pipeline, options.stage, options.out or folder.figures)
        ]
    if options.json:
        print(json.dumps(result))
        return 0
    from marvel_jax.report.tables import print_evaluation

    print_evaluation(result)
    for path in result.get("rendered", ()):
        print(path)
    return 0


def plot_command(options: Plot) -> int:
    """Draws figures of runs."""
    if not options.runs:
        raise UserError("Which runs? Give one run folder or more.")
    for path in options.runs:
        if (path / "sweep.json").exists():
            if len(options.runs) > 1:
                raise UserError("One sweep at a time: give a single sweep folder, or run folders.")
            return plot_sweep(path, options.out)
    folders = [RunFolder(path) for path in options.runs]
    out = options.out or folders[0].figures
    for path in draw_runs(folders, out, {folder.path: folder.read_summary() for folder in folders}):
        print(path)
    return 0


def parity_command(options: Parity) -> int:
    """Measures a task against a recording."""
    spec = configuration.find_task(options.task)
    prepare_jax(1)
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
