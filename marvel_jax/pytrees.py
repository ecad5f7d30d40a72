"""Makes the hyperparameters' dataclasses JAX pytrees; imported by whatever computes with them.

Not in `hyper`, which the command line reads before JAX is there.
"""

import jax

from marvel_jax.hyper import CPQ, Gains, Hyper, Method, Online, SACLag, ValueAlignment

for kind in (CPQ, Gains, Hyper, Method, Online, SACLag, ValueAlignment):
    jax.tree_util.register_dataclass(kind)
