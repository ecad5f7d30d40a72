"""Offline × online: every policy finetuned by every algorithm, with method marvel."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from comparison.sweeps import VALUES, runs_of, sweep, table
from comparison.tables import header
from marvel_jax.config.offline import OFFLINE
from marvel_jax.config.online import ONLINE
from marvel_jax.config.tasks import find_task
from marvel_jax.report.statistics import interquartile_mean

SEEDS = 4


def pairs(work: Path, task: str) -> dict[str, Any]:
    """The results of every run, by the pair's names."""
    algorithms = {"algorithm": list(OFFLINE), "online_algorithm": list(ONLINE)}
    text = f'tasks = ["{task}"]\npreset = "quick"\nseeds = {SEEDS}\n'
    text += table({name: json.dumps(values) for name, values in algorithms.items()}, "product")
    found: dict[str, dict[str, Any]] = {}
    for run in runs_of(sweep(work, f"pairs-{task}", text)):
        entry = found.setdefault(f"{run['algorithm']}, {run['online_algorithm']}", {name: [] for name in VALUES})
        for name, column in VALUES.items():
            entry[name].append(run[column])
    return {"task": task, "cost_limit": find_task(task).cost_limit, "preset": "quick", "pairs": found}


def pairs_table(found: dict[str, Any]) -> str:
    """Final reward / cost by offline and online algorithm."""
    lines = [f"# {found['task']}: offline × online, final reward / cost (start → end), method marvel\n"]
    lines += header("offline", "start", *ONLINE)
    for offline in OFFLINE:
        rows = [found["pairs"][f"{offline}, {online}"] for online in ONLINE]
        ends = [_reward_and_cost(row["reward"], row["cost"]) for row in rows]
        start = _reward_and_cost(rows[0]["start_reward"], rows[0]["start_cost"])
        lines.append(f"| {offline} | {start} | {' | '.join(ends)} |")
    how = f"preset {found['preset']}, cost limit {found['cost_limit']:g}"
    lines.append(f"\nInterquartile means of {SEEDS} seeds, {how}.")
    return "\n".join(lines) + "\n"


def _reward_and_cost(reward: list[float], cost: list[float]) -> str:
    return f"{interquartile_mean(np.asarray(reward)):.0f} / {interquartile_mean(np.asarray(cost)):.1f}"
