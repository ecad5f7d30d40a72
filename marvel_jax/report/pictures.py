"""Pictures of what a saved run's policies do."""

from pathlib import Path
from typing import Any

import jax
from marvel_envs.scenes import scene

from marvel_jax.config.errors import UserError
from marvel_jax.config.run import RunConfig
from marvel_jax.core.problem import from_environment
from marvel_jax.diagnosis import episodes
from marvel_jax.report import render, trajectories
from marvel_jax.runs.pipeline import Pipeline
from marvel_jax.runs.simulator import actors_of
from marvel_jax.training.stages import FINETUNE

DRAWN_SEEDS = 4  # more lines than that cannot be told apart
START_KEY = 7  # of the episodes in pictures: every policy starts from the same place


def draw_trajectories(config: RunConfig, pipeline: Pipeline, out: Path) -> Path | None:
    """Draws `trajectories.png` of a finished run; None if nothing is known of how its environment looks."""
    shown = scene(pipeline.program.env)
    if shown is None:
        return None
    outcome = pipeline.outcome
    actors = {"offline": outcome.offline_actors, "finetuned": actors_of(outcome.states[FINETUNE])}
    played = {name: _play(pipeline, policies, DRAWN_SEEDS) for name, policies in actors.items()}
    title = f"{config.task}, {config.method}: one episode of each seed, mean action"
    return trajectories.draw(shown, played, title, out / "trajectories.png")


def render_run(config: RunConfig, pipeline: Pipeline, stage: str, out: Path) -> list[Path]:
    """Writes an animation and an interactive page of the first seed's policy after a stage.

    Raises:
      UserError: If nothing is known of how the environment looks, or `out` cannot be written.
    """
    shown = scene(pipeline.program.env)
    if shown is None:
        raise UserError(f"{config.task} cannot be rendered: only this package's tasks have a scene.")
    state = pipeline.restore(stage)
    episode = _play(pipeline, actors_of(state), 1)[0]
    title = f"{config.task}, {config.method}, {stage}, seed {config.first_seed}: reward {episode.reward:.0f}"
    return render.render(shown, episode, pipeline.program.env.spec.control_dt, title, out)


def _play(pipeline: Pipeline, actors: Any, count: int) -> list[episodes.Episode]:
    env = pipeline.program.env
    problem = from_environment(env, pipeline.program.hyper)
    return episodes.play(env, problem, jax.tree.map(lambda x: x[:count], actors), jax.random.key(START_KEY))
