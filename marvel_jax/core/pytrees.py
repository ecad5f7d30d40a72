"""Makes the hyperparameters' dataclasses JAX pytrees; imported by whatever computes with them.

Not in `config`, which the command line reads before JAX is there.
"""

from dataclasses import fields

import jax

from marvel_jax.config.hyper import Hyper

_parts = (getattr(Hyper(), field.name) for field in fields(Hyper))
for kind in (Hyper, *(type(part) for part in _parts if hasattr(part, "__dataclass_fields__"))):
    jax.tree_util.register_dataclass(kind)
