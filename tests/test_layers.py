"""The folders are layers: each imports only from those before it, read from the code itself."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "marvel_jax"
LAYERS = (
    *("config", "core", "multiplier", "algorithms", "training", "datasets", "runs", "sweeps"),
    *("diagnosis", "report", "commands", "cli", "__main__"),
)
MODULES = {
    ".".join(("marvel_jax", *path.relative_to(ROOT).with_suffix("").parts)): path
    for path in ROOT.rglob("*.py")
    if path != ROOT / "__init__.py"
}


def imported(path: Path, everywhere: bool = True) -> set[str]:
    """Modules that a file imports; those inside functions too, if `everywhere`."""
    tree = ast.parse(path.read_text())
    nodes = ast.walk(tree) if everywhere else tree.body
    found = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def layer(module: str) -> int:
    return LAYERS.index(module.split(".")[1])


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_imports_only_from_those_before_it(name):
    for module, path in MODULES.items():
        if module.split(".")[1] == name:
            above = [used for used in imported(path) if used in MODULES and layer(used) > layer(module)]
            assert not above, f"{module} imports {above}"


def test_configuration_needs_no_jax_and_brax_is_behind_the_environments():
    for module, path in MODULES.items():
        packages = {used.partition(".")[0] for used in imported(path)}
        if layer(module) == 0:
            assert not packages & {"jax", "flax", "optax", "numpy"}, module
        # Its viewer of bodies aside.
        assert "brax" not in packages or module == "marvel_jax.report.render", module


def test_there_are_no_import_cycles():
    uses = {module: imported(path, everywhere=False) & set(MODULES) for module, path in MODULES.items()}
    levels: dict[str, int] = {}

    def level(module: str, on_the_way: tuple[str, ...] = ()) -> int:
        assert module not in on_the_way, (*on_the_way, module)
        if module not in levels:
            levels[module] = 1 + max((level(used, (*on_the_way, module)) for used in uses[module]), default=0)
        return levels[module]

    assert max(level(module) for module in MODULES) <= 19
