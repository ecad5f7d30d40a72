"""Records real Safety-Gymnasium's navigation tasks for `marvel parity`.

    uv run --extra simulators python benchmarks/record_navigation.py [TASK ...]

Six episodes per task of 200 steps: random actions, drifting ones, and steering at goals, around the circle or at the
vase. Writes `envs/recordings/TASK.npz` (see `marvel_envs.parity`) with the state of the agent and of all objects before
and after every step. Half a minute.
"""

import sys
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
from marvel_envs import TASKS
from marvel_envs.simulators import HostEnv

EPISODES, STEPS = 6, 200
OUT = Path(__file__).parent.parent / "envs" / "recordings"


def snapshot(host: HostEnv) -> dict[str, np.ndarray]:
    """What our environments need to start from the simulator's state."""
    task = host.env.unwrapped.task
    model, data = task.model, task.data
    body, motion = data.body("agent"), np.zeros(6)
    kind, number = mujoco.mjtObj.mjOBJ_XBODY, model.body("agent").id  # pyright: ignore[reportAttributeAccessIssue]
    mujoco.mj_objectVelocity(model, data, kind, number, motion, 0)  # pyright: ignore[reportAttributeAccessIssue]
    seen = {
        "position": body.xpos.copy(),
        "quaternion": np.roll(body.xquat, -1),
        "linear_velocity": motion[3:].copy(),
        "angular_velocity": motion[:3].copy(),
    }
    if task.agent_name == "Car":
        seen["wheel_speed"] = np.array([data.joint(side).qvel[0] for side in ("left", "right")])
        seen["ball_quaternion"] = np.roll(data.joint("rear").qpos, -1)
        seen["ball_angular_velocity"] = data.joint("rear").qvel.copy()
    if hasattr(task, "hazards"):
        vase = data.body("vase0")
        seen["goal"] = model.body("goal").pos[:2].copy()
        seen["hazards"] = np.stack([model.body(f"hazard{k}").pos[:2] for k in range(task.hazards.num)])
        seen["vase"] = np.append(vase.xpos[:2], np.arctan2(vase.xmat[3], vase.xmat[0]))
    return seen


def steer(host: HostEnv, episode: int, rng: np.random.Generator, last: np.ndarray) -> np.ndarray:
    """An action: random, drifting, or at something, by episode."""
    if episode == 0:
        return rng.uniform(-1, 1, 2)
    if episode == 1:
        return np.clip(last + 0.3 * rng.normal(size=2), -1, 1)
    task = host.env.unwrapped.task
    body = task.data.body("agent")
    place = body.xpos[:2]
    if hasattr(task, "hazards"):
        target = task.data.body("vase0").xpos[:2] if episode == 2 else task.goal.pos[:2]
    else:
        radius = np.hypot(*place) + 1e-6
        target = place + 0.7 * np.array([-place[1], place[0]]) / radius - 0.6 * (radius - 1.5) * place / radius
    ahead, left = _forward_and_left(task.agent_name, body.xmat.reshape(3, 3)[:2, :2].T @ (target - place))
    angle = np.arctan2(left, ahead)
    if task.agent_name == "Car":
        push, turn = 0.012 * np.cos(angle), 0.01 * np.clip(angle, -1, 1)
        return np.array([push + turn, push - turn]) + 0.002 * rng.normal(size=2)
    push = 0.04 if abs(angle) > 1 else 0.05 * rng.uniform()
    return np.clip(np.array([push, angle]) + rng.normal(size=2) * [0.004, 0.04], -1, 1)


def _forward_and_left(agent: str, offset: np.ndarray) -> tuple[float, float]:
    return (-offset[1], offset[0]) if agent == "Car" else (offset[0], offset[1])


def record(name: str) -> dict[str, np.ndarray]:
    """All steps of all episodes."""
    host, rng, rows = HostEnv("safety-gymnasium", TASKS[name].simulator_id), np.random.default_rng(0), []
    for episode in range(EPISODES):
        observation, action = host.reset(episode), np.zeros(2)
        before = snapshot(host)
        for _ in range(STEPS):
            action = steer(host, episode, rng, action)
            following, reward, cost, terminated, _ = host.step(action)
            after = snapshot(host)
            row: dict[str, Any] = {"obs": observation, "next_obs": following, "action": action, "reward": reward}
            row |= {"cost": cost, "terminated": terminated, "episode": episode, **before}
            rows.append(row | {"next_" + key: value for key, value in after.items()})
            observation, before = following, after
    host.close()
    recorded = {key: np.array([row[key] for row in rows]) for key in rows[0]}
    return {key: array.astype(np.float32) if array.dtype == float else array for key, array in recorded.items()}


def main() -> None:
    for name in sys.argv[1:] or [name for name, spec in TASKS.items() if spec.family == "navigation"]:
        path = OUT / f"{name}.npz"
        np.savez_compressed(path, **record(name))  # pyright: ignore[reportArgumentType]
        print(f"{path}: {path.stat().st_size / 1e6:.2f} MB", flush=True)


if __name__ == "__main__":
    main()
