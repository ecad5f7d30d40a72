"""This project beside its peers, alternating, in ratios: updates, training, environment steps.

    python benchmarks/peers.py [--crax CHECKOUT] [--environments DIR] [--rounds N] [PEER ...]

Every peer gets a virtual environment of its own under DIR, made once and kept. One process is measured at a time, in
turns; a ratio is the median over rounds of this project's rate divided by the peer's in the same round. CRAX
(https://github.com/TTomilin/CRAX) is not on a package index and needs a checkout.
Adds the peers that were measured to `results/peers.json`.
"""

import argparse
import json
import os
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

import common
from peer_processes import swimmer

HERE, ROOT = Path(__file__).parent / "peer_processes", Path(__file__).parents[1]
# Requirements, then what is installed without its own requirements, which exclude what works.
REQUIREMENTS: dict[str, tuple[list[str], list[str]]] = {
    "pytorch": (["torch==2.13.0", "numpy"], []),
    "rejax_sac": (["rejax==0.1.3", "gymnax==0.0.9"], []),
    "brax_sac": (["brax==0.14.2", "jax==0.8.3", "jaxlib==0.8.3"], []),
    "crax_lag": (
        [
            "jax==0.6.0",
            "jaxlib==0.6.0",
            "mujoco==3.3.2",
            "mujoco-mjx==3.3.2",
            "flax==0.10.6",
            "optax==0.2.4",
            "chex==0.1.89",
            "orbax-checkpoint==0.11.13",
            "numpy==2.2.6",
            "scipy",
            "matplotlib",
            "ml_collections",
            "jaxopt",
            "absl-py",
            "etils",
            "trimesh",
            "tensorboardX",
            "flask",
            "flask-cors",
            "jinja2",
            "Pillow",
            "imageio",
            "wandb",
            "gymnasium",
            "gym",
            "pandas",
        ],
        [],
    ),
    "omnisafe_ppo_lag": (
        [
            "torch==2.13.0",
            "numpy<2",
            "gymnasium==0.29.1",
            "mujoco==3.3.2",
            "pygame>=2.5",
            "xmltodict",
            "pyyaml",
            "scipy",
            "imageio",
            "tensorboard",
            "rich",
            "typer",
            "seaborn",
            "pandas",
            "tqdm",
            "wandb",
            "gdown",
            "pettingzoo",
            "jinja2",
            "moviepy<2",
            "setuptools<80",
        ],
        ["omnisafe==0.5.0", "safety-gymnasium==1.0.0", "gymnasium-robotics==1.2.4"],
    ),
}
OURS = "marvel"
# Which work of this project stands beside which of a peer. Alone: one run may use all cores, here as there.
# Per core: as many runs as cores, against the peer's one process on all cores.
SIZES = [f"hidden {width}/batch {batch}" for width in (256, 64) for batch in (64, 256)]


def pairs(cores: int) -> list[tuple[str, str, str]]:
    """(peer, its work, our work)."""
    counts = sorted({1, cores})
    found = [
        ("pytorch", f"{algorithm}/{size}", f"{algorithm}/{size}/{seeds} seeds")
        for algorithm in ("SAC-Lag", "CPQ")
        for size in SIZES
        for seeds in counts
    ]
    for peer, algorithm in (("brax_sac", "SAC"), ("crax_lag", "SAC-Lag")):
        found += [(peer, f"{algorithm}/{size}", f"SAC-Lag/{size}/{seeds} seeds") for size in SIZES for seeds in counts]
    small = "hidden 64/batch 64"
    found += [("rejax_sac", f"SAC/{small}/{seeds} seeds", f"SAC-Lag/{small}/{seeds} seeds") for seeds in (1, 16, 64)]
    for peer in ("crax_lag", "omnisafe_ppo_lag"):
        found += [(peer, swimmer.TRAINING, f"{swimmer.TRAINING}/{seeds} seeds") for seeds in counts]
    return [*found, ("crax_lag", swimmer.STEPPING, swimmer.STEPPING)]


def python_of(peer: str, root: Path) -> str:
    """The interpreter of a peer's environment, made if it is not there."""
    if peer == OURS:
        return sys.executable
    folder = root / peer
    python = folder / "bin" / "python"
    if not (folder / "complete").exists():
        print(f"making {folder}", file=sys.stderr)
        venv.create(folder, with_pip=True, clear=True)
        install = [python, "-m", "pip", "install", "--quiet"]
        requirements, alone = REQUIREMENTS[peer]
        subprocess.run([*install, *requirements], check=True)
        if alone:
            subprocess.run([*install, "--no-deps", *alone], check=True)
        (folder / "complete").touch()
    return str(python)


class Peer:
    """A process that waits to be measured."""

    def __init__(self, name: str, root: Path, path: list[Path], arguments: list[str] | None = None):
        command = [python_of(name, root), str(HERE / f"{name}.py"), *(arguments or ())]
        paths = os.pathsep.join(str(folder) for folder in (HERE.parent, *path))
        environment = {**os.environ, "PEER_THREADS": str(os.cpu_count()), "PYTHONPATH": paths}
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        self._answer()

    def measure(self, work: str) -> dict[str, float]:
        """A piece of work, done now: its `seconds`, units `per_second`, and what it says of itself."""
        assert self._process.stdin is not None
        self._process.stdin.write(work + "\n")
        self._process.stdin.flush()
        return self._answer()

    def memory_mib(self) -> float:
        """Peak memory so far."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1024

    def close(self) -> None:
        self._process.communicate()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit("A peer's process has ended; its error is above.")
        return json.loads(line)


def envs_alone(root: Path) -> Path:
    """A folder from which `marvel_envs.simulators`, the simulators' fixes, can be imported without being installed."""
    folder = root / "marvel_envs"
    folder.mkdir(parents=True, exist_ok=True)
    link = folder / "marvel_envs"
    link.unlink(missing_ok=True)
    link.symlink_to(ROOT / "envs")
    return folder


def measure(options: argparse.Namespace) -> tuple[dict[tuple[str, str, str], list[tuple[float, float]]], dict]:
    """Rates of every pair in each round, theirs and ours, and each process's peak memory."""
    paths = {"crax_lag": [options.crax], "omnisafe_ppo_lag": [envs_alone(options.environments)]}
    peers = {name: Peer(name, options.environments, paths.get(name, [])) for name in (OURS, *options.peers)}
    compared = [pair for pair in pairs(os.cpu_count() or 1) if pair[0] in peers]
    rates: dict[tuple[str, str, str], list[tuple[float, float]]] = {pair: [] for pair in compared}
    for number in range(options.rounds):
        for pair in compared:
            peer, theirs, ours = pair
            rates[pair].append((peers[peer].measure(theirs)["per_second"], peers[OURS].measure(ours)["per_second"]))
        print(f"round {number + 1} of {options.rounds}", file=sys.stderr)
    memory = {name: peer.memory_mib() for name, peer in peers.items()}
    for peer in peers.values():
        peer.close()
    return rates, memory


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("peers", nargs="*", metavar="PEER", help=f"of {', '.join(REQUIREMENTS)}; all, if none is named")
    parser.add_argument("--crax", type=Path, help="folder of a checkout of CRAX; without it CRAX is left out")
    parser.add_argument("--environments", type=Path, default=Path.home() / ".cache" / "marvel_jax_peers")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    unknown = set(options.peers) - set(REQUIREMENTS)
    if unknown:
        parser.error(f"unknown peers {', '.join(sorted(unknown))}; there are {', '.join(REQUIREMENTS)}")
    if "crax_lag" in options.peers and options.crax is None:
        parser.error("crax_lag needs --crax CHECKOUT")
    options.peers = options.peers or [name for name in REQUIREMENTS if name != "crax_lag" or options.crax]
    rates, memory = measure(options)
    rows = [
        {
            "peer": peer,
            "their_work": theirs,
            "our_work": ours,
            "theirs_per_second": common.spread([a for a, _ in found]),
            "ours_per_second": common.spread([b for _, b in found]),
            "ratio": common.spread([b / a for a, b in found]),
        }
        for (peer, theirs, ours), found in rates.items()
    ]
    for row in rows:
        print(f"{row['peer']:16} {row['our_work']:60} {row['ratio']['median']:.2f}")
    parts = {
        name: {
            "requirements": [requirement for some in REQUIREMENTS[name] for requirement in some],
            "rounds": options.rounds,
            "peak_memory_mib": {"theirs": memory[name], "ours": memory[OURS]},
            "compared": [row for row in rows if row["peer"] == name],
        }
        for name in options.peers
    }
    common.add("peers", f"python benchmarks/peers.py --crax CHECKOUT --rounds {options.rounds}", parts)


if __name__ == "__main__":
    main()
