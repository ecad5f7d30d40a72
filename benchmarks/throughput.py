"""Speed: gradient updates, their share of the matmul rate and what the rest is, cost per seed, start-up time, memory.

    uv run python benchmarks/throughput.py

Each part (`--only`) replaces its own in `results/throughput.json`. All rates are medians over rounds
that alternate between the measured things; `low` and `high` are the extremes.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import common
import jax
import jax.numpy as jnp
import matplotlib
import numpy as np
from flax import linen as nn
from updates import learners, of_seeds

from marvel_jax.algorithms.online import sac_lag
from marvel_jax.core.parameters import minimize, update_targets
from marvel_jax.core.transitions import Transition
from marvel_jax.datasets.hdf5 import load_shipped

matplotlib.use("Agg")
import matplotlib.pyplot as plt

ROUNDS = 5
Changes = Callable[[tuple[int, ...]], dict[str, Any]]  # of the networks, for hidden sizes
GAIN_SHAPES = {(64, 64): (128, 500), (256, 256): (256, 60)}  # hidden sizes: batch size, updates per measurement
PARTS = ["updates", "remainder", "normalization", "products", "seeds", "start"]


def alternate(works: dict[str, tuple[Callable[[], Any], float]], rounds: int = ROUNDS) -> dict[str, dict[str, float]]:
    """Times each work (a callable and how many units it does) in turn; units per second as median, low and high."""
    rates: dict[str, list[float]] = {name: [] for name in works}
    for work, _ in works.values():
        jax.block_until_ready(work())  # compile
    for _ in range(rounds):
        for name, (work, units) in works.items():
            start = time.perf_counter()
            jax.block_until_ready(work())
            rates[name].append(units / (time.perf_counter() - start))
    return {name: common.spread(values) for name, values in rates.items()}


class FlaxCritic(nn.Module):
    """The critic with Flax's own layer normalization."""

    hidden: tuple[int, ...]

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        for width in self.hidden:
            x = nn.relu(nn.LayerNorm()(nn.Dense(width)(x)))
        return nn.Dense(1)(x)


def gains(data: Transition, before: Changes, after: Changes) -> dict[str, Any]:
    """Updates/s of as many seeds as devices, with what is changed in the networks before and after, and the gain."""
    result, seeds = {}, jax.local_device_count()
    for hidden, (batch_size, steps) in GAIN_SHAPES.items():
        works = {}
        for when, changes in (("before", before), ("after", after)):
            for name, (init, updates, _) in learners(hidden, batch_size, **changes(hidden)).items():
                works[f"{name}, {when}"] = of_seeds(init, updates, seeds, steps, data)
        rates = alternate(works)
        for name in ("SAC-Lag", "CPQ", "VPA"):
            rate = {when: rates[f"{name}, {when}"] for when in ("before", "after")}
            result[f"{name}/hidden {hidden[0]}/batch {batch_size}"] = {
                **{f"updates_per_second_{when}": rate[when] for when in rate},
                "gain": rate["after"]["median"] / rate["before"]["median"],
            }
    return result


def matmul_rate(rows: int, width: int, repeats: int = 2000) -> tuple[Callable[[], Any], float]:
    """Chained products `[rows, width] × [width, width]`, in GFLOP units."""
    weights = jax.random.normal(jax.random.key(0), (width, width)) / width**0.5
    x = jax.random.normal(jax.random.key(1), (rows, width))
    chain = jax.jit(lambda x: jax.lax.scan(lambda x, _: (x @ weights, None), x, None, length=repeats)[0])
    return (lambda: chain(x)), 2 * rows * width**2 * repeats / 1e9


def update_rates(data: Transition) -> dict[str, Any]:
    """Updates/s of every algorithm at both batch sizes, and their share of the matmul rate of the same shapes."""
    result = {}
    for hidden in ((256, 256), (64, 64)):
        for batch_size in (64, 256):
            steps = 100 if hidden[0] == 256 else 500
            works = {"matmul": matmul_rate(batch_size, hidden[0])}
            flops = {}
            for name, (init, updates, count) in learners(hidden, batch_size).items():
                run = jax.jit(lambda s, k, d, u=updates, n=steps: u(s, k, n, d))
                state = init(jax.random.key(0))
                works[name] = ((lambda r=run, s=state: r(s, jax.random.key(1), data)), steps)
                flops[name] = count
            rates = alternate(works)
            gigaflops = rates.pop("matmul")
            for name, rate in rates.items():
                share = rate["median"] * flops[name] / 1e9 / gigaflops["median"]
                result[f"{name}/hidden {hidden[0]}/batch {batch_size}"] = {
                    "updates_per_second": rate,
                    "matmul_flops_per_update": flops[name],
                    "matmul_gflops_per_second": gigaflops,
                    "share_of_matmul_rate": share,
                }
    return result


def optimizers_and_targets(state: sac_lag.State, key: jax.Array, steps: int, data: Transition) -> sac_lag.State:
    """What is left of `steps` updates where gradients cost nothing."""
    del key, data

    def one(state: sac_lag.State, _: None) -> tuple[sac_lag.State, None]:
        moved = {
            name: minimize(getattr(state, name), lambda params: sum(map(jnp.sum, jax.tree.leaves(params))), 1e-4)[0]
            for name in ("actor", "reward_critic", "cost_critic")
        }
        moved |= {name: update_targets(moved[name], 0.005) for name in ("reward_critic", "cost_critic")}
        return state.replace(**moved), None

    return jax.lax.scan(one, state, None, length=steps)[0]


def remainder(data: Transition) -> dict[str, Any]:
    """What of SAC-Lag's update at hidden 256 is not matrix products: shares of its time."""
    result = {}
    for batch_size in (64, 256):
        works = {}
        for name, normalized in (("whole", True), ("without layer normalization", False)):
            init, updates, _ = learners((256, 256), batch_size, only="SAC-Lag", critic_layer_norm=normalized)["SAC-Lag"]
            works[name] = of_seeds(init, updates, 1, 100, data)
            if normalized:
                works["optimizers and targets alone"] = of_seeds(init, optimizers_and_targets, 1, 100, data)
        rates = alternate(works)
        whole = rates["whole"]["median"]
        result[f"batch {batch_size}"] = {
            "updates_per_second": rates,
            "share_of_layer_normalization": 1 - whole / rates["without layer normalization"]["median"],
            "share_of_optimizers_and_targets": whole / rates["optimizers and targets alone"]["median"],
        }
    return result


def seed_costs(data: Transition) -> dict[str, Any]:
    """Seconds per seed and update of batches of seeds, relative to one seed, for each mapping over seeds."""
    result = {}
    for hidden, steps in (((256, 256), 50), ((64, 64), 250)):
        init, updates, _ = learners(hidden, 64)["SAC-Lag"]
        works = {}
        for seeds in (1, 4, 16, 64):
            blocks = {"auto": None} if seeds == 1 else {"auto": None, "vmap of 4": 4}
            for label, block in blocks.items():
                works[f"{seeds} seeds, {label}"] = of_seeds(init, updates, seeds, steps, data, block)
        rates = alternate(works, rounds=3)
        alone = rates["1 seeds, auto"]["median"]
        result[f"hidden {hidden[0]}"] = {
            name: {"updates_per_second": rate, "cost_per_seed_relative_to_one": alone / rate["median"]}
            for name, rate in rates.items()
        }
    return result


def first_metric(cache: Path) -> dict[str, float]:
    """Seconds from process start to the first line with a metric, and the process's peak memory in MiB."""
    out = Path(tempfile.mkdtemp()) / "run"
    command = [sys.executable, "-m", "marvel_jax", "run", "BallCircle", "--preset", "quick", "--out", str(out)]
    start = time.perf_counter()
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env={**os.environ, "JAX_COMPILATION_CACHE_DIR": str(cache)}
    )
    assert process.stderr is not None
    seconds = next(time.perf_counter() - start for line in process.stderr if "reward" in line)
    process.stderr.read()
    process.wait()
    total = time.perf_counter() - start
    shutil.rmtree(out.parent)
    return {"first_metric_seconds": seconds, "whole_run_seconds": total}


def import_times() -> dict[str, float]:
    """Median seconds of a fresh interpreter for each import and command, alternating."""
    statements = {
        "import jax, flax, optax": ["-c", "import jax, flax, optax"],
        "import marvel_jax": ["-c", "import marvel_jax"],
        "import marvel_jax, all of its API but environments": [
            "-c",
            "import marvel_jax; marvel_jax.sac_lag, marvel_jax.cpq, marvel_jax.align, marvel_jax.controllers",
        ],
        "marvel --help": ["-m", "marvel_jax", "--help"],
        "marvel run --help": ["-m", "marvel_jax", "run", "--help"],
        "marvel run Unknown": ["-m", "marvel_jax", "run", "Unknown"],
        "marvel completion": ["-m", "marvel_jax", "--tyro-print-completion", "bash"],
    }
    taken: dict[str, list[float]] = {name: [] for name in statements}
    for _ in range(ROUNDS):
        for name, arguments in statements.items():
            start = time.perf_counter()
            subprocess.run([sys.executable, *arguments], capture_output=True, check=False)
            taken[name].append(time.perf_counter() - start)
    return {name: float(np.median(values)) for name, values in taken.items()}


def draw(result: dict[str, Any], path: Path) -> None:
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    updates = result["updates"]
    names = list(updates)
    left.barh(names, [100 * updates[n]["share_of_matmul_rate"] for n in names], color="C0")
    left.axvline(80, color="#b00020", linestyle="--", linewidth=1)
    left.set_xlabel("% of the matmul rate of the same shape")
    left.invert_yaxis()
    left.tick_params(labelsize=7)
    for index, (hidden, costs) in enumerate(result["seeds"].items()):
        for label, style in (("auto", "o-"), ("vmap of 4", "s:")):
            points = [(int(n.split()[0]), c["cost_per_seed_relative_to_one"]) for n, c in costs.items() if label in n]
            right.plot(*zip(*points, strict=True), style, color=f"C{index}", label=f"{hidden}, {label}")
    right.axhline(1, color="0.5", linewidth=0.8)
    right.set(xscale="log", xlabel="seeds in one batch", ylabel="cost per seed / one seed alone", ylim=(0, None))
    right.legend(frameon=False, fontsize=8)
    figure.savefig(path, dpi=130)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=PARTS, nargs="*")
    wanted = parser.parse_args().only or PARTS
    jax.config.update("jax_num_cpu_devices", os.cpu_count() or 1)
    data = jax.tree.map(jnp.asarray, load_shipped("BallCircle").transitions)
    result: dict[str, Any] = {}
    if "updates" in wanted:
        result["updates"] = update_rates(data)
    if "remainder" in wanted:
        result["remainder"] = remainder(data)
    if "normalization" in wanted:
        result["normalization"] = gains(data, lambda hidden: {"critic": FlaxCritic(hidden)}, lambda _: {})
    if "products" in wanted:
        result["products"] = gains(data, lambda _: {}, lambda _: {"compute_dtype": "bfloat16"})
    if "seeds" in wanted:
        result["seeds"] = seed_costs(data)
    if "start" in wanted:
        cache = Path(tempfile.mkdtemp())
        starts: dict[str, Any] = {"cold cache": first_metric(cache), "warm cache": first_metric(cache)}
        starts["peak_memory_mib"] = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        result["start"] = starts
        result["import_and_command_seconds"] = import_times()
        shutil.rmtree(cache)
    print(json.dumps(result, indent=1))
    parts = common.add("throughput", "python benchmarks/throughput.py", result)
    if {"updates", "seeds"} <= set(parts):
        draw(parts, common.RESULTS / "throughput.png")


if __name__ == "__main__":
    main()
