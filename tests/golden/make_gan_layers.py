#!/usr/bin/env python3
"""Makes gan_layers.safetensors beside this file with PyTorch in float64: layers that
keep something from step to step, for three steps of training (or one) and once more outside of
it; and the length of a small discriminator's gradient, by norm and by layer.

Needs torch 2.1 or later and nothing else; conventions are those of make_golden.py. The
layers are torch's own (BatchNorm, parametrizations.spectral_norm), in torch's layouts;
what is written is in limn's. Weights differ in every step, as they do in training.

Per case: CASE/start/BUFFER, and for each STEP (0, 1, 2, other) CASE/STEP/in/NAME,
CASE/STEP/w/NAME, the result CASE/STEP/y, the cotangent CASE/STEP/g, the gradients
CASE/STEP/din/NAME and CASE/STEP/dw/NAME of sum(y * g), and CASE/STEP/buffer/BUFFER after
it. "other" is a batch norm's evaluation; for spectral norm, whose power method limn runs
outside of training too, one step more that is not kept.
"""
import copy
import os

import torch
from torch import nn
from torch.nn.utils import parametrizations

from make_golden import float32, normal, rounded, write_safetensors

HERE = os.path.dirname(os.path.abspath(__file__))
NORM = {"eps": float32(1e-5)}  # as limn keeps it
STEPS = ("0", "1", "2", "other")
FEW = ("0", "other")
TENSORS = {}


class Layout:
    """Between torch's axes and limn's: order[i] is the axis of torch's that limn's i is."""

    def __init__(self, *order):
        self.order = order
        self.back = tuple(order.index(i) for i in range(len(order)))

    def to_limn(self, tensor):
        return tensor.permute(self.order)

    def to_torch(self, tensor):
        return tensor.permute(self.back)


MAPS, ROWS, VECTOR = Layout(0, 2, 3, 1), Layout(0, 1), Layout(0)


class Slot:
    """A weight: torch's tensor, limn's name and layout."""

    def __init__(self, name, get, layout):
        self.name, self.get, self.layout = name, get, layout


def write_step(at, module, slots, run, inputs, changes):
    leaves = {}
    with torch.no_grad():
        for slot in slots:
            tensor = slot.get(module)
            value = normal(*tensor.shape, scale=0.5)
            tensor.copy_(rounded(value + 1) if slot.name.endswith("gamma") else value)
            TENSORS[f"{at}/w/{slot.name}"] = slot.layout.to_limn(tensor).float()
    for name, (shape, layout) in inputs.items():
        leaves[name] = normal(*shape, scale=2).requires_grad_()
        TENSORS[f"{at}/in/{name}"] = layout.to_limn(leaves[name]).float()
    y, layout = run(module, **leaves)
    g = normal(*y.shape)
    TENSORS[f"{at}/y"] = layout.to_limn(y)
    TENSORS[f"{at}/g"] = layout.to_limn(g).float()
    tensors = [slot.get(module) for slot in slots]
    grads = torch.autograd.grad((y * g).sum(), tensors + list(leaves.values()),
                                allow_unused=True)
    for slot, grad in zip(slots, grads):
        if grad is not None:  # no gradient's length depends on the last bias
            TENSORS[f"{at}/dw/{slot.name}"] = slot.layout.to_limn(grad)
    for (name, (_, layout)), grad in zip(inputs.items(), grads[len(slots):]):
        TENSORS[f"{at}/din/{name}"] = layout.to_limn(grad)
    for name, value in changes(module).items():
        TENSORS[f"{at}/buffer/{name}"] = value.clone()


def write_case(name, module, slots, run, inputs, buffers, other, steps=STEPS):
    module.double().train()
    for key, value in buffers(module).items():
        TENSORS[f"{name}/start/{key}"] = value.clone()
    for step in steps:
        if step == "other":
            module = other(module)
        write_step(f"{name}/{step}", module, slots, run, inputs, buffers)


# ---- batch norm -------------------------------------------------------------------------

def batch_norm(name, norm, shape, layout, twice=False):
    slots = [Slot("l.gamma", lambda m: m.weight, VECTOR), Slot("l.beta", lambda m: m.bias, VECTOR)]
    with torch.no_grad():
        norm.running_mean.copy_(normal(norm.num_features))
        norm.running_var.copy_(normal(norm.num_features).square() + 0.5)

    def run(module, x, x2=None):
        y = module(x)
        return (y + module(x2) if twice else y), layout

    inputs = {"x": (shape, layout)}
    if twice:
        inputs["x2"] = (shape, layout)
    write_case(name, norm, slots, run, inputs,
               lambda m: {"l.mean": m.running_mean, "l.variance": m.running_var},
               lambda m: m.eval())


# ---- spectral norm ----------------------------------------------------------------------

def vectors_of(module, layout):
    """u and v; the order of v follows that of the weight's axes without the one of u."""
    norm, weight = module.parametrizations.weight[0], module.parametrizations.weight.original
    rest = [size for i, size in enumerate(weight.shape) if i != norm.dim]
    order = [i - (i > norm.dim) for i in layout.order if i != norm.dim]
    return norm._u.reshape(-1, 1), norm._v.reshape(rest).permute(order).reshape(-1, 1)


def spectral(name, layer, layout, inputs, run, iterations=1, steps=STEPS):
    layer = parametrizations.spectral_norm(layer.double(), n_power_iterations=iterations)
    parts = layer.parametrizations.weight
    with torch.no_grad():
        parts[0]._u.copy_(nn.functional.normalize(normal(*parts[0]._u.shape), dim=0))
        parts[0]._v.copy_(nn.functional.normalize(normal(*parts[0]._v.shape), dim=0))

    slots = [Slot("l.weight", lambda m: m.parametrizations.weight.original, layout)]
    if getattr(layer, "bias", None) is not None:
        slots.append(Slot("l.bias", lambda m: m.bias, VECTOR))
    kept = {}

    def changes(module):
        kept.setdefault("of", module)
        u, v = vectors_of(kept["of"], layout)
        return {"l.u": u, "l.v": v}

    write_case(name, layer, slots, run, inputs, changes, copy.deepcopy,
               steps)


def spectral_cases():
    spectral("spectral_dense", nn.Linear(5, 4), ROWS, {"x": ((3, 5), ROWS)},
             lambda m, x: (m(x), ROWS))
    spectral("spectral_conv", nn.Conv2d(3, 4, 3, padding=1), MAPS, {"x": ((2, 3, 4, 5), MAPS)},
             lambda m, x: (m(x), MAPS))
    spectral("spectral_twice", nn.Conv2d(3, 2, 3, padding=1), MAPS,
             {"x": ((2, 3, 4, 4), MAPS)}, lambda m, x: (m(x), MAPS), iterations=2)
    spectral("spectral_conv_transpose", nn.ConvTranspose2d(3, 2, 4, 2, 1, bias=False), MAPS,
             {"x": ((2, 3, 2, 3), MAPS)}, lambda m, x: (m(x), MAPS), steps=FEW)
    spectral("spectral_upsample_conv", nn.Conv2d(3, 2, 3, padding=1), MAPS,
             {"x": ((2, 3, 2, 3), MAPS)},
             lambda m, x: (m(x.repeat_interleave(2, 2).repeat_interleave(2, 3)), MAPS),
             steps=FEW)
    spectral("spectral_embedding", nn.Embedding(4, 3), ROWS, {},
             lambda m: (m(torch.tensor([2, 0, 2])), ROWS), steps=FEW)


# ---- conditional batch norm -------------------------------------------------------------

class ConditionalBatchNorm(nn.Module):
    """Of four samples, of which the second has no class."""

    def __init__(self, channels):
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False, **NORM)
        self.gamma = nn.Linear(2, channels, bias=False)
        self.beta = nn.Linear(2, channels, bias=False)

    def forward(self, x):
        known = torch.tensor([[1, -0.5], [0, 0], [0.25, 2], [1, -0.5]], dtype=x.dtype)
        gamma, beta = (part(known)[:, :, None, None] for part in (self.gamma, self.beta))
        return self.norm(x) * (1 + gamma) + beta


def conditional_case():
    slots = [Slot("l.gamma.weight", lambda m: m.gamma.weight, ROWS),
             Slot("l.beta.weight", lambda m: m.beta.weight, ROWS)]
    write_case("conditional_batch_norm", ConditionalBatchNorm(3), slots,
               lambda m, x: (m(x), MAPS), {"x": ((4, 3, 2, 3), MAPS)},
               lambda m: {"l.mean": m.norm.running_mean, "l.variance": m.norm.running_var},
               lambda m: m.eval())


# ---- gradients of a gradient's length ---------------------------------------------------

class Judge(nn.Module):
    """Two convolutions with a norm between them; forward is |d sum(y) / d x|^2."""

    def __init__(self, norm, spectral_norm):
        super().__init__()
        self.a, self.b = nn.Conv2d(2, 4, 3, padding=1), nn.Conv2d(4, 2, 3, padding=1)
        self.norm = norm
        self.spectral = spectral_norm
        if spectral_norm:
            for layer in (self.a, self.b):
                parametrizations.spectral_norm(layer.double())

    def forward(self, x):
        y = self.b(nn.functional.leaky_relu(self.norm(self.a(x)), float32(0.2)))
        y = nn.functional.softplus(y).sum()
        grad, = torch.autograd.grad(y, x, create_graph=True)
        return grad.square().sum().reshape(1)


def penalty(name, norm, spectral_norm=False):
    def weight_of(which):
        def get(m):
            layer = getattr(m, which)
            return layer.parametrizations.weight.original if spectral_norm else layer.weight
        return get

    module = Judge(norm, spectral_norm)
    slots = [Slot("a.weight", weight_of("a"), MAPS), Slot("a.bias", lambda m: m.a.bias, VECTOR),
             Slot("b.weight", weight_of("b"), MAPS), Slot("b.bias", lambda m: m.b.bias, VECTOR)]
    if not isinstance(norm, nn.Identity):
        slots += [Slot("l.gamma", lambda m: m.norm.weight, VECTOR),
                  Slot("l.beta", lambda m: m.norm.bias, VECTOR)]
    kept = {}

    def buffers(m):
        of, values = kept.setdefault("of", m), {}
        if isinstance(norm, nn.BatchNorm2d):
            values = {"l.mean": of.norm.running_mean, "l.variance": of.norm.running_var}
        for which in "ab" if spectral_norm else "":
            u, v = vectors_of(getattr(of, which), MAPS)
            values[which + ".u"], values[which + ".v"] = u, v
        return values

    write_case(name, module, slots, lambda m, x: (m(x), VECTOR), {"x": ((3, 2, 3, 3), MAPS)},
               buffers, copy.deepcopy if spectral_norm else lambda m: m.eval(), FEW)


def penalty_cases():
    penalty("penalty_batch", nn.BatchNorm2d(4, **NORM))
    penalty("penalty_layer", nn.GroupNorm(1, 4, eps=NORM["eps"]))
    penalty("penalty_instance", nn.InstanceNorm2d(4, eps=NORM["eps"], affine=True))
    penalty("penalty_spectral", nn.Identity(), spectral_norm=True)


class Penalised(nn.Module):
    """One layer and two nonlinearities; forward as Judge's."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        y = nn.functional.leaky_relu(self.layer(x), float32(0.2))
        y = nn.functional.softplus(y).sum()
        grad, = torch.autograd.grad(y, x, create_graph=True)
        return grad.square().sum().reshape(1)


class Upsample(nn.Conv2d):
    def forward(self, x):
        return super().forward(x.repeat_interleave(2, 2).repeat_interleave(2, 3))


class Attention(nn.Module):
    """Self attention of two heads over the positions, behind a norm, added."""

    def __init__(self, channels):
        super().__init__()
        self.norm = nn.GroupNorm(2, channels, eps=float32(1e-6))
        self.q, self.k, self.v, self.out = (nn.Linear(channels, channels) for _ in range(4))

    def forward(self, x):
        h = self.norm(x).flatten(2).transpose(1, 2)  # [N,T,C]
        q, k, v = (layer(h).unflatten(2, (2, -1)).transpose(1, 2)
                   for layer in (self.q, self.k, self.v))
        scores = q @ k.transpose(2, 3) * float32(q.shape[-1] ** -0.5)
        h = (scores.softmax(-1) @ v).transpose(1, 2).flatten(2)
        return x + self.out(h).transpose(1, 2).unflatten(2, x.shape[2:])


def penalised(name, layer, shape, layout, weights=(("", MAPS),)):
    def attribute(path):
        def get(m):
            return m.layer.get_parameter(path)
        return get

    slots = []
    for prefix, rank in weights:
        norm = prefix == "norm."
        slots += [Slot(f"l.{prefix}{'gamma' if norm else 'weight'}",
                       attribute(prefix + "weight"), rank),
                  Slot(f"l.{prefix}{'beta' if norm else 'bias'}",
                       attribute(prefix + "bias"), VECTOR)]
    write_case(name, Penalised(layer), slots, lambda m, x: (m(x), VECTOR),
               {"x": (shape, layout)}, lambda m: {}, lambda m: m, FEW)


def penalised_cases():
    penalised("penalty_conv", nn.Conv2d(2, 3, 3, padding=1), (2, 2, 4, 3), MAPS)
    penalised("penalty_conv4", nn.Conv2d(2, 3, 4, 2, 1), (2, 2, 6, 4), MAPS)
    penalised("penalty_transpose", nn.ConvTranspose2d(2, 3, 4, 2, 1), (2, 2, 2, 3), MAPS)
    penalised("penalty_upsample", Upsample(2, 3, 3, padding=1), (2, 2, 2, 3), MAPS)
    penalised("penalty_dense", nn.Linear(5, 4), (3, 5), ROWS, (("", ROWS),))
    penalised("penalty_attention", Attention(4), (2, 4, 2, 3), MAPS,
              (("norm.", VECTOR), ("q.", ROWS), ("k.", ROWS), ("v.", ROWS), ("out.", ROWS)))


if __name__ == "__main__":
    torch.manual_seed(20180213)
    batch_norm("batch_norm", nn.BatchNorm2d(3, **NORM), (3, 3, 2, 4), MAPS)
    batch_norm("batch_norm_rows", nn.BatchNorm1d(5, **NORM), (4, 5), ROWS)
    batch_norm("batch_norm_twice", nn.BatchNorm2d(2, **NORM), (2, 2, 3, 2), MAPS,
               twice=True)
    spectral_cases()
    conditional_case()
    penalty_cases()
    penalised_cases()
    write_safetensors(os.path.join(HERE, "gan_layers.safetensors"), TENSORS)
    print(len(TENSORS), "tensors")
