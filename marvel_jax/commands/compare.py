"""The compare command: finished runs side by side, with what their seeds support."""

import json
from pathlib import Path

from marvel_jax.commands.options import Compare
from marvel_jax.commands.shared import draw_runs
from marvel_jax.errors import UserError
from marvel_jax.runfolder import RunFolder, write_json


def compare_command(options: Compare) -> int:
    """Prints the table, and writes it with figures if asked."""
    if len(options.runs) < 2:
        raise UserError("Give two run folders or more; the first is what the others are compared with.")
    from marvel_jax.report import comparison

    entries = comparison.entries_of_runs(list(options.runs))
    result = comparison.compare(entries)
    written = [] if options.out is None else _write(options, result, entries, options.out)
    if options.json:
        print(json.dumps({**result, "written": [str(path) for path in written]}))
        return 0
    from marvel_jax.report.comparison_files import print_table

    print_table(result)
    for path in written:
        print(path)
    return 0


def _write(options: Compare, result: dict, entries: list, out: Path) -> list[Path]:
    from marvel_jax.report import comparison_files

    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out} exists, and nothing is overwritten. Give another --out.")
    try:
        out.mkdir(parents=True, exist_ok=True)
        paths = [out / f"comparison.{ending}" for ending in ("json", "csv", "md")]
        write_json(paths[0], result)
        comparison_files.write_csv(result, paths[1])
        paths[2].write_text(comparison_files.markdown(result))
    except OSError as error:
        raise UserError(f"{out} cannot be written ({error.strerror}). Give another --out.") from None
    paths += comparison_files.draw(entries, result, out)
    folders = [RunFolder(path) for path in options.runs]
    return paths + draw_runs(folders, out, {folder.path: folder.read_summary() for folder in folders})
