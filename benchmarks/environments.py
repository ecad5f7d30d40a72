"""Environment steps per second of every task, beside the real simulators on the same machine.

    uv run --extra simulators python benchmarks/environments.py [TASK ...]

Random actions, at 1, 64, 1,024 and 4,096 environments, each measured for a second after compiling. On CPUs ours run in
groups of at most 64 on one device per core, as `marvel run` runs seeds: larger ones do not fit the caches. The
simulator is stepped through `marvel_envs.host` with one worker per core, before and after ours, and the faster of the
two counts (Gymnasium's own vector API is as fast or a quarter slower).
Sizes at which a single step of all takes over four seconds are left out, and so are larger ones. Results are added to
`results/environments.json` task by task, with `environments.png`. Twenty minutes on two cores.
"""

import os
import sys
import time
from typing import Any

import common
import jax
import jax.numpy as jnp
import marvel_envs
import numpy as np
from marvel_envs import TASKS
from marvel_envs.host import HostVector
from matplotlib.figure import Figure

from marvel_jax.core.seeds import map_seeds

COUNTS = (1, 64, 1024, 4096)
GROUP = 64
SECONDS, TOO_SLOW, STEPS = 1.0, 4.0, 5


class Steps:
    """A compiled call that takes `count` environments of a task `steps` further, with random actions."""

    def __init__(self, task: str, count: int, steps: int = STEPS):
        env = marvel_envs.make(task)
        groups = max(count // GROUP, min(count, len(jax.local_devices())))
        size = count // groups

        def start(_: Any, key: jax.Array) -> Any:
            return jax.vmap(env.initial_physics)(jax.random.split(key, size))

        def play(_: Any, group: Any) -> Any:
            def one(physics, key):
                action = jax.random.uniform(key, (size, env.action_size), minval=-1.0)
                after = jax.vmap(env.advance)(physics, action)
                reward, cost, _ = jax.vmap(env.outcome)(physics, action, after)
                return after, (jnp.sum(reward), jnp.sum(cost), jnp.sum(jax.vmap(env.observe)(after)))

            physics, key = group
            return jax.lax.scan(one, physics, jax.random.split(key, steps))

        self.units, self._groups = count * steps, groups
        self._start = jax.jit(map_seeds(start))
        physics = jax.eval_shape(self._start, 0, self._keys(0))
        clock = time.monotonic()
        self._compiled = jax.jit(map_seeds(play)).lower(0, (physics, self._keys(0))).compile()
        self.compile_seconds = time.monotonic() - clock

    def _keys(self, number: int) -> jax.Array:
        return jax.random.split(jax.random.key(number), self._groups)

    def _call(self, physics: Any, number: int) -> Any:
        return jax.block_until_ready(self._compiled(0, (physics, self._keys(number))))[0]

    def measure(self) -> dict[str, float]:
        """Steps/s over a second, compile seconds and bytes."""
        memory: Any = self._compiled.memory_analysis()
        size = memory.temp_size_in_bytes + memory.argument_size_in_bytes + memory.output_size_in_bytes
        physics = self._call(self._start(0, self._keys(0)), 1)
        clock, calls = time.monotonic(), 0
        while calls == 0 or time.monotonic() - clock < SECONDS:
            physics = self._call(physics, calls)
            calls += 1
        rate = calls * self.units / (time.monotonic() - clock)
        return {"steps_per_second": rate, "compile_seconds": self.compile_seconds, "bytes": float(size)}


def theirs(task: str) -> float:
    """Steps/s of the real simulator on all cores."""
    spec, count = TASKS[task], 4 * (os.cpu_count() or 1)
    action = np.random.default_rng(0).uniform(-1, 1, (50, count, spec.action_size))
    with HostVector(spec.simulator, spec.simulator_id, count) as hosts:
        hosts.reset(range(count))
        hosts.step(action[0])
        clock, steps = time.monotonic(), 0
        while time.monotonic() - clock < SECONDS:
            hosts.step(action[steps % 50])
            steps += 1
        return steps * count / (time.monotonic() - clock)


def measure(task: str) -> dict[str, Any]:
    """All sizes of one task, between two measurements of its simulator."""
    before, sizes = theirs(task), {}
    for count in COUNTS:
        sizes[str(count)] = Steps(task, count).measure()
        if count / sizes[str(count)]["steps_per_second"] > TOO_SLOW:
            break
    simulator = max(before, theirs(task))
    best = sizes.get("1024", sizes[max(sizes, key=int)])
    return {"simulator": simulator, "ours": sizes, "ratio_at_1024": best["steps_per_second"] / simulator}


def draw(found: dict[str, Any]) -> None:
    """Ours at 1,024 environments beside the simulator, per task."""
    figure = Figure(figsize=(8, 0.35 * len(found) + 1.2), layout="constrained")
    axes, rows = figure.subplots(), np.arange(len(found))
    largest = [max(entry["ours"], key=lambda n: (int(n) <= 1024, int(n))) for entry in found.values()]
    rates = [entry["ours"][n]["steps_per_second"] for entry, n in zip(found.values(), largest, strict=True)]
    axes.barh(rows - 0.2, rates, 0.4, label="this package, 1,024 environments")
    axes.barh(rows + 0.2, [e["simulator"] for e in found.values()], 0.4, label="real simulator, all cores")
    axes.set_yticks(rows, list(found))
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.set_xlabel("environment steps per second")
    axes.legend()
    figure.savefig(common.RESULTS / "environments.png", dpi=120)


def main() -> None:
    jax.config.update("jax_num_cpu_devices", os.cpu_count() or 1)
    for task in sys.argv[1:] or TASKS:
        found = common.add("environments", "python benchmarks/environments.py", {task: measure(task)})
        rates = {n: round(e["steps_per_second"]) for n, e in found[task]["ours"].items()}
        print(f"{task}: {rates}, simulator {found[task]['simulator']:.0f}", flush=True)
        draw(found)


if __name__ == "__main__":
    main()
