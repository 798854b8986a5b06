#!/usr/bin/env python3
"""Makes gan_layers.safetensors beside this file with PyTorch in float64: layers that keep
something from step to step, for three steps of training and once more outside of it.

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
    grads = torch.autograd.grad((y * g).sum(), tensors + list(leaves.values()))
    for slot, grad in zip(slots, grads):
        TENSORS[f"{at}/dw/{slot.name}"] = slot.layout.to_limn(grad)
    for (name, (_, layout)), grad in zip(inputs.items(), grads[len(slots):]):
        TENSORS[f"{at}/din/{name}"] = layout.to_limn(grad)
    for name, value in changes(module).items():
        TENSORS[f"{at}/buffer/{name}"] = value.clone()


def write_case(name, module, slots, run, inputs, buffers, other):
    module.double().train()
    for key, value in buffers(module).items():
        TENSORS[f"{name}/start/{key}"] = value.clone()
    for step in STEPS:
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

def spectral(name, layer, layout, inputs, run, weight_at="l.weight", iterations=1):
    """The order of v follows that of the weight's axes without the one of `u`."""
    layer = parametrizations.spectral_norm(layer.double(), n_power_iterations=iterations)
    parts = layer.parametrizations.weight
    out = parts[0].dim
    with torch.no_grad():
        parts[0]._u.copy_(nn.functional.normalize(normal(*parts[0]._u.shape), dim=0))
        parts[0]._v.copy_(nn.functional.normalize(normal(*parts[0]._v.shape), dim=0))

    def vectors(module):
        norm, original = (module.parametrizations.weight[0],
                          module.parametrizations.weight.original)
        rest = [original.shape[i] for i in range(original.dim()) if i != out]
        order = [i for i in layout.order if i != out]
        v = norm._v.reshape(rest).permute([i - (i > out) for i in order])
        return {"l.u": norm._u.reshape(-1, 1), "l.v": v.reshape(-1, 1)}

    slots = [Slot(weight_at, lambda m: m.parametrizations.weight.original, layout)]
    if getattr(layer, "bias", None) is not None:
        slots.append(Slot("l.bias", lambda m: m.bias, VECTOR))
    kept = {}

    def changes(module):
        kept.setdefault("of", module)
        return vectors(kept["of"])

    write_case(name, layer, slots, run, inputs, changes, copy.deepcopy)


def spectral_cases():
    spectral("spectral_dense", nn.Linear(5, 4), ROWS, {"x": ((3, 5), ROWS)},
             lambda m, x: (m(x), ROWS))
    spectral("spectral_conv", nn.Conv2d(3, 4, 3, padding=1), MAPS, {"x": ((2, 3, 4, 5), MAPS)},
             lambda m, x: (m(x), MAPS))
    spectral("spectral_twice", nn.Conv2d(3, 2, 3, padding=1), MAPS,
             {"x": ((2, 3, 4, 4), MAPS)}, lambda m, x: (m(x), MAPS), iterations=2)
    spectral("spectral_conv_transpose", nn.ConvTranspose2d(3, 2, 4, 2, 1, bias=False), MAPS,
             {"x": ((2, 3, 2, 3), MAPS)}, lambda m, x: (m(x), MAPS))
    spectral("spectral_upsample_conv", nn.Conv2d(3, 2, 3, padding=1), MAPS,
             {"x": ((2, 3, 2, 3), MAPS)},
             lambda m, x: (m(x.repeat_interleave(2, 2).repeat_interleave(2, 3)), MAPS))
    spectral("spectral_embedding", nn.Embedding(4, 3), ROWS, {},
             lambda m: (m(torch.tensor([2, 0, 2])), ROWS))


if __name__ == "__main__":
    torch.manual_seed(20180213)
    batch_norm("batch_norm", nn.BatchNorm2d(3, **NORM), (3, 3, 2, 4), MAPS)
    batch_norm("batch_norm_rows", nn.BatchNorm1d(5, **NORM), (4, 5), ROWS)
    batch_norm("batch_norm_twice", nn.BatchNorm2d(2, **NORM), (2, 2, 3, 2), MAPS,
               twice=True)
    spectral_cases()
    write_safetensors(os.path.join(HERE, "gan_layers.safetensors"), TENSORS)
    print(len(TENSORS), "tensors")
