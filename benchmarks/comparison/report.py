"""Tables and figures of the comparison, from its committed results: `python benchmarks/comparison report`.

Writes `results/comparison/PART.md` and figures for every part there is, `limits.md` (each task's limits side by side),
`overall.md` (all tasks together), and these tables into the documents that show them (docs_tables.py).
"""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from comparison import docs_tables
from comparison.design import DEFAULT, FROM_FAR, TUNED
from comparison.pairs import pairs_table
from comparison.parts import FOLDER, kind_of, read
from comparison.studies import STUDIES
from comparison.tables import entries_of, limits, notes, overall
from marvel_jax.report import comparison_figures, comparison_table
from marvel_jax.report.comparison import compare
from marvel_jax.report.figures import LIMIT_COLOR, dress


def report(figures: bool = True) -> None:
    """Everything there is, with or without figures."""
    parts = {path.stem: read(path) for path in sorted(FOLDER.glob("*.json"))}
    cells = {part: found for part, found in parts.items() if kind_of(part) is None}
    for part, found in cells.items():
        entries = entries_of(found)
        result = compare(entries)
        (FOLDER / f"{part}.md").write_text(f"# {part}\n\n{comparison_table.markdown(result)}{notes({part: found})}")
        if figures:
            comparison_figures.draw(entries, result, FOLDER / part)
            draw_curves(found, FOLDER / part / "curves.png")
    (FOLDER / "limits.md").write_text(limits(cells))
    (FOLDER / "overall.md").write_text(overall(cells))
    for part, found in parts.items():
        if kind_of(part) in STUDIES:
            text = "\n".join(comparison_table.markdown(table) for table in found["tables"])
            (FOLDER / f"{part}.md").write_text(text)
        elif kind_of(part) == "pairs":
            (FOLDER / f"{part}.md").write_text(pairs_table(found))
    docs_tables.refresh()


def draw_curves(cell: dict[str, Any], path: Path) -> None:
    """Reward and cost while finetuning, of the default, what is advised far over the limit, and the methods that were
    tuned, in two rows if they are many."""
    shown = [name for name in cell["methods"] if name in (DEFAULT, FROM_FAR, *TUNED)]
    rows = [shown] if len(shown) <= 4 else [shown[: len(shown) // 2], shown[len(shown) // 2 :]]
    figure = Figure(figsize=(13, 4 * len(rows)), layout="constrained")
    axes = figure.subplots(len(rows), 2, sharex=True, squeeze=False)
    figure.suptitle(
        f"{cell['task']}, cost limit {cell['cost_limit']:g}, start: {cell['start']}; 95 % bands", fontsize=10
    )
    for methods, panels in zip(rows, axes, strict=True):
        for panel, name in zip(panels, ("reward", "cost"), strict=True):
            _draw_panel(panel, cell, methods, name)
        panels[1].axhline(cell["cost_limit"], color=LIMIT_COLOR, linestyle="--", linewidth=1)
        panels[1].legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    for panel in axes[-1]:
        panel.set_xlabel("online episodes")
    figure.savefig(path, dpi=110)


def _draw_panel(panel: Axes, cell: dict[str, Any], methods: list[str], name: str) -> None:
    """The curves of some methods, reward or cost, with bands."""
    dress(panel)
    for index, method in enumerate(methods):
        curve = cell["methods"][method]["curves"][name]
        x = np.arange(1, len(curve["iqm"]) + 1) * cell["episodes"] / len(curve["iqm"])
        panel.plot(x, curve["iqm"], color=f"C{index}", label=method, linewidth=1.4)
        panel.fill_between(x, curve["low"], curve["high"], color=f"C{index}", alpha=0.12, linewidth=0)
    panel.set_ylabel(f"{name} per episode")
