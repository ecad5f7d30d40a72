"""Does this machine's accelerator compute what its CPU does?

    python benchmarks/agreement.py

Of environments: observations after the same random actions, in each one's standard deviations. Of learners: states
after the same updates of the same batches, relative to how far those moved them. Writes `results/agreement.json`;
a minute and a half on an H100 with 16 cores, most of it compiling.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import common
import jax
import jax.numpy as jnp
import marvel_envs
import numpy as np
from updates import learners

from marvel_jax.datasets.hdf5 import load_shipped

TASKS = ("BallCircle", "DroneCircle", "CarRun", "PointGoal1", "HalfCheetahVelocity")
STEPS, ENVIRONMENTS = (1, 10, 50), 64
LEARNERS = ("SAC-Lag", "CPQ", "VPA")
UPDATES, HIDDEN, BATCH = (1, 100), (64, 64), 256
COMPILING = 6  # programs at once


def observed(task: str, place: Any) -> np.ndarray:
    """`[steps, environments, observation]` under random actions, computed on the device `place`."""
    env = marvel_envs.make(task)

    def play(key):
        start = jax.vmap(env.reset)(jax.random.split(key, ENVIRONMENTS))

        def one(state, key):
            action = jax.random.uniform(key, (ENVIRONMENTS, env.action_size), minval=-1.0)
            state = jax.vmap(env.step)(state, action)
            return state, state.obs

        return jax.lax.scan(one, start, jax.random.split(key, max(STEPS)))[1]

    return np.asarray(jax.jit(play)(jax.device_put(jax.random.key(0), place)))


def learned(name: str, place: Any) -> np.ndarray:
    """`[1 + len(UPDATES), numbers]` of an algorithm's state, at first and after so many updates, on `place`."""
    data = jax.device_put(load_shipped("BallCircle").transitions, place)
    init, updates, _ = learners(HIDDEN, BATCH, only=name)[name]
    start = jax.jit(init)(jax.device_put(jax.random.key(0), place))
    key = jax.device_put(jax.random.key(1), place)
    states = [start, *(jax.jit(partial(updates, steps=n))(start, key, data=data) for n in UPDATES)]

    def numbers(state: Any) -> np.ndarray:
        leaves = [x for x in jax.tree.leaves(state) if x.dtype == jnp.float32]
        return np.concatenate([np.asarray(x, np.float64).ravel() for x in leaves])

    return np.stack([numbers(state) for state in states])


def of_environment(here: np.ndarray, cpu: np.ndarray) -> dict[str, Any]:
    """Quantiles of the differences of observations after so many steps, in standard deviations."""
    apart = np.abs(here - cpu) / (cpu.std((0, 1)) + 1e-6)
    quantiles = (0.5, 0.99, 1.0)
    return {
        f"after {n} steps": {f"{100 * q:g} %": float(np.quantile(apart[n - 1], q)) for q in quantiles} for n in STEPS
    }


def of_learner(here: np.ndarray, cpu: np.ndarray) -> dict[str, Any]:
    """Size of the difference of states after so many updates, relative to how far these moved them."""
    apart, moved = (np.linalg.norm(each, axis=1)[1:] for each in (here - cpu, cpu - cpu[0]))
    return {f"after {n} updates": float(share) for n, share in zip(UPDATES, apart / moved, strict=True)}


Computed = Callable[[str, Any], np.ndarray]
Compared = Callable[[np.ndarray, np.ndarray], dict[str, Any]]
SUBJECTS: dict[str, tuple[Computed, Compared]] = {
    **dict.fromkeys(TASKS, (observed, of_environment)),
    **dict.fromkeys(LEARNERS, (learned, of_learner)),
}


def main() -> None:
    places = jax.devices()[0], jax.devices("cpu")[0]
    found = {}
    with ThreadPoolExecutor(COMPILING) as pool:
        made = {
            name: [pool.submit(compute, name, place) for place in places] for name, (compute, _) in SUBJECTS.items()
        }
        for name, (_, compare) in SUBJECTS.items():
            here, cpu = (each.result() for each in made[name])
            found[name] = compare(here, cpu)
            print(name, found[name], flush=True)
    common.write("agreement", "python benchmarks/agreement.py", {"subjects": found})


if __name__ == "__main__":
    main()
