"""Tables and figures of the comparison, from its committed results.

    uv run python benchmarks/comparison_report.py

Writes `results/comparison/PART.md` and figures for every part there is, `limits.md` (each task's limits side by side),
`overall.md` (all tasks together), and these tables into the documents that show them (docs_tables.py).
"""

import json
from pathlib import Path
from typing import Any

import docs_tables
import matplotlib.pyplot as plt
import numpy as np
from comparison import kind_of
from comparison_cells import DEFAULT, FROM_FAR, TUNED
from comparison_sweeps import FOLDER
from comparison_tables import entry_of, limits, notes, overall, pairs_table
from studies import STUDIES

from marvel_jax.report import comparison, comparison_figures, comparison_table
from marvel_jax.report.figures import LIMIT_COLOR, dress


def main() -> None:
    """Everything there is."""
    parts = {path.stem: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}
    cells = {part: found for part, found in parts.items() if kind_of(part) is None}
    for part, found in cells.items():
        entries = [entry_of(found, method) for method in found["methods"]]
        result = comparison.compare(entries)
        (FOLDER / f"{part}.md").write_text(f"# {part}\n\n{comparison_table.markdown(result)}{notes({part: found})}")
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


if __name__ == "__main__":
    main()
