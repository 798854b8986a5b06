"""limn's family `ddpm` in PyTorch: presets, loss, DDIM."""
import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from unet import UNet


@dataclass(frozen=True)
class Preset:
    """As in src/families/ddpm.c; `batch` is the one that is compared."""
    size: int
    colours: int
    batch: int
    base: int
    mult: tuple
    blocks: int
    attention: tuple
    heads: int = 1
    groups: int = 32
    dropout: float = 0.0
    patch: int = 1
    schedule: str = "cosine"
    predicts_v: bool = True
    lr: float = 1e-3
    clip: float = 1.0
    timesteps: int = 1000


PRESETS = {
    "tiny": Preset(28, 1, 64, 32, (1, 1), 1, (7, 8), patch=2, lr=2e-3),
    "mnist": Preset(28, 1, 128, 32, (1, 2, 2), 1, (7, 8)),
    "cifar10": Preset(32, 3, 32, 128, (1, 2, 2, 2), 2, (16,), dropout=0.1,
                      schedule="linear", predicts_v=False, lr=2e-4),
}


def cosine_level(share, s=0.008):
    return math.cos((share + s) / (1 + s) * math.pi / 2) ** 2


def alpha_bars(schedule, count):
    """Share of signal, in variance, after each noising step (a list of floats)."""
    product, bars = 1.0, []
    for i in range(count):
        if schedule == "linear":
            scale = 1000 / count
            beta = scale * (1e-4 + (0.02 - 1e-4) * i / (count - 1))
        else:
            beta = 1 - cosine_level((i + 1) / count) / cosine_level(i / count)
        product *= 1 - min(beta, 0.999)
        bars.append(product)
    return bars


def each(values):
    """[N] to [N,1,1,1]."""
    return values[:, None, None, None]


class Ddpm(nn.Module):
    """Images of public functions are u8[N,H,W,C]; inside, all is f32[N,C,H,W]."""

    def __init__(self, preset, layout=torch.contiguous_format):
        super().__init__()
        self.preset, self.layout = preset, layout
        # The two libraries order the channels of a patch alike for one colour only.
        assert preset.patch == 1 or preset.colours == 1
        self.unet = UNet(preset, preset.colours * preset.patch ** 2,
                         preset.size // preset.patch)
        self.levels = alpha_bars(preset.schedule, preset.timesteps)
        bars = torch.tensor(self.levels, dtype=torch.float64)
        self.register_buffer("signal", bars.sqrt().float(), persistent=False)
        self.register_buffer("spread", (1 - bars).sqrt().float(), persistent=False)

    def predict(self, x, t):
        patch = self.preset.patch
        if patch == 1:
            return self.unet(x, t)
        return F.pixel_shuffle(self.unet(F.pixel_unshuffle(x, patch), t), patch)

    def loss_at(self, x0, t, noise):
        signal, spread = each(self.signal[t]), each(self.spread[t])
        target = signal * noise - spread * x0 if self.preset.predicts_v else noise
        return F.mse_loss(self.predict(signal * x0 + spread * noise, t), target)

    def loss(self, images):
        x0 = images.permute(0, 3, 1, 2).to(torch.float32, memory_format=self.layout)
        x0 = x0 * (1 / 127.5) - 1
        t = torch.randint(self.preset.timesteps, (len(images),))
        return self.loss_at(x0, t, torch.randn_like(x0))

    def denoise(self, x, t, numbers):
        """One step of DDIM with eta 0 (Song et al. 2021, eq. 12)."""
        from_x, from_prediction, keep_x0, keep_x = numbers
        x0 = (from_x * x - from_prediction * self.predict(x, t)).clamp(-1, 1)
        return keep_x0 * x0 + keep_x * x

    def ddim_numbers(self, now, following):
        """Four numbers of the step from one level of signal to the following."""
        kept = math.sqrt(1 - following) / math.sqrt(1 - now)
        if self.preset.predicts_v:
            from_x, from_prediction = math.sqrt(now), math.sqrt(1 - now)
        else:
            from_x, from_prediction = 1 / math.sqrt(now), math.sqrt(1 / now - 1)
        return from_x, from_prediction, math.sqrt(following) - kept * math.sqrt(now), kept

    def ddim(self, count, steps, denoise=None):
        """`count` images in [-1,1]; `denoise` may be a compiled self.denoise."""
        denoise, p = denoise or self.denoise, self.preset
        times = [round(p.timesteps * (i + 1) / steps) - 1 for i in range(steps)]
        levels = [1.0] + [self.levels[t] for t in times]
        x = torch.randn(count, p.colours, p.size, p.size)
        x = x.contiguous(memory_format=self.layout)
        for i in reversed(range(steps)):
            numbers = torch.tensor(self.ddim_numbers(levels[i + 1], levels[i]))
            x = denoise(x, torch.full((count,), times[i]), numbers)
        return x.clamp(-1, 1)
