"""SAC-Lag's and CPQ's updates in PyTorch, eager as in OSRL and FSRL: a module per network, an optimizer per role.

Two Q-networks each for reward and cost, targets updated by a loop over parameters, Adam from `torch.optim`, batches
sampled from arrays in memory. CPQ has the paper's penalty: a VAE, and ten actions per state that it is asked about.
"""

import copy
import functools
import math
import os

import protocol
import torch
from torch import nn
from torch.nn import functional as F

OBSERVATION, ACTION, ROWS, DISCOUNT, TEMPERATURE, MULTIPLIER, TAU = 8, 2, 20_000, 0.99, 1e-3, 0.5, 0.005
LIMIT, CANDIDATES, VAE_WIDTH, VAE_BETA = 8.7, 10, 64, 0.5


def mlp(inputs: int, outputs: int, width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(inputs, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, outputs)
    )


def values(critics: nn.ModuleList, observation: torch.Tensor, action: torch.Tensor) -> list[torch.Tensor]:
    inputs = torch.cat([observation, action], dim=-1)
    return [critic(inputs).squeeze(-1) for critic in critics]


def regression(critics: nn.ModuleList, observation: torch.Tensor, action: torch.Tensor, target: torch.Tensor):
    return sum(F.mse_loss(value, target) for value in values(critics, observation, action))


class TrainState:
    """What both algorithms have: a policy, twin critics of reward and cost with targets, and data."""

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

    def batch(self) -> list[torch.Tensor]:
        rows = torch.randint(ROWS, (self.batch_size,))
        return [x[rows] for x in self.data]

    def sample(self, observation: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        mean, log_std = self.actor(observation).chunk(2, dim=-1)
        normal = torch.distributions.Normal(mean, log_std.clamp(-20, 2).exp())
        raw = normal.rsample()
        correction = 2 * (math.log(2) - raw - F.softplus(-2 * raw))
        return torch.tanh(raw), (normal.log_prob(raw) - correction).sum(-1)

    def own_values(self, observation: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Reward and cost values of new actions, and their log-probability, to differentiate by the policy alone."""
        action, log_prob = self.sample(observation)
        value = torch.minimum(*values(self.reward, observation, action))
        return value, torch.maximum(*values(self.cost, observation, action)), log_prob

    def freeze(self, frozen: bool) -> None:
        for parameter in (*self.reward.parameters(), *self.cost.parameters()):
            parameter.requires_grad_(not frozen)

    def step(self, index: int, loss: torch.Tensor) -> None:
        self.optimizers[index].zero_grad()
        loss.backward()
        self.optimizers[index].step()

    def follow(self) -> None:
        with torch.no_grad():
            for critics, targets in zip((self.reward, self.cost), self.targets, strict=True):
                for parameter, target in zip(critics.parameters(), targets.parameters(), strict=True):
                    target.mul_(1 - TAU).add_(parameter, alpha=TAU)


class SACLag(TrainState):
    def update(self) -> None:
        observation, following, action, reward, cost, going_on = self.batch()
        with torch.no_grad():
            next_action, log_prob = self.sample(following)
            reward_next, cost_next = (values(t, following, next_action) for t in self.targets)
            soft = torch.minimum(*reward_next) - TEMPERATURE * log_prob
            reward_target = reward + DISCOUNT * going_on * soft
            cost_target = cost + DISCOUNT * going_on * torch.maximum(*cost_next)
        self.step(1, regression(self.reward, observation, action, reward_target))
        self.step(2, regression(self.cost, observation, action, cost_target))
        self.freeze(True)
        value, cost_value, log_prob = self.own_values(observation)
        self.step(0, (TEMPERATURE * log_prob + MULTIPLIER * cost_value - value).mean() / (1 + MULTIPLIER))
        self.freeze(False)
        self.follow()


class CPQ(TrainState):
    def __init__(self, width: int, batch_size: int):
        super().__init__(width, batch_size)
        self.encoder = mlp(OBSERVATION + ACTION, 4 * ACTION, VAE_WIDTH)
        self.decoder = mlp(OBSERVATION + 2 * ACTION, ACTION, VAE_WIDTH)
        vae = [*self.encoder.parameters(), *self.decoder.parameters()]
        self.log_weight = torch.zeros((), requires_grad=True)
        self.optimizers += [torch.optim.Adam(vae, lr=1e-3), torch.optim.Adam([self.log_weight], lr=1e-4)]

    def latent(self, observation: torch.Tensor, action: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        mean, log_std = self.encoder(torch.cat([observation, action], dim=-1)).chunk(2, dim=-1)
        return mean, log_std.clamp(-4, 15)

    @staticmethod
    def divergence(mean: torch.Tensor, log_std: torch.Tensor) -> torch.Tensor:
        return 0.5 * (mean**2 + (2 * log_std).exp() - 1 - 2 * log_std).sum(-1)

    def train_vae(self, observation: torch.Tensor, action: torch.Tensor) -> None:
        mean, log_std = self.latent(observation, action)
        latent = mean + log_std.exp() * torch.randn_like(mean)
        again = torch.tanh(self.decoder(torch.cat([observation, latent], dim=-1)))
        self.step(3, F.mse_loss(again, action) + VAE_BETA * self.divergence(mean, log_std).mean())

    def update(self) -> None:
        observation, following, action, reward, cost, going_on = self.batch()
        self.train_vae(observation, action)
        with torch.no_grad():
            next_action, _ = self.sample(following)
            reward_next, cost_next = (values(t, following, next_action) for t in self.targets)
            next_cost = torch.maximum(*cost_next)
            reward_target = reward + DISCOUNT * going_on * (next_cost <= LIMIT) * torch.minimum(*reward_next)
            cost_target = cost + DISCOUNT * going_on * next_cost
            many = observation.repeat(CANDIDATES, 1)
            asked, _ = self.sample(many)
            divergence = self.divergence(*self.latent(many, asked))
            outside = divergence > divergence.quantile(0.75)
        self.step(1, regression(self.reward, observation, action, reward_target))
        gap = 1.5 * LIMIT - torch.maximum(*values(self.cost, many, asked))
        shortfall = (gap * outside).sum() / outside.sum()
        weight = self.log_weight.exp()
        fitted = regression(self.cost, observation, action, cost_target)
        self.step(2, fitted + weight.detach() * shortfall)
        self.step(4, -weight * shortfall.detach())
        self.freeze(True)
        value, cost_value, _ = self.own_values(observation)
        self.step(0, -((cost_value.detach() <= LIMIT) * value).mean())
        self.freeze(False)
        self.follow()


def many(learner: SACLag | CPQ, steps: int) -> None:
    for _ in range(steps):
        learner.update()
    if DEVICE != "cpu":
        torch.cuda.synchronize()


DEVICE = os.environ.get("PEER_DEVICE", "cpu")
torch.set_default_device(DEVICE)
torch.set_num_threads(int(os.environ.get("PEER_THREADS", "2")))
SIZES = ((256, 64, 100), (256, 256, 60), (64, 64, 150), (64, 256, 150))  # width, batch, updates


def work(algorithm: type[SACLag] | type[CPQ], width: int, batch: int, steps: int):
    learner = algorithm(width, batch)
    return (lambda: many(learner, steps)), steps


protocol.serve(
    {
        f"{name}/hidden {width}/batch {batch}": functools.partial(work, algorithm, width, batch, int(share * steps))
        for name, algorithm, share in (("SAC-Lag", SACLag, 1.0), ("CPQ", CPQ, 0.6))
        for width, batch, steps in SIZES
    }
)
