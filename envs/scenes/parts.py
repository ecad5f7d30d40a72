"""The parts of a scene, and what makes one."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import mujoco
import numpy as np

# pyright: reportAttributeAccessIssue=false
# MuJoCo's names come from a compiled module that pyright cannot read.

BEACON = '<body name="unsafe"><freejoint/><geom type="sphere" size="{size}" rgba="1 0 0 0.8"/></body>'
GREY, BLUE, RED, GREEN = "0.4 0.33 0.26 1", "0.2 0.4 0.8 1", "0.9 0.1 0.1 0.25", "0.1 0.7 0.2 0.35"
Rectangle = tuple[float, float, float, float]


class Disc(NamedTuple):
    """A thing in the plane: its centre and radius in m, and whether it is "unsafe", a "goal" or an "object"."""

    x: float
    y: float
    radius: float
    kind: str


@dataclass(frozen=True)
class Scene:
    """How to show an environment.

    Attributes:
      model: MuJoCo model whose bodies are shown; the last one is a beacon for unsafe steps.
      poses: `physics [T, ...] -> (positions [T, L, 3], rotations [T, L, 4] as (w, x, y, z))` of all bodies but the
        beacon.
      agent_bodies: How many of them, the first ones, are the agent.
      unsafe: Rectangles (x from, x to, y from, y to) in m that the policy must keep out of, or none.
      from_above: Seen from above, else from the side.
      reach: Half the side of the arena that is shown, m; None follows the agent.
      speed: `physics [T, ...] -> [T]` that the cost limits, and its limit, m/s; None if no speed is limited.
      discs: `(physics [T, ...], step) -> ` what lies around at a step, or None.
    """

    model: mujoco.MjModel
    poses: Callable[[Any], tuple[np.ndarray, np.ndarray]]
    agent_bodies: int
    unsafe: tuple[Rectangle, ...]
    from_above: bool
    reach: float | None = None
    speed: Callable[[Any], np.ndarray] | None = None
    speed_limit: float | None = None
    discs: Callable[[Any, int], list[Disc]] | None = None


def untouchable(model: mujoco.MjModel) -> mujoco.MjModel:
    """The model without collisions: it is only shown."""
    model.geom_contype[:] = model.geom_conaffinity[:] = 0
    return model


def build_model(
    bodies: list[tuple[str, str]],
    unsafe: tuple[Rectangle, ...],
    floor: float,
    beacon: float,
) -> mujoco.MjModel:
    """Bodies by name and geoms, on a floor with unsafe rectangles, under a beacon of a given size."""
    regions = "".join(
        f'<geom type="box" rgba="{RED}" pos="{(a + b) / 2} {(c + d) / 2} 0" size="{(b - a) / 2} {(d - c) / 2} 0.02"/>'
        for a, b, c, d in unsafe
    )
    shown = [f"<body name='{name}'><freejoint/>{geom}</body>" for name, geom in bodies]
    ground = f'<geom type="plane" size="{floor} {floor} 0.1" rgba="0.8 0.8 0.8 1"/>'
    world = ground + regions + "".join(shown) + BEACON.format(size=beacon)
    return untouchable(mujoco.MjModel.from_xml_string(f"<mujoco><worldbody>{world}</worldbody></mujoco>"))


def on_host(poses: Callable) -> Callable[[Any], tuple[np.ndarray, np.ndarray]]:
    """Poses of one step, for all steps at once and as NumPy arrays."""
    jitted = jax.jit(jax.vmap(poses))

    def numpy_poses(physics: Any) -> tuple[np.ndarray, np.ndarray]:
        positions, rotations = jitted(physics)
        return np.asarray(positions), np.asarray(rotations)

    return numpy_poses


def wxyz(q: jax.Array) -> jax.Array:
    """`[..., 4]` quaternions (x, y, z, w) in the viewer's order."""
    return jnp.roll(q, 1, axis=-1)
