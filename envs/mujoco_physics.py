"""MuJoCo models under MJX, with the physics state kept small: what MuJoCo integrates and what observations need."""

# pyright: reportAttributeAccessIssue=false
# MuJoCo's names come from a compiled module that pyright cannot read.

import contextlib
import importlib.util
import io
import re
from collections.abc import Callable
from functools import cache, cached_property
from pathlib import Path

import jax
import jax.numpy as jnp
import mujoco
from flax import struct

with contextlib.redirect_stdout(io.StringIO()):  # MJX prints that its optional Warp backend is not installed
    from marvel_envs import mjx_contact
    from mujoco import mjx

mjx_contact.install()


class MujocoState(struct.PyTreeNode):
    """Physics of one articulated body; all of it, so a state can be stored and restored.

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


def gymnasium_model(file: str) -> mujoco.MjModel:
    """A model by its file name in the installed `gymnasium` package (which is not imported).

    Raises:
      ImportError: If Gymnasium is not installed.
    """
    spec = importlib.util.find_spec("gymnasium")
    if spec is None or spec.origin is None:
        raise ImportError("Velocity tasks need Gymnasium's model files. Install them with `pip install gymnasium`.")
    return load_model((Path(spec.origin).parent / "envs" / "mujoco" / "assets" / file).read_text())


def load_model(xml: str) -> mujoco.MjModel:
    """A model that behaves under the installed MuJoCo as `xml` did under MuJoCo 2.3, for which it was written.

    Three things changed. A contact's margin is now the sum of its geoms' margins and was the larger one; all geoms of
    Gymnasium's models have the same, so half of it is the old margin. And collisions of predefined pairs only, which
    Swimmer asks for without defining any, are no longer an option: contacts are switched off instead. And the total
    mass is set after loading, where newer versions want it.
    """
    predefined = 'collision="predefined" '
    total_mass = re.search(r'settotalmass="([\d.]+)"', xml)
    model = mujoco.MjModel.from_xml_string(re.sub(r'settotalmass="[\d.]+"', "", xml.replace(predefined, "")))
    if total_mass:
        mujoco.mj_setTotalmass(model, float(total_mass[1]))
        mujoco.mj_setConst(model, mujoco.MjData(model))
    if predefined in xml:
        model.opt.disableflags |= mujoco.mjtDisableBit.mjDSBL_CONTACT
    if _margins_add():
        model.geom_margin /= 2
    if model.opt.solver == mujoco.mjtSolver.mjSOL_PGS:  # MJX has none; Newton solves the same problem
        model.opt.solver = mujoco.mjtSolver.mjSOL_NEWTON
    return model


@cache
def _margins_add() -> bool:
    """Whether two balls 1.5 margins apart are in contact."""
    ball = '<geom size="1" pos="{x} 0 0" margin="0.1"/>'
    model = mujoco.MjModel.from_xml_string(
        f"<mujoco><worldbody>{ball.format(x=0)}<body><freejoint/>{ball.format(x=2.15)}</body></worldbody></mujoco>"
    )
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    return data.ncon > 0


class MujocoPhysics:
    """Steps a model `frame_skip` times per control step.

    Args:
      model: As MuJoCo loads it.
      frame_skip: Physics steps per control step.
      tracked: `data -> [2]`, see `MujocoState.tracked`.
      derived: `data -> [...]`, or None. Asks for contact forces on bodies, which cost time.
    """

    def __init__(
        self,
        model: mujoco.MjModel,
        frame_skip: int,
        tracked: Callable[[mjx.Data], jax.Array],
        derived: Callable[[mjx.Data], jax.Array] | None = None,
    ):
        self.model, self.frame_skip, self.tracked, self.derived = model, frame_skip, tracked, derived

    @cached_property
    def _mjx(self) -> tuple[mjx.Model, mjx.Data]:
        with jax.ensure_compile_time_eval():
            return mjx.put_model(self.model, impl="jax"), mjx.make_data(self.model, impl="jax")

    def _state(self, data: mjx.Data) -> MujocoState:
        derived = jnp.zeros(0)
        if self.derived is not None:
            derived = self.derived(mjx.rne_postconstraint(self._mjx[0], data))
        return MujocoState(data.qpos, data.qvel, data.qacc_warmstart, self.tracked(data), derived)

    def at(self, qpos: jax.Array, qvel: jax.Array) -> MujocoState:
        """The state with given positions `[nq]` and velocities `[nv]`, at rest as far as the solver remembers."""
        model, data = self._mjx
        with jax.default_matmul_precision("highest"):
            data = data.replace(qpos=jnp.asarray(qpos, jnp.float32), qvel=jnp.asarray(qvel, jnp.float32))
            return self._state(mjx.forward(model, data))

    def advance(self, state: MujocoState, control: jax.Array) -> MujocoState:
        """One control step under actuator inputs `[nu]`."""
        model, data = self._mjx
        data = data.replace(qpos=state.qpos, qvel=state.qvel, qacc_warmstart=state.warmstart, ctrl=control)
        with jax.default_matmul_precision("highest"):
            data = jax.lax.fori_loop(0, self.frame_skip, lambda _, d: mjx.step(model, d), data)
            return self._state(data)
