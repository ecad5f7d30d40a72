"""Shared by all tests: two CPU devices, a compile cache, and tiny versions of everything."""

import os
from pathlib import Path

os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(Path(__file__).parent.parent / ".cache" / "jax"))

import jax
import marvel_envs
import pytest
from command_line import FIELDS, TINY

from marvel_jax import cli
from marvel_jax.config.hyper import Hyper, override
from marvel_jax.datasets.hdf5 import load_shipped

jax.config.update("jax_num_cpu_devices", 2)
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)


@pytest.fixture(scope="session")
def env():
    return marvel_envs.make("BallRun")


@pytest.fixture(scope="session")
def dataset():
    return load_shipped("BallRun").transitions


@pytest.fixture(scope="session")
def tiny():
    """Hyperparameters of an experiment that takes a second."""
    return override(Hyper(), **{**FIELDS, "hidden": (8,)})


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """A finished tiny run of two seeds, made through the command line."""
    out = tmp_path_factory.mktemp("runs") / "whole"
    with pytest.raises(SystemExit) as ended:
        cli.main(["run", "BallRun", *TINY, "--seeds", "2", "--out", str(out), "--quiet"])
    assert not ended.value.code
    return out
