"""Seconds of training until PPO-Lag on Swimmer earns a return within the cost limit: here and in OmniSafe.

    python benchmarks/time_to_return.py [--environments DIR] [--reward R]

Both have 20,000 environment steps and 800 updates of 250 transitions per epoch, networks of (64, 64), a limit of 25 and
otherwise their own defaults; ours with `marvel`'s controller. One seed at a time, in turns; training alone is timed,
after a first epoch in which it compiles. Writes `results/time-to-return.json` after every seed. A quarter of an hour
per seed on two cores, if OmniSafe needs all its epochs.
"""

import argparse
from pathlib import Path
from typing import Any

import common
from peer_processes import swimmer
from peers import OURS, Peer, envs_alone


def until(peer: Peer, reward: float) -> dict[str, Any]:
    """Seconds and epochs until an epoch's mean return is `reward` at a cost within the limit; and all epochs."""
    seconds, curve, reached = 0.0, [], None
    for epoch in range(1, swimmer.EPOCHS):
        answer = peer.measure(swimmer.TRAINING)
        seconds += answer["seconds"]
        curve.append({"seconds": seconds, **{name: answer[name] for name in swimmer.METRICS}})
        if answer["reward"] >= reward and answer["cost"] <= swimmer.COST_LIMIT:
            reached = {"seconds": seconds, "epochs": epoch}
            break
    return {"reached": reached, "curve": curve}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--environments", type=Path, default=Path.home() / ".cache" / "marvel_jax_peers")
    parser.add_argument("--reward", type=float, default=20.0)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    found: dict[str, list[Any]] = {OURS: [], "omnisafe_ppo_lag": []}
    for seed in range(options.seeds):
        for name in found:
            path = [] if name == OURS else [envs_alone(options.environments)]
            peer = Peer(name, options.environments, path, [str(seed)])
            found[name].append(until(peer, options.reward))
            peer.close()
            print(name, seed, found[name][-1]["reached"], found[name][-1]["curve"][-1], flush=True)
        result = {"reward": options.reward, "cost_limit": swimmer.COST_LIMIT, "seeds": found}
        common.write("time-to-return", "python benchmarks/time_to_return.py", result)


if __name__ == "__main__":
    main()
