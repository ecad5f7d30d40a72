"""What the results of comparison.py say, as tables in Markdown: limits side by side, all cells together, pairs."""

import re
from collections.abc import Callable
from typing import Any, get_args

import numpy as np
from comparison import PAIR_SEEDS
from comparison_cells import DEFAULT
from comparison_sweeps import VALUES

from marvel_jax.config.hyper import OfflineName, OnlineName
from marvel_jax.config.run import find_task
from marvel_jax.report import comparison, comparison_table
from marvel_jax.report.statistics import interquartile_mean, stratified_interval


def entry_of(cell: dict[str, Any], method: str) -> comparison.Entry:
    found = cell["methods"][method]
    values = {name: np.asarray(found["values"][name]) for name in VALUES} | {"settled": np.asarray(found["settled"])}
    return comparison.Entry(
        method, cell["task"], cell["cost_limit"], cell["episodes"], tuple(found["seeds"]), values, {}
    )


def notes(cells: dict[str, Any]) -> str:
    """What the tables of cells cannot say: where this project's methods have what is no longer their default, and which
    machine made them, since on another kind the same seeds have other offline policies."""
    then = _grouped(cells, lambda cell: [f"{k} {value:g}" for k, value in cell["methods"][DEFAULT]["settings"].items()])
    lines = [f"{DEFAULT} and its variants have {what} in {where}: the default then." for what, where in then.items()]
    machines = _grouped(cells, lambda cell: [cell["machine"]["cpu"].strip(), cell["machine"]["device"]])
    lines += [f"{where}: {what}." for what, where in machines.items()]
    return "".join(f"\n{line}\n" for line in lines)


def _grouped(cells: dict[str, Any], words: Callable[[dict[str, Any]], list[str]]) -> dict[str, str]:
    """The names of the cells by what is said of them."""
    parts: dict[str, list[str]] = {}
    for part, cell in cells.items():
        if said := ", ".join(words(cell)):
            parts.setdefault(said, []).append(part)
    return {said: ", ".join(names) for said, names in parts.items()}


def limits(cells: dict[str, Any]) -> str:
    """A table per task and kind of start that was run at several limits: a row per method that all of them have, a
    column per limit."""
    lines = ["# Limits side by side\n", "Final reward, final cost, violation, and how many seeds end safe."]
    for task, start in sorted({(cell["task"], cell["start"]) for cell in cells.values()}):
        parts = {part: cell for part, cell in cells.items() if (cell["task"], cell["start"]) == (task, start)}
        chosen = sorted(parts.values(), key=lambda cell: cell["cost_limit"])
        if len(chosen) == 1:
            continue
        lines += [f"\n## {task}, {start} starts\n"]
        titles = (f"limit {cell['cost_limit']:g}" for cell in chosen)
        lines += _header("method", *titles)
        columns = [_short_rows(cell) for cell in chosen]
        for name in (name for name in columns[0] if all(name in column for column in columns)):
            lines.append(f"| {name} | {' | '.join(column[name] for column in columns)} |")
        lines += notes(parts).splitlines()
    return "\n".join(lines) + "\n"


def _short_rows(cell: dict[str, Any]) -> dict[str, str]:
    """What `limits` says of the policies that a cell starts from, and of each of its methods."""
    result = comparison.compare([entry_of(cell, method) for method in cell["methods"]])
    rows = [comparison_table.cells(row) for row in result["entries"]]
    found = {"start": rows[0]["start: reward / cost"]}
    for row, entry in zip(rows, result["entries"], strict=True):
        cost = re.sub(r" \[.*?\]", "", row["final cost"])
        found[row["method"]] = f"{row['final reward']}, {cost}, {row['violation']}, {entry['safe_seeds']}"
    return found


def overall(cells: dict[str, Any]) -> str:
    """Cells of one kind of start together, limit by limit and at all limits."""
    lines = ["# Over all cells\n"]
    for start in ("safe", "unsafe"):
        of_start = {part: cell for part, cell in cells.items() if cell["start"] == start}
        limits = sorted({cell["cost_limit"] for cell in of_start.values()})
        together = [limits] if len(limits) > 1 else []
        for each in [*together, *([limit] for limit in limits)]:
            chosen = {part: cell for part, cell in of_start.items() if cell["cost_limit"] in each}
            shown = ", ".join(f"{limit:g}" for limit in each)
            lines += [f"\n## {start} starts, cost limit {shown}\n", f"{', '.join(chosen)}\n", *_together(chosen)]
        lines += [
            f"\n## {start} starts, differences from {DEFAULT}\n",
            f"{', '.join(of_start)}\n",
            *_differences(of_start),
        ]
        lines += notes(of_start).splitlines()
    return "\n".join(lines) + "\n"


def _everywhere(cells: dict[str, Any]) -> list[str]:
    """The methods that all cells have, in the first one's order."""
    common = set.intersection(*(set(cell["methods"]) for cell in cells.values()))
    return [name for name in next(iter(cells.values()))["methods"] if name in common]


def _shares(entry: comparison.Entry) -> dict[str, np.ndarray]:
    """What entries of different tasks and limits can be compared by, `[runs]` each."""
    return {
        "normalized reward": np.asarray(find_task(entry.task).normalized_reward(entry.values["reward"])),
        "cost / limit": entry.values["cost"] / entry.cost_limit,
        "violation / limit": entry.values["violation"] / entry.cost_limit,
    }


def _header(*columns: str) -> list[str]:
    return [f"| {' | '.join(columns)} |", "|" + "---|" * len(columns)]


def _together(cells: dict[str, Any]) -> list[str]:
    """A table of the methods that all cells have: interquartile means over tasks and seeds, resampled task by task."""
    names, rows = [*_shares(entry_of(next(iter(cells.values())), DEFAULT))], []
    for method in _everywhere(cells):
        entries = [entry_of(cell, method) for cell in cells.values()]
        shares = [_shares(entry) for entry in entries]
        intervals = (stratified_interval([each[name] for each in shares]) for name in names)
        shown = (f"{center:.2f} [{low:.2f}, {high:.2f}]" for center, low, high in intervals)
        safe, runs = sum(e.safe for e in entries), sum(len(e.seeds) for e in entries)
        rows.append(f"| {method} | {' | '.join(shown)} | {safe} of {runs} |")
    return [*_header("method", *names, "safe runs"), *rows]


def _differences(cells: dict[str, Any]) -> list[str]:
    """A table of the methods that all cells have: interquartile means of the differences from the default with the same
    seed, and ▲ or ▼ where the interval leaves out 0."""
    ours = [_shares(entry_of(cell, DEFAULT)) for cell in cells.values()]
    rows = []
    for method in (name for name in _everywhere(cells) if name != DEFAULT):
        theirs = [_shares(entry_of(cell, method)) for cell in cells.values()]
        shown = []
        for name in ours[0]:
            center, low, high = stratified_interval([t[name] - o[name] for t, o in zip(theirs, ours, strict=True)])
            better = center > 0 if name == "normalized reward" else center < 0
            mark = "" if low <= 0 <= high else " ▲" if better else " ▼"
            shown.append(f"{center:+.3f} [{low:+.3f}, {high:+.3f}]{mark}")
        rows.append(f"| {method} | {' | '.join(shown)} |")
    return [*_header("method", *ours[0]), *rows]


def pairs_table(found: dict[str, Any]) -> str:
    """Final reward / cost by offline and online algorithm."""
    names = {"offline": get_args(OfflineName), "online": get_args(OnlineName)}
    lines = [f"# {found['task']}: offline × online, final reward / cost (start → end), method marvel\n"]
    lines += _header("offline", "start", *names["online"])
    for offline in names["offline"]:
        rows = [found["pairs"][f"{offline}, {online}"] for online in names["online"]]
        cells = [f"{interquartile_mean(r['reward']):.0f} / {interquartile_mean(r['cost']):.1f}" for r in rows]
        start = f"{interquartile_mean(rows[0]['start_reward']):.0f} / {interquartile_mean(rows[0]['start_cost']):.1f}"
        lines.append(f"| {offline} | {start} | {' | '.join(cells)} |")
    lines.append(
        f"\nInterquartile means of {PAIR_SEEDS} seeds, preset {found['preset']}, cost limit {found['cost_limit']:g}."
    )
    return "\n".join(lines) + "\n"
