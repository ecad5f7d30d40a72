"""Scenes of the velocity tasks: MuJoCo's models as they are."""

# pyright: reportAttributeAccessIssue=false
# MuJoCo's names come from a compiled module that pyright cannot read.

from typing import Any

import mujoco
import numpy as np
from marvel_envs.mujoco_model import gymnasium_xml, load_model
from marvel_envs.scenes.parts import BEACON, Scene, untouchable
from marvel_envs.velocity import VelocityEnv


def make_scene(env: VelocityEnv) -> Scene:
    """The scene of a velocity task."""
    xml = gymnasium_xml(env.task.model).replace("</worldbody>", BEACON.format(size=0.15) + "</worldbody>")
    model = untouchable(load_model(xml))
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
        moved: np.ndarray = np.diff(np.asarray(physics.tracked), axis=0)
        velocity = moved / env.spec.control_dt
        velocity = np.concatenate([velocity[:1], velocity])
        return np.linalg.norm(velocity, axis=1) if env.task.planar_speed else velocity[:, 0]

    return Scene(model, poses, model.nbody - 2, (), False, speed=speed, speed_limit=env.task.speed_limit)
