"""The `marvel` command: arguments in, a call, files and tables out. JAX is imported only by commands that compute."""

import sys
from collections.abc import Callable
from typing import Any

import tyro

from marvel_jax.commands import compare, data, diagnose, learn, options, shared, sweep, tools
from marvel_jax.config.errors import UserError
from marvel_jax.runs import interruption

_TYRO = (tyro.conf.OmitSubcommandPrefixes,)

COMMANDS: dict[str, tuple[type, Callable[[Any], int]]] = {
    "run": (options.Run, lambda given: learn.learn(given, "finetune")),
    "pretrain": (options.Pretrain, lambda given: learn.learn(given, "pretrain")),
    "align": (options.Align, lambda given: learn.learn(given, "align")),
    "finetune": (options.Finetune, lambda given: learn.learn(given, "finetune")),
    "sweep": (options.Sweep, sweep.sweep_command),
    "evaluate": (options.Evaluate, tools.evaluate_command),
    "plot": (options.Plot, tools.plot_command),
    "compare": (options.Compare, compare.compare_command),
    "diagnose": (options.Diagnose, diagnose.diagnose_command),
    "collect": (options.Collect, data.collect_command),
    "dataset": (options.Dataset, data.dataset_command),
    "tasks": (options.Tasks, tools.tasks_command),
    "methods": (options.Methods, tools.methods_command),
    "parity": (options.Parity, tools.parity_command),
}


def main(argv: list[str] | None = None) -> None:
    """Entry point of `marvel`. Exits with 0, with 2 after a wrong request, and with 130 after an interruption."""
    arguments = sys.argv[1:] if argv is None else argv
    interruption.raise_at_once()
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


def _dispatch(arguments: list[str]) -> int:
    if arguments and arguments[0] in COMMANDS:
        name = arguments[0]
        kind, command = COMMANDS[name]
        # Before anything else: it may register the task that is asked for.
        shared.load_env_module(learn.given_value(arguments, "--env-module"))
        default = learn.stage_defaults(kind, arguments[1:]) if issubclass(kind, options.StageOptions) else None
        keywords: dict[str, Any] = {} if default is None else {"default": default}
        given = tyro.cli(
            kind, args=arguments[1:], prog=f"marvel {name}", description=kind.__doc__, config=_TYRO, **keywords
        )
        return command(given)
    tyro.extras.subcommand_cli_from_dict(
        {name: kind for name, (kind, _) in COMMANDS.items()},
        args=arguments or ["--help"],
        prog="marvel",
        description="Offline-to-online safe reinforcement learning in JAX. Try: marvel run BallCircle --preset quick",
        config=_TYRO,
    )
    return 0
