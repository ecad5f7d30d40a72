"""The command line for tests: in this process, at tiny sizes; and what a picture must show."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from marvel_jax import cli

# An experiment that takes a second.
FIELDS = {
    "hidden": 8,
    "evaluation_episodes": 2,
    "pretrain.updates": 6,
    "pretrain.batch_size": 16,
    "alignment.updates": 6,
    "alignment.batch_size": 16,
    "sac.batch_size": 16,
    "online.iterations": 4,
    "online.episodes": 2,
    "online.updates": 3,
}
TINY = tuple(word for name, value in FIELDS.items() for word in (f"--{name.replace('_', '-')}", str(value)))
TINY_SWEEP = ("--fixed", *(f"{name}={value}" for name, value in FIELDS.items()))  # for `marvel sweep`


def marvel(capsys, *arguments: str) -> tuple[int, str, str]:
    """Runs the command in this process; returns exit code, standard output and standard error."""
    with pytest.raises(SystemExit) as ended:
        cli.main(list(arguments))
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), out, err


RUN_FIGURES = {"reward": (1014, 494), "cost": (1014, 494), "multiplier": (1014, 780), "outcome": (1014, 494)}
BLUE, ORANGE, LIMIT = (31, 119, 180), (255, 127, 14), (176, 0, 32)  # C0, C1 and the line at the cost limit


def check_picture(path: Path, size: tuple[int, int] | None, *colors: tuple[int, int, int]) -> None:
    """Asserts that a PNG has a size in pixels (None: any), that something is drawn on it, and in which colours."""
    with Image.open(path) as image:
        assert image.format == "PNG", path
        assert size in (None, image.size), (path, image.size)
        pixels = np.asarray(image.convert("RGB")).reshape(-1, 3)
    drawn = (pixels != 255).any(axis=1).mean()
    assert 0.01 < drawn < 0.9, (path, drawn)
    for color in colors:
        distance = np.abs(pixels.astype(int) - color).max(axis=1)
        assert distance.min() < 16, (path, color)  # thin lines are blended with what is under them
