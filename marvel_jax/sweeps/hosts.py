"""Several processes, on one machine or many, that share a sweep's chunks through a common folder.

A process needs to know only its number and how many there are: it computes on its own devices and never waits for
another's results. `jax.distributed` finds the numbers out under SLURM, Kubernetes and MPI; anything else that starts
processes can tell them.
"""

from typing import Any

import jax

from marvel_jax.errors import UserError
from marvel_jax.sweeps.run import Share


def join(options: Any) -> Share:
    """This process's share.

    Args:
      options: Of `marvel sweep`: `distributed`, or `process` and `processes`, or none of them.

    Raises:
      UserError: If `jax.distributed` does not find the others, or there are more processes than devices.
    """
    if not options.distributed:
        return Share() if options.processes is None else Share(options.process, options.processes)
    try:
        jax.distributed.initialize()
    except (RuntimeError, ValueError) as error:
        raise UserError(
            f"The other processes cannot be found ({str(error).splitlines()[0]}). --distributed is for SLURM, "
            "Kubernetes and MPI; elsewhere tell each process with --process and --processes."
        ) from None
    if jax.device_count() < jax.process_count():
        raise UserError(f"{jax.process_count()} processes share {jax.device_count()} devices; start fewer.")
    return Share(jax.process_index(), jax.process_count())
