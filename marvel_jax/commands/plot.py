"""`marvel plot`."""

import json
from dataclasses import dataclass
from pathlib import Path

import tyro

from marvel_jax.commands._shared import draw_runs
from marvel_jax.config.errors import UserError
from marvel_jax.runs.folder import RunFolder


@dataclass(frozen=True)
class Options:
    """Draw the figures of one run, of several runs together, or of a sweep (with its table)."""

    runs: tyro.conf.Positional[tuple[Path, ...]]
    """Run folders, or one sweep folder."""
    out: Path | None = None
    """Folder for the PNG files. Default: figures/ of the (first) run."""


def run(options: Options) -> int:
    """Draws figures; returns the exit status."""
    if not options.runs:
        raise UserError("Which runs? Give one run folder or more.")
    for path in options.runs:
        if (path / "sweep.json").exists():
            if len(options.runs) > 1:
                raise UserError("One sweep at a time: give a single sweep folder, or run folders.")
            return _plot_sweep(path, options.out)
    folders = [RunFolder(path) for path in options.runs]
    out = options.out or folders[0].figures
    for path in draw_runs(folders, out, {folder.path: folder.read_summary() for folder in folders}):
        print(path)
    return 0


def _plot_sweep(path: Path, out: Path | None) -> int:
    """Draws a sweep's figures, finished or not, and prints its table."""
    from marvel_jax.report.sweep_figures import draw
    from marvel_jax.report.sweep_summary import summarize
    from marvel_jax.report.sweep_table import print_summary
    from marvel_jax.sweeps.folder import SweepFolder
    from marvel_jax.sweeps.request import expand

    folder = SweepFolder(path)
    request, _ = folder.read_plan()
    points = expand(request)
    saved = json.loads(folder.summary.read_text()) if folder.summary.exists() else {}
    result = summarize(folder, request, points, saved.get("seconds", {}), saved.get("device", ""))
    print_summary(result, str(path))
    for figure in draw(folder, request, points, result, out or folder.figures):
        print(figure)
    return 0
