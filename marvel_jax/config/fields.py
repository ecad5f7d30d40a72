"""Hyperparameters by dotted path: what there is, which of it is traced, and values from text or TOML. Without JAX."""

import dataclasses
import difflib
from dataclasses import dataclass
from functools import cache
from operator import attrgetter
from typing import Any, Literal, get_args, get_origin, get_type_hints

from marvel_jax.config.errors import UserError
from marvel_jax.config.hyper import Hyper


@dataclass(frozen=True)
class Field:
    """One hyperparameter.

    Attributes:
      default: Its value in `Hyper()`.
      static: It is compiled in; runs with other values need a program of their own.
      choices: What it may be, if that is a list of words.
    """

    default: Any
    static: bool
    choices: tuple[Any, ...] = ()

    @property
    def continuous(self) -> bool:
        """Whether it is a traced number, of which a range can be drawn from."""
        return not self.static and isinstance(self.default, float | None)


@cache
def all_fields() -> dict[str, Field]:
    """Every hyperparameter by dotted path."""
    return dict(_fields(Hyper(), ""))


def by_path(config: Any, prefix: str = "") -> dict[str, Any]:
    """The values of nested dataclasses, or of the dictionaries that JSON makes of them, by dotted path."""
    found = {}
    names = config if isinstance(config, dict) else [field.name for field in dataclasses.fields(config)]
    for name in names:
        value = config[name] if isinstance(config, dict) else getattr(config, name)
        if dataclasses.is_dataclass(value) or isinstance(value, dict):
            found |= by_path(value, f"{prefix}{name}.")
        else:
            found[prefix + name] = value
    return found


def _fields(config: Any, prefix: str):
    hints = get_type_hints(type(config))
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            yield from _fields(value, f"{prefix}{field.name}.")
        else:
            hint = hints[field.name]
            choices = get_args(hint) if get_origin(hint) is Literal else ()
            yield prefix + field.name, Field(value, bool(field.metadata.get("static")), choices)


def find(path: str) -> Field:
    """A hyperparameter by dotted path.

    Raises:
      UserError: If there is none, with the nearest and whether that is traced.
    """
    known = all_fields()
    if path in known:
        return known[path]
    near = difflib.get_close_matches(path, known, n=1, cutoff=0.4)
    # A last word alone, such as `integral`, is meant for the field that ends with it.
    near = [name for name in known if name.split(".")[-1] == path] or near
    hint = f" Did you mean {near[0]} ({'static' if known[near[0]].static else 'traced'})?" if near else ""
    raise UserError(f"There is no hyperparameter {path}.{hint} `marvel run --help` lists them.")


def value(path: str, given: Any) -> Any:
    """A value for a hyperparameter, from text or from TOML's types.

    Raises:
      UserError: If the field does not exist or the value is of another kind.
    """
    field = find(path)
    try:
        return _convert(field, given)
    except (TypeError, ValueError, KeyError):
        example = 20.0 if field.default is None else field.default
        kind = " or ".join(map(str, field.choices)) or f"a value like {_text(example)}"
        raise UserError(f"{path} is {_text(given)}; give {kind}.") from None


def static_part(hyper: Hyper) -> tuple[Any, ...]:
    """What is static in hyperparameters: runs in which it is equal can share a program."""
    return attrgetter(*(path for path, field in all_fields().items() if field.static))(hyper)


def _convert(field: Field, given: Any) -> Any:
    if field.choices:
        if given not in field.choices:
            raise ValueError
        return given
    if isinstance(field.default, str):
        return str(given)
    if isinstance(field.default, bool):
        return {"true": True, "false": False}[str(given).lower()]
    if isinstance(given, bool):
        raise TypeError
    if isinstance(field.default, tuple):
        parts = given.split("x") if isinstance(given, str) else given if isinstance(given, list | tuple) else [given]
        return tuple(int(part) for part in parts)
    if isinstance(field.default, int):
        if float(given) != int(float(given)):
            raise ValueError
        return int(float(given))
    return float(given)


def _text(given: Any) -> str:
    return "x".join(map(str, given)) if isinstance(given, tuple) else str(given)
