"""The real simulators: Safety-Gymnasium 1.0.0 and Bullet-Safety-Gym 1.4.0.

    import marvel_envs.simulators  # first: prepares what follows
    import safety_gymnasium

Safety-Gymnasium was written for Python below 3.11 and MuJoCo 2.3. Importing this module hooks the import of
Safety-Gymnasium, and of nothing else, to patch in memory three things that fail with newer versions: `_array_defaults`
and each `_patch_…` say what and why. `HostEnv` is one environment of either simulator behind one interface.
"""

# pyright: reportAttributeAccessIssue=false, reportMissingImports=false

import contextlib
import dataclasses
import functools
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import inspect
import io
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

PACKAGES = {"safety-gymnasium": "safety_gymnasium", "bullet-safety-gym": "bullet_safety_gym"}
INSTALL = "`uv sync --extra simulators` (with pip, see docs/simulators.md)"


class HostEnv:
    """One environment of a real simulator.

    Args:
      simulator: A key of `PACKAGES`.
      name: The simulator's own name, such as "SafetyBallCircle-v0".

    Attributes:
      env: The simulator's own environment.
      action_scale: Actions of ±1 here are this much there.

    Raises:
      ValueError: If there is no such simulator, it is not installed, or it has no such environment.
    """

    def __init__(self, simulator: str, name: str):
        package = PACKAGES[require(simulator)]
        with contextlib.redirect_stderr(io.StringIO()):  # Gymnasium's plugins warn about tasks that are not used here
            module = importlib.import_module(package)
            gymnasium = importlib.import_module("gymnasium")
        try:
            self.env: Any = gymnasium.make(name) if simulator == "bullet-safety-gym" else module.make(name)
        except gymnasium.error.Error as error:
            raise ValueError(f"{simulator} has no {name!r} ({error}).") from None
        self.action_scale = np.asarray(self.env.action_space.high)

    @property
    def sizes(self) -> tuple[int, int]:
        """Lengths of observations and actions."""
        return self.env.observation_space.shape[0], self.env.action_space.shape[0]

    def reset(self, seed: int | None = None) -> np.ndarray:
        """A new episode's first observation; a seed also fixes NumPy's global generator, which Bullet's resets use."""
        if seed is not None:
            np.random.seed(seed % 2**32)
        return np.asarray(self.env.reset(seed=seed)[0])

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, float, bool, bool]:
        """Observation, reward, cost, termination and truncation after an action in [−1, 1]."""
        result = self.env.step(np.clip(action, -1.0, 1.0) * self.action_scale)
        if len(result) == 6:  # Safety-Gymnasium returns the cost third
            observation, reward, cost, terminated, truncated, _ = result
        else:
            observation, reward, terminated, truncated, info = result
            cost = info.get("cost", 0.0)
        return np.asarray(observation), float(reward), float(cost), bool(terminated), bool(truncated)

    def close(self) -> None:
        """Ends the simulator's environment."""
        self.env.close()


def require(simulator: str) -> str:
    """The simulator's name, if it can be used.

    Raises:
      ValueError: If it is unknown or not installed; the message has the command to install it.
    """
    if simulator not in PACKAGES:
        raise ValueError(f"Unknown simulator {simulator!r}. Simulators: {', '.join(PACKAGES)}.")
    if importlib.util.find_spec(PACKAGES[simulator]) is None:
        raise ValueError(f"{simulator} is not installed. Install it with {INSTALL}.")
    return simulator


# --- Patches of Safety-Gymnasium ----------------------------------------------------------------------


@contextlib.contextmanager
def _array_defaults() -> Iterator[None]:
    """Since Python 3.11, dataclasses refuse NumPy arrays as defaults; a factory gives the same value."""
    original = dataclasses.dataclass

    def dataclass(cls: type | None = None, /, **options: Any) -> Any:
        if cls is None:
            return functools.partial(dataclass, **options)
        for name in inspect.get_annotations(cls):
            default = vars(cls).get(name)
            if isinstance(default, np.ndarray):
                setattr(cls, name, dataclasses.field(default_factory=default.copy))
        return original(cls, **options)

    dataclasses.dataclass = dataclass
    try:
        yield
    finally:
        dataclasses.dataclass = original


def _patch_joint_lookup(module: Any) -> None:
    """Car and ant agents look a joint up by a one-element array; MuJoCo 3 wants a number."""
    import mujoco

    agent = module.BaseAgent
    original = agent._init_jnt_sensors
    lookup = mujoco.MjModel.jnt

    def jnt(model: Any, key: Any = "") -> Any:
        return lookup(model, int(key[0]) if isinstance(key, np.ndarray) else key)

    def init_joint_sensors(self: Any) -> None:
        mujoco.MjModel.jnt = jnt
        try:
            original(self)
        finally:
            mujoco.MjModel.jnt = lookup

    agent._init_jnt_sensors = init_joint_sensors


def _patch_models(_: Any) -> None:
    """Velocity tasks load Gymnasium's files, which MuJoCo 3 refuses (Swimmer) or reads otherwise (contact margins).

    Only Safety-Gymnasium's environments are given `load_model`; Gymnasium's own stay as they are.
    """
    import mujoco
    from gymnasium.envs.mujoco.mujoco_env import MujocoEnv
    from marvel_envs.mujoco_model import load_model

    original = MujocoEnv._initialize_simulation

    def initialize(self: Any) -> Any:
        if not type(self).__module__.startswith("safety_gymnasium"):
            return original(self)
        model = load_model(Path(self.fullpath).read_text())
        model.vis.global_.offwidth, model.vis.global_.offheight = self.width, self.height
        return model, mujoco.MjData(model)

    MujocoEnv._initialize_simulation = initialize


_PATCHES: dict[str, Callable[[Any], None]] = {
    "safety_gymnasium.bases.base_agent": _patch_joint_lookup,
    "safety_gymnasium": _patch_models,
}


class _Loader(importlib.abc.Loader):
    """Runs a module of Safety-Gymnasium under `_array_defaults`, then patches it."""

    def __init__(self, loader: Any):
        self.loader = loader

    def create_module(self, spec: Any) -> Any:
        return self.loader.create_module(spec)

    def exec_module(self, module: Any) -> None:
        with _array_defaults():
            self.loader.exec_module(module)
        _PATCHES.get(module.__name__, lambda _: None)(module)

    def __getattr__(self, name: str) -> Any:  # resources and the like
        return getattr(self.loader, name)


class _Finder(importlib.abc.MetaPathFinder):
    """Finds Safety-Gymnasium's modules where they are, to be loaded by `_Loader`."""

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> Any:
        if fullname.partition(".")[0] != "safety_gymnasium":
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader)
        return spec


sys.meta_path.insert(0, _Finder())
