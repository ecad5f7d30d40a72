"""Stage states on disk, through Orbax: saved atomically, the newest kept, shapes checked before reading."""

import errno
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp

from marvel_jax.config.errors import UserError

SPACE, MARGIN = 1.2, 2**18  # of the disk, per byte of a checkpoint and beside that


def _manager(folder: Path, writing: bool) -> ocp.CheckpointManager:
    options = ocp.CheckpointManagerOptions(
        max_to_keep=1,
        create=False,
        cleanup_tmp_directories=writing,
        enable_async_checkpointing=writing,
    )
    # (Without its handler, a manager that has not saved yet cannot tell a checkpoint's shapes.)
    return ocp.CheckpointManager(folder.resolve(), options=options, item_handlers=ocp.StandardCheckpointHandler())


def _is_key(leaf: Any) -> bool:
    return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _on_host(state: Any) -> Any:
    """A copy in NumPy's arrays, which any process on any devices can read; keys become their words."""
    return jax.tree.map(np.array, jax.device_get(_words(state)))


class Saver:
    """Writes checkpoints into a folder, in the background; the newest is kept. A context manager that waits at its end.

    A checkpoint is whole or not there: what a killed process had half written is ignored.
    """

    def __init__(self, folder: Path):
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._manager = folder, _manager(folder, writing=True)

    def __enter__(self) -> "Saver":
        return self

    def __exit__(self, *_: object) -> None:
        self._manager.close()

    def save(self, step: int, state: Any) -> None:
        """Begins to write `state` as the checkpoint of `step`. A step saved before is left as it is.

        The caller may give the state's buffers away at once.

        Raises:
          OSError: If this or the checkpoint before could not be written.
        """
        if step not in self._manager.all_steps():
            copied = _on_host(state)
            # Orbax's own failure on a full disk comes late, from a thread, and in pages.
            if shutil.disk_usage(self._folder).free < SPACE * sum(x.nbytes for x in jax.tree.leaves(copied)) + MARGIN:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self._manager.save(step, args=ocp.args.StandardSave(copied))


def latest_step(folder: Path) -> int | None:
    """The step of the checkpoint in a folder, or None without one."""
    if not folder.is_dir():
        return None
    with _manager(folder, writing=False) as manager:
        return manager.latest_step()


def read(folder: Path, part: Sequence[str] = ()) -> Any:
    """The newest checkpoint as nested dictionaries of NumPy's arrays, whatever it is of.

    Args:
      folder: Of the checkpoints.
      part: Names that lead to the part that is read, from the outermost in; the rest stays on disk.

    Raises:
      UserError: If there is none.
    """
    step = latest_step(folder)
    if step is None:
        raise UserError(f"There is no checkpoint in {folder}.")
    with _readable(folder):
        with _manager(folder, writing=False) as manager:
            metadata: Any = manager.item_metadata(step)
        tree: Any = getattr(metadata, "tree", metadata)
        for name in part:
            tree = tree[name]
        like = jax.tree.map(lambda x: np.empty(x.shape, x.dtype), tree)
        for name in reversed(part):
            like = {name: like}
        wanted = ocp.args.PyTreeRestore(item=like, partial_restore=True)
        found = ocp.PyTreeCheckpointer().restore(folder.resolve() / str(step) / "default", args=wanted)
    for name in part:
        found = found[name]
    return found


def restore(folder: Path, like: Any) -> Any:
    """Reads the newest checkpoint into the structure, shapes and shardings of `like` (arrays or shapes).

    Raises:
      UserError: If there is no checkpoint, it cannot be read, or it has other shapes than asked for.
    """
    step = latest_step(folder)
    if step is None:
        raise UserError(f"There is no checkpoint in {folder}; the run stopped before its first one. Start it again.")
    with _manager(folder, writing=False) as manager:
        _check_shapes(folder, manager.item_metadata(step), like)
        wanted = jax.tree.map(lambda x: np.empty(x.shape, x.dtype), jax.eval_shape(_words, like))
        with _readable(folder):
            found = manager.restore(step, args=ocp.args.StandardRestore(wanted))
    return jax.tree.map(_placed, found, like)


@contextmanager
def _readable(folder: Path) -> Iterator[None]:
    """Says what it means for the user that something cannot be read."""
    try:
        yield
    except (ValueError, OSError, KeyError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"The checkpoint in {folder} is damaged or of another version ({reason}).") from None


def _words(state: Any) -> Any:
    return jax.tree.map(lambda x: jax.random.key_data(x) if _is_key(x) else x, state)


def _placed(found: Any, like: Any) -> Any:
    """A leaf as it was before `_on_host`, on the devices of `like`."""
    array = jax.random.wrap_key_data(jnp.asarray(found)) if _is_key(like) else found
    return jax.device_put(array, getattr(like, "sharding", None))


def _check_shapes(folder: Path, metadata: Any, like: Any) -> None:
    """Refuses a checkpoint whose arrays are not those of `like`."""

    def shapes(tree: Any) -> dict[str, tuple[int, ...]]:
        leaves = jax.tree_util.tree_flatten_with_path(tree)[0]
        # A restored state has attributes where the metadata has dictionary keys; compare the names alone.
        return {
            "/".join(str(getattr(k, "name", getattr(k, "key", getattr(k, "idx", k)))) for k in path): tuple(leaf.shape)
            for path, leaf in leaves
            if hasattr(leaf, "shape")
        }

    found, expected = shapes(getattr(metadata, "tree", metadata)), shapes(like)
    for name, shape in expected.items():
        # (A PRNG key is stored with its words as one more axis.)
        if name in found and found[name][: len(shape)] != shape:
            raise UserError(
                f"The checkpoint in {folder} has shape {found[name]} for {name}, this run needs {shape}: the network "
                "sizes (--hidden), seeds or budget differ. Use the options the checkpoint was made with."
            )
    missing = sorted(set(expected) - set(found))
    if missing and found:
        raise UserError(
            f"The checkpoint in {folder} lacks {missing[0]}; it is of another method, other options or another "
            "version. Use those that it was made with, or do its stage again."
        )
