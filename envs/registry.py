"""Environments by name."""

from marvel_envs.ball import BallCircle, BallRun
from marvel_envs.base import SafetyEnv
from marvel_envs.tasks import task_spec

_ENVIRONMENTS: dict[str, type[SafetyEnv]] = {"BallCircle": BallCircle, "BallRun": BallRun}


def make(name: str) -> SafetyEnv:
    """An environment by name, one instance, to be vmapped by the caller.

    Raises:
      ValueError: If there is no such task; the message has the nearest name.
    """
    return _ENVIRONMENTS[task_spec(name).name]()
