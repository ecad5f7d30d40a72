"""One accelerator: how many seeds fill it, what an update is made of there, and what whole runs take.

    python benchmarks/accelerator.py [--only PART ...]

peer  SAC-Lag's and CPQ's updates in eager PyTorch on the same device, if PyTorch is there
updates  updates/s of 1 to 4,096 seeds at once, with kernels and bytes of the compiled update
device  the device's own rates of products and copies of such sizes
runs  whole `marvel run`s, each in a process of its own that compiles everything
environments  steps/s with random actions, 1,024 to 65,536 environments at once
choices  bfloat16 products

Programs are compiled side by side and measured one at a time. Results are added to `results/accelerator.json` as they
come, with `accelerator.png`. On an H100 with 16 cores an update's program takes 15 to 45 s to compile, and `runs` three
minutes per run.
"""

import argparse
import importlib.util
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from functools import partial
from pathlib import Path
from typing import Any

import common
import environments
import jax
import jax.numpy as jnp
from matplotlib.figure import Figure
from throughput import alternate
from updates import learners

from marvel_jax.datasets.hdf5 import load_shipped
from marvel_jax.sweeps import memory

ROUNDS = 3
COMPILING = 6  # at once: each also tries kernels on the device, and more would disturb one another
SEEDS = (1, 16, 64, 256, 1024, 4096)
SMALL, LARGE, BATCH = (64, 64), (256, 256), 256  # networks of presets `cpu` and `paper`
COUNTS, ENVIRONMENT_STEPS = (1024, 8192, 65536), 50
TASKS = ("BallCircle", "BallRun", "DroneCircle", "CarRun", "PointGoal1", "HalfCheetahVelocity")
RUNS = (("quick", 4), ("quick", 512))
Measured = Iterator[tuple[str, Any]]
# Instructions of a compiled program that start no kernel.
FREE = {"parameter", "get-tuple-element", "tuple", "bitcast", "constant", "after-all", "while", "call", "conditional"}


def compiled(works: dict[str, Callable[[], Any]]) -> Iterator[tuple[str, Any]]:
    """What each of `works` returns, or its error: not all fit into memory."""
    with ThreadPoolExecutor(COMPILING) as pool:
        made = {name: pool.submit(work) for name, work in works.items()}
        wait(made.values())
        for name, work in made.items():
            error = work.exception()
            yield name, work.result() if error is None else _in_short(error)


def _in_short(error: BaseException) -> str:
    return f"{type(error).__name__}: {str(error).strip().splitlines()[0][:200]}"


def measured(works: dict[str, Callable[[], Any]]) -> Measured:
    """The same, each measured by its own `measure`."""
    for name, work in compiled(works):
        try:
            yield name, work if isinstance(work, str) else work.measure()
        except jax.errors.JaxRuntimeError as error:
            yield name, _in_short(error)


def rate(call: Callable[[], Any], units: float) -> dict[str, float]:
    """Units per second over rounds."""
    return alternate({"it": (call, units)}, ROUNDS)["it"]


class Updates:
    """A compiled call that takes fresh learners of as many seeds as asked for some updates further."""

    def __init__(self, name: str, hidden: tuple[int, ...], seeds: int, **changes: Any):
        self.data = jax.tree.map(jnp.asarray, load_shipped("BallCircle").transitions)
        init, updates, self.flops = learners(hidden, BATCH, only=name, **changes)[name]
        # About 0.3 s, if an update takes 0.3 ms, or longer when it has more to do.
        self.seeds, self.steps = seeds, max(5, round(1000 / max(1, seeds * hidden[0] / 2048)))
        self.init = jax.jit(jax.vmap(init))
        advance = jax.vmap(lambda state, data: updates(state, jax.random.key(1), self.steps, data), (0, None))
        self.keys = jax.random.split(jax.random.key(0), seeds)
        shapes = jax.eval_shape(self.init, self.keys)
        self.state_bytes = memory.tree_bytes(shapes)
        clock = time.perf_counter()
        self.compiled = jax.jit(advance).lower(shapes, self.data).compile()
        self.compile_seconds = time.perf_counter() - clock

    def measure(self) -> dict[str, Any]:
        """Rate over all seeds, and what the compiler says of memory and kernels."""
        memory: Any = self.compiled.memory_analysis()
        state = self.init(self.keys)
        return {
            "updates_per_second": rate(lambda: self.compiled(state, self.data), self.seeds * self.steps),
            "matmul_flops_per_update": self.flops,
            "kernels_per_update": kernels(self.compiled.as_text() or ""),
            "state_bytes_per_seed": self.state_bytes / self.seeds,
            "temporary_bytes_per_seed": memory.temp_size_in_bytes / self.seeds,
            "compile_seconds": self.compile_seconds,
        }


def kernels(text: str) -> int:
    """Kernels that one pass through the outermost loop of a compiled program starts, as its text shows them."""
    bodies: dict[str, list[str]] = {}
    name = ""
    for line in text.splitlines():
        opened = re.match(r"^(?:ENTRY )?%?([\w.\-]+) \(.*\{$", line)
        if opened:
            name = opened[1]
            bodies[name] = []
        elif " = " in line:
            bodies.setdefault(name, []).append(line)

    def count(name: str) -> int:
        total = 0
        for line in bodies.get(name, []):
            operation = re.search(r"[\]\})] ([a-z][\w\-]*)\(", line)
            total += operation is not None and operation[1] not in FREE
            if operation is not None and operation[1] == "call":
                total += sum(count(called) for called in re.findall(r"to_apply=%?([\w.\-]+)", line))
        return total

    return max((count(body) for body in re.findall(r"body=%?([\w.\-]+)", text)), default=0)


def updates() -> Measured:
    """SAC-Lag with both networks, CPQ and VPA with the smaller."""
    works: dict[str, Callable[[], Any]] = {}
    for hidden in (SMALL, LARGE):
        for name in ("SAC-Lag", "CPQ", "VPA"):
            for seeds in SEEDS if (name, hidden) == ("SAC-Lag", SMALL) else SEEDS[::2]:
                if name == "SAC-Lag" or hidden == SMALL:
                    label = f"{name}/hidden {hidden[0]}/{seeds} seeds"
                    works[label] = partial(Updates, name, hidden, seeds)
    return measured(works)


def device() -> Measured:
    """Products like those of 1,024 seeds' layers and of one large matrix, in FLOP/s, and a copy in bytes/s."""
    for precision in ("default", "highest"):
        for batch, rows, width in ((1024, BATCH, 64), (1024, BATCH, 256), (1, 8192, 8192)):
            x, w = (jax.random.normal(jax.random.key(0), (batch, n, width)) / width**0.5 for n in (rows, width))
            chain = jax.jit(
                lambda x, w, p=precision: jax.lax.fori_loop(0, 20, lambda _, x: jnp.matmul(x, w, precision=p), x)
            )
            label = f"{batch} x [{rows}, {width}] x [{width}, {width}], {precision} precision, FLOP/s"
            yield label, rate(partial(chain, x, w), 20 * 2 * batch * rows * width**2)
    large = jnp.ones(2**29)
    yield "copy, bytes/s read and written", rate(partial(jax.jit(lambda x: x + 1.0), large), 2 * large.nbytes)


def choices() -> Measured:
    """SAC-Lag with bfloat16 products, to be compared with `updates`."""
    return measured(
        {
            f"bfloat16 products/SAC-Lag/hidden {hidden[0]}/{seeds} seeds": partial(
                Updates, "SAC-Lag", hidden, seeds, compute_dtype="bfloat16"
            )
            for hidden, seeds in ((SMALL, 1024), (LARGE, 64), (LARGE, 1024))
        }
    )


def environment_steps() -> Measured:
    """Steps/s of each task at each number of environments."""
    return measured(
        {
            f"{task}/{count}": partial(environments.Steps, task, count, ENVIRONMENT_STEPS)
            for count in COUNTS
            for task in TASKS
        }
    )


def whole_runs() -> Measured:
    """Each with an empty compilation cache; its summary."""
    for preset, seeds in RUNS:
        with tempfile.TemporaryDirectory() as folder:
            words = ["run", "BallCircle", "--preset", preset, "--seeds", str(seeds), "--json"]
            clock = time.monotonic()
            done = subprocess.run(
                [sys.executable, "-m", "marvel_jax", *words, "--out", str(Path(folder) / "run")],
                env={**os.environ, "JAX_COMPILATION_CACHE_DIR": str(Path(folder) / "cache")},
                stdout=subprocess.PIPE,
                text=True,
            )
            taken = time.monotonic() - clock
        summary = json.loads(done.stdout) if done.returncode == 0 else {"failed": done.returncode}
        yield f"{preset}, {seeds} seeds", {"wall_seconds": taken, **condensed(summary)}


def condensed(summary: dict[str, Any]) -> dict[str, Any]:
    """A run's summary with medians and extremes instead of each seed's numbers."""
    per_seed = {name: common.spread(values) for name, values in summary.get("per_seed", {}).items()}
    return {**summary, "per_seed": per_seed}


def peer() -> Measured:
    """Updates/s of one learner in eager PyTorch."""
    if importlib.util.find_spec("torch") is None:
        return
    names = [f"{name}/hidden {hidden[0]}/batch {BATCH}" for name in ("SAC-Lag", "CPQ") for hidden in (SMALL, LARGE)]
    process = subprocess.run(
        [sys.executable, str(Path(__file__).parent / "peer_processes" / "pytorch.py")],
        env={**os.environ, "PEER_DEVICE": "cuda"},
        input="".join(f"{name}\n" for name in names for _ in range(ROUNDS)),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    rates = [json.loads(line)["per_second"] for line in process.stdout.splitlines()[1:]]
    for index, name in enumerate(names):
        yield name, common.spread(rates[index * ROUNDS : (index + 1) * ROUNDS])


def draw(parts: dict[str, Any], path: Path) -> None:
    """Updates/s of all seeds together against their number."""
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    curves: dict[str, list[tuple[int, float]]] = {}
    for label, entry in parts["updates"].items():
        name, hidden, seeds = label.split("/")
        if isinstance(entry, dict):
            point = int(seeds.split()[0]), entry["updates_per_second"]["median"]
            curves.setdefault(f"{name}, {hidden}", []).append(point)
    for name, points in curves.items():
        axes.plot(*zip(*points, strict=True), "o-", label=name)
        (first, rate), last = points[0], points[-1][0]
        axes.plot([first, last], [rate, rate * last / first], ":", color="0.6", linewidth=1)
    highest = max(rate for points in curves.values() for _, rate in points)
    axes.set(xscale="log", yscale="log", xlabel="seeds at once", ylabel="updates/s of all together")
    axes.set_ylim(top=2 * highest)
    axes.set_title("dotted: as if seeds were free", fontsize=9)
    axes.legend(frameon=False, fontsize=8)
    figure.savefig(path, dpi=130)


PARTS: dict[str, Callable[[], Measured]] = {
    "peer": peer,
    "updates": updates,
    "device": device,
    "runs": whole_runs,
    "environments": environment_steps,
    "choices": choices,
}


def main() -> None:
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # some parts use the device in other processes
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=list(PARTS), nargs="*", default=list(PARTS))
    wanted = parser.parse_args().only
    for name in (name for name in PARTS if name in wanted):
        clock, found = time.monotonic(), {}
        for label, value in PARTS[name]():
            found[label] = value
            print(f"{label}: {json.dumps(value)}", flush=True)
            common.add("accelerator", "python benchmarks/accelerator.py", {name: found})
        print(f"{name}: {time.monotonic() - clock:.0f} s", flush=True)
    if "updates" in (parts := common.parts_of("accelerator")):
        draw(parts, common.RESULTS / "accelerator.png")


if __name__ == "__main__":
    main()
