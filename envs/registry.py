"""Environments by name."""

from marvel_envs.base import SafetyEnv
from marvel_envs.tasks import task_spec


def make(name: str) -> SafetyEnv:
    """A task's environment.

    Raises:
      ValueError: If there is no such task; the message has the nearest name.
    """
    name = task_spec(name).name
    # Imported when first made, so that a ball does not wait for MuJoCo.
    if name.endswith("Velocity"):
        from marvel_envs.velocity import VelocityEnv

        return VelocityEnv(name)
    from marvel_envs.bullet.env import make as make_bullet

    return make_bullet(name)
