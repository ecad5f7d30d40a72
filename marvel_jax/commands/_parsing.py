"""From a dataclass of options to a command line: tyro, with a rule of this package's own for dataclasses.

The rule does three things that tyro does not. Fields' docstrings are shown without their line breaks. An optional value
is shown as PATH, not as {None}|PATH with None as its default. And hyperparameters are in order of use: the `FIRST` of
them stand among a command's own options, the other single ones under a heading, and each group under its own.
"""

import ast
import dataclasses
import inspect
import textwrap
from functools import cache, partial
from itertools import pairwise
from types import UnionType
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

import tyro
from tyro.constructors import ConstructorRegistry, StructConstructorSpec, StructFieldSpec, StructTypeInfo

from marvel_jax.config.hyper import Hyper
from marvel_jax.config.offline import OFFLINE
from marvel_jax.config.online import ONLINE

FIRST = ("cost_limit", "algorithm", "online_algorithm")
AFTER = "method"  # the option behind which they stand

Options = TypeVar("Options")
_registry = ConstructorRegistry()


def parse(kind: type[Options], arguments: list[str], prog: str, default: Options | None = None) -> Options:
    """Options from the words of a command line. Help and errors of the parser end the process.

    Args:
      kind: The dataclass.
      arguments: The words after the command's name.
      prog: What the help calls the command.
      default: Defaults of all options. None: those of the dataclass.
    """
    keywords: dict[str, Any] = {} if default is None else {"default": default}
    with _registry:
        return tyro.cli(kind, args=arguments, prog=prog, description=kind.__doc__, **keywords)


@_registry.struct_rule
def _dataclass(info: StructTypeInfo) -> StructConstructorSpec | None:
    """The options of a dataclass."""
    kind = info.type
    if not dataclasses.is_dataclass(kind):
        return None
    fields = _fields(kind, info.default)
    if kind is Hyper:
        unprefixed = tyro.conf.arg(prefix_name=False)
        rest = [dataclasses.replace(field, type=Annotated[field.type, unprefixed]) for field in fields]
        return StructConstructorSpec(Hyper, tuple(field for field in rest if field.name not in FIRST))
    names = [field.name for field in fields]
    if "hyper" not in names:
        return StructConstructorSpec(kind, tuple(fields))
    of_hyper = {field.name: field for field in _fields(Hyper, fields[names.index("hyper")].default)}
    place = names.index(AFTER) + 1
    fields[place:place] = [of_hyper[name] for name in FIRST]
    return StructConstructorSpec(partial(_with_first, kind), tuple(fields))


def _with_first(kind: type, **values: Any) -> Any:
    """`kind` with the `FIRST` hyperparameters put back among the others."""
    first = {name: values.pop(name) for name in FIRST}
    return kind(**{**values, "hyper": dataclasses.replace(values["hyper"], **first)})


def _fields(kind: Any, default: Any) -> list[StructFieldSpec]:
    hints = get_type_hints(kind, include_extras=True)
    found = []
    for field in dataclasses.fields(kind):
        value = getattr(default, field.name) if isinstance(default, kind) else _default(field)
        hint = _shown(hints[field.name]) if value in (None, ()) else hints[field.name]
        found.append(StructFieldSpec(field.name, hint, value, partial(_help, kind, field.name)))
    return found


def _default(field: dataclasses.Field) -> Any:
    if field.default is not dataclasses.MISSING:
        return field.default
    return tyro.MISSING if field.default_factory is dataclasses.MISSING else field.default_factory()


def _shown(hint: Any) -> Any:
    """`X | None` with only X named in the help, and without the default, which the docstring explains."""
    plain, *own = get_args(hint) if get_origin(hint) is Annotated else (hint,)
    names = [part for part in get_args(plain) if part is not type(None)] if isinstance(plain, UnionType) else []
    metavar = names[0].__name__.upper() if len(names) == 1 and isinstance(names[0], type) else None
    return Annotated[(plain, tyro.conf.arg(metavar=metavar, help_behavior_hint=""), *own)]


def _help(kind: type, name: str) -> str | None:
    """A field's docstring in one line, from the class that has it."""
    for base in kind.__mro__:
        if dataclasses.is_dataclass(base) and name in (found := _documentation(base)):
            return _with_names(found[name])
    return None


def _with_names(text: str) -> str:
    """A docstring that refers to the tables of algorithms, with their names instead."""
    for table, known in (("`config.offline.OFFLINE`", OFFLINE), ("`config.online.ONLINE`", ONLINE)):
        text = text.replace(f"of {table}", f"one of {', '.join(known)}")
    return text


@cache
def _documentation(kind: type) -> dict[str, str]:
    """The docstrings under a dataclass's fields."""
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    assert isinstance(definition, ast.ClassDef)
    found = {}
    for field, below in pairwise(definition.body):
        if isinstance(field, ast.AnnAssign) and isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
            assert isinstance(field.target, ast.Name)
            found[field.target.id] = " ".join(str(below.value.value).split())
    return found
