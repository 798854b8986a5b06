#!/usr/bin/env python3
"""Makes gan_resnet.safetensors beside this file, with PyTorch in float64: residual pairs for
32, 48 and 64 pixels in the order of operations of Miyato et al. 2018 (resize, then convolve
the shortcut of G; convolve, then pool that of D).

Per case: CASE/w/NAME, CASE/buffer/NAME, CASE/z, CASE/labels (-1: none), CASE/y (what D makes
of G's images), the cotangent CASE/g, and CASE/dw/NAME, the gradients of sum(y * g).
"""
import os

import torch
import torch.nn.functional as F

from make_gan import CLASSES, EPS, Net, batch_norm
from make_golden import HERE, Parameters, avg_pool, conv, dense, normal, rounded, upsample, \
    write_safetensors

N, EMBED = 2, 3
SHAPES = {32: (4, 2, 2), 48: (6, 4, 1), 64: (4, 5, 0)}


class Weights(Parameters):
    """With vectors u and v for a spectral norm of each matrix of one network."""

    def __init__(self, spectral):
        super().__init__()
        self.spectral, self.buffers = spectral, {}

    def vector(self, name, length):
        if name not in self.buffers:
            self.buffers[name] = rounded(F.normalize(normal(length, 1), dim=0))
        return self.buffers[name]

    def weight(self, name, *shape):
        w = self(name + ".weight", *shape)
        if not self.spectral or not name.startswith("discriminator"):
            return w
        matrix = w.reshape(shape[0], -1)
        self.vector(name + ".u", shape[0])
        with torch.no_grad():
            u = F.normalize(matrix @ self.vector(name + ".v", matrix.shape[1]), dim=0)
            v = F.normalize(matrix.T @ u, dim=0)
        return w / (u.T @ matrix @ v)


class ResNet(Net):
    def conv(self, name, x, out, taps=3):
        w = self.p.weight(f"{self.name}.{name}", out, taps, taps, x.shape[3])
        return conv(x, w, self.get(name + ".bias", out), pad=taps // 2)

    def dense(self, name, x, out):
        return dense(x, self.p.weight(f"{self.name}.{name}", out, x.shape[1]),
                     self.get(name + ".bias", out))

    def norm_act_of(self, name, x, known):
        if known is None:
            return self.norm_act(name, x)
        gamma, beta = (dense(known, self.get(f"{name}.{part}.weight", x.shape[3], EMBED))
                       for part in ("gamma", "beta"))
        y = batch_norm(x, None, None) * (1 + gamma)[:, None, None] + beta[:, None, None]
        return self.act(y)

    def double(self, name, x, out, known):
        h = upsample(self.norm_act_of(name + ".norm1", x, known), 2)
        h = self.conv(name + ".conv1", h, out)
        h = self.conv(name + ".conv2", self.norm_act_of(name + ".norm2", h, known), out)
        return h + self.conv(name + ".shortcut", upsample(x, 2), out, taps=1)

    def halve(self, name, x, out, halve, first):
        h = x if first else self.norm_act(name + ".norm1", x)
        h = self.conv(name + ".conv1", h, out if first else x.shape[3])
        h = self.conv(name + ".conv2", self.norm_act(name + ".norm2", h), out)
        if halve or x.shape[3] != out:
            x = self.conv(name + ".shortcut", x, out, taps=1)
        return avg_pool(h + x, 2) if halve else h + x


def generate(p, case, z, labels):
    net = ResNet(p, "generator", case.get("g_norm", "batch"), case.get("g_act", "relu"))
    start, _, _ = SHAPES[case["side"]]
    known = None if labels is None else net.embed(labels, EMBED)
    widths = [case["base"]]
    for _ in range((case["side"] // start).bit_length() - 1):
        widths.append(min(2 * widths[-1], case["most"]))
    x = net.dense("in", z, start * start * widths[-1]).reshape(N, start, start, widths[-1])
    for i, out in enumerate(reversed(widths[:-1])):
        x = net.double(f"block{i + 1}", x, out, known)
    return torch.tanh(net.conv("out", net.norm_act("norm", x), case["colours"]))


def discriminate(p, case, x, labels):
    net = ResNet(p, "discriminator", case.get("d_norm", "none"), case.get("d_act", "relu"))
    _, halvings, plain = SHAPES[case["side"]]
    out = case["d_base"]
    for i in range(halvings + plain):
        x = net.halve(f"block{i + 1}", x, out, i < halvings, i == 0)
        out = min(2 * out, case["most"] * case["d_base"] // case["base"])
    features = net.norm_act("norm", x).sum((1, 2))
    logits = net.dense("out", features, 1)[:, 0]
    if labels is not None:
        table = p.weight("discriminator.label", CLASSES, features.shape[1])
        rows = table[labels.long().clamp(min=0)] * (labels >= 0)[:, None]
        logits = logits + (rows * features).sum(1)
    return logits


def write_case(kept, name, spectral=True, conditional=False, **case):
    p = Weights(spectral)
    z, labels = normal(N, 3), torch.tensor([-1, 2], dtype=torch.int32)
    known = labels if conditional else None
    y = discriminate(p, case, generate(p, case, z, known), known)
    g = normal(N)
    grads = torch.autograd.grad((y * g).sum(), list(p.tensors.values()))
    values = {"z": z.float(), "labels": labels, "y": y, "g": g.float()}
    for (key, tensor), grad in zip(p.tensors.items(), grads):
        values["w/" + key], values["dw/" + key] = tensor.float(), grad
    values.update({"buffer/" + key: value.float() for key, value in p.buffers.items()})
    kept.update({f"{name}/{key}": value for key, value in values.items()})


if __name__ == "__main__":
    torch.manual_seed(20180216)
    tensors = {}
    write_case(tensors, "32", side=32, base=4, most=4, d_base=2, colours=3)
    write_case(tensors, "48", side=48, base=1, most=4, d_base=1, colours=1, conditional=True)
    write_case(tensors, "64", side=64, base=1, most=2, d_base=2, colours=1, spectral=False,
               g_norm="instance", d_norm="layer", d_act="leaky")
    write_safetensors(os.path.join(HERE, "gan_resnet.safetensors"), tensors)
    print(len(tensors), "tensors")
