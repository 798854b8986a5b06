#!/usr/bin/env python3
"""Makes diffaugment.safetensors beside this file, with PyTorch in float64: images augmented
one by one as Zhao et al. 2020 describe it, given the same random numbers, and the gradients.

Per case: CASE/x, CASE/numbers [N, 7], CASE/g (the cotangent), and for each policy
CASE/POLICY/y and CASE/POLICY/dx, the gradient of sum(y * g). Images are NHWC.
"""
import os

import torch

from make_golden import HERE, normal, rounded, write_safetensors

BRIGHTNESS, SATURATION, CONTRAST, SHIFT_ROWS, SHIFT_COLS, CUT_ROWS, CUT_COLS = range(7)


def share(size, ratio):
    return int(size * ratio + 0.5)


def color(x, u):
    """One image, HWC."""
    x = x + (u[BRIGHTNESS] - 0.5)
    mean = x.mean(dim=2, keepdim=True)
    x = (x - mean) * (2 * u[SATURATION]) + mean
    mean = x.mean()
    return (x - mean) * (u[CONTRAST] + 0.5) + mean


def shift_of(size, u):
    most = share(size, 1 / 8)
    return int(u * (2 * most + 1)) - most


def translation(x, u):
    height, width, _ = x.shape
    down, right = shift_of(height, u[SHIFT_ROWS]), shift_of(width, u[SHIFT_COLS])
    zero = torch.zeros_like(x[0, 0])
    rows = []
    for i in range(height):
        row = []
        for j in range(width):
            inside = 0 <= i + down < height and 0 <= j + right < width
            row.append(x[i + down, j + right] if inside else zero)
        rows.append(torch.stack(row))
    return torch.stack(rows)


def cutout(x, u):
    mask = torch.ones_like(x)
    bounds = []
    for size, number in zip(x.shape, (u[CUT_ROWS], u[CUT_COLS])):
        length = share(size, 1 / 2)
        first = int(number * (size + 1 - length % 2)) - length // 2
        bounds.append(slice(max(first, 0), max(first + length, 0)))
    mask[bounds[0], bounds[1]] = 0
    return x * mask


PARTS = {"color": color, "translation": translation, "cutout": cutout}
POLICIES = ["color", "translation", "cutout", "color,translation,cutout"]


def augment(policy, x, numbers):
    images = []
    for image, u in zip(x, numbers.tolist()):
        for part in policy.split(","):
            image = PARTS[part](image, u)
        images.append(image)
    return torch.stack(images)


def case(kept, name, *shape):
    x = normal(*shape, scale=0.5).requires_grad_()
    numbers = torch.randint(0, 1 << 24, (shape[0], 7)).double() / (1 << 24)
    numbers[0], numbers[1] = 0, 1 - 2.0 ** -24  # the ends of every range
    g = rounded(normal(*shape))
    kept[name + "/x"], kept[name + "/numbers"], kept[name + "/g"] = (
        x.float(), numbers.float(), g.float())
    for policy in POLICIES:
        y = augment(policy, x, numbers)
        kept[f"{name}/{policy}/y"] = y
        kept[f"{name}/{policy}/dx"], = torch.autograd.grad((y * g).sum(), x)


if __name__ == "__main__":
    torch.manual_seed(20200618)
    tensors = {}
    case(tensors, "wide", 4, 5, 12, 3)
    case(tensors, "grey", 4, 9, 7, 1)
    write_safetensors(os.path.join(HERE, "diffaugment.safetensors"), tensors)
