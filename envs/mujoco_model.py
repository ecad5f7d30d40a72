"""Gymnasium's MuJoCo models, loaded so that they behave as under the MuJoCo version that they were written for."""

# pyright: reportAttributeAccessIssue=false
# MuJoCo's names come from a compiled module that pyright cannot read.

import importlib.util
import re
from functools import cache
from pathlib import Path

import mujoco


def gymnasium_model(file: str) -> mujoco.MjModel:
    """A model by its file name in the installed `gymnasium` package; raises as `gymnasium_xml`."""
    return load_model(gymnasium_xml(file))


def gymnasium_xml(file: str) -> str:
    """A model's text by its file name in the installed `gymnasium` package (which is not imported).

    Raises:
      ImportError: If Gymnasium is not installed.
    """
    spec = importlib.util.find_spec("gymnasium")
    if spec is None or spec.origin is None:
        raise ImportError("Velocity tasks need Gymnasium's model files. Install them with `pip install gymnasium`.")
    return (Path(spec.origin).parent / "envs" / "mujoco" / "assets" / file).read_text()


def load_model(xml: str) -> mujoco.MjModel:
    """A model that behaves under the installed MuJoCo as `xml` did under MuJoCo 2.3, for which it was written.

    Three things differ:

    - A contact's margin is the sum of its geoms' margins; in 2.3 it was the larger one. All geoms of one of
      Gymnasium's models have the same margin, so it is halved.
    - "Collisions of predefined pairs only" is no option. Swimmer asks for it and defines no pair: contacts are
      switched off.
    - The total mass cannot be set in the file. It is set after loading.
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
