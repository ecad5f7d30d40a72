"""An episode as an animation (GIF, drawn without a display) and as a page with Brax's interactive viewer."""

import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from marvel_envs.scenes import Scene
from matplotlib.animation import FuncAnimation, PillowWriter
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Rectangle

from marvel_jax.config.errors import UserError
from marvel_jax.diagnosis.episodes import Episode

FRAMES, FRAMES_PER_SECOND = 80, 15
SAFE, UNSAFE = "tab:blue", "tab:red"
DISC_COLORS = {"unsafe": UNSAFE, "goal": "tab:green", "object": "0.4"}
_ABOVE = np.array([0.0, 0.0, 3.0])  # of the beacon over the body, in its own radii
_HIDDEN = np.array([0.0, 0.0, -100.0])


def render(scene: Scene, episode: Episode, dt: float, title: str, folder: Path) -> list[Path]:
    """Writes `episode.gif` and `episode.html` into `folder`; returns their paths.

    Args:
      scene: Of the environment.
      episode: What to show.
      dt: Seconds per step.
      title: Over the animation.
      folder: Made if it is missing.
    """
    positions, rotations = scene.poses(episode.physics)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        gif = _animation(scene, positions, episode, title, folder / "episode.gif")
        return [gif, _page(scene, positions, rotations, episode, dt, folder / "episode.html")]
    except OSError as error:
        raise UserError(f"{folder} cannot be written ({error.strerror}). Give another --out.") from None


def shade(axes: Axes, scene: Scene, physics: Any, step: int) -> None:
    """Shades the unsafe region, and draws what lies around at a step of an episode."""
    for left, right, low, high in scene.unsafe:
        axes.add_patch(Rectangle((left, low), right - left, high - low, color=UNSAFE, alpha=0.15, linewidth=0))
    for disc in scene.discs(physics, step) if scene.discs else ():
        axes.add_patch(Circle((disc.x, disc.y), disc.radius, color=DISC_COLORS[disc.kind], alpha=0.25, linewidth=0))


def _animation(scene: Scene, positions: np.ndarray, episode: Episode, title: str, path: Path) -> Path:
    steps = np.unique(np.linspace(0, len(positions) - 1, FRAMES).astype(int))
    across, up = (0, 1) if scene.from_above else (0, 2)
    spent = np.cumsum(episode.cost)
    figure = Figure(figsize=(6.0, 4.5), dpi=80, layout="constrained")
    axes = figure.subplots()

    def frame(step: int) -> None:
        axes.clear()
        now, color = positions[step, : scene.agent_bodies], UNSAFE if episode.cost[step] > 0 else SAFE
        if scene.from_above:
            shade(axes, scene, episode.physics, step)
            axes.plot(*positions[: step + 1, 0, :2].T, color="0.6", linewidth=1)
        _draw_body(axes, scene, now, across, up, color)
        _place(axes, scene, now)
        axes.set_aspect("equal")
        axes.set_title(f"{title}\nstep {step + 1}, cost so far {spent[step]:g}", fontsize=9)

    FuncAnimation(figure, frame, frames=[int(s) for s in steps]).save(path, PillowWriter(FRAMES_PER_SECOND))
    return path


def _draw_body(axes: Axes, scene: Scene, now: np.ndarray, across: int, up: int, color: str) -> None:
    """Links as points, joined to their parents where the model is a tree."""
    parents = scene.model.body_parentid[1 : len(now) + 1] - 1
    for link, parent in enumerate(parents):
        if parent >= 0:
            axes.plot(*now[[parent, link]][:, [across, up]].T, color=color, linewidth=3, solid_capstyle="round")
    axes.scatter(now[:, across], now[:, up], s=60 if len(now) == 1 else 20, color=color, zorder=3)


def _place(axes: Axes, scene: Scene, now: np.ndarray) -> None:
    """The part of the world that the frame shows: all of an arena, else what is around the body."""
    if scene.reach is not None:
        axes.set_xlim(-scene.reach, scene.reach)
        axes.set_ylim(-scene.reach, scene.reach)
        return
    x, y = now[0, 0], now[0, 1]
    half = 8.0 if scene.from_above else 2.0
    axes.set_xlim(x - half, x + half)
    if scene.from_above:
        axes.set_ylim(y - 5, y + 5)
        return
    axes.axhline(0, color="0.5", linewidth=1)
    axes.set_ylim(-0.4, 2.2)


def _page(scene: Scene, positions: np.ndarray, rotations: np.ndarray, episode: Episode, dt: float, path: Path) -> Path:
    """Brax's viewer; a red ball over the body marks unsafe steps. Opening the page loads the viewer from the web."""
    from brax.io import html, mjcf

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # Brax says that its pipelines are no longer maintained
        system: Any = mjcf.load_model(scene.model).tree_replace({"opt.timestep": dt})
    size = scene.model.geom_rbound[-1]
    marked = np.where(episode.cost[:, None] > 0, positions[:, 0] + size * _ABOVE, _HIDDEN)
    still = np.broadcast_to([1.0, 0.0, 0.0, 0.0], (len(marked), 1, 4))
    places, turns = np.concatenate([positions, marked[:, None]], axis=1), np.concatenate([rotations, still], axis=1)
    states: list[Any] = [SimpleNamespace(x=SimpleNamespace(pos=p, rot=r)) for p, r in zip(places, turns, strict=True)]
    path.write_text(html.render(system, states, height=640))
    return path
