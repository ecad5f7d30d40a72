"""How far an environment is from the simulator it models, measured on a recording of that simulator.

A recording is an `.npz`, flat over steps: `obs`, `next_obs`, `action`, `reward`, `cost`, `episode` (which episode a
step belongs to), and the state before and after, with the prefix `next_` for after: of the velocity tasks `qpos` and
`qvel`, of the others `position`, `linear_velocity`, `angular_velocity`, `quaternion` (x, y, z, w) and what else
`recorded_state` of the environment names. What a recording does not show (wheels' speeds, rotors' angles) is tracked:
it is what our dynamics make of it from the start of the episode on, next to what the recording does show.
"""

import zipfile
from pathlib import Path
from typing import Any, NamedTuple

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
    if not isinstance(env, SafetyEnv):
        raise ValueError(f"{env.spec.name} models no simulator: there is nothing to compare it with.")
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


class States(NamedTuple):
    """Physics `[N, ...]` of every recorded step: before and after it, and what our dynamics make of the one before."""

    before: Any
    after: Any
    advanced: Any


def tracked_states(env: SafetyEnv, recording: dict[str, np.ndarray]) -> States:
    """Physics of every recorded step."""
    names = env.recorded_state
    before = {name: jnp.asarray(recording[name], jnp.float32) for name in names}
    after = {name: jnp.asarray(recording["next_" + name], jnp.float32) for name in names}
    first = np.append(True, np.diff(recording["episode"]) != 0)

    def step(prior: Any, row: Any) -> tuple[Any, States]:
        before, action, after, first = row
        shown = env.physics_from_recording(before)
        followed = env.physics_from_recording(before, prior)
        start = jax.tree.map(lambda new, old: jnp.where(first, new, old), shown, followed)
        advanced = env.advance(start, action)
        end = env.physics_from_recording(after, advanced)
        return end, States(start, end, advanced)

    def track() -> States:
        nothing = env.physics_from_recording(jax.tree.map(lambda x: x[0], before))
        rows = (before, jnp.clip(recording["action"], -1.0, 1.0), after, first)
        return jax.lax.scan(step, nothing, rows)[1]

    return jax.jit(track)()


def formula_errors(env: SafetyEnv, recording: dict[str, np.ndarray], states: States) -> dict[str, float]:
    """Reward, cost and observation against the recording, given the states before and after each step."""
    action = jnp.clip(recording["action"], -1.0, 1.0)
    reward, cost, termination = jax.jit(jax.vmap(env.outcome))(states.before, action, states.after)
    observation = jax.jit(jax.vmap(env.observe))(states.after)
    ended = recording.get("terminated", np.zeros(len(reward), bool))

    def agreement(ours: jax.Array, theirs: np.ndarray, tolerance: float) -> float:
        near = np.abs(np.asarray(ours) - theirs) <= tolerance * np.maximum(1.0, np.abs(theirs))
        return float(np.mean(near.reshape(len(theirs), -1).all(axis=1)))

    return {
        "reward_error": float(np.abs(reward - recording["reward"]).max()),
        "observation_error": float(np.abs(observation - recording["next_obs"]).max()),
        "reward_agreement": agreement(reward, recording["reward"], 1e-3),
        "observation_agreement": agreement(observation, recording["next_obs"], 1e-5),
        "cost_agreement": float(np.mean(np.asarray(cost) == recording["cost"])),
        "termination_agreement": float(np.mean((np.asarray(termination) > 0) == ended)),
    }


def one_step_errors(recording: dict[str, np.ndarray], states: States) -> dict[str, Any]:
    """One step from every recorded state: `median` and `p99` of the error in position (m) and velocity (m/s)."""
    result = {}
    for name, ours, theirs in (
        ("position", states.advanced.position, recording["next_position"]),
        ("velocity", states.advanced.velocity, recording["next_linear_velocity"]),
    ):
        error = np.abs(np.asarray(ours) - theirs[:, : ours.shape[-1]]).max(axis=1)
        result[name] = {"median": float(np.median(error)), "p99": float(np.quantile(error, 0.99))}
    return result


def replay_errors(
    env: SafetyEnv, recording: dict[str, np.ndarray], states: States, horizons: tuple[int, ...] = HORIZONS
) -> dict[int, tuple[dict[str, np.ndarray], np.ndarray]]:
    """Replays recorded actions open loop from recorded states, from every fifth step.

    Returns:
      Per horizon, `[starts]` errors at the end: `position` as a share of the distance travelled, `velocity` as a share
      of the mean speed, `return` as a share of the sum of absolute rewards; and `[starts]` the episode of each start.
      Replays in which the recorded body stood still are left out.
    """
    episode = recording["episode"]
    last = {e: np.flatnonzero(episode == e)[-1] for e in np.unique(episode)}
    starts = np.concatenate([np.flatnonzero(episode == e)[::START_EVERY] for e in last])
    remaining = np.array([last[episode[start]] - start + 1 for start in starts])

    @jax.jit
    def step(physics: Any, action: jax.Array) -> tuple[Any, jax.Array]:
        after = jax.vmap(env.advance)(physics, action)
        return after, jax.vmap(env.outcome)(physics, action, after)[0]

    physics, found = jax.tree.map(lambda x: x[starts], states.before), {}
    total, recorded, size, travelled = np.zeros((4, len(starts)))
    for done in range(1, max(horizons) + 1):
        rows = np.minimum(starts + done - 1, len(episode) - 1)
        physics, reward = step(physics, jnp.clip(recording["action"][rows], -1.0, 1.0))
        total, recorded = total + np.asarray(reward), recorded + recording["reward"][rows]
        size = size + np.abs(recording["reward"][rows])
        travelled = travelled + np.linalg.norm(recording["next_position"][rows] - recording["position"][rows], axis=1)
        if done in horizons:
            used = (remaining >= done) & (travelled > STANDSTILL)
            speed = travelled / (done * env.spec.control_dt)
            gaps = {
                "position": (_distance(physics.position, recording["next_position"][rows]), travelled),
                "velocity": (_distance(physics.velocity, recording["next_linear_velocity"][rows]), speed),
                "return": (np.abs(total - recorded), size),
            }
            errors = {name: gap[used] / unit[used] for name, (gap, unit) in gaps.items()}
            found[done] = errors, episode[starts[used]]
    return found


def _distance(ours: jax.Array, theirs: np.ndarray) -> np.ndarray:
    """`[n]` distances, in the dimensions that ours has."""
    return np.linalg.norm(np.asarray(ours) - theirs[:, : ours.shape[-1]], axis=1)


def whole_episodes(env: SafetyEnv, recording: dict[str, np.ndarray], states: States) -> dict[str, Any]:
    """Recorded action sequences played from their first states to their ends: averages of both, and episode costs.

    Chaotic bodies part from the recording within a second; what they do on average should not. Where ours dies sooner
    or later than the recorded one, both are compared up to the earlier end.
    """
    episodes = [np.flatnonzero(recording["episode"] == e) for e in np.unique(recording["episode"])]
    longest = max(map(len, episodes))
    rows = np.stack([np.pad(steps, (0, longest - len(steps)), mode="edge") for steps in episodes])
    recorded = np.arange(longest) < np.array([len(steps) for steps in episodes])[:, None]

    def step(carry: Any, action: jax.Array) -> tuple[Any, Any]:
        physics, alive = carry
        after = env.advance(physics, action)
        _, cost, termination = env.outcome(physics, action, after)
        return (after, alive & (termination == 0)), (after.position, after.velocity, cost, alive)

    def play(physics: Any, actions: jax.Array) -> Any:
        return jax.lax.scan(step, (physics, jnp.array(True)), actions)[1]

    start = jax.tree.map(lambda x: x[rows[:, 0]], states.before)
    actions = jnp.clip(recording["action"][rows], -1.0, 1.0)
    position, velocity, cost, alive = map(np.asarray, jax.jit(jax.vmap(play))(start, actions))
    both = alive & recorded

    def averages(position: np.ndarray, velocity: np.ndarray, cost: np.ndarray) -> dict[str, Any]:
        speed = np.linalg.norm(velocity[..., :2], axis=-1)
        height = position[..., 2] if position.shape[-1] > 2 else np.zeros_like(speed)
        return {
            "speed": float(np.mean(speed, where=both)),
            "height": float(np.mean(height, where=both)),
            "costs": [float(c) for c in np.sum(cost, axis=1, where=both)],
        }

    theirs = (recording["next_position"][rows], recording["next_linear_velocity"][rows], recording["cost"][rows])
    return {"ours": averages(position, velocity, cost), "recorded": averages(*theirs)}


def _summary(errors: dict[str, np.ndarray]) -> dict[str, Any]:
    """`median`, `p90` and number of position errors; the same quantiles of the other errors under their names."""
    count = len(errors["position"])
    if count == 0:
        return {"median": None, "p90": None, "starts": 0}
    quantiles = {
        name: {"median": float(np.median(error)), "p90": float(np.quantile(error, 0.9))}
        for name, error in errors.items()
    }
    return {**quantiles.pop("position"), "starts": count, **quantiles}


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
      `reward_error`, `observation_error` (largest absolute), shares of steps that agree, `one_step`, `replay` (per
      horizon: `median` and `p90` over starts of the position error as a share of the distance travelled, and the same
      of velocity and return), `episodes`, the same replays per recorded episode, and `whole_episodes`. Of velocity
      tasks `step_errors` instead.
    """
    if "qpos" in env.recorded_state:
        return {"task": env.spec.name, **step_errors(env, recording)}
    states = tracked_states(env, recording)
    replays = replay_errors(env, recording, states)
    episodes = [int(e) for e in np.unique(recording["episode"])]

    def of_episode(errors: dict[str, np.ndarray], owner: np.ndarray, episode: int) -> dict[str, np.ndarray]:
        return {name: error[owner == episode] for name, error in errors.items()}

    return {
        "task": env.spec.name,
        **formula_errors(env, recording, states),
        "one_step": one_step_errors(recording, states),
        "replay": {str(h): _summary(errors) for h, (errors, _) in replays.items()},
        "episodes": {
            str(e): {str(h): _summary(of_episode(*replay, e)) for h, replay in replays.items()} for e in episodes
        },
        "whole_episodes": whole_episodes(env, recording, states),
    }
