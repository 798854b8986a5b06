"""What PyTorch logs while it trains a pair of the shape of DCGAN on digits of 16 pixels:
three runs that go well, and one that is broken at step 701 by rates of 0.01 and a hinge
loss. Writes watch_*.csv, a row a step; diversity is the share of the data's.

    limn data prepare 'builtin:digits?limit=6000' --size 16 --out digits
    python make_watch.py digits
"""
import sys

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

BASE, BATCH, Z, BREAK, STEPS = 16, 32, 32, 700, 760
NAMES = ["discriminator_loss", "r_t", "real_diversity", "diversity", "generator_loss",
         "generator_grad_norm"]


class Generator(nn.Module):
    def __init__(self):
        super().__init__()
        self.dense = nn.Linear(Z, 16 * 4 * BASE, bias=False)
        self.norm0 = nn.BatchNorm2d(4 * BASE)
        self.up1 = nn.ConvTranspose2d(4 * BASE, 2 * BASE, 4, 2, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(2 * BASE)
        self.up2 = nn.ConvTranspose2d(2 * BASE, 1, 4, 2, 1)

    def forward(self, z):
        x = self.norm0(self.dense(z).view(-1, 4 * BASE, 4, 4)).relu()
        return self.up2(self.norm1(self.up1(x)).relu()).tanh()


class Discriminator(nn.Module):
    def __init__(self):
        super().__init__()
        self.down1 = nn.Conv2d(1, 2 * BASE, 4, 2, 1)
        self.down2 = nn.Conv2d(2 * BASE, 4 * BASE, 4, 2, 1, bias=False)
        self.norm = nn.BatchNorm2d(4 * BASE)
        self.out = nn.Conv2d(4 * BASE, 1, 4)

    def forward(self, x):
        x = F.leaky_relu(self.down1(x), 0.2)
        return self.out(F.leaky_relu(self.norm(self.down2(x)), 0.2)).flatten()


def losses(hinge):
    if hinge:
        return (lambda a, b: torch.relu(1 - a).mean() + torch.relu(1 + b).mean(),
                lambda b: -b.mean())
    return (lambda a, b: F.softplus(-a).mean() + F.softplus(b).mean(),
            lambda b: F.softplus(-b).mean())


def diversity(x):
    return x.var(0, unbiased=False).mean().sqrt().item()


def norm(network):
    return torch.sqrt(sum((p.grad ** 2).sum() for p in network.parameters())).item()


def train(images, seed, broken):
    torch.manual_seed(seed)
    order = np.random.default_rng(seed)
    g, d = Generator(), Discriminator()
    for network in (g, d):
        for p in network.parameters():
            if p.dim() > 1:
                nn.init.normal_(p, 0, 0.02)
    optimizers = [torch.optim.Adam(n.parameters(), 2e-4, (0.5, 0.999)) for n in (g, d)]
    loss_d, loss_g = losses(broken)
    for step in range(STEPS):
        if broken and step == BREAK:
            for optimizer in optimizers:
                optimizer.param_groups[0]["lr"] = 1e-2
        real = images[order.integers(len(images), size=BATCH)]
        on_real, on_fake = d(real), d(g(torch.randn(BATCH, Z)).detach())
        loss = loss_d(on_real, on_fake)
        d.zero_grad()
        loss.backward()
        optimizers[1].step()
        fake = g(torch.randn(BATCH, Z))
        other = loss_g(d(fake))
        g.zero_grad()
        other.backward()
        optimizers[0].step()
        whole = diversity(real)
        yield [loss.item(), on_real.sign().mean().item(), 1,
               diversity(fake.detach()) / whole, other.item(), norm(g)]


def main():
    torch.set_num_threads(1)
    images = torch.tensor(np.load(sys.argv[1] + "/images.npy"))
    images = images.permute(0, 3, 1, 2).float() / 127.5 - 1
    for name, seed, broken in (("healthy0", 0, False), ("healthy1", 1, False),
                               ("healthy2", 2, False), ("broken", 0, True)):
        with open(f"watch_{name}.csv", "w") as file:
            file.write(",".join(NAMES) + "\n")
            for row in train(images, seed, broken):
                file.write(",".join(f"{x:.2g}" for x in row) + "\n")


if __name__ == "__main__":
    main()
