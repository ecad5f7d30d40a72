"""`marvel compare`."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tyro

from marvel_jax.commands._options import Flag
from marvel_jax.commands._shared import check_unused, draw_runs, writing_to
from marvel_jax.config.errors import UserError
from marvel_jax.runs.folder import RunFolder, write_json

if TYPE_CHECKING:
    from marvel_jax.report.comparison import Entry


@dataclass(frozen=True)
class Options:
    """Compare finished runs of one task, limit and budget: a table with intervals, and which differences hold up.

    Of a sweep all points are compared, in a table for each task, limit and budget."""

    runs: tyro.conf.Positional[tuple[Path, ...]]
    """Run folders, two or more, or one sweep folder."""
    reference: str | None = None
    """Label in the table of the one that the others are judged against. Default: the first."""
    out: Path | None = None
    """Folder to make, for the table as JSON, CSV and Markdown, and for figures."""
    json: Flag = False
    """Print one JSON object."""


def run(options: Options) -> int:
    """Prints a table for each task, limit and budget, and writes it with figures if asked; returns the exit status."""
    paths, out = list(options.runs), options.out
    sweep = len(paths) == 1 and (paths[0] / "sweep.json").exists()
    if len(paths) < 2 and not sweep:
        raise UserError("Give two run folders or more, or one sweep; the first is what the others are compared with.")
    if out is not None:
        check_unused(out)
    from marvel_jax.report.comparison import compare, entries_of_runs, entries_of_sweep, with_reference
    from marvel_jax.report.comparison_table import print_table
    from marvel_jax.sweeps.folder import SweepFolder

    groups = entries_of_sweep(SweepFolder(paths[0])) if sweep else {"": entries_of_runs(paths)}
    results, written = [], []
    for name, entries in groups.items():
        results.append(compare(with_reference(entries, options.reference)))
        if out is not None:
            written += _write(results[-1], entries, out / name if len(groups) > 1 else out)
        if not options.json:
            print_table(results[-1])
    if out is not None and not sweep:
        folders = [RunFolder(path) for path in paths]
        written += draw_runs(folders, out, {folder.path: folder.read_summary() for folder in folders})
    if options.json:
        print(json.dumps({"tables": results, "written": [str(path) for path in written]}))
    else:
        for path in written:
            print(path)
    return 0


def _write(result: dict[str, Any], entries: list["Entry"], out: Path) -> list[Path]:
    """The table as JSON, CSV and Markdown, and its figures; returns the paths."""
    from marvel_jax.report.comparison_figures import draw
    from marvel_jax.report.comparison_table import markdown, write_csv

    with writing_to(out):
        out.mkdir(parents=True, exist_ok=True)
        paths = [out / f"comparison.{ending}" for ending in ("json", "csv", "md")]
        write_json(paths[0], result)
        write_csv(result, paths[1])
        paths[2].write_text(markdown(result))
        return paths + draw(entries, result, out)
