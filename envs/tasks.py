"""All tasks by name: importable in milliseconds, without JAX.

The rows are in the families' own tables: `bullet.tasks`, `velocity_tasks` and `navigation.tasks`. A new row there is a
new task.
"""

import difflib

from marvel_envs.bullet.tasks import BULLET_TASKS
from marvel_envs.navigation.tasks import NAVIGATION_TASKS
from marvel_envs.spec import TaskSpec
from marvel_envs.velocity_tasks import VELOCITY_TASKS

__all__ = ["TASKS", "TaskSpec", "task_spec"]

_FAMILIES = (BULLET_TASKS, VELOCITY_TASKS, NAVIGATION_TASKS)
TASKS: dict[str, TaskSpec] = {name: task.spec for family in _FAMILIES for name, task in family.items()}


def task_spec(name: str) -> TaskSpec:
    """The spec of a task by name.

    Raises:
      ValueError: If there is no such task; the message has the nearest name.
    """
    if name in TASKS:
        return TASKS[name]
    by_lower = {known.lower(): known for known in TASKS}
    near = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.4)
    hint = f" Did you mean {by_lower[near[0]]}?" if near else ""
    raise ValueError(f"Unknown task {name!r}.{hint} Tasks: {', '.join(TASKS)}.")
