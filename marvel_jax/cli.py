"""The `marvel` command: finds the commands, parses the command line, and turns errors into exit statuses."""

import importlib
import pkgutil
import sys
from dataclasses import make_dataclass
from types import ModuleType
from typing import Any

import tyro

import marvel_jax.commands
from marvel_jax.commands._parsing import parse
from marvel_jax.config.errors import UserError
from marvel_jax.runs.interruption import raise_at_once

FIRST = ("run", "pretrain", "align", "finetune", "sweep", "evaluate", "plot", "compare", "diagnose")
DESCRIPTION = "Offline-to-online safe reinforcement learning in JAX. Try: marvel run BallCircle --preset quick"


def main(argv: list[str] | None = None) -> None:
    """Entry point of `marvel`. Exits with 0, with 2 after a wrong request, and with 130 after an interruption."""
    arguments = sys.argv[1:] if argv is None else argv
    raise_at_once()
    try:
        sys.exit(_dispatch(arguments))
    except UserError as error:
        print(f"marvel: error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:  # where nothing is worth saving yet, or the second time
        print("marvel: interrupted", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(1)


def commands() -> list[str]:
    """The commands' names: the important ones first, then the others by the alphabet."""
    found = {module.name for module in pkgutil.iter_modules(marvel_jax.commands.__path__)}
    names = {name for name in found if not name.startswith("_")}
    return [*FIRST, *sorted(names.difference(FIRST))]


def command(name: str) -> ModuleType:
    """The module of a command: its `Options`, and `run`."""
    return importlib.import_module(f"marvel_jax.commands.{name}")


def options_of(name: str, arguments: list[str]) -> Any:
    """A command's options from the words after its name.

    Where some options imply the defaults of others, the words are parsed twice: first with plain defaults, to learn
    the task, preset, method or earlier run, and then with the defaults that these imply.
    """
    kind, prog = command(name).Options, f"marvel {name}"
    options = parse(kind, arguments, prog)
    if not hasattr(options, "implied_defaults"):
        return options
    return parse(kind, arguments, prog, options.implied_defaults())


def _dispatch(arguments: list[str]) -> int:
    if arguments and arguments[0] in commands():
        name = arguments[0]
        return command(name).run(options_of(name, arguments[1:]))
    tyro.extras.subcommand_cli_from_dict(
        {name: _described(command(name).Options) for name in commands()},
        args=arguments or ["--help"],
        prog="marvel",
        description=DESCRIPTION,
        config=(tyro.conf.OmitSubcommandPrefixes,),
    )
    return 0


def _described(options: type) -> type:
    """A command without its options: all that the list of commands shows is the description."""
    return make_dataclass(options.__name__, [], repr=False, eq=False, namespace={"__doc__": options.__doc__})
