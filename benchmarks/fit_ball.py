"""Fits the ball's constants to recordings of the real simulator and reports held-out errors.

    uv run python benchmarks/fit_ball.py

Fits on episodes 0 to 3 of both tasks (their odd and even episodes differ in how smooth the actions are) and reports
the replay error on episodes 4 to 7. Prints the constants that `envs/bullet/ball_physics.py` has as defaults.
"""

import dataclasses
from collections.abc import Callable

import common
import jax
import jax.numpy as jnp
import marvel_envs
import numpy as np
from marvel_envs import parity
from marvel_envs.bullet.ball import Ball
from marvel_envs.bullet.ball_physics import BallConstants
from scipy.optimize import minimize

FIT_EPISODES = (0, 1, 2, 3)
HORIZON, EVERY = 25, 5
# Where the search starts: Bullet's own friction numbers, and guesses from looking at the recordings.
GUESS = {
    "rolling_resistance": 1.2,
    "rolling_smoothing": 0.04,
    "drag": 0.05,
    "quadratic_drag": 0.07,
    "grip": 2.0,
    "wall_distance": 11.4,
    "restitution": 0.35,
    "wall_friction": 0.5,
    "spin_resistance": 1.0,
}


def residuals(task: str) -> Callable[[np.ndarray], np.ndarray]:
    """Relative position errors along replays of one task, as a function of the constants' values."""
    env = marvel_envs.make(task)
    recording = parity.load_recording(parity.shipped_recording(task), env)
    rows = np.stack(
        [
            np.arange(start, start + HORIZON)
            for episode in FIT_EPISODES
            for steps in [np.flatnonzero(recording["episode"] == episode)]
            for start in steps[: len(steps) - HORIZON + 1 : EVERY]
        ]
    )
    start = {
        name: jnp.asarray(recording[name][rows[:, 0]]) for name in ("position", "linear_velocity", "angular_velocity")
    }
    physics = jax.vmap(env.physics_from_recording)(start)
    actions = jnp.clip(recording["action"][rows], -1.0, 1.0)
    path = np.concatenate([recording["position"][rows[:, :1]], recording["next_position"][rows]], axis=1)[..., :2]
    travelled = np.cumsum(np.linalg.norm(np.diff(path, axis=1), axis=2), axis=1) + 0.3

    @jax.jit
    def errors(values):
        body = type(env)(task, Ball(BallConstants(*values)))

        def replay(physics, actions):
            return jax.lax.scan(lambda p, a: (lambda n: (n, n.position))(body.advance(p, a)), physics, actions)[1]

        position = jax.vmap(replay)(physics, actions)
        return ((position - path[:, 1:]) / travelled[..., None])[:, 4::10]

    return lambda values: np.abs(np.asarray(errors(jnp.asarray(values))))


def main() -> None:
    names = [field.name for field in dataclasses.fields(BallConstants)]
    first = np.array([GUESS[name] for name in names])
    parts = [residuals(task) for task in common.TASKS]

    def loss(logs: np.ndarray) -> float:
        # A square root of capped errors: wall bounces are chaotic and must not rule the fit.
        total = sum(np.mean(np.sqrt(np.sqrt(np.minimum(p(first * np.exp(logs)), 1.0) ** 2 + 1e-8))) for p in parts)
        return float(total) if np.isfinite(total) else 1e3

    logs = np.zeros(len(first))
    for _ in range(2):
        logs = minimize(loss, logs, method="Powell", options={"maxfev": 700, "xtol": 1e-3, "ftol": 1e-5}).x
        simplex = np.vstack([logs, logs + 0.1 * np.eye(len(logs))])
        logs = minimize(loss, logs, method="Nelder-Mead", options={"maxfev": 500, "initial_simplex": simplex}).x
    constants = {name: float(value) for name, value in zip(names, first * np.exp(logs), strict=True)}
    print(constants)
    held_out = {}
    for task in common.TASKS:
        env = type(marvel_envs.make(task))(task, Ball(BallConstants(**constants)))
        recording = parity.load_recording(parity.shipped_recording(task), env)
        held_out[task] = {}
        replays = parity.replay_errors(env, recording, parity.tracked_states(env, recording))
        for horizon, (errors, owner) in replays.items():
            unseen = errors["position"][~np.isin(owner, FIT_EPISODES)]
            held_out[task][horizon] = {"median": float(np.median(unseen)), "p90": float(np.quantile(unseen, 0.9))}
        print(task, held_out[task])
    common.write("fit-ball", "python benchmarks/fit_ball.py", {"constants": constants, "held_out_replay": held_out})


if __name__ == "__main__":
    main()
