"""`marvel evaluate`."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import tyro

from marvel_jax.commands._options import Flag, SimulatorName
from marvel_jax.commands._shared import prepare_jax
from marvel_jax.config.check import check
from marvel_jax.config.errors import UserError
from marvel_jax.config.run_config import RunConfig, read
from marvel_jax.config.tasks import check_simulator, find_task
from marvel_jax.runs.folder import RunFolder

if TYPE_CHECKING:
    from marvel_jax.runs.pipeline import Pipeline


@dataclass(frozen=True)
class Options:
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
    render: Flag = False
    """Also write an episode of the first seed as an animation (GIF) and as an interactive page (HTML, which loads
    Brax's viewer from the network when it is opened)."""
    out: Path | None = None
    """Folder for what --render writes. Default: figures/ of the run."""
    json: Flag = False
    """Print one JSON object."""


def run(options: Options) -> int:
    """Evaluates a run's policies; returns the exit status."""
    config = _checked_config(options)
    folder = RunFolder(options.run)
    prepare_jax(config.seeds)
    from marvel_jax.diagnosis.evaluation import Question, evaluate_run
    from marvel_jax.runs.console import Reporter
    from marvel_jax.runs.pipeline import pipeline_of_run

    pipeline = pipeline_of_run(config, folder, Reporter(quiet=True))
    question = Question(
        options.stage, options.episodes, options.seed, options.simulator, options.confidence, options.risk
    )
    result = evaluate_run(config, pipeline, question)
    if options.render:
        paths = _render(config, pipeline, options.stage, options.out or folder.figures)
        result["rendered"] = [str(path) for path in paths]
    if options.json:
        print(json.dumps(result))
        return 0
    from marvel_jax.report.evaluation_table import print_evaluation

    print_evaluation(result)
    for path in result.get("rendered", ()):
        print(path)
    return 0


def _checked_config(options: Options) -> RunConfig:
    """The run's configuration; refuses what cannot be evaluated."""
    if options.episodes < 1:
        raise UserError(f"--episodes is {options.episodes}; give at least 1.")
    for name in ("confidence", "risk"):
        if not 0 < getattr(options, name) < 1:
            raise UserError(f"--{name} is {getattr(options, name)}; give a number between 0 and 1.")
    config = read(options.run)
    check(config)
    if options.simulator is not None:
        check_simulator(find_task(config.task), options.simulator)
    return config


def _render(config: RunConfig, pipeline: "Pipeline", stage: str, out: Path) -> list[Path]:
    """Writes an animation and a page of the first seed's policy; returns their paths."""
    from marvel_envs.scenes import scene

    from marvel_jax.diagnosis.episodes import first_seed
    from marvel_jax.report.render import render

    env = pipeline.program.env
    shown = scene(env)
    if shown is None:
        raise UserError(f"{config.task} cannot be rendered: only this package's tasks have a scene.")
    episode = first_seed(pipeline, stage)
    title = f"{config.task}, {config.method}, {stage}, seed {config.first_seed}: reward {episode.reward:.0f}"
    return render(shown, episode, env.spec.control_dt, title, out)
