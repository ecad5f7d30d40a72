"""Wrappers that any environment here may need."""

import jax
import jax.numpy as jnp
from brax.envs.base import State, Wrapper


class FreshReset(Wrapper):
    """Starts a new episode from a *fresh* draw of the reset distribution whenever one ends.

    (Brax's own auto-reset returns to the same first state for ever.) The observation of the step that ended the
    episode stays available in `state.info["final_observation"]`, which is what a transition must store.
    """

    def reset(self, rng: jax.Array) -> State:
        rng, first = jax.random.split(rng)
        state = self.env.reset(first)
        state.info.update(rng=rng, final_observation=state.obs)
        return state

    def step(self, state: State, action: jax.Array) -> State:
        rng, fresh = jax.random.split(state.info["rng"])
        info = {k: v for k, v in state.info.items() if k not in ("rng", "final_observation")}
        stepped = self.env.step(state.replace(info=info), action)  # pyright: ignore[reportAttributeAccessIssue]
        restarted = self.env.reset(fresh)

        def select(new, old):
            return jnp.where(stepped.done > 0, new, old)

        return stepped.replace(  # pyright: ignore[reportAttributeAccessIssue]
            pipeline_state=jax.tree.map(select, restarted.pipeline_state, stepped.pipeline_state),
            obs=select(restarted.obs, stepped.obs),
            info={
                **stepped.info,
                "steps": select(restarted.info["steps"], stepped.info["steps"]),
                "rng": rng,
                "final_observation": stepped.obs,
            },
        )
