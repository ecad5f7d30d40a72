"""A sweep over a Ray cluster: Ray places the processes and starts them again when a node is lost.

    pip install ray
    python ray_sweep.py --processes 4 --gpus 1 --out /shared/gains gains.toml

What follows the options is given to `marvel sweep`. `--out` must be on storage that all nodes see. Without a cluster
(`ray start --head`, KubeRay), Ray makes a local one.
"""

import argparse
import subprocess
import sys
from pathlib import Path

import ray


@ray.remote(max_retries=5)
def share(arguments: list[str], out: str, process: int, processes: int) -> None:
    """One process's chunks, from the start or from where a lost one left them."""
    numbers = ["--process", str(process), "--processes", str(processes), "--quiet"]
    begun = (Path(out) / "sweep.json").exists()
    words = ["--resume", out] if begun else [*arguments, "--out", out]
    subprocess.run([sys.executable, "-m", "marvel_jax", "sweep", *words, *numbers], check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, required=True, help="how many processes share the sweep")
    parser.add_argument("--gpus", type=float, default=0, help="GPUs of each")
    parser.add_argument("--cpus", type=float, default=1, help="CPU cores of each")
    parser.add_argument("--out", required=True, help="sweep folder, on storage that all nodes see")
    options, arguments = parser.parse_known_args()
    ray.init()
    placed = share.options(num_cpus=options.cpus, num_gpus=options.gpus)
    ray.get([placed.remote(arguments, options.out, k, options.processes) for k in range(options.processes)])
    print(options.out)


if __name__ == "__main__":
    main()
