"""limn's family `vae` in PyTorch: the convolutional networks, the bound."""
import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from unet import GroupNorm, conv1x1, conv3x3

HALF_STEP = 1 / 255  # between two of 256 values from -1 to 1
LEAST_LOG_SCALE = -7.0


@dataclass(frozen=True)
class Preset:
    """As in src/families/vae.c, for sizes that can be halved at every level."""
    size: int
    colours: int
    batch: int
    base: int
    mult: tuple
    latent: int
    groups: int = 16
    lr: float = 2e-3
    clip: float = 1.0


PRESETS = {"vae": Preset(28, 1, 128, 32, (1, 2, 2), 16)}


class Block(nn.Module):
    def __init__(self, preset, channels, out):
        super().__init__()
        self.norm1 = GroupNorm(channels, preset.groups)
        self.conv1 = conv3x3(channels, out)
        self.norm2 = GroupNorm(out, preset.groups)
        self.conv2 = conv3x3(out, out)
        self.shortcut = conv1x1(channels, out) if channels != out else nn.Identity()

    def forward(self, x):
        h = self.conv1(F.silu(self.norm1(x)))
        return self.shortcut(x) + self.conv2(F.silu(self.norm2(h)))


class Encoder(nn.Module):
    def __init__(self, p):
        super().__init__()
        channels = [p.base * m for m in p.mult]
        self.first = conv3x3(p.colours, channels[0])
        self.level = nn.ModuleDict()
        for i, out in enumerate(channels):
            parts = nn.ModuleDict()
            if i:
                parts["halve"] = conv3x3(channels[i - 1], out, stride=2)
            parts["0"] = Block(p, out, out)
            self.level[str(i)] = parts
        self.norm = GroupNorm(channels[-1], p.groups)
        side = p.size >> (len(channels) - 1)
        self.posterior = nn.Linear(side * side * channels[-1], 2 * p.latent)

    def forward(self, x):
        x = self.first(x)
        for parts in self.level.values():
            for part in parts.values():
                x = part(x)
        x = F.silu(self.norm(x)).permute(0, 2, 3, 1).flatten(1)
        return self.posterior(x).chunk(2, dim=1)


class Decoder(nn.Module):
    def __init__(self, p, layout):
        super().__init__()
        channels = [p.base * m for m in p.mult]
        last, side = len(channels) - 1, p.size >> (len(channels) - 1)
        self.layout, self.shape = layout, (side, side, channels[-1])
        self.first = nn.Linear(p.latent, math.prod(self.shape))
        self.level = nn.ModuleDict()
        for i in reversed(range(len(channels))):
            parts = nn.ModuleDict()
            if i < last:
                parts["twice"] = conv3x3(channels[i + 1], channels[i])
            parts["0"] = Block(p, channels[i], channels[i])
            self.level[str(i)] = parts
        self.norm = GroupNorm(channels[0], p.groups)
        self.out = conv3x3(channels[0], p.colours)

    def forward(self, z):
        x = self.first(z).unflatten(1, self.shape).permute(0, 3, 1, 2)
        x = x.contiguous(memory_format=self.layout)
        for parts in self.level.values():
            if "twice" in parts:
                x = parts["twice"](F.interpolate(x, scale_factor=2.0, mode="nearest"))
            x = parts["0"](x)
        return self.out(F.silu(self.norm(x)))


class Vae(nn.Module):
    """Images of public functions are u8[N,H,W,C]; inside, all is f32[N,C,H,W]."""

    def __init__(self, preset, layout=torch.contiguous_format):
        super().__init__()
        self.preset, self.layout = preset, layout
        self.encoder, self.decoder = Encoder(preset), Decoder(preset, layout)
        self.tenth_log_scale = nn.Parameter(torch.zeros(1))

    def log_prob(self, mean, x):
        """Logistic distributions' shares of the steps around x; outer steps are open."""
        log_scale = F.softplus(10 * self.tenth_log_scale - LEAST_LOG_SCALE) + LEAST_LOG_SCALE
        sharp, difference = torch.exp(-log_scale), x - mean
        below = F.logsigmoid(sharp * (difference + HALF_STEP))
        above = F.logsigmoid(-sharp * (difference - HALF_STEP))
        both = below + above + torch.log(-torch.expm1(-2 * HALF_STEP * sharp))
        inner = torch.where(x < 1 - HALF_STEP, both, above)
        return torch.where(x < HALF_STEP - 1, below, inner).sum((1, 2, 3))

    def loss_at(self, images, eps):
        x = images.permute(0, 3, 1, 2).to(torch.float32, memory_format=self.layout)
        x = x * (1 / 127.5) - 1
        mean, log_variance = self.encoder(x)
        z = mean + torch.exp(log_variance / 2) * eps
        kl = (log_variance.exp() + mean.square() - log_variance - 1).sum(1) / 2
        return (kl - self.log_prob(self.decoder(z), x)).mean()

    def loss(self, images):
        return self.loss_at(images, torch.randn(len(images), self.preset.latent))
