"""Which physics for the ball: the planar ball with slip, or MuJoCo's MJX with a real contact solver?

    uv run python benchmarks/ball_backends.py

Measures steps/s at 1,024 environments, alternating, and the replay error on recordings of the real simulator, for the
planar ball and for two MJX models: a free sphere in contact with plane and walls, and a ball on two slide joints.
"""

import math
import time
from typing import Any

import common
import jax
import jax.numpy as jnp
import marvel_envs
import mujoco
import numpy as np
from marvel_envs import parity
from mujoco import mjx

COUNT, STEPS, ROUNDS = 1024, 20, 3
FORCE, MASS, RADIUS = 3.5, 0.3, 0.5


def walls() -> str:
    """Eight boxes whose inner faces are 11.9 m from the centre."""
    boxes = []
    for index in range(8):
        angle = index * math.pi / 4
        x, y = 12.4 * math.cos(angle), 12.4 * math.sin(angle)
        boxes.append(
            f'<geom type="box" size="0.5 6 2" pos="{x} {y} 2" euler="0 0 {math.degrees(angle)}"'
            ' friction="1 0.03 0.03"/>'
        )
    return "".join(boxes)


def model(kind: str, task: str, dt: float) -> Any:
    """The MJX candidate: `free` (contact) or `slide` (rolling inertia as extra mass, joint damping, no walls)."""
    around = walls() if task == "BallCircle" else ""
    if kind == "free":
        ball = (
            '<body pos="0 0 0.5"><freejoint/>'
            f'<geom type="sphere" size="{RADIUS}" mass="{MASS}" friction="0.9 0.03 0.024" condim="6"/></body>'
        )
        world = f'<geom type="plane" size="50 50 1" friction="0.9 0.03 0.024" condim="6"/>{around}{ball}'
    else:
        world = (
            f'<body pos="0 0 0.5"><joint type="slide" axis="1 0 0" damping="0.05"/>'
            f'<joint type="slide" axis="0 1 0" damping="0.05"/>'
            f'<geom type="sphere" size="{RADIUS}" mass="{MASS * 1.4}" contype="0" conaffinity="0"/></body>'
        )
    return mujoco.MjModel.from_xml_string(  # pyright: ignore[reportAttributeAccessIssue]
        f'<mujoco><option timestep="{dt}" gravity="0 0 -9.81" iterations="4" ls_iterations="8"/>'
        f"<worldbody>{world}</worldbody></mujoco>"
    )


class Candidate:
    """One MJX model of a task's ball, with a control step and a way to start from a recorded state."""

    def __init__(self, kind: str, task: str):
        env: Any = marvel_envs.make(task)
        self.kind, self.substeps = kind, env.substeps
        self.model = mjx.put_model(model(kind, task, env.spec.control_dt / env.substeps))
        self.blank = mjx.make_data(self.model)

    def start(self, position, linear, angular):
        if self.kind == "slide":
            return self.blank.replace(qpos=position[:2], qvel=linear[:2])
        quaternion = jnp.array([1.0, 0.0, 0.0, 0.0])
        return self.blank.replace(qpos=jnp.concatenate([position, quaternion]), qvel=jnp.concatenate([linear, angular]))

    def advance(self, data, action):
        force = FORCE * action
        if self.kind == "slide":
            data = data.replace(qfrc_applied=force)
        else:
            data = data.replace(qfrc_applied=jnp.zeros(6).at[:2].set(force))
        return jax.lax.fori_loop(0, self.substeps, lambda _, d: mjx.step(self.model, d), data)


def replay_error(candidate: Candidate, task: str, horizon: int = 25) -> dict[str, float]:
    """Median and 90th percentile of position error / distance travelled, from every 25th step."""
    env = marvel_envs.make(task)
    recording = parity.load_recording(parity.shipped_recording(task), env)
    starts = [
        s
        for e in np.unique(recording["episode"])
        for steps in [np.flatnonzero(recording["episode"] == e)]
        for s in steps[: len(steps) - horizon + 1 : 25]
    ]
    rows = np.array(starts)[:, None] + np.arange(horizon)
    state = [jnp.asarray(recording[n][rows[:, 0]]) for n in ("position", "linear_velocity", "angular_velocity")]
    actions = jnp.clip(recording["action"][rows], -1, 1)

    def replay(position, linear, angular, actions):
        data = candidate.start(position, linear, angular)
        return jax.lax.scan(lambda d, a: (candidate.advance(d, a), None), data, actions)[0].qpos[:2]

    end = jax.jit(jax.vmap(replay))(*state, actions)
    path = np.concatenate([recording["position"][rows[:, :1]], recording["next_position"][rows]], axis=1)
    travelled = np.linalg.norm(np.diff(path, axis=1), axis=2).sum(axis=1)
    error = np.linalg.norm(end - path[:, -1, :2], axis=1)[travelled > parity.STANDSTILL]
    share = error / travelled[travelled > parity.STANDSTILL]
    return {"median": float(np.median(share)), "p90": float(np.quantile(share, 0.9))}


def main() -> None:
    task = "BallCircle"
    env = marvel_envs.make(task)
    keys = jax.random.split(jax.random.key(0), COUNT)
    action = jax.random.uniform(jax.random.key(1), (COUNT, 2), minval=-1.0)

    def rate_of(advance):
        def roll(state):
            return jax.lax.scan(lambda s, _: (jax.vmap(advance)(s, action), None), state, None, length=STEPS)[0]

        return jax.jit(roll)

    works: dict[str, Any] = {"planar": (rate_of(env.advance), jax.vmap(env.initial_physics)(keys))}
    candidates = {kind: Candidate(kind, task) for kind in ("free", "slide")}
    for kind, candidate in candidates.items():
        position = jnp.pad(works["planar"][1].position, ((0, 0), (0, 1)), constant_values=RADIUS)
        zero = jnp.zeros((COUNT, 3))
        works[f"mjx {kind}"] = (rate_of(candidate.advance), jax.vmap(candidate.start)(position, zero, zero))
    rates: dict[str, list[float]] = {name: [] for name in works}
    for roll, state in works.values():
        jax.block_until_ready(roll(state))
    for _ in range(ROUNDS):
        for name, (roll, state) in works.items():
            clock = time.perf_counter()
            jax.block_until_ready(roll(state))
            rates[name].append(COUNT * STEPS / (time.perf_counter() - clock))
    result = {name: {"steps_per_second": float(np.median(r))} for name, r in rates.items()}
    for each in common.TASKS:
        planar = marvel_envs.make(each)
        recording = parity.load_recording(parity.shipped_recording(each), planar)
        states = parity.tracked_states(planar, recording)
        errors = parity.replay_errors(planar, recording, states, (25,))[25][0]["position"]
        entry = {"median": float(np.median(errors)), "p90": float(np.quantile(errors, 0.9))}
        result["planar"][f"replay_25_{each}"] = entry  # pyright: ignore[reportArgumentType]
        for kind in candidates:
            measured = replay_error(Candidate(kind, each), each)
            result[f"mjx {kind}"][f"replay_25_{each}"] = measured  # pyright: ignore[reportArgumentType]
    for name, entry in result.items():
        print(name, entry)
    common.write("ball-backends", "python benchmarks/ball_backends.py", {"environments": COUNT, "backends": result})


if __name__ == "__main__":
    main()
