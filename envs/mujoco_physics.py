"""MuJoCo models under MJX, with the physics state kept small: what MuJoCo integrates and what observations need."""

# pyright: reportAttributeAccessIssue=false
# MuJoCo's names come from a compiled module that pyright cannot read.

import contextlib
import copy
import io
from collections.abc import Callable
from functools import cached_property

import jax
import jax.numpy as jnp
import mujoco
from flax import struct

with contextlib.redirect_stdout(io.StringIO()):  # MJX prints that its optional Warp backend is not installed
    from marvel_envs import mjx_batched, mjx_contact
    from mujoco import mjx

mjx_contact.install()


class MujocoState(struct.PyTreeNode):
    """Physics of one articulated body; complete, so that a state can be stored and restored.

    Attributes:
      qpos: `[nq]` generalized positions.
      qvel: `[nv]` generalized velocities.
      warmstart: `[nv]` the last acceleration, where the contact solver starts.
      tracked: `[2]` the point in the plane whose motion is rewarded, m. For points that MuJoCo derives from `qpos`
        it is what MuJoCo holds after a step: of the integrator's last stage, not of the new `qpos`.
      derived: `[...]` further quantities that are observed (inertias, forces), else empty.
    """

    qpos: jax.Array
    qvel: jax.Array
    warmstart: jax.Array
    tracked: jax.Array
    derived: jax.Array


class MujocoPhysics:
    """Steps a model `frame_skip` times per control step.

    Args:
      model: As MuJoCo loads it.
      frame_skip: Physics steps per control step.
      contacts: How many contacts at once there can be, with friction and without each; of more, the deepest count.
      tracked: `data -> [2]`, see `MujocoState.tracked`.
      derived: `data -> [...]`, or None. Asks for contact forces on bodies, which cost time.
    """

    def __init__(
        self,
        model: mujoco.MjModel,
        frame_skip: int,
        contacts: int,
        tracked: Callable[[mjx.Data], jax.Array],
        derived: Callable[[mjx.Data], jax.Array] | None = None,
    ):
        self.model, self.frame_skip, self.contacts = model, frame_skip, contacts
        self.tracked, self.derived = tracked, derived

    def _patched(self) -> contextlib.AbstractContextManager[None]:
        return mjx_batched.installed(self.model, self.contacts)

    @cached_property
    def _on_host(self) -> tuple[mjx.Model, mjx.Data]:
        """Arrays of NumPy's: those of JAX would belong to the mesh under which they happened to be made first."""
        with jax.ensure_compile_time_eval():
            model = copy.copy(self.model)
            if model.opt.solver == mujoco.mjtSolver.mjSOL_PGS:  # MJX has none; Newton solves the same problem
                model.opt.solver = mujoco.mjtSolver.mjSOL_NEWTON
            with self._patched():
                return jax.device_get((mjx.put_model(model, impl="jax"), mjx.make_data(model, impl="jax")))

    @property
    def _mjx(self) -> tuple[mjx.Model, mjx.Data]:
        return jax.tree.map(jnp.asarray, self._on_host)

    def _state(self, data: mjx.Data) -> MujocoState:
        derived = jnp.zeros(0)
        if self.derived is not None:
            derived = self.derived(mjx.rne_postconstraint(self._mjx[0], data))
        return MujocoState(data.qpos, data.qvel, data.qacc_warmstart, self.tracked(data), derived)

    def at(self, qpos: jax.Array, qvel: jax.Array) -> MujocoState:
        """The state with given positions `[nq]` and velocities `[nv]`, at rest as far as the solver remembers."""
        model, data = self._mjx
        data = data.replace(qpos=jnp.asarray(qpos, jnp.float32), qvel=jnp.asarray(qvel, jnp.float32))
        with self._patched():
            return self._state(mjx.forward(model, data))

    def advance(self, state: MujocoState, control: jax.Array) -> MujocoState:
        """One control step under actuator inputs `[nu]`."""
        model, data = self._mjx
        data = data.replace(qpos=state.qpos, qvel=state.qvel, qacc_warmstart=state.warmstart, ctrl=control)
        with self._patched():
            data = jax.lax.fori_loop(0, self.frame_skip, lambda _, d: mjx.step(model, d), data)
            return self._state(data)
