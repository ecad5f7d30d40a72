"""What an environment looks like: bodies for viewers, and the unsafe region. Knows nothing of learning or plotting."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
from marvel_envs.base import SafetyEnv
from marvel_envs.bullet import arena, car, drone_physics, quaternions
from marvel_envs.bullet.env import CIRCLE_BOUNDARY, RUN_BOUNDARY, BulletEnv

# pyright: reportAttributeAccessIssue=false
# MuJoCo's names come from a compiled module that pyright cannot read.

BEACON = '<body name="unsafe"><freejoint/><geom type="sphere" size="{size}" rgba="1 0 0 0.8"/></body>'
_GREY, _BLUE, _RED = "0.4 0.33 0.26 1", "0.2 0.4 0.8 1", "0.9 0.1 0.1 0.25"


@dataclass(frozen=True)
class Scene:
    """How to show an environment.

    Attributes:
      model: MuJoCo model whose bodies are shown; the last one is a beacon for unsafe steps.
      poses: `physics [T, ...] -> (positions [T, L, 3], rotations [T, L, 4] as (w, x, y, z))` of all bodies but the
        beacon.
      unsafe: Rectangles (x from, x to, y from, y to) in m that the policy must keep out of, or none.
      from_above: Seen from above, else from the side.
      speed: `physics [T, ...] -> [T]` that the cost limits, and its limit, m/s; None if no speed is limited.
    """

    model: mujoco.MjModel
    poses: Callable[[Any], tuple[np.ndarray, np.ndarray]]
    unsafe: tuple[tuple[float, float, float, float], ...]
    from_above: bool
    speed: Callable[[Any], np.ndarray] | None
    speed_limit: float | None


def scene(env: SafetyEnv) -> Scene | None:
    """The scene of one of this package's tasks; None for an environment of somebody else's."""
    if isinstance(env, BulletEnv):
        return _bullet(env)
    if "qpos" in getattr(env, "recorded_state", ()):
        return _velocity(env)
    return None


def _untouchable(model: mujoco.MjModel) -> mujoco.MjModel:
    """The model without collisions: it is only shown."""
    model.geom_contype[:] = model.geom_conaffinity[:] = 0
    return model


def _unsafe(env: BulletEnv) -> tuple[tuple[float, float, float, float], ...]:
    if env.walled:
        wall = arena.WALL_DISTANCE
        return (-wall, -CIRCLE_BOUNDARY, -wall, wall), (CIRCLE_BOUNDARY, wall, -wall, wall)
    return (-5.0, 120.0, RUN_BOUNDARY, 10.0), (-5.0, 120.0, -10.0, -RUN_BOUNDARY)


def _bullet(env: BulletEnv) -> Scene:
    bodies, poses = _AGENTS[env.agent_name]()
    regions = "".join(
        f'<geom type="box" rgba="{_RED}" pos="{(a + b) / 2} {(c + d) / 2} 0" size="{(b - a) / 2} {(d - c) / 2} 0.02"/>'
        for a, b, c, d in _unsafe(env)
    )
    shown = [f"<body name='{name}'><freejoint/>{geom}</body>" for name, geom in bodies]
    floor = '<geom type="plane" size="150 150 0.1" rgba="0.8 0.8 0.8 1"/>'
    world = floor + regions + "".join(shown) + BEACON.format(size=0.4)
    model = _untouchable(mujoco.MjModel.from_xml_string(f"<mujoco><worldbody>{world}</worldbody></mujoco>"))
    jitted = jax.jit(jax.vmap(poses))

    def numpy_poses(physics: Any) -> tuple[np.ndarray, np.ndarray]:
        positions, rotations = jitted(physics)
        return np.asarray(positions), np.asarray(rotations)

    speed = None if env.walled else lambda physics: np.linalg.norm(np.asarray(physics.velocity)[:, :2], axis=1)
    return Scene(model, numpy_poses, _unsafe(env), True, speed, None if env.walled else env.agent.speed_limit)


def _wxyz(q: jax.Array) -> jax.Array:
    return jnp.roll(q, 1, axis=-1)


def _ball() -> tuple[list[tuple[str, str]], Callable]:
    still = jnp.array([[1.0, 0.0, 0.0, 0.0]])
    return [("ball", f'<geom type="sphere" size="0.5" rgba="{_BLUE}"/>')], lambda b: (b.position[None], still)


def _drone() -> tuple[list[tuple[str, str]], Callable]:
    size = " ".join(map(str, drone_physics.BODY / 3))
    body = ("body", f'<geom type="box" size="{size}" rgba="{_GREY}"/>')
    rotor = f'<geom type="cylinder" size="{drone_physics.ROTOR_RADIUS} 0.02" rgba="{_BLUE}"/>'

    def poses(drone):
        hubs = drone.position + drone_physics.ROTORS @ quaternions.matrix(drone.quaternion).T
        return jnp.concatenate([drone.position[None], hubs]), jnp.tile(_wxyz(drone.quaternion), (5, 1))

    return [body, *((f"rotor {k}", rotor) for k in range(4))], poses


def _of_tree(tree: Any, links: np.ndarray) -> Callable:
    """Poses of the given links of a multibody."""

    def poses(body):
        pose = tree.pose(body)
        return pose.center[links], jax.vmap(quaternions.from_matrix)(pose.rotation[links])

    return poses


def _car() -> tuple[list[tuple[str, str]], Callable]:
    wheel = f'<geom type="cylinder" size="{car.WHEEL_RADIUS} {car.WHEEL_HALF_WIDTH}" rgba="{_GREY}"/>'
    chassis = f'<geom type="box" size="0.6 0.25 0.08" pos="-0.1 0 0" rgba="{_BLUE}"/>'
    bodies = [("chassis", chassis), *((f"wheel {k}", wheel) for k in range(4))]
    return bodies, _of_tree(car.TREE, np.concatenate([[0], car.WHEELS]))


def _ant() -> tuple[list[tuple[str, str]], Callable]:
    from marvel_envs.bullet import ant

    def capsule(link: Any) -> str:
        x, y, z = link.center
        ends = f"{-x} {-y} {-z} {x} {y} {z}"
        return f'<geom type="capsule" fromto="{ends}" size="{ant.FOOT_RADIUS}" rgba="{_GREY}"/>'

    torso = ("torso", f'<geom type="sphere" size="{ant.TORSO_RADIUS}" rgba="{_BLUE}"/>')
    bodies = [torso, *((link.name, capsule(link)) for link in ant.TREE.links[1:])]
    return bodies, _of_tree(ant.TREE, np.arange(len(ant.TREE.links)))


_AGENTS = {"Ball": _ball, "Car": _car, "Drone": _drone, "Ant": _ant}


def _velocity(env: Any) -> Scene:
    from marvel_envs.mujoco_model import gymnasium_xml, load_model

    xml = gymnasium_xml(env.body.model).replace("</worldbody>", BEACON.format(size=0.15) + "</worldbody>")
    model = _untouchable(load_model(xml))
    data = mujoco.MjData(env.physics.model)

    def poses(physics: Any) -> tuple[np.ndarray, np.ndarray]:
        positions, rotations = [], []
        for qpos in np.asarray(physics.qpos):
            data.qpos[:] = qpos
            mujoco.mj_kinematics(env.physics.model, data)
            positions.append(data.xpos[1:].copy())
            rotations.append(data.xquat[1:].copy())
        return np.stack(positions), np.stack(rotations)

    def speed(physics: Any) -> np.ndarray:
        velocity = np.diff(np.asarray(physics.tracked), axis=0) / env.spec.control_dt
        velocity = np.concatenate([velocity[:1], velocity])
        return np.linalg.norm(velocity, axis=1) if env.body.planar_speed else velocity[:, 0]

    return Scene(model, poses, (), False, speed, env.body.speed_limit)
