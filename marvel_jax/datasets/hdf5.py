"""Offline datasets in DSRL's HDF5 layout plus physics states: reading with checks, and writing.

A file has flat arrays over steps: `observations`, `next_observations`, `actions`, `rewards`, `costs`, `terminals`,
`timeouts`; an episode ends where `terminals` or `timeouts` is 1. Files made here also have `physics/<field>` (the
state before each step, from which an environment can be restarted) and the attributes `task` and `command`.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from marvel_envs.tasks import TASKS, TaskSpec

from marvel_jax.config.errors import UserError
from marvel_jax.core.transitions import Transition

_ARRAYS = ("observations", "next_observations", "actions", "rewards", "costs", "terminals", "timeouts")


@dataclass(frozen=True)
class Dataset:
    """A dataset in memory, as NumPy float32.

    Attributes:
      task: The task's spec.
      transitions: `[N]` steps, in order.
      ends: `[N]` True where an episode ends.
      physics: `[N, ...]` state before each step by field name; empty if the file has none.
    """

    task: TaskSpec
    transitions: Transition
    ends: np.ndarray
    physics: dict[str, np.ndarray]

    def episode_sums(self) -> tuple[np.ndarray, np.ndarray]:
        """`[episodes]` return and cost of each complete episode."""
        last = np.flatnonzero(self.ends)
        first = np.concatenate([[0], last[:-1] + 1])
        rewards, costs = (np.asarray(a)[: last[-1] + 1] for a in (self.transitions.reward, self.transitions.cost))
        return np.add.reduceat(rewards, first), np.add.reduceat(costs, first)


def shipped_path(task: str) -> Path:
    """Where the dataset of a task that comes with the package lies."""
    return Path(__file__).parent / "shipped" / f"{task}.hdf5"


def load_shipped(task: str) -> Dataset:
    """The dataset of a task that comes with the package."""
    return load_dataset(shipped_path(task), TASKS[task])


def load_dataset(path: str | Path, task: TaskSpec) -> Dataset:
    """Reads a dataset and checks it.

    Raises:
      UserError: If the file is missing, not HDF5, truncated, of another task, or has arrays with wrong shapes, types,
        non-finite numbers or values out of range; the message names the array and the row.
    """
    path = Path(path)
    if not path.is_file():
        if path == shipped_path(task.name):
            raise UserError(
                f"No dataset of {task.name} comes with the package. Make one with: marvel collect {task.name} --out "
                f"{task.name}.hdf5, and give it with --dataset {task.name}.hdf5."
            )
        raise UserError(f"There is no dataset at {path}. Make one with: marvel collect {task.name} --out {path}")
    try:
        with h5py.File(path, "r") as file:
            made_for = str(file.attrs["task"]) if "task" in file.attrs else None
            arrays = {name: _read(file, name, path) for name in _ARRAYS}
            physics = {name: _read(file, f"physics/{name}", path) for name in _physics_names(file)}
    except (OSError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{path} is not a readable HDF5 file, or is cut short ({reason}).") from None
    if made_for is not None and made_for != task.name:
        raise UserError(f"{path} is a dataset of {made_for}, not of {task.name}. Give one that was made for the task.")
    _check(arrays, physics, task, path)
    steps: dict[str, Any] = {
        "observation": arrays["observations"],
        "action": arrays["actions"],
        "reward": arrays["rewards"],
        "cost": arrays["costs"],
        "discount": 1.0 - arrays["terminals"],
        "next_observation": arrays["next_observations"],
    }
    return Dataset(
        task=task,
        transitions=Transition(**steps),
        ends=(arrays["terminals"] + arrays["timeouts"]) > 0,
        physics=physics,
    )


def _physics_names(file: h5py.File) -> list[str]:
    group = file.get("physics")
    return list(group) if isinstance(group, h5py.Group) else []


def _read(file: h5py.File, name: str, path: Path) -> np.ndarray:
    if name not in file:
        raise UserError(f"{path} has no array {name!r}; a dataset needs {', '.join(_ARRAYS)}.")
    array = np.asarray(file[name][()])  # pyright: ignore[reportIndexIssue]
    if array.dtype.kind not in "fiub":
        raise UserError(f"{path}: {name} has type {array.dtype}, expected numbers.")
    return array.astype(np.float32)


def _check(arrays: dict[str, np.ndarray], physics: dict[str, np.ndarray], task: TaskSpec, path: Path) -> None:
    rows = len(np.atleast_1d(arrays["rewards"]))
    widths = {"observations": task.observation_size, "next_observations": task.observation_size}
    widths["actions"] = task.action_size
    for name, array in arrays.items():
        expected = (rows, widths[name]) if name in widths else (rows,)
        if array.shape != expected:
            raise UserError(
                f"{path}: {name} has shape {array.shape}, but {task.name} with {rows} rewards needs {expected}. "
                f"Is it a dataset of {task.name}?"
            )
    if rows == 0:
        raise UserError(f"{path} has no steps.")
    for name, array in physics.items():
        if len(array) != rows:
            raise UserError(f"{path}: physics/{name} has {len(array)} rows, but there are {rows} rewards.")
    for name, array in {**arrays, **{f"physics/{n}": a for n, a in physics.items()}}.items():
        _refuse(~np.isfinite(array), name, "is not finite", array, path)
    _refuse(np.abs(arrays["actions"]) > 1 + 1e-4, "actions", "lies outside [-1, 1]", arrays["actions"], path)
    _refuse((arrays["costs"] < 0) | (arrays["costs"] > 1), "costs", "lies outside [0, 1]", arrays["costs"], path)
    for name in ("terminals", "timeouts"):
        _refuse(~np.isin(arrays[name], (0.0, 1.0)), name, "is neither 0 nor 1", arrays[name], path)
    if not np.any(arrays["terminals"] + arrays["timeouts"]):
        raise UserError(f"{path} has no complete episode: terminals and timeouts are all 0.")


def _refuse(bad: np.ndarray, name: str, what: str, array: np.ndarray, path: Path) -> None:
    """Raises about the first of the `bad` entries, if there is one."""
    if not bad.any():
        return
    place = np.argwhere(bad)[0]
    rows = int(bad.reshape(len(bad), -1).any(axis=1).sum())
    column = f", column {place[1]}" if len(place) > 1 else ""
    more = f" ({rows} such rows)" if rows > 1 else ""
    raise UserError(
        f"{path}: {name}, row {place[0]}{column}: {array[tuple(place)]} {what}{more}. Repair or drop those rows."
    )


def save_dataset(path: str | Path, dataset: Dataset, command: str) -> None:
    """Writes a dataset; `command` is kept as the attribute that says how it was made."""
    steps = dataset.transitions
    terminals = 1.0 - steps.discount
    arrays = {
        "observations": steps.observation,
        "next_observations": steps.next_observation,
        "actions": steps.action,
        "rewards": steps.reward,
        "costs": steps.cost,
        "terminals": terminals,
        "timeouts": dataset.ends * (1.0 - terminals),
    }
    with h5py.File(path, "w") as file:
        file.attrs["task"] = dataset.task.name
        file.attrs["command"] = command
        for name, array in {**arrays, **{f"physics/{n}": a for n, a in dataset.physics.items()}}.items():
            packed: Any = (
                {"compression": "gzip", "shuffle": True} if np.size(array) else {}
            )  # HDF5 packs no empty arrays
            file.create_dataset(name, data=np.asarray(array, np.float32), **packed)
