"""OmniSafe's PPO-Lag on Safety-Gymnasium's Swimmer: environment steps/s of training, updates included.

Its argument is a seed, 0 without one.
"""

import os
import sys
import tempfile

import marvel_envs.simulators  # noqa: F401 (makes Safety-Gymnasium work beside current Python and MuJoCo)
import omnisafe
import protocol
import swimmer
from omnisafe.common.logger import Logger

SETTINGS = {
    "seed": int(sys.argv[1]) if len(sys.argv) > 1 else 0,
    "train_cfgs": {
        "total_steps": swimmer.EPOCHS * swimmer.STEPS,
        "vector_env_nums": 1,
        "torch_threads": int(os.environ.get("PEER_THREADS", "2")),
    },
    "algo_cfgs": {
        "steps_per_epoch": swimmer.STEPS,
        "update_iters": swimmer.PASSES,
        "batch_size": swimmer.BATCH,
        "kl_early_stop": False,
    },
    "lagrange_cfgs": {"cost_limit": swimmer.COST_LIMIT},
    "model_cfgs": {name: {"hidden_sizes": list(swimmer.HIDDEN)} for name in ("actor", "critic")},
    "logger_cfgs": {"use_wandb": False, "use_tensorboard": False, "log_dir": tempfile.mkdtemp()},
}


def train(report) -> None:
    def dump(self: Logger) -> None:  # called once per epoch; prints a table otherwise
        report(**{name: float(self.get_stats(f"Metrics/{key}")[0]) for name, key in swimmer.METRICS.items()})

    Logger.dump_tabular = dump
    agent = omnisafe.Agent("PPOLag", "SafetySwimmerVelocity-v1", custom_cfgs=SETTINGS)
    report()
    agent.learn()


protocol.serve({swimmer.TRAINING: lambda: (protocol.Pieces(train), swimmer.STEPS)})
