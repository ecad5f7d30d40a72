"""What all figures have in common: how panels look, and how figures become files. No display is needed."""

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

LIMIT_COLOR = "#b00020"


def grid(rows: int, columns: int, size: tuple[float, float], title: str) -> tuple[Figure, Any]:
    """A figure of a size in inches, and its panels `[rows, columns]`."""
    figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False, layout="constrained")
    figure.suptitle(title, fontsize=10)
    for panel in axes.ravel():
        dress(panel)
    return figure, axes


def dress(panel: Axes) -> None:
    """The look of every panel."""
    panel.grid(alpha=0.25)
    panel.spines[["top", "right"]].set_visible(False)


def save(figures: dict[str, Figure], folder: Path) -> list[Path]:
    """Writes each figure as NAME.png, and closes it; returns the paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, figure in figures.items():
        paths.append(folder / f"{name}.png")
        figure.savefig(paths[-1], dpi=130)
        plt.close(figure)
    return paths
