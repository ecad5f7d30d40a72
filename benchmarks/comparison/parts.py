"""The parts of the comparison by name: what each is, and its committed file."""

import json
import re
from pathlib import Path
from typing import Any

import common

from comparison.studies import STUDIES
from marvel_jax.config import renames

FOLDER = common.RESULTS / "comparison"
_RENAMED = renames.HYPER | renames.METHODS
_OLD_NAME = re.compile(rf"(?<![\w.-])({'|'.join(map(re.escape, _RENAMED))})(?![\w.-])")


def kind_of(part: str) -> str | None:
    """Which study, search or pairs a part is; None for a cell."""
    return next((kind for kind in (*STUDIES, "search", "pairs") if part.startswith(f"{kind}-")), None)


def is_cell(part: str) -> bool:
    """Whether a part is a cell whose methods have the settings of a search."""
    return kind_of(part) is None and not part.endswith("-untuned")


def read(path: Path) -> dict[str, Any]:
    """A committed file, with the names that methods and hyperparameters have now."""
    return json.loads(current_names(path.read_text()))


def current_names(text: str) -> str:
    """A text in which methods and hyperparameters are called as they are now."""
    return _OLD_NAME.sub(lambda found: _RENAMED[found[1]], text)
