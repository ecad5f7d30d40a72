"""Scenes of the navigation tasks: an agent among hazards, with a goal and a vase, or in a small circle."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from marvel_envs import quaternions
from marvel_envs.navigation import car, env, point, tasks, vase
from marvel_envs.scenes.parts import BLUE, GREEN, GREY, RED, Disc, Scene, build_model, on_host, wxyz


def make_scene(shown: env.Goal | env.Circle) -> Scene:
    """The scene of a navigation task."""
    bodies = [("agent", _AGENTS[shown.task.agent]())]
    if shown.task.kind == "Circle":
        edge, far = tasks.CIRCLE_BOUNDARY, 3.0
        unsafe = ((-far, -edge, -far, far), (edge, far, -far, far))

        def alone(agent: Any) -> tuple[jax.Array, jax.Array]:
            return agent.position[None], wxyz(agent.quaternion)[None]

        return Scene(build_model(bodies, unsafe, 5.0, 0.1), on_host(alone), 1, unsafe, True, reach=far)
    flat = '<geom type="cylinder" size="{} 0.01" rgba="{}"/>'.format
    bodies.append(("vase", f'<geom type="box" size="{vase.HALF} {vase.HALF} {vase.HALF}" rgba="{GREY}"/>'))
    bodies.append(("goal", flat(env.GOAL_RADIUS, GREEN)))
    bodies += [(f"hazard {k}", flat(env.HAZARD_RADIUS, RED)) for k in range(tasks.HAZARDS)]

    def poses(physics: Any) -> tuple[jax.Array, jax.Array]:
        lying = jnp.pad(jnp.concatenate([physics.goal[None], physics.hazards]), ((0, 0), (0, 1)))
        standing = jnp.append(physics.vase[:2], vase.HALF)
        turns = jnp.stack([physics.agent.quaternion, quaternions.from_yaw(physics.vase[2])])
        upright = jnp.tile(jnp.array([1.0, 0.0, 0.0, 0.0]), (len(lying), 1))
        places = jnp.concatenate([physics.position[None], standing[None], lying])
        return places, jnp.concatenate([wxyz(turns), upright])

    def discs(physics: Any, step: int) -> list[Disc]:
        def disc(center: np.ndarray, radius: float, kind: str) -> Disc:
            return Disc(float(center[0]), float(center[1]), radius, kind)

        hazards = [disc(center, env.HAZARD_RADIUS, "unsafe") for center in physics.hazards[step]]
        goal = disc(physics.goal[step], env.GOAL_RADIUS, "goal")
        return [*hazards, goal, disc(physics.vase[step], vase.HALF, "object")]

    return Scene(build_model(bodies, (), 5.0, 0.1), on_host(poses), 1, (), True, reach=2.5, discs=discs)


def _point_geoms() -> str:
    arrow, where = f"{point.ARROW_HALF} {point.ARROW_HALF} {point.ARROW_HALF}", f"{point.ARROW_CENTER} 0 0"
    ball = f'<geom type="sphere" size="{point.RADIUS}" rgba="{BLUE}"/>'
    return ball + f'<geom type="box" size="{arrow}" pos="{where}" rgba="{GREY}"/>'


def _car_geoms() -> str:
    def words(numbers: Any) -> str:
        return " ".join(map(str, numbers))

    boxes = [f'<geom type="box" size="{words(h)}" pos="{words(c)}" rgba="{BLUE}"/>' for c, h in car.BOXES]
    radius, width = car.WHEEL_RADIUS, car.WHEEL_HALF_WIDTH
    wheel = f'<geom type="cylinder" size="{radius} {width}" euler="0 90 0" rgba="{GREY}"'
    wheels = [f'{wheel} pos="{words(center)}"/>' for center in car.WHEEL_CENTERS]
    ball = f'<geom type="sphere" size="{radius}" pos="{words(car.BALL_CENTER)}" rgba="{GREY}"/>'
    return "".join([*boxes, *wheels, ball])


_AGENTS = {"Point": _point_geoms, "Car": _car_geoms}
