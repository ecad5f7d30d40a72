"""PPO-Lag on SwimmerVelocity, the same amount of work for everybody: what an epoch of training has."""

EPISODES, LENGTH, BATCH, PASSES, HIDDEN = 20, 1_000, 250, 10, (64, 64)
STEPS = EPISODES * LENGTH  # of the environment, per epoch
UPDATES = STEPS // BATCH * PASSES  # of the policy and both value functions, per epoch
EPOCHS = 40  # at most
COST_LIMIT = 25.0
TRAINING = f"PPO-Lag on Swimmer/{STEPS} steps and {UPDATES} updates"
STEPPING = "Swimmer/1024 environments"
METRICS = {"reward": "EpRet", "cost": "EpCost"}  # per episode, and what OmniSafe calls them
