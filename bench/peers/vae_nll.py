#!/usr/bin/env python3
"""The published dense VAE of binarised MNIST in PyTorch, trained and measured as its
reproduction says: 784-400-40 with ReLU, Adam 1e-4, batches of 100, 500 epochs of the
50,000 training images, the rate 10^-0.2 times as large after 200 and 350 of them; then
log p(x) of the test images by 200 importance samples. Needs torch and numpy. The
reproduction's script has a second layer of 400 in both networks as comments: --layers 2.

TRAIN and TEST are Larochelle's files, binarized_mnist_train.amat and _test.amat, as text
or as .npy: rows of 784 zeros and ones."""
import argparse
import math
import time

import numpy as np
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits

PIXELS, HIDDEN, LATENT, BATCH, SAMPLES = 784, 400, 40, 100, 200


def read(path):
    rows = np.load(path) if path.endswith(".npy") else np.loadtxt(path)
    return torch.tensor(rows, dtype=torch.float32)


def nats(logits, images):
    return binary_cross_entropy_with_logits(logits, images, reduction="none").sum(-1)


def dense(width, layers):
    body = []
    for _ in range(layers):
        body += [nn.Linear(width, HIDDEN), nn.ReLU()]
        width = HIDDEN
    return body


class Vae(nn.Module):
    def __init__(self, layers):
        super().__init__()
        self.body = nn.Sequential(*dense(PIXELS, layers))
        self.mean = nn.Linear(HIDDEN, LATENT)
        self.log_variance = nn.Linear(HIDDEN, LATENT)
        self.decode = nn.Sequential(*dense(LATENT, layers), nn.Linear(HIDDEN, PIXELS))

    def encode(self, images):
        hidden = self.body(images)
        return self.mean(hidden), self.log_variance(hidden)

    def loss(self, images):
        mean, log_variance = self.encode(images)
        z = mean + torch.randn_like(mean) * torch.exp(log_variance / 2)
        kl = (mean**2 + log_variance.exp() - 1 - log_variance).sum(-1) / 2
        return (nats(self.decode(z), images) + kl).mean()

    def log_weight(self, images, mean, log_variance):
        """log p(x|z) p(z) / q(z|x) of one draw of z; constants of p and q cancel."""
        noise = torch.randn_like(mean)
        z = mean + noise * torch.exp(log_variance / 2)
        log_ratio = (noise**2 + log_variance - z**2).sum(-1) / 2
        return log_ratio - nats(self.decode(z), images)

    @torch.no_grad()
    def nll(self, images):
        rows = []
        for batch in images.split(BATCH):
            code = self.encode(batch)
            draws = torch.stack([self.log_weight(batch, *code) for _ in range(SAMPLES)])
            rows.append(math.log(SAMPLES) - torch.logsumexp(draws, 0))
        return torch.cat(rows)


def batches(images, epochs):
    for epoch in range(epochs):
        for rows in torch.randperm(len(images)).split(BATCH):
            yield epoch, images[rows]


def train(model, images, epochs):
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)
    drops = [round(0.4 * epochs), round(0.7 * epochs)]
    total, steps, began, current = 0.0, 0, time.time(), 0
    for epoch, batch in batches(images, epochs):
        if epoch != current:
            current = epoch
            if epoch in drops:
                optimizer.param_groups[0]["lr"] *= 10**-0.2
            if epoch % 10 == 0:
                seconds = time.time() - began
                print(f"epoch {epoch}  {seconds:.0f} s  bound {total / steps:.3f}",
                      flush=True)
                total, steps = 0.0, 0
        loss = model.loss(batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item()
        steps += 1


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("train", metavar="TRAIN")
    parser.add_argument("test", metavar="TEST")
    parser.add_argument("--layers", type=int, default=1, help="of 400 units [1]")
    parser.add_argument("--epochs", type=int, default=500)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=123)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(arguments.seed)
    model = Vae(arguments.layers)
    train(model, read(arguments.train), arguments.epochs)
    values = model.nll(read(arguments.test)).numpy()
    error = values.std(ddof=1) / math.sqrt(len(values))
    print(f"{values.mean():.3f} +- {error:.3f} nats, {SAMPLES} importance samples, "
          f"{len(values)} images")


if __name__ == "__main__":
    main()
