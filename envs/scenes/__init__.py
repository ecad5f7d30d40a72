"""What an environment looks like: bodies for viewers, and the unsafe region. Knows nothing of learning or plotting."""

from marvel_envs.base import SafetyEnv
from marvel_envs.scenes.parts import Disc, Scene

__all__ = ["Disc", "Scene", "scene"]


def scene(env: SafetyEnv) -> Scene | None:
    """The scene of one of this package's tasks; None for an environment of somebody else's."""
    # Imported when asked for: each knows the physics of its tasks.
    from marvel_envs.bullet.env import BulletEnv
    from marvel_envs.navigation.env import Circle, Goal

    if isinstance(env, BulletEnv):
        from marvel_envs.scenes.bullet import bullet_scene

        return bullet_scene(env)
    if isinstance(env, Goal | Circle):
        from marvel_envs.scenes.navigation import navigation_scene

        return navigation_scene(env)
    if "qpos" in getattr(env, "recorded_state", ()):
        from marvel_envs.scenes.velocity import velocity_scene

        return velocity_scene(env)
    return None
