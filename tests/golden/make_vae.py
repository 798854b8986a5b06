#!/usr/bin/env python3
"""Makes vae.safetensors beside this file, with PyTorch in float64: small variational
autoencoders, their losses, the parts of these, and all gradients.

Per case: CASE/w/NAME, CASE/dw/NAME, CASE/images u8 as i32 [N,H,W,C], CASE/labels,
CASE/eps [K,N,latent], CASE/pixels (the noise of dequantisation), CASE/beta, and
CASE/loss, CASE/reconstruction, CASE/unit_kl, CASE/mean (the image that z = eps[0] is
decoded to).
"""
import math
import os

import torch
import torch.nn.functional as F

from make_golden import HERE, Parameters, conv, dense, float32, group_norm, normal, rounded, \
    write_safetensors
from make_likelihood import KINDS, mean_of, n_params
import make_likelihood

N, CLASSES = 3, 4
CONDITION = 64


class Vae:
    def __init__(self, shape, latent, kind, scale="fixed", unit=False, hidden=None, base=0,
                 mult=(), conditional=False, learned=False, dreg=False):
        self.h, self.w, self.c = shape
        self.latent, self.kind, self.scale, self.unit = latent, kind, scale, unit
        self.hidden, self.base, self.mult = hidden, base, mult
        self.conditional, self.learned, self.dreg = conditional, learned, dreg

    # ---- networks

    def condition(self, p, name, labels):
        if not self.conditional:
            return None
        return p(f"{name}.label.weight", CLASSES, CONDITION)[labels.long()]

    def dense(self, p, name, x, out):
        return dense(x, p(f"{name}.weight", out, x.shape[-1]), p(f"{name}.bias", out))

    def conv3x3(self, p, name, x, out, **how):
        return conv(x, p(f"{name}.weight", out, 3, 3, x.shape[3]), p(f"{name}.bias", out), pad=1,
                    **how)

    def dense_layer(self, p, name, x, width, condition):
        x = self.dense(p, f"{name}.dense", x, width)
        if condition is not None:
            both = self.dense(p, f"{name}.condition", condition, 2 * width)
            x = x * (1 + both[:, :width]) + both[:, width:]
        return x.relu()

    @staticmethod
    def groups(channels):
        return max(g for g in range(1, 17) if channels % g == 0)

    def norm_silu(self, p, name, x):
        c = x.shape[3]
        return group_norm(x, p(f"{name}.gamma", c), p(f"{name}.beta", c), self.groups(c), silu=True)

    def block(self, p, name, x, out, condition):
        h = self.conv3x3(p, f"{name}.conv1", self.norm_silu(p, f"{name}.norm1", x), out)
        if condition is None:
            h = self.norm_silu(p, f"{name}.norm2", h)
        else:
            both = self.dense(p, f"{name}.norm2", condition, 2 * out)
            one, zero = torch.ones(out).double(), torch.zeros(out).double()
            h = group_norm(h, one, zero, self.groups(out))
            gamma, beta = 1 + both[:, None, None, :out], both[:, None, None, out:]
            h = F.silu(h * gamma + beta)
        h = self.conv3x3(p, f"{name}.conv2", h, out)
        if x.shape[3] != out:
            x = self.dense(p, f"{name}.shortcut", x, out)
        return x + h

    def encode(self, p, images, labels):
        x = images / 255 if self.unit else images / 127.5 - 1
        condition = self.condition(p, "encoder", labels)
        if self.hidden:
            x = x.reshape(len(x), -1)
            for i, width in enumerate(self.hidden):
                x = self.dense_layer(p, f"encoder.{i}", x, width, condition)
        else:
            x = self.conv3x3(p, "encoder.in", x, self.base * self.mult[0])
            for level, m in enumerate(self.mult):
                name = f"encoder.level.{level}"
                if level:
                    x = self.conv3x3(p, f"{name}.halve", x, self.base * m, stride=2)
                x = self.block(p, f"{name}.0", x, self.base * m, condition)
            x = self.norm_silu(p, "encoder.norm", x).reshape(len(x), -1)
        both = self.dense(p, "encoder.posterior", x, 2 * self.latent)
        return both[:, :self.latent], both[:, self.latent:]

    def decode(self, p, z, labels):
        condition = self.condition(p, "decoder", labels)
        out = n_params(self.kind, self.scale, self.c)
        if self.hidden:
            for i in reversed(range(len(self.hidden))):
                z = self.dense_layer(p, f"decoder.{i}", z, self.hidden[i], condition)
            z = self.dense(p, "decoder.out", z, self.h * self.w * out)
            return z.reshape(len(z), self.h, self.w, out)
        sizes = [(self.h, self.w)]
        for _ in self.mult[1:]:
            sizes.append(tuple((s + 1) // 2 for s in sizes[-1]))
        (h, w), channels = sizes[-1], self.base * self.mult[-1]
        z = self.dense(p, "decoder.in", z, h * w * channels).reshape(len(z), h, w, channels)
        for level in reversed(range(len(self.mult))):
            name, channels = f"decoder.level.{level}", self.base * self.mult[level]
            if level < len(self.mult) - 1:
                z = z.repeat_interleave(2, 1).repeat_interleave(2, 2)
                z = self.conv3x3(p, f"{name}.double", z, channels)
                z = z[:, :sizes[level][0], :sizes[level][1]]
            z = self.block(p, f"{name}.0", z, channels, condition)
        return self.conv3x3(p, "decoder.out", self.norm_silu(p, "decoder.norm", z), out)

    def prior(self, p, labels):
        zero = torch.zeros(1, self.latent, dtype=torch.float64)
        if not self.learned:
            return zero, zero
        both = p("prior.weight", CLASSES if self.conditional else 1, 2 * self.latent)
        if self.conditional:
            both = both[labels.long()]
        return both[:, :self.latent], both[:, self.latent:]

    # ---- bounds

    def target(self, images, pixels):
        if self.kind == "bernoulli":
            return (images >= 128).double()
        width = 1 if self.unit else 2
        if self.kind.startswith("logistic"):
            x = images * width / 255
        else:
            x = (images + pixels) * width / 256
        return x if self.unit else x - 1

    def parts(self, p, images, labels, eps, pixels):
        mean, log_variance = self.encode(p, images, labels)
        prior_mean, prior_log_variance = self.prior(p, labels)
        k = len(eps)
        z = mean + torch.exp(log_variance / 2) * eps
        if self.dreg:
            mean, log_variance = mean.detach(), log_variance.detach()
        self.z = z
        params = self.decode(p, z.reshape(k * N, -1), labels.repeat(k))
        target = self.target(images, pixels).repeat(k, 1, 1, 1)
        trained = 10 * p("tenth_log_scale", 1) if self.scale in ("shared", "optimal") and \
            self.kind in ("gaussian", "laplace", "logistic") else None
        each = KINDS[self.kind](self.scale, params, target, trained)
        log_prob = each.sum((1, 2, 3)).reshape(k, N)
        ratio = (self.log_normal(z, prior_mean, prior_log_variance)
                 - self.log_normal(z, mean, log_variance))
        q = torch.distributions.Normal(mean, torch.exp(log_variance / 2))
        r = torch.distributions.Normal(prior_mean, torch.exp(prior_log_variance / 2))
        return log_prob, ratio, torch.distributions.kl_divergence(q, r)

    @staticmethod
    def log_normal(z, mean, log_variance):
        normal = torch.distributions.Normal(mean, torch.exp(log_variance / 2))
        return normal.log_prob(z).sum(-1)


def loss_of(vae, p, images, labels, eps, pixels, beta, free):
    log_prob, ratio, unit_kl = vae.parts(p, images, labels, eps, pixels)
    if vae.dreg:
        share = torch.softmax(log_prob + beta * ratio, 0).detach()
        vae.z.register_hook(lambda slope: share[..., None] * slope)
    if len(eps) > 1 or vae.dreg:
        bound = torch.logsumexp(log_prob + beta * ratio, 0) - math.log(len(eps))
        return -bound.mean(), log_prob, unit_kl
    kl = unit_kl.mean(0)
    if free:
        kl = kl.clamp(min=free)
    return beta * kl.sum() - log_prob.mean(), log_prob, unit_kl


def case(kept, name, vae, k=1, beta=1.0, free=0.0):
    p = Parameters()
    shape = (N, vae.h, vae.w, vae.c)
    images = torch.randint(0, 256, shape)
    images.view(-1)[:2] = torch.tensor([0, 255])
    labels = torch.tensor([2, 0, 3], dtype=torch.int32)
    eps, pixels = normal(k, N, vae.latent), rounded(torch.rand(shape, dtype=torch.float64))
    beta, free = float32(beta), float32(free)
    loss, log_prob, unit_kl = loss_of(vae, p, images.double(), labels, eps, pixels, beta, free)
    params = vae.decode(p, eps[0], labels)
    mean = mean_of(vae.kind, params, vae.c)
    values = {"images": images.int(), "labels": labels, "eps": eps.float(),
              "pixels": pixels.float(), "beta": torch.tensor([beta]), "loss": loss.reshape(1),
              "reconstruction": -log_prob.mean().reshape(1), "unit_kl": unit_kl.mean(0),
              "mean": (2 * mean - 1 if vae.unit else mean).clamp(-1, 1)}
    # A trained scale that only follows is not part of PyTorch's graph.
    grads = torch.autograd.grad(loss, list(p.tensors.values()), allow_unused=True)
    for (key, tensor), grad in zip(p.tensors.items(), grads):
        values["w/" + key] = tensor.float()
        if grad is not None:
            values["dw/" + key] = grad
    kept.update({f"{name}/{key}": value for key, value in values.items()})


if __name__ == "__main__":
    torch.manual_seed(20131220)
    make_likelihood.MIXTURES = 2
    tensors = {}
    for kind, scale, unit in (("bernoulli", "fixed", True), ("continuous-bernoulli", "fixed", True),
                              ("gaussian", "fixed", True), ("gaussian", "shared", False),
                              ("gaussian", "pixel", False), ("gaussian", "optimal", True),
                              ("laplace", "pixel", True), ("laplace", "optimal", False),
                              ("logistic", "shared", False), ("logistic", "pixel", False),
                              ("logistic-mixture", "fixed", False)):
        dense_net = Vae((4, 3, 3), 2, kind, scale, unit, hidden=(4,))
        case(tensors, f"{kind}.{scale}.{'unit' if unit else 'signed'}", dense_net, beta=0.5)
    maps = dict(shape=(7, 5, 1), latent=3, kind="logistic", scale="shared", base=2, mult=(1, 2, 3))
    case(tensors, "conv", Vae(**maps))
    case(tensors, "conv.conditional", Vae(**maps, conditional=True, learned=True), free=0.2)
    rows = dict(shape=(3, 4, 1), latent=2, kind="bernoulli", unit=True, hidden=(5, 4))
    case(tensors, "mlp.importance", Vae(**rows, learned=True), k=4)
    case(tensors, "mlp.conditional", Vae(**rows, conditional=True), k=3, beta=2.0)
    case(tensors, "mlp.dreg", Vae(**rows, learned=True, dreg=True), k=4, beta=0.5)
    case(tensors, "mlp.dreg.single", Vae(**rows, dreg=True))
    write_safetensors(os.path.join(HERE, "vae.safetensors"), tensors)
