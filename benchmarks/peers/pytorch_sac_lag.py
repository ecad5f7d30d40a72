"""SAC-Lag's update in PyTorch, eager as in OSRL and FSRL: a module per network, an optimizer per role.

Two Q-networks each for reward and cost, targets updated by a loop over parameters, Adam from `torch.optim`, batches
sampled from arrays in memory.
"""

import copy
import math
import os

import protocol
import torch
from torch import nn
from torch.nn import functional as F

OBSERVATION, ACTION, ROWS, DISCOUNT, TEMPERATURE, MULTIPLIER, TAU = 8, 2, 20_000, 0.99, 1e-3, 0.5, 0.005


def mlp(inputs: int, outputs: int, width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(inputs, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, outputs)
    )


class Learner:
    def __init__(self, width: int, batch_size: int):
        self.batch_size = batch_size
        self.actor = mlp(OBSERVATION, 2 * ACTION, width)
        self.reward, self.cost = (
            nn.ModuleList(mlp(OBSERVATION + ACTION, 1, width) for _ in range(2)) for _ in range(2)
        )
        self.targets = copy.deepcopy(self.reward), copy.deepcopy(self.cost)
        self.optimizers = [
            torch.optim.Adam(module.parameters(), lr=rate)
            for module, rate in ((self.actor, 1e-4), (self.reward, 1e-3), (self.cost, 1e-3))
        ]
        self.data = [torch.randn(ROWS, size) for size in (OBSERVATION, OBSERVATION)]
        self.data += [torch.rand(ROWS, ACTION) * 2 - 1, torch.randn(ROWS), torch.rand(ROWS), torch.ones(ROWS)]

    def sample(self, observation: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        mean, log_std = self.actor(observation).chunk(2, dim=-1)
        normal = torch.distributions.Normal(mean, log_std.clamp(-20, 2).exp())
        raw = normal.rsample()
        correction = 2 * (math.log(2) - raw - F.softplus(-2 * raw))
        return torch.tanh(raw), (normal.log_prob(raw) - correction).sum(-1)

    @staticmethod
    def values(critics: nn.ModuleList, observation: torch.Tensor, action: torch.Tensor) -> list[torch.Tensor]:
        inputs = torch.cat([observation, action], dim=-1)
        return [critic(inputs).squeeze(-1) for critic in critics]

    def step(self, index: int, loss: torch.Tensor) -> None:
        self.optimizers[index].zero_grad()
        loss.backward()
        self.optimizers[index].step()

    def update(self) -> None:
        rows = torch.randint(ROWS, (self.batch_size,))
        observation, following, action, reward, cost, going_on = (x[rows] for x in self.data)
        with torch.no_grad():
            next_action, log_prob = self.sample(following)
            reward_next, cost_next = (self.values(t, following, next_action) for t in self.targets)
            soft = torch.minimum(*reward_next) - TEMPERATURE * log_prob
            reward_target = reward + DISCOUNT * going_on * soft
            cost_target = cost + DISCOUNT * going_on * torch.maximum(*cost_next)
        for index, critics, target in ((1, self.reward, reward_target), (2, self.cost, cost_target)):
            self.step(index, sum(F.mse_loss(q, target) for q in self.values(critics, observation, action)))
        for parameter in (*self.reward.parameters(), *self.cost.parameters()):
            parameter.requires_grad_(False)
        new_action, log_prob = self.sample(observation)
        value = torch.minimum(*self.values(self.reward, observation, new_action))
        cost_value = torch.maximum(*self.values(self.cost, observation, new_action))
        self.step(0, (TEMPERATURE * log_prob + MULTIPLIER * cost_value - value).mean() / (1 + MULTIPLIER))
        for parameter in (*self.reward.parameters(), *self.cost.parameters()):
            parameter.requires_grad_(True)
        with torch.no_grad():
            for critics, targets in zip((self.reward, self.cost), self.targets, strict=True):
                for parameter, target in zip(critics.parameters(), targets.parameters(), strict=True):
                    target.mul_(1 - TAU).add_(parameter, alpha=TAU)


def many(learner: Learner, steps: int) -> None:
    for _ in range(steps):
        learner.update()


torch.set_num_threads(int(os.environ.get("PEER_THREADS", "2")))
WORKS = {}
for width, batch, steps in ((256, 64, 100), (256, 256, 60), (64, 64, 150), (64, 256, 150)):
    learner = Learner(width, batch)
    WORKS[f"SAC-Lag/hidden {width}/batch {batch}"] = ((lambda one=learner, n=steps: many(one, n)), steps)
protocol.serve(WORKS)
