"""Wrappers: a cost for any Brax environment, and episodes that each start afresh."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from marvel_envs.base import Env, State, Wrapper
from marvel_envs.spec import TaskSpec

CostFunction = Callable[[State, jax.Array, State], jax.Array]


class SafetyWrapper(Wrapper):
    """Gives any Brax environment a cost, a time limit and a spec.

        env = SafetyWrapper(brax.envs.get_environment("ant"), cost_fn, cost_limit=25.0)

    Everything that the wrapper needs is checked on shapes alone when it is made, before anything compiles; `check`
    takes real steps.

    Args:
      env: A Brax environment without Brax's episode and auto-reset wrappers: its `done` is a termination. Its actions
        are clipped to [−1, 1].
      cost_fn: `(state before, action [action_size], state after) -> []` cost of the step, in [0, 1].
      cost_limit: Default limit, in undiscounted cost per episode.
      episode_length: Steps until the time limit.
      name: Shown in reports.
      reward_range: Episode returns that normalise to 0 and 1.

    Raises:
      ValueError: If reset, step or cost_fn cannot be traced, or the cost is not one number per step.
    """

    def __init__(
        self,
        env: Env,
        cost_fn: CostFunction,
        *,
        cost_limit: float,
        episode_length: int = 1000,
        name: str | None = None,
        reward_range: tuple[float, float] = (0.0, 1.0),
    ):
        super().__init__(env)
        self.cost_fn = cost_fn
        first = _traced(f"{type(env).__name__}.reset", env.reset, jax.eval_shape(lambda: jax.random.key(0)))
        observation = first.obs
        if not hasattr(observation, "shape") or len(observation.shape) != 1:
            raise ValueError(f"{type(env).__name__} must observe one vector [observation_size]; got {observation}.")
        self.spec = TaskSpec(
            name=name or type(env).__name__,
            observation_size=observation.shape[0],
            action_size=env.action_size,
            episode_length=episode_length,
            control_dt=float(getattr(env, "dt", float("nan"))),
            cost_limit=cost_limit,
            reward_range=reward_range,
            max_cost=float(episode_length),
            ceiling=None,
            source=f"{type(env).__module__}.{type(env).__name__}",
            summary="",
        )
        action = jax.ShapeDtypeStruct((env.action_size,), jnp.float32)
        after = _traced(f"{type(env).__name__}.step", env.step, first, action)
        cost = _traced("The cost function", cost_fn, first, action, after)
        if getattr(cost, "shape", None) != ():
            raise ValueError(f"The cost function must return one number per step, shape (); got {cost}.")

    def reset(self, rng: jax.Array) -> State:
        """The first state of an episode, with cost 0."""
        state = self.env.reset(rng)
        zero = jnp.zeros(())
        outcome = {"cost": zero, "steps": zero, "truncation": zero, "termination": zero}
        return state.replace(  # pyright: ignore[reportAttributeAccessIssue]
            info={**state.info, **outcome}, metrics={**state.metrics, "cost": zero}
        )

    def step(self, state: State, action: jax.Array) -> State:
        """The state one step later, with its cost; `action` `[action_size]` is clipped to [−1, 1]."""
        action = jnp.clip(action, -1.0, 1.0)
        after = self.env.step(state, action)
        cost = jnp.asarray(self.cost_fn(state, action, after), jnp.float32)
        steps = state.info["steps"] + 1
        termination = jnp.asarray(after.done, jnp.float32)
        truncation = jnp.where(steps >= self.spec.episode_length, 1.0 - termination, 0.0)
        outcome = {"cost": cost, "steps": steps, "truncation": truncation, "termination": termination}
        return after.replace(  # pyright: ignore[reportAttributeAccessIssue]
            done=jnp.maximum(termination, truncation),
            info={**after.info, **outcome},
            metrics={**after.metrics, "cost": cost},
        )

    @property
    def observation_size(self) -> int:
        """Length of an observation."""
        return self.spec.observation_size

    def check(self, key: jax.Array, steps: int = 20) -> None:
        """Takes `steps` real steps with random actions.

        Raises:
          ValueError: If an observation, reward or cost is not finite, or a cost lies outside [0, 1].
        """

        def step(state: State, key: jax.Array):
            after = self.step(state, jax.random.uniform(key, (self.action_size,), minval=-1.0))
            return after, {"observation": after.obs, "reward": after.reward, "cost": after.info["cost"]}

        reset_key, act_key = jax.random.split(key)
        _, seen = jax.jit(lambda: jax.lax.scan(step, self.reset(reset_key), jax.random.split(act_key, steps)))()
        for name, values in seen.items():
            if not jnp.isfinite(values).all():
                raise ValueError(f"{self.spec.name}: the {name} is not finite within {steps} random steps.")
        low, high = float(seen["cost"].min()), float(seen["cost"].max())
        if low < 0 or high > 1:
            raise ValueError(
                f"{self.spec.name}: costs lie in [{low:g}, {high:g}]; scale cost function and limit to [0, 1]."
            )


def _traced(what: str, function: Callable, *arguments):
    """Shapes of a call's result; a `ValueError` names what cannot be traced."""
    try:
        return jax.eval_shape(function, *arguments)
    except Exception as error:
        first_line = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(f"{what} cannot be traced by jax.jit: {first_line}") from error


# Of the last step, kept when the next episode starts.
_OUTCOME = ("cost", "truncation", "termination")


class FreshReset(Wrapper):
    """Starts a new episode from a *fresh* draw of the reset distribution whenever one ends.

    Brax's own auto-reset returns to the same first state every time. The observation of the step that ended the
    episode stays available in `state.info["final_observation"]`, which is what a transition must store.
    """

    def reset(self, rng: jax.Array) -> State:
        """The first state of an episode, with the key of the next one."""
        rng, first = jax.random.split(rng)
        state = self.env.reset(first)
        state.info.update(rng=rng, final_observation=state.obs)
        return state

    def step(self, state: State, action: jax.Array) -> State:
        """The state one step later; where the episode ended, with physics and observation of a new one."""
        rng, fresh = jax.random.split(state.info["rng"])
        info = {k: v for k, v in state.info.items() if k not in ("rng", "final_observation")}
        stepped = self.env.step(state.replace(info=info), action)  # pyright: ignore[reportAttributeAccessIssue]

        def running(state: State) -> tuple:
            return state.pipeline_state, state.obs, {k: v for k, v in state.info.items() if k not in _OUTCOME}

        def restart(carry: tuple) -> tuple:
            (key, _), old = carry
            started = jax.tree.map(lambda new, old: jnp.asarray(new, old.dtype), running(self.env.reset(key)), old)
            return (jax.random.fold_in(key, 0), jnp.array(False)), started

        # A loop of at most one turn: unlike a `cond` it is skipped under `vmap` too, unless some episode has ended.
        # (The key must change in it, or the compiler takes the reset for a constant of the loop and does it anyway.)
        start = (fresh, stepped.done > 0), running(stepped)
        _, (physics, observation, info) = jax.lax.while_loop(lambda carry: carry[0][1], restart, start)
        return stepped.replace(  # pyright: ignore[reportAttributeAccessIssue]
            pipeline_state=physics,
            obs=observation,
            info={**stepped.info, **info, "rng": rng, "final_observation": stepped.obs},
        )
