#!/usr/bin/env python3
"""Makes classifier.safetensors beside this file, with PyTorch in float64.

A small classifier (see SETTINGS in tests/families/test_golden_classifier.c): x in [-1,1],
labels (the last image has none), w/NAME, features, logits, the loss with smoothed labels,
and dw/NAME, its gradients. And images through affine maps: warp/x, warp/maps, warp/y,
the cotangent warp/g, and warp/dx, the gradient of sum(y * g).
"""
import os

import torch
import torch.nn.functional as F

from make_golden import (HERE, Parameters, avg_pool, conv, dense, group_norm, normal,
                         rounded, space_to_depth, write_safetensors)

CHANNELS, BLOCKS, PATCH, FEATURES, GROUPS = (4, 6), 2, 2, 5, 8
HEIGHT, WIDTH, COLOURS, CLASSES, SMOOTHING = 8, 12, 3, 4, 0.15


class Classifier:
    def __init__(self, p):
        self.p = p

    def conv(self, name, x, out):
        w = self.p(name + ".weight", out, 3, 3, x.shape[3])
        return conv(x, w, self.p(name + ".bias", out), pad=1)

    def dense(self, name, x, out):
        return dense(x, self.p(name + ".weight", out, x.shape[-1]), self.p(name + ".bias", out))

    def norm(self, name, x):
        c = x.shape[3]
        groups = next(g for g in range(GROUPS, 0, -1) if c % g == 0)
        return group_norm(x, self.p(name + ".gamma", c), self.p(name + ".beta", c), groups,
                          silu=True)

    def block(self, name, x, out):
        h = self.conv(name + ".conv1", self.norm(name + ".norm1", x), out)
        h = self.conv(name + ".conv2", self.norm(name + ".norm2", h), out)
        return h + (x if x.shape[3] == out else self.dense(name + ".shortcut", x, out))

    def __call__(self, x):
        x = self.conv("classifier.in", space_to_depth(x, PATCH), CHANNELS[0])
        for level, channels in enumerate(CHANNELS):
            if level:
                x = avg_pool(x, 2)
            for i in range(BLOCKS):
                x = self.block(f"classifier.level.{level}.{i}", x, channels)
        x = self.norm("classifier.norm", x).mean(dim=(1, 2))
        features = F.silu(self.dense("classifier.features", x, FEATURES))
        return features, self.dense("classifier.logits", features, CLASSES)


def classifier_case():
    p = Parameters()
    x = rounded(torch.rand(3, HEIGHT, WIDTH, COLOURS, dtype=torch.float64) * 2 - 1)
    labels = torch.tensor([2, 0, -1], dtype=torch.int32)
    features, logits = Classifier(p)(x)
    loss = F.cross_entropy(logits, labels.long(), ignore_index=-1, label_smoothing=SMOOTHING)
    names = list(p.tensors)
    grads = torch.autograd.grad(loss, [p.tensors[n] for n in names])
    kept = {"x": x.float(), "labels": labels, "features": features, "logits": logits,
            "loss": loss.reshape(1)}
    for name, grad in zip(names, grads):
        kept["w/" + name], kept["dw/" + name] = p.tensors[name].float(), grad
    return kept


def warp(x, maps):
    """grid_sample's coordinates run from -1 to 1 between the outer pixels' middles."""
    n, h, w, _ = x.shape
    rows = torch.arange(h, dtype=torch.float64)[None, :, None] - (h - 1) / 2
    cols = torch.arange(w, dtype=torch.float64)[None, None, :] - (w - 1) / 2
    m = maps[:, :, None, None]
    at_row = (m[:, 0] * rows + m[:, 1] * cols + m[:, 2]) / ((h - 1) / 2)
    at_col = (m[:, 3] * rows + m[:, 4] * cols + m[:, 5]) / ((w - 1) / 2)
    y = F.grid_sample(x.permute(0, 3, 1, 2), torch.stack([at_col, at_row], dim=3),
                      mode="bilinear", padding_mode="border", align_corners=True)
    return y.permute(0, 2, 3, 1)


def warp_case():
    x = normal(4, 5, 7, 2).requires_grad_()
    maps = torch.tensor([[1, 0, 0, 0, 1, 0], [0.9, 0.3, -1.3, -0.2, 1.1, 0.7],
                         [0, -1, 0.25, 1, 0, 0], [-2, 0.5, 3, 0.1, -0.4, -8]],
                        dtype=torch.float64)
    maps = rounded(maps)
    y = warp(x, maps)
    g = normal(*y.shape)
    (y * g).sum().backward()
    return {"warp/x": x.float(), "warp/maps": maps.float(), "warp/y": y, "warp/g": g.float(),
            "warp/dx": x.grad}


if __name__ == "__main__":
    torch.manual_seed(20161008)
    write_safetensors(os.path.join(HERE, "classifier.safetensors"),
                      {**classifier_case(), **warp_case()})
