"""Tables and figures of the comparison, from its committed results.

    uv run python benchmarks/comparison_report.py

Writes `results/comparison/PART.md` and figures for every part there is, `limits.md` (each task's limits side by side),
`overall.md` (all tasks together), and these tables into the documents that show them (docs_tables.py).
"""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import docs_tables
import matplotlib.pyplot as plt
import numpy as np
from comparison import PAIR_SEEDS, kind_of
from comparison_cells import DEFAULT, TUNED
from comparison_sweeps import FOLDER, VALUES
from studies import STUDIES

from marvel_jax.config import find_task
from marvel_jax.hyper import OfflineName, OnlineName
from marvel_jax.report import comparison, comparison_files
from marvel_jax.report.figures import LIMIT_COLOR, dress
from marvel_jax.report.statistics import interquartile_mean, stratified_interval


def main() -> None:
    """Everything there is."""
    parts = {path.stem: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}
    cells = {part: found for part, found in parts.items() if kind_of(part) is None}
    for part, found in cells.items():
        entries = [entry_of(found, method) for method in found["methods"]]
        result = comparison.compare(entries)
        (FOLDER / f"{part}.md").write_text(f"# {part}\n\n{comparison_files.markdown(result)}{notes({part: found})}")
        comparison_files.draw(entries, result, FOLDER / part)
        draw_curves(found, FOLDER / part / "curves.png")
    (FOLDER / "limits.md").write_text(limits(cells))
    (FOLDER / "overall.md").write_text(overall(cells))
    for part, found in parts.items():
        if kind_of(part) in STUDIES:
            text = "\n".join(comparison_files.markdown(table) for table in found["tables"])
            (FOLDER / f"{part}.md").write_text(text)
        elif kind_of(part) == "pairs":
            (FOLDER / f"{part}.md").write_text(pairs_table(found))
    docs_tables.refresh()


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


def draw_curves(cell: dict[str, Any], path: Path) -> None:
    """Reward and cost while finetuning, of the methods that were tuned, in two rows if they are many."""
    shown = [name for name in cell["methods"] if name in (DEFAULT, *TUNED)]
    rows = [shown] if len(shown) <= 4 else [shown[: len(shown) // 2], shown[len(shown) // 2 :]]
    size = 13, 4 * len(rows)
    figure, axes = plt.subplots(len(rows), 2, figsize=size, layout="constrained", sharex=True, squeeze=False)
    figure.suptitle(
        f"{cell['task']}, cost limit {cell['cost_limit']:g}, start: {cell['start']}; 95 % bands", fontsize=10
    )
    for methods, panels in zip(rows, axes, strict=True):
        for panel, name in zip(panels, ("reward", "cost"), strict=True):
            dress(panel)
            for index, method in enumerate(methods):
                curve = cell["methods"][method]["curves"][name]
                x = np.arange(1, len(curve["iqm"]) + 1) * cell["episodes"] / len(curve["iqm"])
                panel.plot(x, curve["iqm"], color=f"C{index}", label=method, linewidth=1.4)
                panel.fill_between(x, curve["low"], curve["high"], color=f"C{index}", alpha=0.12, linewidth=0)
            panel.set_ylabel(f"{name} per episode")
        panels[1].axhline(cell["cost_limit"], color=LIMIT_COLOR, linestyle="--", linewidth=1)
        panels[1].legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    for panel in axes[-1]:
        panel.set_xlabel("online episodes")
    figure.savefig(path, dpi=110)
    plt.close(figure)


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
        lines += [f"| method | {' | '.join(titles)} |", "|---|" + "---|" * len(chosen)]
        columns = [_short_rows(cell) for cell in chosen]
        for name in (name for name in columns[0] if all(name in column for column in columns)):
            lines.append(f"| {name} | {' | '.join(column[name] for column in columns)} |")
        lines += notes(parts).splitlines()
    return "\n".join(lines) + "\n"


def _short_rows(cell: dict[str, Any]) -> dict[str, str]:
    """What `limits` says of the policies that a cell starts from, and of each of its methods."""
    result = comparison.compare([entry_of(cell, method) for method in cell["methods"]])
    rows = [comparison_files.cells(row) for row in result["entries"]]
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
        lines += notes(of_start).splitlines()
    return "\n".join(lines) + "\n"


def _together(cells: dict[str, Any]) -> list[str]:
    """A table of the methods that all cells have: interquartile means over tasks and seeds, resampled task by task."""
    lines = [
        "| method | normalized reward | cost / limit | violation / limit | safe runs |",
        "|---|---|---|---|---|",
    ]
    everywhere = set.intersection(*(set(cell["methods"]) for cell in cells.values()))
    for method in (name for name in next(iter(cells.values()))["methods"] if name in everywhere):
        entries = [entry_of(cell, method) for cell in cells.values()]
        numbers = (
            [np.asarray(find_task(e.task).normalized_reward(e.values["reward"])) for e in entries],
            [e.values["cost"] / e.cost_limit for e in entries],
            [e.values["violation"] / e.cost_limit for e in entries],
        )
        intervals = (stratified_interval(values) for values in numbers)
        shown = (f"{center:.2f} [{low:.2f}, {high:.2f}]" for center, low, high in intervals)
        safe, runs = sum(e.safe for e in entries), sum(len(e.seeds) for e in entries)
        lines.append(f"| {method} | {' | '.join(shown)} | {safe} of {runs} |")
    return lines


def pairs_table(found: dict[str, Any]) -> str:
    """Final reward / cost by offline and online algorithm."""
    names = {"offline": get_args(OfflineName), "online": get_args(OnlineName)}
    lines = [f"# {found['task']}: offline × online, final reward / cost (start → end), method marvel\n"]
    lines += [f"| offline | start | {' | '.join(names['online'])} |", "|---|---|" + "---|" * len(names["online"])]
    for offline in names["offline"]:
        rows = [found["pairs"][f"{offline}, {online}"] for online in names["online"]]
        cells = [f"{interquartile_mean(r['reward']):.0f} / {interquartile_mean(r['cost']):.1f}" for r in rows]
        start = f"{interquartile_mean(rows[0]['start_reward']):.0f} / {interquartile_mean(rows[0]['start_cost']):.1f}"
        lines.append(f"| {offline} | {start} | {' | '.join(cells)} |")
    lines.append(
        f"\nInterquartile means of {PAIR_SEEDS} seeds, preset {found['preset']}, cost limit {found['cost_limit']:g}."
    )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
