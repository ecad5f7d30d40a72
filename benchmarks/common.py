"""What the benchmark scripts share: the machine's name and where results go."""

import json
import os
import platform
import re
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

RESULTS = Path(__file__).parent / "results"
TASKS = ("BallCircle", "BallRun")  # of the learning and physics benchmarks: those with a shipped dataset


def machine() -> dict[str, Any]:
    """Enough to judge a number by."""
    import jax

    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line.split(":")[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        model = names[0] if names else model
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "device": jax.devices()[0].device_kind,
        "python": platform.python_version(),
        **{name: version(name) for name in ("jax", "jaxlib", "flax", "optax", "brax")},
    }


def spread(values: list[float]) -> dict[str, float]:
    """Median, low and high of repeated measurements."""
    return {"median": float(np.median(values)), "low": float(min(values)), "high": float(max(values))}


def write(name: str, command: str, result: dict[str, Any]) -> Path:
    """Writes `results/NAME.json` with the machine and the command that made it."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(as_text({"command": command, "machine": machine(), **result}))
    return path


def read(name: str) -> dict[str, Any]:
    """What `results/NAME.json` has; nothing without the file."""
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else {}


def parts_of(name: str) -> dict[str, Any]:
    """The parts that `results/NAME.json` has; none without the file."""
    return read(name).get("parts", {})


def add(name: str, command: str, parts: dict[str, Any]) -> dict[str, Any]:
    """Adds parts to those of `results/NAME.json`, each with the machine that measured it; returns all."""
    before = read(name)
    machines = before.get("machines", {}) | dict.fromkeys(parts, machine())
    found = before.get("parts", {}) | parts
    (RESULTS / f"{name}.json").write_text(as_text({"command": command, "machines": machines, "parts": found}))
    return found


def as_text(result: dict[str, Any]) -> str:
    """JSON that can be read and compared line by line, with lists of numbers on one line."""
    text = json.dumps(result, indent=1) + "\n"
    return re.sub(r"\[\s+([-+0-9.eE,\s]+?)\s+\]", lambda found: f"[{' '.join(found[1].split())}]", text)
