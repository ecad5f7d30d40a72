"""The offline policies' episodes against the finetuned ones': paths seen from above, or speeds over time."""

from pathlib import Path

import numpy as np
from marvel_envs.scenes import Scene
from matplotlib.figure import Figure

from marvel_jax.diagnosis.episodes import Episode
from marvel_jax.report.render import shade

COLORS = {"offline": "0.45", "finetuned": "tab:blue"}


def draw(scene: Scene, episodes: dict[str, list[Episode]], title: str, path: Path) -> Path:
    """Draws one line per policy; unsafe regions, or speeds over the limit, are shaded.

    Args:
      scene: Of the environment.
      episodes: By "offline" and "finetuned", one of each seed.
      title: Over the figure.
      path: PNG to write.
    """
    wide = scene.speed is not None and scene.from_above
    figure = Figure(figsize=(10, 4.2) if wide else (6, 5), layout="constrained")
    panels = list(figure.subplots(1, 2 if wide else 1, squeeze=False)[0])
    figure.suptitle(title)
    if scene.from_above:
        _paths(panels[0], scene, episodes)
    if scene.speed is not None:
        _speeds(panels[-1], scene, episodes)
    panels[0].legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    return path


def _paths(axes, scene: Scene, episodes: dict[str, list[Episode]]) -> None:
    reach = 1.0
    for name, several in episodes.items():
        for number, episode in enumerate(several):
            path = np.asarray(episode.physics.position)[:, :2]
            reach = max(reach, float(np.abs(path).max()))
            axes.plot(*path.T, color=COLORS[name], alpha=0.8, linewidth=1, label=None if number else name)
            axes.plot(*path[0], "o", color=COLORS[name], markersize=3)
    shade(axes, scene, next(iter(episodes.values()))[0].physics, 0)  # all start from the same layout
    if scene.reach is not None:
        reach = min(1.1 * reach, scene.reach)
        axes.set_xlim(-reach, reach)
        axes.set_ylim(-reach, reach)
        axes.set_aspect("equal")
    else:
        axes.set_xlim(-1, 1.1 * reach)
        axes.set_ylim(-4, 4)
    axes.set_xlabel("x, m")
    axes.set_ylabel("y, m")


def _speeds(axes, scene: Scene, episodes: dict[str, list[Episode]]) -> None:
    assert scene.speed is not None
    assert scene.speed_limit is not None
    top = scene.speed_limit
    for name, several in episodes.items():
        for number, episode in enumerate(several):
            speed = scene.speed(episode.physics)
            top = max(top, float(speed.max()))
            axes.plot(speed, color=COLORS[name], alpha=0.8, linewidth=1, label=None if number else name)
    axes.axhspan(scene.speed_limit, 1.2 * top, color="tab:red", alpha=0.15, linewidth=0)
    axes.set_ylim(top=1.1 * top)
    axes.set_xlabel("step")
    axes.set_ylabel("speed, m/s")
