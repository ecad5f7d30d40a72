"""Scenes of the Bullet tasks."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from marvel_envs import quaternions
from marvel_envs.bullet import arena, car, drone_physics
from marvel_envs.bullet.env import BulletEnv
from marvel_envs.bullet.tasks import CIRCLE_BOUNDARY, RUN_BOUNDARY
from marvel_envs.scenes.parts import BLUE, GREY, Rectangle, Scene, build_model, on_host, wxyz


def make_scene(env: BulletEnv) -> Scene:
    """The scene of a Bullet task."""
    bodies, poses = _AGENTS[env.task.agent]()
    model = build_model(bodies, _unsafe(env), floor=150.0, beacon=0.4)
    if env.walled:
        return Scene(model, on_host(poses), len(bodies), _unsafe(env), True, reach=arena.WALL_DISTANCE + 1)

    def speed(physics: Any) -> np.ndarray:
        return np.linalg.norm(np.asarray(physics.velocity)[:, :2], axis=1)

    limit = env.task.speed_limit
    return Scene(model, on_host(poses), len(bodies), _unsafe(env), True, speed=speed, speed_limit=limit)


def _unsafe(env: BulletEnv) -> tuple[Rectangle, ...]:
    if env.walled:
        wall = arena.WALL_DISTANCE
        return (-wall, -CIRCLE_BOUNDARY, -wall, wall), (CIRCLE_BOUNDARY, wall, -wall, wall)
    return (-5.0, 120.0, RUN_BOUNDARY, 10.0), (-5.0, 120.0, -10.0, -RUN_BOUNDARY)


def _ball() -> tuple[list[tuple[str, str]], Callable]:
    still = jnp.array([[1.0, 0.0, 0.0, 0.0]])
    return [("ball", f'<geom type="sphere" size="0.5" rgba="{BLUE}"/>')], lambda b: (b.position[None], still)


def _drone() -> tuple[list[tuple[str, str]], Callable]:
    size = " ".join(map(str, drone_physics.BODY / 3))
    body = ("body", f'<geom type="box" size="{size}" rgba="{GREY}"/>')
    rotor = f'<geom type="cylinder" size="{drone_physics.ROTOR_RADIUS} 0.02" rgba="{BLUE}"/>'

    def poses(drone):
        hubs = drone.position + drone_physics.ROTORS @ quaternions.matrix(drone.quaternion).T
        return jnp.concatenate([drone.position[None], hubs]), jnp.tile(wxyz(drone.quaternion), (5, 1))

    return [body, *((f"rotor {k}", rotor) for k in range(4))], poses


def _of_tree(tree: Any, links: np.ndarray) -> Callable:
    """Poses of the given links of a multibody."""

    def poses(body):
        pose = tree.pose(body)
        return pose.center[links], jax.vmap(quaternions.from_matrix)(pose.rotation[links])

    return poses


def _car() -> tuple[list[tuple[str, str]], Callable]:
    wheel = f'<geom type="cylinder" size="{car.WHEEL_RADIUS} {car.WHEEL_HALF_WIDTH}" rgba="{GREY}"/>'
    chassis = f'<geom type="box" size="0.6 0.25 0.08" pos="-0.1 0 0" rgba="{BLUE}"/>'
    bodies = [("chassis", chassis), *((f"wheel {k}", wheel) for k in range(4))]
    return bodies, _of_tree(car.TREE, np.concatenate([[0], car.WHEELS]))


def _ant() -> tuple[list[tuple[str, str]], Callable]:
    from marvel_envs.bullet import ant

    def capsule(link: Any) -> str:
        x, y, z = link.center
        ends = f"{-x} {-y} {-z} {x} {y} {z}"
        return f'<geom type="capsule" fromto="{ends}" size="{ant.FOOT_RADIUS}" rgba="{GREY}"/>'

    torso = ("torso", f'<geom type="sphere" size="{ant.TORSO_RADIUS}" rgba="{BLUE}"/>')
    bodies = [torso, *((link.name, capsule(link)) for link in ant.TREE.links[1:])]
    return bodies, _of_tree(ant.TREE, np.arange(len(ant.TREE.links)))


_AGENTS = {"Ball": _ball, "Car": _car, "Drone": _drone, "Ant": _ant}
