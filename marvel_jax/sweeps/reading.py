"""What a sweep is asked to do, read from a TOML file and from words of the command line. Without JAX."""

import dataclasses
import tomllib
from pathlib import Path
from typing import Any

from marvel_jax.config.errors import UserError
from marvel_jax.sweeps.request import Range, Request


def read_file(path: Path) -> dict[str, Any]:
    """The fields of a `Request` that a TOML file gives.

    Raises:
      UserError: If the file cannot be read or has unknown keys.
    """
    try:
        data = tomllib.loads(path.read_text())
    except FileNotFoundError:
        raise UserError(f"There is no sweep file {path}.") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UserError(f"{path} cannot be read as TOML ({error}).") from None
    names = {f.name for f in dataclasses.fields(Request)} - {"first_seed"} | {"seed"}
    for name in data:
        if name not in names:
            raise UserError(f"{path} has a key {name!r} that no sweep has. It may have: {', '.join(sorted(names))}.")
    given = dict(data)
    if "seed" in given:
        given["first_seed"] = given.pop("seed")
    for name in ("tasks", "methods"):
        if name in given:
            given[name] = (given[name],) if isinstance(given[name], str) else tuple(given[name])
    for name in ("fixed", "product", "draw"):
        if name in given:
            given[name] = _flat(given[name], path, name)
    if "by_method" in given:
        tables = given["by_method"] if isinstance(given["by_method"], dict) else {}
        given["by_method"] = {method: _flat(table, path, f"by_method.{method}") for method, table in tables.items()}
    if "points" in given:
        given["points"] = tuple(_flat(point, path, "points") for point in given["points"])
    if "draw" in given:
        given["draw"] = {name: _range(name, limits) for name, limits in given["draw"].items()}
    return given


def _flat(table: Any, path: Path, key: str, prefix: str = "") -> dict[str, Any]:
    """Nested tables as dotted paths (TOML reads an unquoted `gains.integral` as a table in a table)."""
    if not isinstance(table, dict):
        raise UserError(f"{path}: {key} must be a table of hyperparameters.")
    found = {}
    for name, value in table.items():
        if isinstance(value, dict) and not {"low", "high"} <= set(value):
            found |= _flat(value, path, key, f"{prefix}{name}.")
        else:
            found[prefix + name] = value
    return found


def _range(name: str, limits: Any) -> Range:
    """A range from `{low, high, log}`, `[low, high]`, `[low, high, "log"]` or the text "low:high[:log]"."""
    parts = limits.split(":") if isinstance(limits, str) else limits
    try:
        if isinstance(parts, dict):
            return Range(**{**parts, "low": float(parts["low"]), "high": float(parts["high"])})
        low, high, *rest = parts
        if rest not in ([], ["log"]):
            raise ValueError
        return Range(float(low), float(high), bool(rest))
    except (TypeError, ValueError, KeyError):
        raise UserError(f"The range of {name} is {limits}; give LOW:HIGH or LOW:HIGH:log.") from None


def assignments(words: tuple[str, ...], option: str) -> dict[str, str]:
    """`FIELD=VALUE` words as a dictionary; raises a `UserError` that names the option otherwise."""
    found = {}
    for word in words:
        name, equals, given = word.partition("=")
        if not equals or not name or not given:
            raise UserError(f"{option} {word}: give FIELD=VALUE.")
        found[name.replace("-", "_")] = given
    return found


def ranges(words: tuple[str, ...]) -> dict[str, Range]:
    """`FIELD=LOW:HIGH[:log]` words."""
    return {name: _range(name, text) for name, text in assignments(words, "--draw").items()}


def lists(words: tuple[str, ...]) -> dict[str, list[str]]:
    """`FIELD=VALUE,VALUE,…` words."""
    return {name: text.split(",") for name, text in assignments(words, "--product").items()}
