#!/usr/bin/env python3
"""Makes likelihood.safetensors beside this file, with PyTorch in float64: log-likelihoods of
images by torch.distributions where it has them, else from their definition, and gradients.

Per case KIND.SCALE.RANGE.CHANNELS: /params and /target, NHWC; /log_prob [N]; /g, the
cotangent; /dparams, and /mean in [-1,1]. Cases with a trained scale have /tenth_log_scale and
/dtenth_log_scale.
"""
import math
import os

import torch
from torch.distributions import Bernoulli, ContinuousBernoulli, Laplace, Normal

from make_golden import HERE, normal, rounded, write_safetensors

N, H, W, MIXTURES = 2, 3, 2, 3


def soft_bound(value, least):
    return least + torch.nn.functional.softplus(value - least)


def step(x, mean, log_s):
    """log of the logistic distribution's mass between the ends of the step around x. Above the
    mean it is that of the mirrored step below, as differences of numbers near 1 are 0."""
    log_sigmoid, s = torch.nn.functional.logsigmoid, torch.exp(log_s)
    upper, lower = (x + 1 / 255 - mean) / s, (x - 1 / 255 - mean) / s
    above = upper + lower > 0
    far, near = torch.where(above, -upper, lower), torch.where(above, -lower, upper)
    inner = log_sigmoid(near) + torch.log(-torch.expm1(log_sigmoid(far) - log_sigmoid(near)))
    value = torch.where(x > 1 - 1 / 255, log_sigmoid(-lower), inner)
    return torch.where(x < 1 / 255 - 1, log_sigmoid(upper), value)


def mixture_parts(p, channels):
    k = MIXTURES
    blocks = [p[..., i * k:(i + 1) * k] for i in range(p.shape[-1] // k)]
    logits, means = blocks[0], blocks[1:1 + channels]
    log_s = [soft_bound(b, -7.0) for b in blocks[1 + channels:1 + 2 * channels]]
    shares = [torch.tanh(b) for b in blocks[1 + 2 * channels:]]
    return logits, means, log_s, shares


def mixture(p, x):
    channels = x.shape[-1]
    logits, means, log_s, shares = mixture_parts(p, channels)
    x = [x[..., c:c + 1] for c in range(channels)]
    total = torch.log_softmax(logits, -1)
    for c in range(channels):
        mean = means[c]
        for i in range(c):
            mean = mean + shares[c * (c - 1) // 2 + i] * x[i]
        total = total + step(x[c], mean, log_s[c])
    return torch.logsumexp(total, -1, keepdim=True)


def mixture_mean(p, channels):
    logits, means, _, shares = mixture_parts(p, channels)
    weight, each = torch.softmax(logits, -1), []
    for c in range(channels):
        mean = means[c]
        for i in range(c):
            mean = mean + shares[c * (c - 1) // 2 + i] * each[i]
        each.append(mean)
    return torch.cat([(weight * m).sum(-1, keepdim=True) for m in each], -1)


def located(family):
    def log_prob(scale, p, x, trained):
        c = x.shape[-1]
        mean = p[..., :c]
        if scale == "fixed":
            sigma = torch.tensor(0.3, dtype=torch.float64)
        elif scale == "shared":
            sigma = torch.exp(trained)
        elif scale == "pixel":
            sigma = torch.exp(soft_bound(p[..., c:], -6.0))
        elif family is Laplace:
            sigma = (x - mean).abs().mean()
        else:
            sigma = (x - mean).square().mean().sqrt()
        return family(mean, sigma).log_prob(x)
    return log_prob


def logistic(scale, p, x, trained):
    c = x.shape[-1]
    log_s = trained if scale == "shared" else p[..., c:]
    return step(x, p[..., :c], soft_bound(log_s, -7.0))


KINDS = {
    "bernoulli": lambda scale, p, x, t: Bernoulli(logits=p).log_prob(x),
    "continuous-bernoulli":
        lambda scale, p, x, t: ContinuousBernoulli(logits=p, lims=(0.4999999, 0.5000001)).log_prob(x),
    "gaussian": located(Normal),
    "laplace": located(Laplace),
    "logistic": logistic,
    "logistic-mixture": lambda scale, p, x, t: mixture(p, x),
}


def mean_of(kind, p, channels):
    if kind == "bernoulli":
        return Bernoulli(logits=p).mean
    if kind == "continuous-bernoulli":
        return ContinuousBernoulli(logits=p, lims=(0.4999999, 0.5000001)).mean
    if kind == "logistic-mixture":
        return mixture_mean(p, channels)
    return p[..., :channels]


def n_params(kind, scale, c):
    if kind == "logistic-mixture":
        return MIXTURES * (1 + 2 * c + c * (c - 1) // 2)
    return 2 * c if scale == "pixel" else c


def case(kept, kind, scale, unit, channels):
    name = f"{kind}.{scale}.{'unit' if unit else 'signed'}.{channels}"
    shape = (N, H, W, channels)
    p = normal(N, H, W, n_params(kind, scale, channels)).requires_grad_()
    steps = torch.randint(0, 256, shape)
    steps.view(-1)[:2] = torch.tensor([0, 255])  # the open ends
    x = steps.double() / 255
    if kind == "bernoulli":
        x = x.round()
    x = rounded(x if unit else 2 * x - 1)
    trained = rounded(torch.tensor([-0.07], dtype=torch.float64)).requires_grad_()
    log_prob = KINDS[kind](scale, p, x, 10 * trained).sum((1, 2, 3))
    g = normal(N)
    if scale == "optimal":
        # The gradient by the batch's scale only vanishes where all images count alike.
        g = torch.ones_like(g)
    kept.update({f"{name}/params": p, f"{name}/target": x, f"{name}/g": g,
                 f"{name}/log_prob": log_prob})
    kept[f"{name}/dparams"], = torch.autograd.grad((log_prob * g).sum(), p, retain_graph=True)
    if scale == "shared":
        kept[f"{name}/tenth_log_scale"] = trained
        kept[f"{name}/dtenth_log_scale"], = torch.autograd.grad((log_prob * g).sum(), trained)
    mean = mean_of(kind, p, channels)
    kept[f"{name}/mean"] = (2 * mean - 1 if unit else mean).clamp(-1, 1)


if __name__ == "__main__":
    torch.manual_seed(20131220)
    tensors = {}
    for channels in (1, 3):
        case(tensors, "bernoulli", "fixed", True, channels)
        case(tensors, "continuous-bernoulli", "fixed", True, channels)
        for kind in ("gaussian", "laplace"):
            for scale in ("fixed", "shared", "pixel", "optimal"):
                case(tensors, kind, scale, channels == 1, channels)
        for scale in ("shared", "pixel"):
            case(tensors, "logistic", scale, False, channels)
        case(tensors, "logistic-mixture", "fixed", False, channels)
    write_safetensors(os.path.join(HERE, "likelihood.safetensors"), tensors)
