"""What several commands do."""

import contextlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from marvel_jax.commands._options import Output
from marvel_jax.config.errors import UserError
from marvel_jax.config.tasks import load_env_module
from marvel_jax.runs.folder import RunFolder

if TYPE_CHECKING:
    from marvel_jax.runs.writers import WriterChoice


def prepare_jax(seeds: int) -> None:
    """Settings that must precede JAX's first computation: one CPU device per core, and a compile cache on disk."""
    import jax

    if "JAX_NUM_CPU_DEVICES" not in os.environ:
        with contextlib.suppress(RuntimeError):  # inside a program that already uses JAX, its devices stay as they are
            jax.config.update("jax_num_cpu_devices", max(1, min(os.cpu_count() or 1, seeds)))
    if not os.environ.get("JAX_COMPILATION_CACHE_DIR"):
        home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        jax.config.update("jax_compilation_cache_dir", str(home / "marvel_jax"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)


def device_name() -> str:
    """What the process computes on, for summaries."""
    import jax

    return f"{jax.devices()[0].device_kind} × {jax.device_count()} ({os.cpu_count()} CPU cores)"


def import_env_module(where: str | None) -> None:
    """Imports a user's module, with JAX prepared: registering an environment already takes steps in it.

    Raises:
      UserError: If it cannot be imported, or what it registers is refused.
    """
    if where is None:
        return
    prepare_jax(os.cpu_count() or 1)
    load_env_module(where)


def check_unused(out: Path) -> None:
    """Refuses a folder for results that has something in it already."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out} exists, and nothing is overwritten. Give another --out.")


@contextmanager
def writing_to(out: Path) -> Iterator[None]:
    """Turns failures to write into a `UserError`."""
    try:
        yield
    except OSError as error:
        raise UserError(f"{out} cannot be written ({error.strerror}). Give another --out.") from None


def writer_choice(output: Output) -> "WriterChoice":
    """What --writers and --write-every ask for, checked."""
    from marvel_jax.runs.writers import WriterChoice

    choice = WriterChoice(output.writers, output.write_every)
    choice.check()
    return choice


def draw_runs(folders: list[RunFolder], out: Path, summaries: dict[Path, dict[str, Any]]) -> list[Path]:
    """Draws the figures of one run, or of several together, into `out`; returns their paths."""
    from marvel_jax.report.run_figures import RunData, draw
    from marvel_jax.runs.metrics import read

    methods = [summaries[folder.path]["method"] for folder in folders]
    labels = methods if len(set(methods)) == len(methods) else [folder.path.name for folder in folders]
    data = [
        RunData(label, read(folder.metrics).rows, summaries[folder.path])
        for label, folder in zip(labels, folders, strict=True)
    ]
    with writing_to(out):
        return draw(data, out)
