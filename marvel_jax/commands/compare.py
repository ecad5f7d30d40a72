"""The compare command: finished runs, or a sweep's points, side by side, with what their seeds support."""

import json
from pathlib import Path
from typing import Any

from marvel_jax.commands.options import Compare
from marvel_jax.commands.shared import check_unused, draw_runs
from marvel_jax.config.errors import UserError
from marvel_jax.runs.folder import RunFolder, write_json


def compare_command(options: Compare) -> int:
    """Prints a table for each task, limit and budget, and writes it with figures if asked."""
    paths = list(options.runs)
    sweep = len(paths) == 1 and (paths[0] / "sweep.json").exists()
    if len(paths) < 2 and not sweep:
        raise UserError("Give two run folders or more, or one sweep; the first is what the others are compared with.")
    out = options.out
    if out is not None:
        check_unused(out)
    from marvel_jax.report import comparison
    from marvel_jax.report.comparison_files import print_table
    from marvel_jax.sweeps.folder import SweepFolder

    groups = comparison.entries_of_sweep(SweepFolder(paths[0])) if sweep else {"": comparison.entries_of_runs(paths)}
    results, written = [], []
    for name, entries in groups.items():
        results.append(comparison.compare(comparison.with_reference(entries, options.reference)))
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


def _write(result: dict[str, Any], entries: list[Any], out: Path) -> list[Path]:
    """The table as JSON, CSV and Markdown, and its figures."""
    from marvel_jax.report import comparison_files

    try:
        out.mkdir(parents=True, exist_ok=True)
        paths = [out / f"comparison.{ending}" for ending in ("json", "csv", "md")]
        write_json(paths[0], result)
        comparison_files.write_csv(result, paths[1])
        paths[2].write_text(comparison_files.markdown(result))
        return paths + comparison_files.draw(entries, result, out)
    except OSError as error:
        raise UserError(f"{out} cannot be written ({error.strerror}). Give another --out.") from None
