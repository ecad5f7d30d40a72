"""The layers of a run's hyperparameters: `defaults ← preset ← task ← method ← options`, each over those before it."""

from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Literal

from marvel_envs.tasks import TASKS

from marvel_jax.config import methods
from marvel_jax.config.errors import UserError
from marvel_jax.config.hyper import Hyper, override

PresetName = Literal["quick", "cpu", "paper"]


@dataclass(frozen=True)
class Preset:
    """A size of experiment.

    Attributes:
      summary: For people.
      seeds: How many it runs.
      changes: Hyperparameters by dotted path.
    """

    summary: str
    seeds: int
    changes: dict[str, Any]


PRESETS: dict[str, Preset] = {
    "quick": Preset(
        "4 seeds, under 2 minutes on two CPU cores",
        4,
        {"pretrain.updates": 6_000, "alignment.updates": 8_000, "online.iterations": 40},
    ),
    "cpu": Preset("8 seeds, the reference result of the README", 8, {}),
    "paper": Preset(
        "the paper's budget and networks; made for accelerators",
        8,
        {
            "hidden": (256, 256),
            "cpq.vae_hidden": 400,
            "bear_lag.vae_hidden": 400,
            "bcq_lag.vae_hidden": 400,
            "pretrain.updates": 100_000,
            "pretrain.batch_size": 512,
            "alignment.batch_size": 64,
            "sac.batch_size": 64,
            "online.updates": 20,
        },
    ),
}

# Where a task needs other numbers than the defaults, for every method alike. BallRun's cost is a cliff: small steps
# towards it and a controller that reacts at once.
_TASK_CHANGES: dict[str, dict[str, Any]] = {
    "BallRun": {
        "sac.actor_learning_rate": 1e-5,
        "td3.actor_learning_rate": 1e-5,
        "gains.proportional": 2.0,
        "gains.smoothing": 0.5,
    },
}


def task_changes(task: str) -> dict[str, Any]:
    """What a task changes, by dotted path: its cost limit, and what else it needs; nothing for an unknown task."""
    if task not in TASKS:
        return {}
    return {"cost_limit": TASKS[task].cost_limit, **_TASK_CHANGES.get(task, {})}


def layered(preset: str = "cpu", task: str = "", method: str = "marvel", **options: Any) -> Hyper:
    """The hyperparameters `defaults ← preset ← task ← method ← options`; each layer sets only what it names.

    Args:
      preset: A key of `PRESETS`.
      task: The task's name; empty or unknown ones change nothing.
      method: A key of `methods.METHODS`.
      options: By dotted path, e.g. `**{"gains.integral": 1e-3}`.

    Raises:
      UserError: If there is no such method.
      ValueError: If a path does not exist.
    """
    return override(override(_without_method(preset, task), **find_method(method).changes), **options)


def exchange_method(hyper: Hyper, preset: str, task: str, before: str, after: str) -> Hyper:
    """Saved hyperparameters with another method: what the method before it set returns to the layers below, first.

    Args:
      hyper: Of a run with method `before`.
      preset, task: Of that run.
      before, after: Methods.

    Raises:
      UserError: If there is no such method.
    """
    below = _without_method(preset, task)
    reset = {path: attrgetter(path)(below) for path in find_method(before).changes}
    return override(override(hyper, **reset), **find_method(after).changes)


def find_method(name: str) -> methods.Recipe:
    """A method by name; a `UserError` has the nearest name."""
    try:
        return methods.named(name)
    except ValueError as error:
        raise UserError(str(error)) from None


def _without_method(preset: str, task: str) -> Hyper:
    return override(override(Hyper(), **PRESETS[preset].changes), **task_changes(task))
