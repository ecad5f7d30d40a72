"""Every public class, function and method has a docstring."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDERS = ["envs"]


def undocumented(body: list[ast.stmt], prefix: str = "") -> Iterator[str]:
    """Names of public definitions in a module or class that have no docstring."""
    for node in body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("_"):
            if ast.get_docstring(node) is None:
                yield prefix + node.name
            if isinstance(node, ast.ClassDef):
                yield from undocumented(node.body, f"{prefix}{node.name}.")


@pytest.mark.parametrize("folder", FOLDERS)
def test_public_definitions_have_docstrings(folder):
    modules = sorted((ROOT / folder).rglob("*.py"))
    assert modules
    missing = []
    for path in modules:
        module = ast.parse(path.read_text(encoding="utf-8"))
        found = [] if ast.get_docstring(module) else ["the module itself"]
        missing += [f"{path.relative_to(ROOT)}: {name}" for name in (*found, *undocumented(module.body))]
    assert not missing, "\n".join(missing)
