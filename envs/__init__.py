"""Safety environments on Brax's `Env`/`State` API; knows nothing of learning.

make(name)        an environment by name; every step has its cost in `state.info["cost"]`
TASKS, TaskSpec   what each task is, without importing JAX
task_spec(name)   the spec of a task
SafetyWrapper     a cost for any Brax environment of your own
PlaygroundEnv     MuJoCo Playground's environments as Brax ones
register(env)     adds an environment of your own, for `make` and the `marvel` command
FreshReset        wrapper that starts a new episode from a fresh draw whenever one ends
"""

import importlib

from marvel_envs.tasks import TASKS, TaskSpec, task_spec

__all__ = ["TASKS", "FreshReset", "PlaygroundEnv", "SafetyWrapper", "TaskSpec", "make", "register", "task_spec"]

# Brax takes seconds to import, so it waits until an environment is made.
_LAZY = {
    "make": "marvel_envs.registry",
    "register": "marvel_envs.registry",
    "PlaygroundEnv": "marvel_envs.playground",
    "FreshReset": "marvel_envs.wrappers",
    "SafetyWrapper": "marvel_envs.wrappers",
}


def __getattr__(name: str):
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
