"""The command line for tests: in this process, at tiny sizes."""

import pytest

from marvel_jax import cli

# An experiment that takes a second.
FIELDS = {
    "hidden": 8,
    "evaluation_episodes": 2,
    "pretrain.updates": 6,
    "pretrain.batch_size": 16,
    "alignment.updates": 6,
    "alignment.batch_size": 16,
    "sac.batch_size": 16,
    "online.iterations": 4,
    "online.episodes": 2,
    "online.updates": 3,
}
TINY = tuple(word for name, value in FIELDS.items() for word in (f"--{name.replace('_', '-')}", str(value)))
TINY_SWEEP = ("--fixed", *(f"{name}={value}" for name, value in FIELDS.items()))  # for `marvel sweep`


def marvel(capsys, *arguments: str) -> tuple[int, str, str]:
    """Runs the command in this process; returns exit code, standard output and standard error."""
    with pytest.raises(SystemExit) as ended:
        cli.main(list(arguments))
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), out, err
