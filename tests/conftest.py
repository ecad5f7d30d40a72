"""Shared by all tests: two CPU devices, a compile cache, tiny versions of everything, and memory that is given back."""

import ctypes
import gc
import os
import resource
import sys
from pathlib import Path

os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(Path(__file__).parent.parent / ".cache" / "jax"))

import jax
import marvel_envs
import pytest
from command_line import FIELDS, TINY

from marvel_jax import cli
from marvel_jax.config import layered
from marvel_jax.datasets.hdf5 import load_shipped

jax.config.update("jax_num_cpu_devices", 2)
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)


def free_programs():
    """Gives back the memory of compiled programs that nothing refers to any more."""
    gc.collect()
    jax.clear_caches()
    gc.collect()
    if sys.platform == "linux":
        ctypes.CDLL("libc.so.6").malloc_trim(0)


@pytest.fixture(scope="module", autouse=True)
def programs_of_one_module():
    """Programs go with the module that compiled them: together they would fill gigabytes."""
    yield
    free_programs()


def pytest_terminal_summary(terminalreporter):
    kind = resource.getrusage(resource.RUSAGE_SELF)
    unit = 2**20 if sys.platform == "darwin" else 2**10
    terminalreporter.write_line(f"largest memory of this process: {kind.ru_maxrss / unit:.0f} MiB")


@pytest.fixture(scope="session")
def env():
    return marvel_envs.make("BallRun")


@pytest.fixture(scope="session")
def dataset():
    return load_shipped("BallRun").transitions


@pytest.fixture(scope="session")
def tiny_of():
    """Hyperparameters of a method at a size that takes a second, as `layered` with further options."""

    def tiny(method="marvel", **changes):
        return layered(method=method, **{**FIELDS, "hidden": (8,), "cost_limit": 20.0, **changes})

    return tiny


@pytest.fixture(scope="session")
def tiny(tiny_of):
    """Hyperparameters of an experiment that takes a second."""
    return tiny_of()


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """A finished tiny run of two seeds, made through the command line."""
    out = tmp_path_factory.mktemp("runs") / "whole"
    with pytest.raises(SystemExit) as ended:
        cli.main(["run", "BallRun", *TINY, "--seeds", "2", "--out", str(out), "--quiet"])
    assert not ended.value.code
    return out
