"""Tasks by name, for people: this package's, and those that a user's module registers."""

from marvel_envs.tasks import TaskSpec, task_spec

from marvel_jax.config.errors import UserError


def find_task(name: str) -> TaskSpec:
    """A task's spec by name.

    Raises:
      UserError: If there is none; the message has the nearest name.
    """
    try:
        return task_spec(name)
    except ValueError as error:
        raise UserError(str(error)) from None


def load_env_module(where: str | None) -> None:
    """Imports a user's module that registers environments; does nothing for None.

    Raises:
      UserError: If it cannot be imported, or what it registers is refused.
    """
    if where is None:
        return
    from marvel_envs.registry import load_module

    try:
        load_module(where)
    except ValueError as error:
        raise UserError(str(error)) from None


def check_simulator(spec: TaskSpec, simulator: str) -> None:
    """Refuses simulators that are unknown, not installed, or do not have the task.

    Raises:
      UserError: Saying which, and how to install it.
    """
    from marvel_envs.simulators import require

    try:
        require(simulator)
    except ValueError as error:
        raise UserError(str(error)) from None
    if spec.simulator != simulator:
        raise UserError(f"{spec.name} is a task of {spec.simulator or 'this package alone'}, not of {simulator}.")
