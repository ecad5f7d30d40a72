"""The learning results: every method from the same offline policies, the ceiling, and the truth of the critics.

    uv run python benchmarks/learning.py ball-circle ball-run unsafe-start ceiling critics mean-action ablations

Each part writes `results/learning-PART.json`; comparisons also draw figures. Parts are independent, so a long session
can be cut into pieces.
"""

import argparse
import atexit
import functools
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import common
import jax
import numpy as np

from marvel_jax import diagnosis, runfolder, stages
from marvel_jax import pipeline as pipelines
from marvel_jax.config import RunConfig, find_task, preset_hyper
from marvel_jax.console import Reporter
from marvel_jax.datasets.dataset import load_shipped
from marvel_jax.hyper import override
from marvel_jax.pipeline import Pipeline
from marvel_jax.report import figures
from marvel_jax.report.summarize import summarize

METHODS = ("marvel", "marvel-feed-forward", "marvel-initial", "marvel-paper", "warm-start", "from-scratch")
UNFINISHED_UPDATES = 2_500  # of CPQ: the policy still breaks the limit
SEEDS = 8
EXPLORING_TEMPERATURE = 0.05  # makes the sampled policy differ from its mean


def config_of(task: str, method: str, seeds: int = SEEDS, **changes: Any) -> RunConfig:
    return RunConfig(task, method, 0, seeds, None, override(preset_hyper("cpu", method, task), **changes))


def run(config: RunConfig, folder: Path, source: Path | None, last: str = stages.FINETUNE) -> Pipeline:
    made = runfolder.create(folder, config)
    pipeline = pipelines.of_run(config, made, Reporter(), None if source is None else runfolder.RunFolder(source))
    pipeline.run(last)
    return pipeline


def result_of(config: RunConfig, pipeline: Pipeline) -> dict[str, Any]:
    outcome = pipeline.outcome
    assert outcome.offline is not None
    assert outcome.final is not None
    task = find_task(config.task)
    rows = pipeline.metrics.rows
    return summarize(config, task, rows, outcome.offline, outcome.final, outcome.seconds, jax.devices()[0].device_kind)


@functools.cache
def offline_policies(task: str, updates: int | None) -> Path:
    """A run folder with the offline policies that all parts start from; `updates` of CPQ, else the preset's."""
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    changes = {} if updates is None else {"pretrain.updates": updates}
    run(config_of(task, "marvel", **changes), folder / "offline", None, stages.PRETRAIN)
    return folder / "offline"


def compare(part: str, task: str, updates: int | None = None) -> None:
    """Methods from one set of offline policies."""
    source, work = offline_policies(task, updates), Path(tempfile.mkdtemp())
    changes = {} if updates is None else {"pretrain.updates": updates}
    results, data = {}, []
    for method in METHODS:
        config = config_of(task, method, **changes)
        pipeline = run(config, work / method, source)
        results[method] = result_of(config, pipeline)
        data.append(figures.RunData(method, pipeline.metrics.rows, results[method]))
        print(line(method, results[method]), flush=True)
    common.write(f"learning-{part}", f"python benchmarks/learning.py {part}", {"methods": results})
    figures.draw(data, common.RESULTS / f"learning-{part}")
    shutil.rmtree(work)


def line(method: str, result: dict[str, Any]) -> str:
    final, seeds = result["final"], len(result["seeds"])
    return (
        f"| {method} | {result['offline']['reward']['iqm']:.0f} / {result['offline']['cost']['iqm']:.0f} "
        f"| {final['reward']['iqm']:.0f} [{final['reward']['low']:.0f}, {final['reward']['high']:.0f}] "
        f"| {final['normalized_reward']['iqm']:.3f} | {final['cost']['iqm']:.1f} | {result['safe_seeds']}/{seeds} "
        f"| {result['violation']:.2f} |"
    )


def ceiling() -> None:
    """What SAC-Lag can hold with ten times the online episodes, started like marvel but aiming close to the limit.

    The controller swings to the end, so where it ends says little: the ceiling is the highest mean return of 100
    episodes in a row with a mean cost within the limit, at any time and of any seed.
    """
    found = {}
    for task in common.TASKS:
        changes = {"online.iterations": 1000, "gains.margin": 0.05}
        config = config_of(task, "marvel", 4, **changes)
        work = Path(tempfile.mkdtemp())
        pipeline = run(config, work / "run", None)
        result = result_of(config, pipeline)
        windows = [best_window(pipeline.metrics.rows, seed, config) for seed in result["seeds"]]
        best = max(windows, key=lambda window: window["reward"])
        found[task] = {
            "cost_limit": config.hyper.cost_limit,
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
    at = int(np.argmax(np.where(cost <= config.hyper.cost_limit, reward, -np.inf)))
    return {"reward": float(reward[at]), "cost": float(cost[at]), "first_episode": at * config.hyper.online.episodes}


def critics(states: int = 256) -> None:
    """Rank correlation and bias of both Qs against Monte-Carlo truth, before and after value pre-alignment."""
    report = {}
    for task in common.TASKS:
        source, work = offline_policies(task, None), Path(tempfile.mkdtemp())
        report[task] = {}
        for label, method in (("from offline critics", "marvel-offline-critics"), ("from fresh critics", "marvel")):
            pipeline = run(config_of(task, method), work / method, source, stages.ALIGN)
            found = diagnosis.critics_against_truth(
                pipeline, pipeline.outcome.states, load_shipped(task), states, jax.random.key(0)
            )
            for when, kinds in found["data"].items():
                report[task][when if when == "before" else f"{when}, {label}"] = {
                    kind: {
                        "rank_correlation": entry["rank_correlation"],
                        "bias": entry["bias"],
                        "median_rank_correlation": float(np.nanmedian(entry["rank_correlation"])),
                        "mean_truth": float(np.mean(entry["truth"])),
                    }
                    for kind, entry in kinds.items()
                }
        print(task, json.dumps(report[task], indent=1), flush=True)
        shutil.rmtree(work)
    common.write("learning-critics", "python benchmarks/learning.py critics", {"states": states, "tasks": report})


def variants(part: str, task: str, forms: dict[str, dict[str, Any]], seeds: int, own_offline_stage: bool) -> None:
    """`marvel` with one thing changed at a time; results are written as they come."""
    results: dict[str, Any] = {}
    for label, changes in forms.items():
        work = Path(tempfile.mkdtemp())
        config = config_of(task, "marvel", seeds, **changes)
        source = None if own_offline_stage else offline_policies(task, None)
        results[label] = result_of(config, run(config, work / "run", source))
        print(line(label, results[label]), flush=True)
        common.write(f"learning-{part}", f"python benchmarks/learning.py {part}", {"task": task, "variants": results})
        shutil.rmtree(work)


def mean_action() -> None:
    """The deployed mean policy under an exploring one: training on sampled episodes alone, and on both kinds."""
    exploring = {"sac.temperature": EXPLORING_TEMPERATURE}
    forms = {
        f"{episodes} of 5 episodes with the mean action": {**exploring, "online.mean_action_episodes": episodes}
        for episodes in (0, 2)
    }
    variants("mean-action", "BallCircle", forms, SEEDS, own_offline_stage=False)


def ablations() -> None:
    """What layer normalization, the floor under exploration and offline data in online batches are worth."""
    forms = {
        "marvel": {},
        "no offline data online": {"method.offline_fraction": 0.0},
        "no exploration floor": {"log_std_minimum": -20.0},
        "no layer normalization": {"critic_layer_norm": False},
    }
    variants("ablations", "BallRun", forms, 4, own_offline_stage=True)


PARTS = {
    "ceiling": ceiling,
    "ball-circle": lambda: compare("ball-circle", "BallCircle"),
    "ball-run": lambda: compare("ball-run", "BallRun"),
    "unsafe-start": lambda: compare("unsafe-start", "BallCircle", UNFINISHED_UPDATES),
    "critics": critics,
    "mean-action": mean_action,
    "ablations": ablations,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=list(PARTS), help="which parts; all without any")
    jax.config.update("jax_num_cpu_devices", os.cpu_count() or 1)
    for part in parser.parse_args().parts or PARTS:
        PARTS[part]()


if __name__ == "__main__":
    main()
