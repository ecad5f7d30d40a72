"""How far an environment is from the simulator it models, measured on a recording of that simulator.

A recording is an `.npz`, flat over steps: `obs`, `next_obs`, `action`, `reward`, `cost`, `episode` (which episode a
step belongs to), and the state before and after, with the prefix `next_` for after: of the Bullet tasks `position`,
`linear_velocity`, `angular_velocity`, `quaternion` (x, y, z, w), of the velocity tasks `qpos` and `qvel`.
"""

import zipfile
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from marvel_envs.base import SafetyEnv

HORIZONS = (10, 25, 50, 100)
START_EVERY = 5  # steps between the starts of replays
STANDSTILL = 0.05  # m: shorter recorded paths have no meaningful relative error
_NEEDED = ("obs", "next_obs", "action", "reward", "cost", "episode")


def shipped_recording(task: str) -> Path:
    """The recording of a task that comes with the package."""
    return Path(__file__).parent / "recordings" / f"{task}.npz"


def load_recording(path: str | Path, env: SafetyEnv) -> dict[str, np.ndarray]:
    """Reads and checks a recording.

    Raises:
      ValueError: If the file is missing, is not a recording, or is of another task.
    """
    try:
        with np.load(path, allow_pickle=False) as data:
            recording = {name: data[name] for name in data.files}
    except FileNotFoundError:
        raise ValueError(f"There is no recording at {path}.") from None
    except (OSError, ValueError, zipfile.BadZipFile, EOFError) as error:
        raise ValueError(f"{path} is not a readable .npz recording ({error}).") from None
    needed = (*_NEEDED, *(prefix + name for prefix in ("", "next_") for name in env.recorded_state))
    missing = [name for name in needed if name not in recording]
    if missing:
        raise ValueError(f"{path} lacks the arrays {', '.join(missing)}.")
    shapes = (recording["obs"].shape[1:], recording["action"].shape[1:])
    if shapes != ((env.observation_size,), (env.action_size,)):
        raise ValueError(
            f"{path} is not a recording of {env.spec.name}: observations and actions have sizes "
            f"{shapes[0]} and {shapes[1]}, expected {env.observation_size} and {env.action_size}."
        )
    return recording


def _physics(env: SafetyEnv, recording: dict[str, np.ndarray], rows: Any, prefix: str = "") -> Any:
    arrays = {name: jnp.asarray(recording[prefix + name][rows], jnp.float32) for name in env.recorded_state}
    return jax.vmap(env.physics_from_recording)(arrays)


def formula_errors(env: SafetyEnv, recording: dict[str, np.ndarray]) -> dict[str, float]:
    """Reward, cost and observation against the recording, given the recorded states before and after each step."""
    every = slice(None)
    before, after = _physics(env, recording, every), _physics(env, recording, every, "next_")
    action = jnp.clip(recording["action"], -1.0, 1.0)
    reward, cost, _ = jax.jit(jax.vmap(env.outcome))(before, action, after)
    observation = jax.jit(jax.vmap(env.observe))(after)
    return {
        "reward_error": float(np.abs(reward - recording["reward"]).max()),
        "observation_error": float(np.abs(observation - recording["next_obs"]).max()),
        "cost_agreement": float(np.mean(np.asarray(cost) == recording["cost"])),
    }


def replay_errors(env: SafetyEnv, recording: dict[str, np.ndarray], horizon: int) -> tuple[np.ndarray, np.ndarray]:
    """Replays recorded actions open loop from recorded states, `horizon` steps, from every fifth step.

    Returns:
      `[starts]` final position error as a share of the distance travelled, and `[starts]` the episode of each start.
      Replays in which the recorded body stood still are left out.
    """
    windows = [
        np.arange(start, start + horizon)
        for episode in np.unique(recording["episode"])
        for steps in [np.flatnonzero(recording["episode"] == episode)]
        for start in steps[: len(steps) - horizon + 1 : START_EVERY]
    ]
    if not windows:
        return np.zeros(0), np.zeros(0, int)
    rows = np.stack(windows)
    actions = jnp.clip(recording["action"][rows], -1.0, 1.0)

    def replay(physics, actions):
        return jax.lax.scan(lambda p, a: (env.advance(p, a), None), physics, actions)[0]

    end = jax.jit(jax.vmap(replay))(_physics(env, recording, rows[:, 0]), actions)
    path = np.concatenate([recording["position"][rows[:, :1]], recording["next_position"][rows]], axis=1)
    travelled = np.linalg.norm(np.diff(path, axis=1), axis=2).sum(axis=1)
    dimensions = end.position.shape[-1]
    error = np.linalg.norm(np.asarray(end.position) - path[:, -1, :dimensions], axis=1)
    moved = travelled > STANDSTILL
    return error[moved] / travelled[moved], recording["episode"][rows[moved, 0]]


def _summary(errors: np.ndarray) -> dict[str, float | int | None]:
    if len(errors) == 0:
        return {"median": None, "p90": None, "starts": 0}
    return {"median": float(np.median(errors)), "p90": float(np.quantile(errors, 0.9)), "starts": len(errors)}


def step_errors(env: Any, recording: dict[str, np.ndarray]) -> dict[str, Any]:
    """One step of a velocity task from every recorded state, against what the simulator did.

    Returns:
      `position_error` and `velocity_error` (`max` and `p99` over steps of the largest absolute error of a step, in
      generalized coordinates), `reward_error` and `observation_error` (99th percentile of the same), `cost_agreement`.
    """
    action = jnp.clip(recording["action"] / env.spec.action_scale, -1.0, 1.0)

    before = jax.jit(lambda: _physics(env, recording, slice(None)))()
    after = jax.jit(jax.vmap(env.advance))(before, action)
    # Where a step follows a recorded one, the simulator still holds what that one left.
    follows = np.append(False, np.diff(recording["episode"]) == 0)[:, None]
    tracked = jnp.where(follows, jnp.roll(after.tracked, 1, axis=0), before.tracked)
    reward, cost, _ = jax.jit(jax.vmap(env.outcome))(before.replace(tracked=tracked), action, after)
    observation = jax.jit(jax.vmap(env.observe))(after)

    def errors(ours: jax.Array, theirs: np.ndarray) -> np.ndarray:
        return np.abs(np.asarray(ours) - theirs).reshape(len(theirs), -1).max(axis=1)

    return {
        **{
            name: {"max": float(error.max()), "p99": float(np.quantile(error, 0.99))}
            for name, error in (
                ("position_error", errors(after.qpos, recording["next_qpos"])),
                ("velocity_error", errors(after.qvel, recording["next_qvel"])),
            )
        },
        "reward_error": float(np.quantile(errors(reward, recording["reward"]), 0.99)),
        "observation_error": float(np.quantile(errors(observation, recording["next_obs"]), 0.99)),
        "cost_agreement": float(np.mean(np.asarray(cost) == recording["cost"])),
    }


def parity(env: SafetyEnv, recording: dict[str, np.ndarray]) -> dict[str, Any]:
    """All errors of an environment against a recording, ready for JSON.

    Returns:
      `reward_error`, `observation_error` (largest absolute), `cost_agreement` (share of steps), `replay` (per
      horizon: `median` and `p90` over starts of the position error as a share of the distance travelled), and
      `episodes`, the same replays per recorded episode. Of velocity tasks `step_errors` instead.
    """
    if "qpos" in env.recorded_state:
        return {"task": env.spec.name, **step_errors(env, recording)}
    replays = {h: replay_errors(env, recording, h) for h in HORIZONS}
    episodes = [int(e) for e in np.unique(recording["episode"])]
    return {
        "task": env.spec.name,
        **formula_errors(env, recording),
        "replay": {str(h): _summary(errors) for h, (errors, _) in replays.items()},
        "episodes": {
            str(e): {str(h): _summary(errors[owner == e]) for h, (errors, owner) in replays.items()} for e in episodes
        },
    }
