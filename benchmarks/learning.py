"""How much reward the limit allows, whether the critics tell the truth, and which multiplier online training needs.

    uv run python benchmarks/learning.py ceiling critics multiplier

Each part writes `results/learning-PART.json`, `multiplier` a figure per task as well. comparison/ has the methods and
their settings side by side.
"""

import argparse
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import common
import jax
import numpy as np
from comparison import ablations

from marvel_jax.commands.diagnose import FIXED, short
from marvel_jax.config.presets import layered
from marvel_jax.config.run_config import RunConfig
from marvel_jax.config.tasks import find_task
from marvel_jax.datasets.hdf5 import load_shipped
from marvel_jax.diagnosis.critics import critics_against_truth
from marvel_jax.diagnosis.refinetuning import Refinetuning
from marvel_jax.diagnosis.starting_multiplier import starting_multiplier
from marvel_jax.report import diagnosis_figures
from marvel_jax.report.figures import save
from marvel_jax.report.run_summary import summarize
from marvel_jax.runs.console import Reporter
from marvel_jax.runs.folder import RunFolder, create
from marvel_jax.runs.pipeline import Pipeline, pipeline_of_run
from marvel_jax.training import stages

SEEDS = 8


def config_of(task: str, method: str, seeds: int = SEEDS, **changes: Any) -> RunConfig:
    """A run of preset cpu with these seeds and changed hyperparameters, from the shipped dataset."""
    return RunConfig(
        task=task,
        method=method,
        first_seed=0,
        seeds=seeds,
        dataset=None,
        hyper=layered("cpu", task, method, **changes),
        env_module=str(Path(ablations.__file__).resolve()),
    )


def run(config: RunConfig, folder: Path, source: Path | None, last: str = stages.FINETUNE) -> Pipeline:
    """Runs the stages up to `last` in a new folder, those of `source` as they are there."""
    made = create(folder, config)
    pipeline = pipeline_of_run(config, made, Reporter(), None if source is None else RunFolder(source))
    pipeline.run(last)
    return pipeline


def result_of(config: RunConfig, pipeline: Pipeline) -> dict[str, Any]:
    """The run's summary."""
    outcome = pipeline.outcome
    assert outcome.offline is not None
    assert outcome.final is not None
    task = find_task(config.task)
    rows = pipeline.metrics.rows
    return summarize(config, task, rows, outcome.offline, outcome.final, outcome.seconds, jax.devices()[0].device_kind)


def ceiling() -> None:
    """What SAC-Lag can hold with ten times the online episodes, started like marvel but aiming close to the limit.

    The controller swings to the end, so where it ends says little: the ceiling is the highest mean return of 100
    episodes in a row with a mean cost within the limit, at any time and of any seed.
    """
    found = {}
    for task in common.TASKS:
        changes = {"online.iterations": 1000, "control.margin": 0.05}
        config = config_of(task, "marvel", 4, **changes)
        work = Path(tempfile.mkdtemp())
        pipeline = run(config, work / "run", None)
        result = result_of(config, pipeline)
        windows = [best_window(pipeline.metrics.rows, seed, config) for seed in result["seeds"]]
        best = max(windows, key=lambda window: window["reward"])
        found[task] = {
            "cost_limit": find_task(task).cost_limit,
            **best,
            "normalized_reward": find_task(task).normalized_reward(best["reward"]),
            "best_windows": windows,
            "at_the_end": result["per_seed"],
            "online_episodes": result["online_episodes"],
        }
        print(task, found[task], flush=True)
        shutil.rmtree(work)
        common.write("learning-ceiling", "python benchmarks/learning.py ceiling", {"tasks": found})


def best_window(rows: list[dict[str, Any]], seed: int, config: RunConfig, episodes: int = 100) -> dict[str, float]:
    """The highest mean reward of `episodes` training episodes in a row whose mean cost is within the limit."""
    of_seed = [row for row in rows if row["stage"] == stages.FINETUNE and row["seed"] == seed]
    width = episodes // config.hyper.online.episodes
    reward, cost = (
        np.convolve([row[name] for row in of_seed], np.ones(width) / width, "valid") for name in ("reward", "cost")
    )
    at = int(np.argmax(np.where(cost <= find_task(config.task).cost_limit, reward, -np.inf)))
    return {"reward": float(reward[at]), "cost": float(cost[at]), "first_episode": at * config.hyper.online.episodes}


def critics(states: int = 256) -> None:
    """Rank correlation and bias of both Qs against Monte-Carlo truth, before and after value pre-alignment."""
    report: dict[str, Any] = {}
    for task in common.TASKS:
        work, report[task] = Path(tempfile.mkdtemp()), {}
        run(config_of(task, "marvel"), work / "offline", None, stages.PRETRAIN)
        for label, method in (("from offline critics", "marvel-offline-critics"), ("from fresh critics", "marvel")):
            pipeline = run(config_of(task, method), work / method, work / "offline", stages.ALIGN)
            found = critics_against_truth(
                pipeline, pipeline.outcome.states, load_shipped(task), states, jax.random.key(0)
            )
            for when, kinds in found["data"].items():
                report[task][when if when == "before" else f"{when}, {label}"] = {
                    kind: {
                        "rank_correlation": entry["rank_correlation"],
                        "bias": entry["bias"],
                        "median_rank_correlation": float(np.nanmedian(entry["rank_correlation"])),
                        "rank_correlation_by_horizon": entry["rank_correlation_by_horizon"],
                        "mean_truth": float(np.mean(entry["truth"])),
                    }
                    for kind, entry in kinds.items()
                }
        print(task, json.dumps(report[task], indent=1), flush=True)
        shutil.rmtree(work)
    common.write("learning-critics", "python benchmarks/learning.py critics", {"states": states, "tasks": report})


def multiplier() -> None:
    """What BEAR-Lag's multiplier and the pre-aligned one are, and which fixed one online training would need."""
    report = {}
    for task in common.TASKS:
        work = Path(tempfile.mkdtemp())
        pipeline = run(config_of(task, "marvel", 4, algorithm="bear-lag"), work / "run", None, stages.ALIGN)
        states = pipeline.outcome.states
        before = starting_multiplier(pipeline, states)
        found = Refinetuning(pipeline, states, 4, Reporter()).over_fixed_multipliers(FIXED)
        figure = diagnosis_figures.fixed(found, before, find_task(task).cost_limit, f"{task}, BEAR-Lag, 4 seeds")
        save({f"learning-multiplier-{task}": figure}, common.RESULTS)
        report[task] = short({"before": before, **found})
        print(task, json.dumps(report[task]), flush=True)
        shutil.rmtree(work)
        common.write("learning-multiplier", "python benchmarks/learning.py multiplier", {"tasks": report})


PARTS = {"ceiling": ceiling, "critics": critics, "multiplier": multiplier}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=list(PARTS), help="which parts; all without any")
    jax.config.update("jax_num_cpu_devices", os.cpu_count() or 1)
    for part in parser.parse_args().parts or PARTS:
        PARTS[part]()


if __name__ == "__main__":
    main()
