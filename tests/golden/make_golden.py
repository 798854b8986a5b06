#!/usr/bin/env python3
"""Makes layers.safetensors, unet.safetensors and conditional.safetensors beside this file,
with PyTorch in float64.

Needs torch (1.13 or later) and nothing else. Inputs and weights are exact in float32.
Constants that limn keeps in float32 (attention's scale, frequencies, noise levels, the
optimizer's numbers) are rounded here too, so that everything else can agree to 1e-9.
Activations are NHWC and weights OHWI, as in limn; names are limn's.

layers.safetensors, per case: CASE/in/NAME, CASE/w/NAME, CASE/y, the cotangent CASE/g, and
the gradients CASE/din/NAME and CASE/dw/NAME of sum(y * g).
unet.safetensors: x, t, noise, w/NAME, noisy, epsilon, loss, dw/NAME of a small DDPM; then
five AdamW steps: losses, norms, and final/NAME and ema/NAME.
conditional.safetensors: the same of one level with labels (-1: none), some of the
gradients, and a prediction with guidance at one time for all.
"""
import json
import math
import os
import struct

import torch
import torch.nn.functional as F

HERE = os.path.dirname(os.path.abspath(__file__))
FORMATS = {torch.float64: ("F64", "d"), torch.float32: ("F32", "f"), torch.int32: ("I32", "i")}


def write_safetensors(path, tensors):
    header, chunks, at = {}, [], 0
    for name, tensor in tensors.items():
        text, code = FORMATS[tensor.dtype]
        values = tensor.detach().reshape(-1).tolist()
        data = struct.pack("<%d%s" % (len(values), code), *values)
        header[name] = {"dtype": text, "shape": list(tensor.shape),
                        "data_offsets": [at, at + len(data)]}
        chunks.append(data)
        at += len(data)
    head = json.dumps(header, separators=(",", ":")).encode()
    head += b" " * (-len(head) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(head)) + head + b"".join(chunks))


def float32(value):
    return struct.unpack("<f", struct.pack("<f", value))[0]


def rounded(tensor):
    """To the nearest float32, kept as float64."""
    return tensor.float().double()


def normal(*shape, scale=1.0):
    return rounded(torch.randn(*shape, dtype=torch.float64) * scale)


# ---- layers, NHWC ---------------------------------------------------------------------

def dense(x, w, b=None):
    return F.linear(x, w, b)


def conv(x, w, b=None, stride=1, pad=0, pad_extra=0):
    hi = pad + pad_extra
    x = F.pad(x.permute(0, 3, 1, 2), (pad, hi, pad, hi))
    return F.conv2d(x, w.permute(0, 3, 1, 2), b, stride).permute(0, 2, 3, 1)


def group_norm(x, gamma, beta, groups, eps=1e-6, silu=False):
    y = F.group_norm(x.permute(0, 3, 1, 2), groups, gamma, beta, eps).permute(0, 2, 3, 1)
    return F.silu(y) if silu else y


def time_embedding(t, width, max_period=10000.0):
    half = width // 2
    i = torch.arange(half, dtype=torch.float64)
    frequency = rounded(torch.exp(-math.log(max_period) / max(half - 1, 1) * i))
    angle = t[:, None] * frequency[None, :]
    return torch.cat([angle.sin(), angle.cos()], dim=1)


def attention(x, p, name, heads, groups):
    n, h, w, c = x.shape
    y = group_norm(x, p(name + ".norm.gamma", c), p(name + ".norm.beta", c), groups)
    q, k, v = (dense(y, p(f"{name}.{m}.weight", c, c), p(f"{name}.{m}.bias", c))
               .reshape(n, h * w, heads, c // heads).transpose(1, 2) for m in "qkv")
    scores = q @ k.transpose(2, 3) * float32(1 / math.sqrt(c // heads))
    y = (scores.softmax(-1) @ v).transpose(1, 2).reshape(n, h, w, c)
    return x + dense(y, p(name + ".out.weight", c, c), p(name + ".out.bias", c))


def upsample(x, f):
    return x.repeat_interleave(f, 1).repeat_interleave(f, 2)


def avg_pool(x, f):
    return F.avg_pool2d(x.permute(0, 3, 1, 2), f).permute(0, 2, 3, 1)


def space_to_depth(x, f):
    n, h, w, c = x.shape
    x = x.reshape(n, h // f, f, w // f, f, c).permute(0, 1, 3, 2, 4, 5)
    return x.reshape(n, h // f, w // f, f * f * c)


def depth_to_space(x, f):
    n, h, w, c = x.shape
    x = x.reshape(n, h, w, f, f, c // (f * f)).permute(0, 1, 3, 2, 4, 5)
    return x.reshape(n, h * f, w * f, c // (f * f))


class Parameters:
    """Weights by name, made when first asked for; gammas near 1."""

    def __init__(self):
        self.tensors = {}

    def __call__(self, name, *shape):
        if name not in self.tensors:
            fan = max(math.prod(shape[1:]), 1) if len(shape) > 1 else 10
            value = normal(*shape, scale=fan ** -0.5)
            if name.endswith("gamma"):
                value = rounded(1 + value)
            if name.endswith("tenth_log_scale"):
                value = rounded(value / 10)
            self.tensors[name] = value.requires_grad_()
        return self.tensors[name]


CASES = {}


def case(name, function, **inputs):
    p = Parameters()
    for tensor in inputs.values():
        if tensor.dtype == torch.float64:
            tensor.requires_grad_()
    y = function(p, **inputs)
    g = normal(*y.shape)
    (y * g).sum().backward()
    kept = CASES
    for key, tensor in inputs.items():
        integer = tensor.dtype == torch.int32
        kept[f"{name}/in/{key}"] = tensor if integer else tensor.float()
        if not integer:
            kept[f"{name}/din/{key}"] = tensor.grad
    for key, tensor in p.tensors.items():
        kept[f"{name}/w/{key}"] = tensor.float()
        kept[f"{name}/dw/{key}"] = tensor.grad
    kept[f"{name}/y"], kept[f"{name}/g"] = y, g.float()


def conv_case(name, out, kernel, bias=True, shape=(2, 7, 6, 3), **how):
    def build(p, x):
        w = p("l.weight", out, kernel, kernel, x.shape[3])
        return conv(x, w, p("l.bias", out) if bias else None, **how)
    case(name, build, x=normal(*shape))


def norm_case(name, groups, silu, shape):
    case(name, lambda p, x: group_norm(x, p("l.gamma", shape[3]), p("l.beta", shape[3]),
                                       groups, silu=silu), x=normal(*shape, scale=2))


def layer_cases():
    case("dense", lambda p, x: dense(x, p("l.weight", 7, 5), p("l.bias", 7)), x=normal(3, 5))
    case("dense_nobias", lambda p, x: dense(x, p("l.weight", 3, 5)), x=normal(2, 3, 1, 5))
    conv_case("conv3", 5, 3, pad=1)
    conv_case("conv1", 4, 1, bias=False)
    conv_case("conv5_stride2", 3, 5, stride=2, pad=2)
    conv_case("conv3_same2", 6, 3, stride=2, pad_extra=1, shape=(2, 8, 6, 3))
    norm_case("group_norm", 3, False, (2, 5, 3, 12))
    norm_case("group_norm_silu", 4, True, (3, 3, 4, 8))
    case("layer_norm", lambda p, x: F.layer_norm(x, (11,), p("l.gamma", 11), p("l.beta", 11),
                                                 1e-5), x=normal(2, 3, 11))
    case("attention", lambda p, x: attention(x, p, "l", 1, 2), x=normal(2, 3, 5, 4))
    case("attention_heads", lambda p, x: attention(x, p, "l", 3, 1), x=normal(2, 4, 2, 6))
    case("embedding", lambda p, index: p("l.weight", 6, 5)[index.long()],
         index=torch.tensor([3, 0, 3, 5], dtype=torch.int32))
    case("time_embedding", lambda p, t: time_embedding(t, 10),
         t=torch.tensor([0.0, 1.0, 7.5, 999.0], dtype=torch.float64))
    case("upsample", lambda p, x: upsample(x, 2), x=normal(2, 3, 4, 5))
    case("avg_pool", lambda p, x: avg_pool(x, 3), x=normal(2, 6, 3, 4))
    case("space_to_depth", lambda p, x: space_to_depth(x, 2), x=normal(2, 4, 6, 3))
    case("depth_to_space", lambda p, x: depth_to_space(x, 2), x=normal(2, 3, 2, 12))
    case("dropout_off", lambda p, x: x * 1.0, x=normal(3, 4))
    case("mse", lambda p, a, b: F.mse_loss(a, b).reshape(1), a=normal(3, 4, 2),
         b=normal(3, 4, 2))


# ---- a small DDPM -----------------------------------------------------------------------

BASE, MULT, BLOCKS, ATTENTION, HEADS, GROUPS = 4, (1, 2), 1, 4, 2, 2
SIZE, COLOURS, BATCH, TIMESTEPS = 8, 3, 2, 50


class UNet:
    def __init__(self, p, mult=MULT, attention=ATTENTION, classes=0):
        self.p, self.mult, self.attention, self.classes = p, mult, attention, classes

    def dense(self, name, x, out):
        return dense(x, self.p(name + ".weight", out, x.shape[-1]), self.p(name + ".bias", out))

    def conv(self, name, x, out, **how):
        w = self.p(name + ".weight", out, 3, 3, x.shape[3])
        return conv(x, w, self.p(name + ".bias", out), **how)

    def norm(self, name, x):
        c = x.shape[3]
        return group_norm(x, self.p(name + ".gamma", c), self.p(name + ".beta", c), GROUPS,
                          silu=True)

    def block(self, name, x, condition, out):
        h = self.conv(name + ".conv1", self.norm(name + ".norm1", x), out, pad=1)
        h = h + self.dense(name + ".condition", F.silu(condition), out)[:, None, None, :]
        h = self.conv(name + ".conv2", self.norm(name + ".norm2", h), out, pad=1)
        return h + (x if x.shape[3] == out else self.dense(name + ".shortcut", x, out))

    def stage(self, name, x, condition, out):
        x = self.block(name + ".block", x, condition, out)
        if x.shape[1] == self.attention:
            x = attention(x, self.p, name + ".attention", HEADS, GROUPS)
        return x

    def __call__(self, x, t, labels=None):
        mult = self.mult
        e = time_embedding(t, BASE)
        e = self.dense("unet.time.2", F.silu(self.dense("unet.time.1", e, 4 * BASE)), 4 * BASE)
        if self.classes:
            table = self.p("unet.class.weight", self.classes + 1, 4 * BASE)
            e = e + table[torch.where(labels < 0, self.classes, labels).long()]
        x = self.conv("unet.in", x, BASE, pad=1)
        skips, last = [x], len(mult) - 1
        for level in range(len(mult)):
            for i in range(BLOCKS):
                x = self.stage(f"unet.down.{level}.{i}", x, e, BASE * mult[level])
                skips.append(x)
            if level < last:
                x = self.conv(f"unet.down.{level}.halve", x, x.shape[3], stride=2, pad_extra=1)
                skips.append(x)
        x = self.block("unet.middle.block1", x, e, BASE * mult[last])
        if self.attention:
            x = attention(x, self.p, "unet.middle.attention", HEADS, GROUPS)
        x = self.block("unet.middle.block2", x, e, BASE * mult[last])
        for level in reversed(range(len(mult))):
            for i in range(BLOCKS + 1):
                x = torch.cat([x, skips.pop()], dim=3)
                x = self.stage(f"unet.up.{level}.{i}", x, e, BASE * mult[level])
            if level > 0:
                x = self.conv(f"unet.up.{level}.double", upsample(x, 2), x.shape[3], pad=1)
        return self.conv("unet.out.conv", self.norm("unet.out.norm", x), COLOURS, pad=1)


def cosine_alpha_bars(count, s=0.008):
    def level(u):
        return math.cos((u + s) / (1 + s) * math.pi / 2) ** 2
    product, bars = 1.0, []
    for i in range(count):
        product *= 1 - min(1 - level((i + 1) / count) / level(i / count), 0.999)
        bars.append(product)
    return torch.tensor(bars, dtype=torch.float64)


def ddpm_loss(net, x, t, noise, *labels):
    bars = cosine_alpha_bars(TIMESTEPS)[t.long()][:, None, None, None]
    noisy = rounded(bars.sqrt()) * x + rounded((1 - bars).sqrt()) * noise
    epsilon = net(noisy, t.double(), *labels)
    return noisy, epsilon, F.mse_loss(epsilon, noise)


LR, BETA1, BETA2, EPS, DECAY, CLIP, EMA = 3e-3, 0.9, 0.99, 1e-5, 0.02, 1.0, 0.75


def adamw_steps(loss_of, tensors, steps):
    """AdamW as torch's, with the step's numbers rounded to float32 as limn passes them."""
    p = [v.detach().clone().requires_grad_() for v in tensors]
    m = [torch.zeros_like(v) for v in p]
    v2 = [torch.zeros_like(v) for v in p]
    ema = [v.detach().clone() for v in p]
    losses, norms = [], []
    for step in range(1, steps + 1):
        loss = loss_of(p)
        grads = torch.autograd.grad(loss, p)
        norm = torch.sqrt(sum((g * g).sum() for g in grads))
        losses.append(loss.item())
        norms.append(norm.item())
        clip = min(1.0, CLIP / (norm.item() + 1e-6))
        lr, rate = float32(LR), float32(LR / (1 - BETA1 ** step))
        root = float32(1 / math.sqrt(1 - BETA2 ** step))
        with torch.no_grad():
            for i, g in enumerate(grads):
                m[i] += (1 - BETA1) * (g * clip - m[i])
                v2[i] += (1 - BETA2) * ((g * clip) ** 2 - v2[i])
                p[i] *= 1 - lr * DECAY
                p[i] -= rate * m[i] / (v2[i].sqrt() * root + EPS)
                ema[i] += float32(1 - EMA) * (p[i] - ema[i])
    return losses, norms, p, ema


def check_against_torch(loss_of, tensors, steps, ours):
    p = [v.detach().clone().requires_grad_() for v in tensors]
    optimizer = torch.optim.AdamW(p, lr=LR, betas=(BETA1, BETA2), eps=EPS, weight_decay=DECAY)
    for _ in range(steps):
        optimizer.zero_grad()
        loss_of(p).backward()
        torch.nn.utils.clip_grad_norm_(p, CLIP)
        optimizer.step()
    worst = max((a - b).abs().max().item() for a, b in zip(p, ours))
    assert worst < 1e-7, worst


def unet_case():
    p = Parameters()
    net = UNet(p)
    x = rounded(torch.rand(BATCH, SIZE, SIZE, COLOURS, dtype=torch.float64) * 2 - 1)
    noise = normal(BATCH, SIZE, SIZE, COLOURS)
    t = torch.tensor([3, 41], dtype=torch.int32)
    noisy, epsilon, loss = ddpm_loss(net, x, t, noise)
    names = list(p.tensors)
    grads = torch.autograd.grad(loss, [p.tensors[n] for n in names])

    def loss_of(values):
        stand_in = Parameters()
        stand_in.tensors = dict(zip(names, values))
        return ddpm_loss(UNet(stand_in), x, t, noise)[2]

    start = [p.tensors[n] for n in names]
    losses, norms, final, ema = adamw_steps(loss_of, start, 5)
    check_against_torch(loss_of, start, 5, final)
    print("losses", losses, "norms", norms, "parameters", sum(v.numel() for v in start))
    kept = {"x": x.float(), "t": t, "noise": noise.float(), "noisy": noisy,
            "epsilon": epsilon, "loss": loss.reshape(1),
            "losses": torch.tensor(losses, dtype=torch.float64),
            "norms": torch.tensor(norms, dtype=torch.float64)}
    for i, name in enumerate(names):
        kept["w/" + name], kept["dw/" + name] = start[i].float(), grads[i]
        kept["final/" + name], kept["ema/" + name] = final[i], ema[i]
    return kept


# Gradients that the labels reach, or what they reach passes.
CONDITIONAL_GRADIENTS = ("unet.class.weight", "unet.time.2.weight", "unet.time.1.bias",
                         "unet.middle.block1.condition.weight", "unet.out.conv.weight")
CLASSES, GUIDANCE, GUIDED_TIME = 3, 2.5, 7


def conditional_case():
    """Ho, Salimans 2022: the class is a row of a table, left out by the last of its rows."""
    p = Parameters()
    net = UNet(p, (1,), 0, CLASSES)
    x = rounded(torch.rand(4, SIZE, SIZE, COLOURS, dtype=torch.float64) * 2 - 1)
    noise = normal(4, SIZE, SIZE, COLOURS)
    t = torch.tensor([3, 41, 0, 20], dtype=torch.int32)
    labels = torch.tensor([2, -1, 0, 1], dtype=torch.int32)
    noisy, epsilon, loss = ddpm_loss(net, x, t, noise, labels)
    grads = torch.autograd.grad(loss, [p.tensors[n] for n in CONDITIONAL_GRADIENTS])
    at = torch.full((4,), GUIDED_TIME, dtype=torch.float64)
    none = net(noisy, at, torch.full((4,), -1, dtype=torch.int32))
    guided = none + GUIDANCE * (net(noisy, at, labels) - none)
    kept = {"x": x.float(), "t": t, "noise": noise.float(), "labels": labels, "noisy": noisy,
            "epsilon": epsilon, "loss": loss.reshape(1), "guided": guided}
    for name, tensor in p.tensors.items():
        kept["w/" + name] = tensor.detach().float()
    for name, grad in zip(CONDITIONAL_GRADIENTS, grads):
        kept["dw/" + name] = grad
    return kept


if __name__ == "__main__":
    torch.manual_seed(20200619)
    layer_cases()
    write_safetensors(os.path.join(HERE, "layers.safetensors"), CASES)
    write_safetensors(os.path.join(HERE, "unet.safetensors"), unet_case())
    write_safetensors(os.path.join(HERE, "conditional.safetensors"), conditional_case())
