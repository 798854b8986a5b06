"""The U-Net of Ho et al. 2020 as limn builds it; submodules carry limn's names."""
import math

import torch
import torch.nn.functional as F
from torch import nn

NORM_EPS = 1e-6


def conv3x3(channels, out, stride=1, pad=1):
    return nn.Conv2d(channels, out, 3, stride=stride, padding=pad)


def conv1x1(channels, out):
    return nn.Conv2d(channels, out, 1)


class GroupNorm(nn.GroupNorm):
    """With as many groups, at most `groups`, as divide the channels."""

    def __init__(self, channels, groups):
        while channels % groups:
            groups -= 1
        super().__init__(groups, channels, eps=NORM_EPS)


class Block(nn.Module):
    def __init__(self, spec, channels, out):
        super().__init__()
        self.norm1 = GroupNorm(channels, spec.groups)
        self.conv1 = conv3x3(channels, out)
        self.condition = nn.Linear(4 * spec.base, out)
        self.norm2 = GroupNorm(out, spec.groups)
        self.dropout = nn.Dropout(spec.dropout) if spec.dropout else nn.Identity()
        self.conv2 = conv3x3(out, out)
        self.shortcut = conv1x1(channels, out) if channels != out else nn.Identity()

    def forward(self, x, condition):
        h = self.conv1(F.silu(self.norm1(x)))
        h = h + self.condition(condition)[:, :, None, None]
        h = self.conv2(self.dropout(F.silu(self.norm2(h))))
        return self.shortcut(x) + h


class Attention(nn.Module):
    def __init__(self, spec, channels):
        super().__init__()
        self.heads = spec.heads
        self.norm = GroupNorm(channels, spec.groups)
        self.q, self.k, self.v, self.out = (conv1x1(channels, channels) for _ in range(4))

    def split(self, x):
        """[N,C,H,W] to [N,heads,HW,C/heads]."""
        return x.flatten(2).unflatten(1, (self.heads, -1)).transpose(2, 3)

    def forward(self, x):
        h = self.norm(x)
        q, k, v = self.split(self.q(h)), self.split(self.k(h)), self.split(self.v(h))
        y = F.scaled_dot_product_attention(q, k, v)
        return x + self.out(y.transpose(2, 3).reshape(x.shape))


class Stage(nn.Module):
    """A residual block, and attention where the resolution asks for it."""

    def __init__(self, spec, channels, out, attends):
        super().__init__()
        self.block = Block(spec, channels, out)
        self.attention = Attention(spec, out) if attends else nn.Identity()

    def forward(self, x, condition):
        return self.attention(self.block(x, condition))


class UNet(nn.Module):
    """x[N,C,H,W] and t[N] to [N,C,H,W]. `height` is that of x."""

    def __init__(self, spec, colours, height):
        super().__init__()
        self.spec = spec
        base, self.levels = spec.base, range(len(spec.mult))
        self.time = nn.ModuleDict({"1": nn.Linear(base, 4 * base),
                                   "2": nn.Linear(4 * base, 4 * base)})
        self.first = conv3x3(colours, base)
        skips = self.build_down(base, height)
        wide = base * spec.mult[-1]
        self.middle = nn.ModuleDict({"block1": Block(spec, wide, wide)})
        if spec.attention:
            self.middle["attention"] = Attention(spec, wide)
        self.middle["block2"] = Block(spec, wide, wide)
        self.build_up(skips, wide, height)
        self.out = nn.ModuleDict({"norm": GroupNorm(base * spec.mult[0], spec.groups),
                                  "conv": conv3x3(base * spec.mult[0], colours)})
        half = base // 2
        steps = torch.arange(half, dtype=torch.float64) / max(half - 1, 1)
        self.register_buffer("frequency", torch.exp(-math.log(1e4) * steps).float(),
                             persistent=False)

    def build_down(self, channels, height):
        """Returns the channels of the skips, first to last."""
        spec, skips = self.spec, [channels]
        self.down = nn.ModuleDict()
        for level in self.levels:
            out, parts = spec.base * spec.mult[level], nn.ModuleDict()
            attends = height >> level in spec.attention
            for i in range(spec.blocks):
                parts[str(i)] = Stage(spec, channels, out, attends)
                channels = out
                skips.append(channels)
            if level < self.levels[-1]:
                parts["halve"] = conv3x3(channels, channels, stride=2, pad=0)
                skips.append(channels)
            self.down[str(level)] = parts
        return skips

    def build_up(self, skips, channels, height):
        spec = self.spec
        self.up = nn.ModuleDict()
        for level in reversed(self.levels):
            out, parts = spec.base * spec.mult[level], nn.ModuleDict()
            attends = height >> level in spec.attention
            for i in range(spec.blocks + 1):
                parts[str(i)] = Stage(spec, channels + skips.pop(), out, attends)
                channels = out
            if level > 0:
                parts["twice"] = conv3x3(channels, channels)
            self.up[str(level)] = parts

    def embed(self, t):
        angle = t.float()[:, None] * self.frequency
        h = torch.cat([angle.sin(), angle.cos()], dim=1)
        return self.time["2"](F.silu(self.time["1"](h)))

    def forward(self, x, t):
        condition = F.silu(self.embed(t))
        x = self.first(x)
        skips = [x]
        for level in self.levels:
            parts = self.down[str(level)]
            for i in range(self.spec.blocks):
                x = parts[str(i)](x, condition)
                skips.append(x)
            if level < self.levels[-1]:
                x = parts["halve"](F.pad(x, (0, 1, 0, 1)))
                skips.append(x)
        x = self.middle["block1"](x, condition)
        if self.spec.attention:
            x = self.middle["attention"](x)
        x = self.middle["block2"](x, condition)
        for level in reversed(self.levels):
            parts = self.up[str(level)]
            for i in range(self.spec.blocks + 1):
                x = parts[str(i)](torch.cat([x, skips.pop()], dim=1), condition)
            if level > 0:
                x = parts["twice"](F.interpolate(x, scale_factor=2.0, mode="nearest"))
        return self.out["conv"](F.silu(self.out["norm"](x)))
