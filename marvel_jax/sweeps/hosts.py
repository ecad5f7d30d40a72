"""Several processes, on one machine or many, that share a sweep's chunks through a common folder.

They need to know only their number and how many they are. `jax.distributed` finds that out under SLURM, Kubernetes and
MPI, or is told; processes compute on their own devices and never wait for one another's results.
"""

from typing import Any

import jax

from marvel_jax.errors import UserError
from marvel_jax.sweeps.run import Share


def join(options: Any) -> Share:
    """This process's share, after it has found the others if there are any.

    Args:
      options: Of `marvel sweep`: `distributed`, or `coordinator`, `processes` and `process`.

    Raises:
      UserError: If the others cannot be found, or there are more processes than devices.
    """
    told = {
        "coordinator_address": options.coordinator,
        "num_processes": options.processes,
        "process_id": options.process,
    }
    given = {name: value for name, value in told.items() if value is not None}
    if not options.distributed and not given:
        return Share()
    if given and len(given) < len(told):
        raise UserError("Give --coordinator, --processes and --process together, or --distributed alone.")
    if given and not 0 <= options.process < options.processes:
        raise UserError(f"--process is {options.process}; give 0 to {options.processes - 1}.")
    try:
        jax.distributed.initialize(**given)
    except (RuntimeError, ValueError) as error:
        raise UserError(
            f"The other processes cannot be found ({str(error).splitlines()[0]}). Under SLURM, Kubernetes or MPI "
            "--distributed finds them; elsewhere give --coordinator HOST:PORT, --processes and --process."
        ) from None
    if jax.device_count() < jax.process_count():
        raise UserError(f"{jax.process_count()} processes share {jax.device_count()} devices; start fewer.")
    return Share(jax.process_index(), jax.process_count())
