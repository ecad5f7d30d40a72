"""This project's updates beside those of its peers, alternating, in ratios.

    python benchmarks/peers.py [--environments DIR] [--rounds N]

Every peer gets a virtual environment of its own under DIR, made once and kept. One process is measured at a time, in
turns; a ratio is the median over rounds of this project's rate divided by the peer's in the same round.
Writes `results/peers.json`.
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

HERE = Path(__file__).parent / "peers"
REQUIREMENTS = {"pytorch_sac_lag": ["torch==2.13.0", "numpy"], "rejax_sac": ["rejax==0.1.3", "gymnax==0.0.9"]}
OURS = "marvel_sac_lag"
# Which work of this project stands beside which of a peer. Alone: one run may use all cores, here as there.
# Per core: as many runs as cores, against the peer's one process on all cores.
NETWORKS = [f"SAC-Lag/hidden {width}/batch {batch}" for width in (256, 64) for batch in (64, 256)]


def pairs(cores: int) -> list[tuple[str, str, str]]:
    """(peer, its work, our work)."""
    found = [("pytorch_sac_lag", n, f"{n}/{seeds} seeds") for n in NETWORKS for seeds in sorted({1, cores})]
    ours = "SAC-Lag/hidden 64/batch 64"
    found += [("rejax_sac", "SAC/hidden 64/batch 64/1 seeds", f"{ours}/1 seeds")]
    return [*found, ("rejax_sac", "SAC/hidden 64/batch 64/16 seeds", f"{ours}/{cores} seeds")]


def python_of(peer: str, root: Path) -> str:
    """The interpreter of a peer's environment, made if it is not there."""
    if peer == OURS:
        return sys.executable
    folder = root / peer
    python = folder / "bin" / "python"
    if not (folder / "complete").exists():
        print(f"making {folder}", file=sys.stderr)
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *REQUIREMENTS[peer]], check=True)
        (folder / "complete").touch()
    return str(python)


class Peer:
    """A process that waits to be measured."""

    def __init__(self, name: str, root: Path):
        command = [python_of(name, root), str(HERE / f"{name}.py")]
        environment = {**os.environ, "PEER_THREADS": str(os.cpu_count()), "PYTHONPATH": str(HERE.parent)}
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        self._answer()

    def rate(self, work: str) -> float:
        """Units of a work per second, measured now."""
        assert self._process.stdin is not None
        self._process.stdin.write(work + "\n")
        self._process.stdin.flush()
        return self._answer()["per_second"]

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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--environments", type=Path, default=Path.home() / ".cache" / "marvel_jax_peers")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    peers = {name: Peer(name, options.environments) for name in (OURS, *REQUIREMENTS)}
    compared = pairs(os.cpu_count() or 1)
    rates: dict[tuple[str, str, str], list[tuple[float, float]]] = {pair: [] for pair in compared}
    for _ in range(options.rounds):
        for pair in compared:
            peer, theirs, ours = pair
            rates[pair].append((peers[peer].rate(theirs), peers[OURS].rate(ours)))
    result = [
        {
            "peer": peer,
            "their_work": theirs,
            "our_work": ours,
            "their_updates_per_second": common.spread([a for a, _ in found]),
            "our_updates_per_second": common.spread([b for _, b in found]),
            "ratio": common.spread([b / a for a, b in found]),
        }
        for (peer, theirs, ours), found in rates.items()
    ]
    memory = {name: peer.memory_mib() for name, peer in peers.items()}
    for peer in peers.values():
        peer.close()
    for row in result:
        print(f"{row['peer']:16} {row['our_work']:45} {row['ratio']['median']:.2f}")
    found = {"requirements": REQUIREMENTS, "peak_memory_mib": memory, "compared": result}
    common.write("peers", "python benchmarks/peers.py", found)


if __name__ == "__main__":
    main()
