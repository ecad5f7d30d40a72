"""Environments by name: this package's, and those that a user's module registers."""

import importlib
import importlib.util
import sys
from pathlib import Path
from typing import Any

import jax
from marvel_envs.tasks import TASKS, task_spec

# The modules whose `make` returns a family's environments.
_FAMILIES = {
    "bullet": "marvel_envs.bullet.env",
    "velocity": "marvel_envs.velocity",
    "navigation": "marvel_envs.navigation.env",
}
_REGISTERED: dict[str, Any] = {}
_LOADED: dict[str, Any] = {}


def make(name: str) -> Any:
    """A task's environment.

    Raises:
      ValueError: If there is no such task; the message has the nearest name.
    """
    spec = task_spec(name)
    if name in _REGISTERED:
        return _REGISTERED[name]
    # Imported when first made, so that a ball does not wait for MuJoCo.
    return importlib.import_module(_FAMILIES[spec.family]).make(name)


def register(env: Any, check_steps: int = 3) -> None:
    """Registers an environment under its `spec.name`, for `make` and the `marvel` command.

    Args:
      env: A `SafetyWrapper` (or a `SafetyEnv` of your own).
      check_steps: Random steps to take first, see `SafetyWrapper.check`; 0 for none.

    Raises:
      ValueError: If the name is taken, the environment has no spec, or its numbers are not what they must be.
    """
    spec = getattr(env, "spec", None)
    if spec is None:
        raise ValueError(f"{type(env).__name__} has no spec. Wrap it: SafetyWrapper(env, cost_fn, cost_limit=…).")
    if spec.name in TASKS:
        raise ValueError(f"There is a task {spec.name} already. Give SafetyWrapper another name.")
    if check_steps and hasattr(env, "check"):
        env.check(jax.random.key(0), check_steps)
    TASKS[spec.name] = spec
    _REGISTERED[spec.name] = env


def load_module(where: str) -> None:
    """Imports a user's module, which registers environments, once.

    Args:
      where: A file (my_envs.py) or a dotted name.

    Raises:
      ValueError: If it cannot be imported; the message says why.
    """
    path = Path(where)
    key = str(path.resolve()) if path.suffix == ".py" else where
    if key in _LOADED:
        return
    try:
        if path.suffix == ".py":
            spec = importlib.util.spec_from_file_location(path.stem, path)
            assert spec is not None
            assert spec.loader is not None
            module = importlib.util.module_from_spec(spec)
            sys.modules.setdefault(path.stem, module)
            spec.loader.exec_module(module)
        else:
            module = importlib.import_module(where)
    except FileNotFoundError:
        raise ValueError(f"There is no module at {where}. Give a Python file or an importable name.") from None
    except Exception as error:
        raise ValueError(f"{where} cannot be imported: {type(error).__name__}: {error}") from error
    _LOADED[key] = module
