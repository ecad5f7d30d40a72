"""Prints the tables of docs/ from the committed results.

uv run python benchmarks/tables.py
"""

import common
import numpy as np
from marvel_envs import TASKS


def critics() -> None:
    print("\n| task | critics | reward-Q: rank correlation | bias | cost-Q: rank correlation | bias |")
    print("|---|---|---|---|---|---|")
    for task, entries in common.read("learning-critics").get("tasks", {}).items():
        for when, entry in entries.items():
            cells = []
            for name in ("reward", "cost"):
                bias = sorted(entry[name]["bias"])
                middle = bias[len(bias) // 2]
                cells += [f"{entry[name]['median_rank_correlation']:.2f}", f"{middle:+.1f}"]
            print(f"| {task} | {when} | {' | '.join(cells)} |")
    print("\nRank correlation of reward-Q after alignment from fresh critics, with returns over so many steps")
    for task, entries in common.read("learning-critics").get("tasks", {}).items():
        ranks = entries["after, from fresh critics"]["reward"].get("rank_correlation_by_horizon", {})
        print(task, {steps: f"{np.nanmedian(values):.2f}" for steps, values in ranks.items()})


def throughput() -> None:
    machines, result = common.read("throughput").get("machines", {}), common.parts_of("throughput")
    if not result:
        return
    print("\n" + ", ".join(f"{part}: {machine['cpu']}" for part, machine in machines.items()) + "\n")
    print("| update | updates/s | share of the matmul rate |\n|---|---|---|")
    for name, entry in result["updates"].items():
        print(f"| {name} | {entry['updates_per_second']['median']:,.0f} | {entry['share_of_matmul_rate']:.0%} |")
    for hidden, costs in result["seeds"].items():
        print(hidden, {name: round(entry["cost_per_seed_relative_to_one"], 3) for name, entry in costs.items()})
    print(result["start"])
    print({name: round(seconds, 2) for name, seconds in result["import_and_command_seconds"].items()})
    for part in ("normalization", "products"):
        print(part, {name: round(entry["gain"], 2) for name, entry in result.get(part, {}).items()})


def environments() -> None:
    """Parity, transfer and speed of the tasks."""
    print("\n| task | position | velocity | reward | observation | cost agrees |\n|---|---|---|---|---|---|")
    for task, found in common.read("velocity-parity").get("tasks", {}).items():
        errors = (found["position_error"]["p99"], found["velocity_error"]["p99"])
        errors += (found["reward_error"], found["observation_error"])
        print(f"| {task} | {' | '.join(f'{error:.0e}' for error in errors)} | {found['cost_agreement']:.0%} |")
    print("\n| task | seed | reward here | there | cost here | there |\n|---|---|---|---|---|---|")
    transfer = common.parts_of("transfer")
    for task in (task for task in TASKS if task in transfer):
        for row in transfer[task]["per_seed"]:
            numbers = (row["reward"], row["simulator"]["reward"], row["cost"], row["simulator"]["cost"])
            print(f"| {task} | {row['seed']} | {' | '.join(f'{number:.1f}' for number in numbers)} |")
    print("\n| task | 1 | 64 | 1,024 | 4,096 | simulator | ratio at 1,024 | compile, s |")
    print("|---|---|---|---|---|---|---|---|")
    speeds = common.parts_of("environments")
    for task in (task for task in TASKS if task in speeds):
        sizes, simulator = speeds[task]["ours"], speeds[task]["simulator"]
        rates = [short(sizes[n]["steps_per_second"]) if n in sizes else "–" for n in ("1", "64", "1024", "4096")]
        compile_seconds = max(entry["compile_seconds"] for entry in sizes.values())
        ratio = speeds[task]["ratio_at_1024"]
        times = f"{ratio:.{0 if ratio >= 10 else 2}f}"
        print(f"| {task} | {' | '.join(rates)} | {short(simulator)} | {times} | {compile_seconds:.0f} |")


def accelerator() -> None:
    """What one accelerator does with how many seeds and environments."""
    machines, result = common.read("accelerator").get("machines", {}), common.parts_of("accelerator")
    if not result:
        return
    print("\n" + ", ".join(f"{part}: {machine['device']}" for part, machine in machines.items()) + "\n")
    print("| update | updates/s | ms for all | kernels | µs per kernel |\n|---|---|---|---|---|")
    for label, entry in result["updates"].items():
        rate = entry["updates_per_second"]["median"]
        seconds, kernels = int(label.split("/")[2].split()[0]) / rate, entry["kernels_per_update"]
        print(f"| {label} | {rate:,.0f} | {1e3 * seconds:.2f} | {kernels} | {1e6 * seconds / kernels:.1f} |")
    for label, entry in result.get("environments", {}).items():
        print(label, short(entry["steps_per_second"]))
    for label, run in result.get("runs", {}).items():
        print(label, run["wall_seconds"], run["seconds"], run["final"], run["safe_seeds"], run["violation"])
    for label, entry in common.read("agreement").get("subjects", {}).items():
        print(label, entry)


def short(rate: float) -> str:
    """Three digits, with k or M."""
    scale, unit = (1e6, " M") if rate >= 1e6 else (1e3, " k") if rate >= 1e3 else (1.0, "")
    return f"{rate / scale:.3g}{unit}"


if __name__ == "__main__":
    critics()
    environments()
    throughput()
    accelerator()
