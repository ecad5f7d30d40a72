"""Many environments of a real simulator at once: worker processes that write into shared memory.

    with HostVector("bullet-safety-gym", "SafetyBallCircle-v0", count=40) as environments:
        observation = environments.reset(range(40))
        step = environments.step(action)

Imports neither JAX nor Brax, so that workers start quickly. Workers are spawned: a script that uses this needs the
usual `if __name__ == "__main__":`.
"""

import multiprocessing
import os
import traceback
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from marvel_envs.simulators import HostEnv, require


class HostStep(NamedTuple):
    """One step of n environments.

    Attributes:
      observation: `[n, o]` to act on next: of a fresh episode where one ended.
      final_observation: `[n, o]` that the step itself led to.
      reward, cost: `[n]`.
      termination, truncation: `[n]` booleans: ended by the task, or by its time limit.
    """

    observation: np.ndarray
    final_observation: np.ndarray
    reward: np.ndarray
    cost: np.ndarray
    termination: np.ndarray
    truncation: np.ndarray


_FIELDS = (("observation", "o"), ("final_observation", "o"), ("action", "a"), ("outcome", 4))


class HostVector:
    """`count` environments in worker processes.

    Args:
      simulator: A key of `simulators.PACKAGES`.
      name: The simulator's own name of the environment.
      count: How many environments.
      workers: How many processes; None is one per core.

    Attributes:
      sizes: Lengths of observations and actions.
      count: How many environments.

    Raises:
      ValueError: If the simulator is unknown, not installed, or has no such environment.
    """

    def __init__(self, simulator: str, name: str, count: int, workers: int | None = None):
        require(simulator)
        context = multiprocessing.get_context("spawn")
        workers = min(workers or os.cpu_count() or 1, count)
        self.sizes = _sizes(context, simulator, name)
        self.count, self._pipes, self._processes = count, [], []
        observation_size, action_size = self.sizes
        widths = {"o": observation_size, "a": action_size, 4: 4}
        buffers = {field: context.RawArray("d", count * widths[width]) for field, width in _FIELDS}
        self._arrays = _arrays(buffers, count)
        for share in np.array_split(np.arange(count), workers):
            here, there = context.Pipe()
            arguments = (there, simulator, name, buffers, count, int(share[0]), len(share))
            process = context.Process(target=_work, args=arguments, daemon=True)
            process.start()
            there.close()
            self._pipes.append(here)
            self._processes.append(process)
        self._all(None)  # wait until every worker has made its environments

    def __enter__(self) -> "HostVector":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def reset(self, seeds: Sequence[int]) -> np.ndarray:
        """Starts new episodes from `count` seeds; returns their first observations `[n, o]`."""
        if len(seeds) != self.count:
            raise ValueError(f"reset needs {self.count} seeds, one per environment; got {len(seeds)}.")
        self._all(("reset", [int(seed) for seed in seeds]))
        return self._arrays["observation"].copy()

    def step(self, action: np.ndarray) -> HostStep:
        """Steps all environments with actions `[n, a]` in [−1, 1]."""
        self._arrays["action"][:] = action
        self._all(("step", None))
        reward, cost, termination, truncation = self._arrays["outcome"].T.copy()
        observation, final = self._arrays["observation"].copy(), self._arrays["final_observation"].copy()
        return HostStep(observation, final, reward, cost, termination > 0, truncation > 0)

    def close(self) -> None:
        """Ends the workers."""
        for pipe in self._pipes:
            pipe.close()
        for process in self._processes:
            process.join(timeout=5)
            if process.is_alive():
                process.terminate()
        self._pipes, self._processes = [], []

    def _all(self, message: Any) -> None:
        """Sends every worker a message (None: nothing) and waits until all are done."""
        if message is not None:
            for pipe in self._pipes:
                pipe.send(message)
        for pipe in self._pipes:
            try:
                problem = pipe.recv()
            except EOFError:
                raise RuntimeError("A simulator's worker process died.") from None
            if problem is not None:
                raise RuntimeError(f"A simulator's worker failed:\n{problem}")


def _arrays(buffers: dict[str, Any], count: int) -> dict[str, np.ndarray]:
    return {field: np.frombuffer(buffer, np.float64).reshape(count, -1) for field, buffer in buffers.items()}


def _sizes(context: Any, simulator: str, name: str) -> tuple[int, int]:
    """Lengths of observations and actions, measured in another process: this one imports no simulator."""
    here, there = context.Pipe()
    process = context.Process(target=_measure, args=(there, simulator, name), daemon=True)
    process.start()
    there.close()
    try:
        result = here.recv()
    except EOFError:
        raise RuntimeError(f"{simulator} could not be started.") from None
    process.join()
    if isinstance(result, str):
        raise ValueError(result)
    return result


def _quiet() -> None:
    """Discards standard output: simulators print when imported, and a command may print JSON there."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _measure(pipe: Any, simulator: str, name: str) -> None:
    _quiet()
    try:
        pipe.send(HostEnv(simulator, name).sizes)
    except ValueError as error:
        pipe.send(str(error))


def _work(pipe: Any, simulator: str, name: str, buffers: Any, count: int, first: int, share: int) -> None:
    """Runs in a worker process: makes its environments, then resets and steps them until the pipe closes."""
    _quiet()
    rows = range(first, first + share)
    try:
        arrays = _arrays(buffers, count)
        environments = {row: HostEnv(simulator, name) for row in rows}
        pipe.send(None)
        while True:
            command, seeds = pipe.recv()
            for row in rows:
                if command == "reset":
                    arrays["observation"][row] = environments[row].reset(seeds[row])
                else:
                    _step(environments[row], row, arrays)
            pipe.send(None)
    except (EOFError, BrokenPipeError, KeyboardInterrupt):
        return
    except Exception:
        pipe.send(traceback.format_exc())


def _step(environment: HostEnv, row: int, arrays: dict[str, np.ndarray]) -> None:
    observation, reward, cost, termination, truncation = environment.step(arrays["action"][row])
    arrays["final_observation"][row] = observation
    arrays["outcome"][row] = (reward, cost, termination, truncation and not termination)
    ended = termination or truncation
    arrays["observation"][row] = environment.reset() if ended else observation
