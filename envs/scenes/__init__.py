"""What an environment looks like: bodies for viewers, and the unsafe region. Knows nothing of learning or plotting."""

import importlib

from marvel_envs.base import SafetyEnv
from marvel_envs.scenes.parts import Disc, Scene

__all__ = ["Disc", "Scene", "scene"]


def scene(env: SafetyEnv) -> Scene | None:
    """The scene of one of this package's tasks; None for an environment of somebody else's."""
    family = env.spec.family
    if not family:
        return None
    # Imported when asked for: each module imports the physics of its tasks.
    return importlib.import_module(f"marvel_envs.scenes.{family}").make_scene(env)
