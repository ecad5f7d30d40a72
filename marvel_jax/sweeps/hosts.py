"""Several processes, on one machine or many, that share a sweep's chunks through a common folder.

A process needs to know only its number and how many there are: it computes on its own devices and never waits for
another's results. `jax.distributed` finds the numbers out under SLURM, Kubernetes and MPI; anything else that starts
processes can tell them.
"""

from typing import Any

import jax
from jax._src.distributed import global_state  # (the public names need a backend, which must not exist yet)

from marvel_jax.config.errors import UserError
from marvel_jax.sweeps.executor import Share


def join(options: Any) -> Share:
    """This process's share.

    Args:
      options: Of `marvel sweep`: `distributed`, or `process` and `processes`, or none of them.

    Raises:
      UserError: If `jax.distributed` does not find the others.
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
    share = Share(global_state.process_id, global_state.num_processes)
    # Chunks are shared out by number, and nothing is computed together: from here on each process is on its own, with
    # the devices that it was told are its. (Orbax would otherwise write NumPy arrays in the first process alone.)
    jax.distributed.shutdown()
    global_state.process_id, global_state.num_processes = 0, 1
    return share
