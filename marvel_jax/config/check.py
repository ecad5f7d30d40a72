"""What a configuration must be, and which algorithms and methods cannot go together."""

import difflib
import math
from collections.abc import Iterable

from marvel_jax.config.errors import UserError
from marvel_jax.config.fields import by_path
from marvel_jax.config.hyper import Hyper
from marvel_jax.config.methods import METHODS
from marvel_jax.config.offline import OFFLINE
from marvel_jax.config.online import ONLINE
from marvel_jax.config.presets import find_method
from marvel_jax.config.run_config import RunConfig
from marvel_jax.config.tasks import check_simulator, find_task

# Counts of at least 1, by the ends of their paths; of other whole numbers 0 is off.
_COUNTS = ("updates", "batch_size", "critic_updates", "candidates", "vae_hidden", "iterations", "episodes", "window")


def check(config: RunConfig) -> None:
    """Refuses configurations that cannot run.

    Raises:
      UserError: Naming the option and what it must be.
    """
    spec = find_task(config.task)
    if config.simulator is not None:
        check_simulator(spec, config.simulator)
    _one_of("--algorithm", config.hyper.algorithm, OFFLINE)
    _one_of("--online-algorithm", config.hyper.online_algorithm, ONLINE)
    if config.seeds < 1:
        raise UserError(f"--seeds is {config.seeds}; give at least 1.")
    if config.first_seed < 0:
        raise UserError(f"--seed is {config.first_seed}; give 0 or more.")
    _check_numbers(config.hyper)
    found = conflict(config.hyper, config.method)
    if found is not None:
        raise UserError(f"{config.method} with {config.hyper.algorithm} and {config.hyper.online_algorithm}: {found}")


def _one_of(option: str, name: str, known: Iterable[str]) -> None:
    names = list(known)
    if name not in names:
        near = difflib.get_close_matches(name, names, n=1, cutoff=0.4)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise UserError(f"{option} is {name!r}.{hint} Give one of: {', '.join(names)}.")


def _check_numbers(hyper: Hyper) -> None:
    if not hyper.hidden or min(hyper.hidden) < 1:
        raise UserError(f"--hidden is {hyper.hidden}; give one or more positive widths, such as 64 64.")
    for path, value in by_path(hyper).items():
        option = "--" + path.replace("_", "-")
        if isinstance(value, bool) or not isinstance(value, int | float):
            continue
        if not math.isfinite(value):
            raise UserError(f"{option} is {value}; give a finite number.")
        if path.rpartition(".")[2] in (*_COUNTS, "evaluation_episodes") and value < 1:
            raise UserError(f"{option} is {value}; give at least 1.")
        if value < 0 and path != "log_std_minimum":
            raise UserError(f"{option} is {value}; give 0 or more.")
    if hyper.discount >= 1:
        raise UserError(f"--discount is {hyper.discount}; give a number in [0, 1).")
    if hyper.method.offline_fraction > 1:
        raise UserError(f"--method.offline-fraction is {hyper.method.offline_fraction}; give a number in [0, 1].")


def conflict(hyper: Hyper, name: str) -> str | None:
    """Why these hyperparameters' algorithms and method cannot go together, with what could; None if they can."""
    method, online = hyper.method, ONLINE[hyper.online_algorithm]
    if method.critics == "offline" and not OFFLINE[hyper.algorithm].critics:
        having = ", ".join(other for other, traits in OFFLINE.items() if traits.critics)
        starting = ", ".join(n for n, r in METHODS.items() if r.changes.get("method.critics") != "offline")
        return (
            f"this method starts from offline critics, and {hyper.algorithm} has none. Offline algorithms with "
            f"critics: {having}. Methods that do without: {starting}."
        )
    if online.on_policy:
        others = " Online algorithms that can: " + ", ".join(n for n, t in ONLINE.items() if not t.on_policy) + "."
        it = f"{hyper.online_algorithm} learns from its own"
        if method.guide != "none":
            return f"{it} actions alone, and this method acts with the offline policy too.{others}"
        if method.actor == "random" and method.offline_fraction > 0:
            return f"{it} episodes alone, and this method is about offline data.{others}"
    return _of_another_algorithm(hyper, name)


def _of_another_algorithm(hyper: Hyper, name: str) -> str | None:
    """Whether a method changes hyperparameters of an online algorithm that is not the one that learns."""
    own = ONLINE[hyper.online_algorithm].section
    of_section = {traits.section: other for other, traits in ONLINE.items()}
    changed = {
        of_section[path.partition(".")[0]] for path in find_method(name).changes if path.partition(".")[0] in of_section
    }
    if not changed or of_section[own] in changed:
        return None
    able = ", ".join(sorted(changed))
    return f"this method changes hyperparameters of {able} alone. Online algorithms that can: {able}."
