#!/usr/bin/env python3
"""Makes gan.safetensors beside this file, with PyTorch in float64: small pairs of adversarial
networks, both losses and all gradients, penalties with theirs (double backward), what is logged,
and three steps of each phase with Adam.

Per case: CASE/w/NAME, CASE/images [N,H,W,C] in -1 to 1, CASE/z, CASE/labels (-1: none),
CASE/share, CASE/loss_d, CASE/loss_g, CASE/dw/NAME (of loss_d for the discriminator's weights, of
loss_g for the generator's), and CASE/d_real, d_fake, r_t, accuracy, penalty, diversity,
real_diversity. Of "steps": images.I, z.PHASE.I, share.I, and final/NAME after three rounds.
"""
import math
import os

import torch
import torch.nn.functional as F

from make_golden import HERE, Parameters, conv, dense, float32, group_norm, normal, rounded, \
    write_safetensors

N, CLASSES = 3, 4
EPS, SLOPE = float32(1e-5), float32(0.2)
ACTS = {"relu": F.relu, "leaky": lambda x: F.leaky_relu(x, SLOPE), "silu": F.silu}


def transposed(x, w, bias=None):
    return F.conv_transpose2d(x.permute(0, 3, 1, 2), w.permute(0, 3, 1, 2), bias, stride=2,
                              padding=1).permute(0, 2, 3, 1)


def batch_norm(x, gamma, beta):
    return F.batch_norm(x.permute(0, 3, 1, 2), None, None, gamma, beta, True,
                        eps=EPS).permute(0, 2, 3, 1)


class Net:
    """What both networks have in common."""

    def __init__(self, p, name, norm, act):
        self.p, self.name, self.norm, self.act = p, name, norm, ACTS[act]

    def get(self, name, *shape):
        return self.p(f"{self.name}.{name}", *shape)

    def norm_act(self, name, x):
        c = x.shape[3]
        if self.norm != "none":
            gamma, beta = self.get(name + ".gamma", c), self.get(name + ".beta", c)
            if self.norm == "batch":
                x = batch_norm(x, gamma, beta)
            else:
                x = group_norm(x, gamma, beta, 1 if self.norm == "layer" else c, eps=EPS)
        return self.act(x)

    def bias(self, name, out, wanted):
        return self.get(name + ".bias", out) if wanted else None

    def embed(self, labels, width):
        table = self.get("label.weight", CLASSES, width)
        rows = table[labels.long().clamp(min=0)]
        return torch.where((labels >= 0)[:, None], rows, torch.zeros_like(rows))


class Pair:
    def __init__(self, shape, z=2, base=2, g_norm="batch", d_norm="batch", g_act="relu",
                 d_act="leaky", conditional=False, label_map=False, embed=3):
        self.h, self.w, self.c = shape
        self.z, self.base, self.embed = z, base, embed
        self.g_norm, self.d_norm, self.g_act, self.d_act = g_norm, d_norm, g_act, d_act
        self.conditional, self.label_map = conditional, label_map
        self.sizes = [(self.h, self.w)]
        while min(self.sizes[-1]) > 4:
            self.sizes.append(tuple((s + 1) // 2 for s in self.sizes[-1]))
        self.levels = len(self.sizes) - 1

    def generate(self, p, z, labels):
        net = Net(p, "generator", self.g_norm, self.g_act)
        plain = self.g_norm == "none"
        if self.conditional:
            z = torch.cat([z, net.embed(labels, self.embed)], 1)
        (h, w), c = self.sizes[-1], self.base << (self.levels - 1)
        x = dense(z, net.get("in.weight", h * w * c, z.shape[1]), net.bias("in", h * w * c, plain))
        x = net.norm_act("norm0", x.reshape(-1, h, w, c))
        for level in range(self.levels - 1, -1, -1):
            number, out = self.levels - level, self.base << (level - 1) if level else self.c
            x = transposed(x, net.get(f"up{number}.weight", x.shape[3], 4, 4, out),
                           net.bias(f"up{number}", out, plain or level == 0))
            x = x[:, :self.sizes[level][0], :self.sizes[level][1]]
            if level:
                x = net.norm_act(f"norm{number}", x)
        return torch.tanh(x)

    def discriminate(self, p, x, labels):
        net = Net(p, "discriminator", self.d_norm, self.d_act)
        if self.label_map:
            plane = net.embed(labels, self.h * self.w).reshape(-1, self.h, self.w, 1)
            x = torch.cat([x, plane], 3)
        for level in range(self.levels):
            name, out = f"down{level + 1}", self.base << level
            x = conv(x, net.get(name + ".weight", out, 4, 4, x.shape[3]),
                     net.bias(name, out, level == 0 or self.d_norm == "none"), stride=2, pad=1)
            x = net.norm_act(f"norm{level + 1}", x) if level else net.act(x)
        flat = x.reshape(len(x), -1)
        logits = dense(flat, net.get("out.weight", 1, flat.shape[1]), net.get("out.bias", 1))[:, 0]
        if self.conditional and not self.label_map:
            features = x.sum((1, 2))
            logits = logits + (net.embed(labels, features.shape[1]) * features).sum(1)
        return logits


# ---- losses: of D on real and generated images, of G, and where D cannot tell -------------

def entropy(target):
    return lambda a: F.binary_cross_entropy_with_logits(a, torch.full_like(a, target))


def squares(target):
    return lambda a: 0.5 * F.mse_loss(a, torch.full_like(a, target))


LOSSES = {
    "minimax": (lambda s: entropy(1 - s), entropy(0.0), lambda a: -entropy(0.0)(a), 0.0),
    "non-saturating": (lambda s: entropy(1 - s), entropy(0.0), entropy(1.0), 0.0),
    "least-squares": (lambda s: squares(1 - s), squares(0.0), squares(1.0), 0.5),
    "hinge": (lambda s: lambda a: (1 - a).clamp(min=0).mean(),
              lambda a: (1 + a).clamp(min=0).mean(), lambda a: -a.mean(), 0.0),
    "wasserstein": (lambda s: lambda a: -a.mean(), lambda a: a.mean(), lambda a: -a.mean(), None),
}


class Objective:
    def __init__(self, loss="non-saturating", smoothing=0.0, gp=0.0, one_sided=False, r1=0.0,
                 r2=0.0):
        real, self.fake, self.generator, self.middle = LOSSES[loss]
        self.real = real(smoothing)
        self.gp, self.one_sided, self.r1, self.r2 = gp, one_sided, r1, r2

    def penalties(self, pair, p, real, fake, labels, share):
        def squared_gradient(images):
            images = images.detach().requires_grad_()
            logits = pair.discriminate(p, images, labels)
            gradient, = torch.autograd.grad(logits.sum(), images, create_graph=True)
            return gradient.square().sum((1, 2, 3))

        total = torch.zeros((), dtype=torch.float64)
        if self.gp:
            each = share[:, None, None, None]
            length = (squared_gradient(real + each * (fake - real)) + 1e-12).sqrt()
            off = (length - 1).clamp(min=0) if self.one_sided else length - 1
            total = total + self.gp * off.square().mean()
        if self.r1:
            total = total + self.r1 / 2 * squared_gradient(real).mean()
        if self.r2:
            total = total + self.r2 / 2 * squared_gradient(fake).mean()
        return total


def diversity(images, labels):
    flat = images.reshape(len(images), -1)
    pairs = [(flat[i] - flat[j]).square().mean() for i in range(len(flat))
             for j in range(len(flat)) if i != j and (labels is None or labels[i] == labels[j])]
    return torch.stack(pairs).mean().sqrt() if pairs else torch.zeros((), dtype=torch.float64)


def describe(objective, images, fake, on_real, on_fake, classes):
    values = {"d_real": on_real.mean(), "d_fake": on_fake.mean(),
              "diversity": diversity(fake, classes),
              "real_diversity": diversity(images, classes)}
    if objective.middle is not None:
        values["r_t"] = (on_real - objective.middle).sign().mean()
        right = (on_real > objective.middle).double().mean() + \
            (on_fake <= objective.middle).double().mean()
        values["accuracy"] = right / 2
    return values


def image_batch(pair):
    return rounded(torch.rand(N, pair.h, pair.w, pair.c, dtype=torch.float64) * 2 - 1)


def share_batch():
    return rounded(torch.rand(N, dtype=torch.float64))


def weights_of(p, network):
    return {name: t for name, t in p.tensors.items() if name.startswith(network)}


def case(kept, name, pair, objective):
    p = Parameters()
    images, z, share = image_batch(pair), normal(N, pair.z), share_batch()
    labels = torch.tensor([2, -1, 2], dtype=torch.int32)
    fake = pair.generate(p, z, labels)
    on_real = pair.discriminate(p, images, labels)
    on_fake = pair.discriminate(p, fake, labels)
    penalty = objective.penalties(pair, p, images, fake.detach(), labels, share)
    losses = {"discriminator": objective.real(on_real) + objective.fake(on_fake) + penalty,
              "generator": objective.generator(on_fake)}
    values = describe(objective, images, fake, on_real, on_fake,
                      labels if pair.conditional else None)
    if objective.gp or objective.r1 or objective.r2:
        values["penalty"] = penalty
    values = {key: value.reshape(1) for key, value in values.items()}
    values.update({"images": images.float(), "z": z.float(), "labels": labels,
                   "share": share.float(), "loss_d": losses["discriminator"].reshape(1),
                   "loss_g": losses["generator"].reshape(1)})
    for network, loss in losses.items():
        weights = weights_of(p, network)
        grads = torch.autograd.grad(loss, list(weights.values()), retain_graph=True)
        for (key, tensor), grad in zip(weights.items(), grads):
            values["w/" + key], values["dw/" + key] = tensor.float(), grad
    kept.update({f"{name}/{key}": value for key, value in values.items()})


# ---- three steps of each phase --------------------------------------------------------------

EVERY = 2  # of the penalty, which is a phase of its own
LR, BETA1, BETA2, ADAM_EPS = 2 ** -10, 0.5, 0.9, 1e-5


class Adam:
    """As torch's, with the step's numbers rounded to float32 as limn passes them. What a loss
    does not reach has a gradient of zero, and moves by its momentum."""

    def __init__(self, weights):
        self.p, self.count = list(weights), 0
        self.m, self.v = ([torch.zeros_like(w) for w in self.p] for _ in range(2))
        self.torch = [w.detach().clone() for w in self.p]
        self.peer = torch.optim.Adam(self.torch, lr=LR, betas=(BETA1, BETA2), eps=ADAM_EPS)

    def update(self, loss):
        self.count += 1
        rate = float32(LR / (1 - BETA1 ** self.count))
        root = float32(1 / math.sqrt(1 - BETA2 ** self.count))
        grads = torch.autograd.grad(loss, self.p, allow_unused=True)
        for i, w in enumerate(self.p):
            g = torch.zeros_like(w) if grads[i] is None else grads[i]
            self.m[i] += (1 - BETA1) * (g - self.m[i])
            self.v[i] += (1 - BETA2) * (g.square() - self.v[i])
            w.data -= rate * self.m[i] / (self.v[i].sqrt() * root + ADAM_EPS)
            self.torch[i].grad = g
        self.peer.step()
        assert max((a - b).abs().max() for a, b in zip(self.p, self.torch)) < 1e-8


def steps(kept, name, pair, objective):
    p, values = Parameters(), {}
    labels = torch.tensor([2, -1, 3], dtype=torch.int32)
    pair.discriminate(p, pair.generate(p, normal(N, pair.z), labels), labels)
    for key, tensor in p.tensors.items():
        values["w/" + key] = tensor.detach().float()
    d, g = (Adam(weights_of(p, network).values()) for network in ("discriminator", "generator"))
    for i in range(3):
        images, share = image_batch(pair), share_batch()
        z = [normal(N, pair.z) for _ in range(3)]
        fake = pair.generate(p, z[0], labels).detach()
        d.update(objective.real(pair.discriminate(p, images, labels))
                 + objective.fake(pair.discriminate(p, fake, labels)))
        fake = pair.generate(p, z[1], labels).detach()
        d.update(EVERY * objective.penalties(pair, p, images, fake, labels, share))
        fake = pair.generate(p, z[2], labels)
        g.update(objective.generator(pair.discriminate(p, fake, labels)))
        values.update({f"images.{i}": images.float(), f"share.{i}": share.float(),
                       f"z.discriminator.{i}": z[0].float(), f"z.penalty.{i}": z[1].float(),
                       f"z.generator.{i}": z[2].float()})
    values["labels"] = labels
    for key, tensor in p.tensors.items():
        values["final/" + key] = tensor
    kept.update({f"{name}/{key}": value for key, value in values.items()})


if __name__ == "__main__":
    torch.manual_seed(20140610)
    tensors = {}
    small, deep = (10, 9, 1), (16, 15, 1)
    for loss in LOSSES:
        case(tensors, loss, Pair(small), Objective(loss))
    for loss in ("minimax", "non-saturating", "least-squares"):
        case(tensors, loss + ".smooth", Pair(small), Objective(loss, smoothing=0.25))
    case(tensors, "deep", Pair(deep), Objective())
    case(tensors, "plain", Pair((9, 16, 2), g_norm="none", d_norm="none", g_act="silu",
                                d_act="relu"), Objective("hinge"))
    case(tensors, "gp.two", Pair(deep, g_norm="instance", d_norm="layer"),
         Objective("wasserstein", gp=10))
    case(tensors, "gp.one", Pair(deep, g_norm="layer", d_norm="none", d_act="silu"),
         Objective("wasserstein", gp=5, one_sided=True))
    case(tensors, "r1", Pair(deep, d_norm="instance"), Objective(r1=2.5))
    case(tensors, "r2", Pair(deep, d_norm="none"), Objective("least-squares", r2=0.5))
    case(tensors, "projection", Pair(deep, d_norm="layer", conditional=True),
         Objective("hinge", gp=2, r1=0.5, r2=1))
    case(tensors, "map", Pair(small, d_norm="none", conditional=True, label_map=True),
         Objective(r1=1))
    steps(tensors, "steps", Pair(small, d_norm="none", d_act="silu", conditional=True),
          Objective("non-saturating", gp=4, r1=1, r2=0.5))
    write_safetensors(os.path.join(HERE, "gan.safetensors"), tensors)
