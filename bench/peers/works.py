"""The works that are timed: what one step is, and how to sample."""
import torch

import dcgan
import ddpm
import penalty
import vae
from updates import Update

EMA_DECAY = 0.999


def pixels(batch, size, colours):
    return torch.randint(256, (batch, size, size, colours), dtype=torch.uint8)


class DdpmWork:
    def __init__(self, preset, batch, layout, wrap):
        p = ddpm.PRESETS[preset]
        self.batch, self.wrap = batch or p.batch, wrap
        self.model = ddpm.Ddpm(p, layout).to(memory_format=layout)
        self.loss = wrap(self.model.loss)
        self.update = Update(self.model.parameters(), p.lr, clip=p.clip, ema=EMA_DECAY)
        self.images = pixels(self.batch, p.size, p.colours)

    def step(self):
        self.update.step(self.loss(self.images))

    def sampler(self, steps, count=64):
        """A function that draws `count` images by DDIM with the averaged weights."""
        self.update.use_average()
        self.model.eval()
        denoise = self.wrap(self.model.denoise)

        def draw(steps=steps):
            with torch.no_grad():
                return self.model.ddim(count, steps, denoise)
        return draw


class VaeWork:
    def __init__(self, preset, batch, layout, wrap):
        p = vae.PRESETS[preset]
        self.batch = batch or p.batch
        self.model = vae.Vae(p, layout).to(memory_format=layout)
        self.loss = wrap(self.model.loss)
        self.update = Update(self.model.parameters(), p.lr, clip=p.clip, ema=EMA_DECAY)
        self.images = pixels(self.batch, p.size, p.colours)

    def step(self):
        self.update.step(self.loss(self.images))


class DcganWork:
    def __init__(self, batch, layout, wrap):
        self.batch = batch or dcgan.BATCH
        self.model = dcgan.Pair(layout).to(memory_format=layout)
        self.loss_d, self.loss_g = wrap(self.model.loss_d), wrap(self.model.loss_g)
        how = {"lr": dcgan.LR, "betas": dcgan.BETAS}
        self.update_d = Update(self.model.discriminator.parameters(), **how)
        self.update_g = Update(self.model.generator.parameters(), ema=EMA_DECAY, **how)
        self.images = pixels(self.batch, dcgan.SIZE, dcgan.COLOURS)

    def step(self):
        # Without these switches G's update would work out D's gradients in vain.
        self.model.discriminator.requires_grad_(True)
        self.update_d.step(self.loss_d(self.images))
        self.model.discriminator.requires_grad_(False)
        self.update_g.step(self.loss_g(self.images))


class PenaltyWork:
    """D's update alone."""

    def __init__(self, name, batch, layout):
        self.batch = batch or dcgan.BATCH
        self.model = penalty.PAIRS[name](layout).to(memory_format=layout)
        self.update = Update(self.model.discriminator.parameters(), dcgan.LR, dcgan.BETAS)
        self.images = pixels(self.batch, dcgan.SIZE, dcgan.COLOURS)

    def step(self):
        self.update.step(self.model.loss_d(self.images))


def make(name, batch, layout, compiled):
    wrap = torch.compile if compiled else lambda function: function
    if name == "dcgan":
        return DcganWork(batch, layout, wrap)
    if name in penalty.PAIRS:
        if compiled:
            raise NotImplementedError("torch.compile cannot differentiate twice")
        return PenaltyWork(name, batch, layout)
    if name in vae.PRESETS:
        return VaeWork(name, batch, layout, wrap)
    return DdpmWork(name, batch, layout, wrap)
