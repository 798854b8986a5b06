"""The works that are timed: what one step is, and how to sample."""
import torch

import dcgan
import ddpm
from updates import Update

EMA_DECAY = 0.999


class DdpmWork:
    def __init__(self, preset, batch, layout, compiled):
        p = self.preset = ddpm.PRESETS[preset]
        self.batch = batch or p.batch
        self.model = ddpm.Ddpm(p, layout).to(memory_format=layout)
        self.compile = torch.compile if compiled else lambda function: function
        self.loss = self.compile(self.model.loss)
        self.update = Update(self.model.parameters(), p.lr, clip=p.clip, ema=EMA_DECAY)
        self.images = torch.randint(256, (self.batch, p.size, p.size, p.colours),
                                    dtype=torch.uint8)

    def step(self):
        return self.update.step(self.loss(self.images))

    def sampler(self, steps, count=64):
        """A function that draws `count` images by DDIM with the averaged weights."""
        self.update.use_average()
        self.model.eval()
        denoise = self.compile(self.model.denoise)

        def draw(steps=steps):
            with torch.no_grad():
                return self.model.ddim(count, steps, denoise)
        return draw


class DcganWork:
    def __init__(self, batch, layout, compiled):
        self.batch = batch or dcgan.BATCH
        self.model = dcgan.Pair(layout).to(memory_format=layout)
        wrap = torch.compile if compiled else lambda function: function
        self.loss_d, self.loss_g = wrap(self.model.loss_d), wrap(self.model.loss_g)
        how = {"lr": dcgan.LR, "betas": dcgan.BETAS}
        self.update_d = Update(self.model.discriminator.parameters(), **how)
        self.update_g = Update(self.model.generator.parameters(), ema=EMA_DECAY, **how)
        self.images = torch.randint(256, (self.batch, dcgan.SIZE, dcgan.SIZE, dcgan.COLOURS),
                                    dtype=torch.uint8)

    def step(self):
        self.model.discriminator.requires_grad_(True)
        self.update_d.step(self.loss_d(self.images))
        self.model.discriminator.requires_grad_(False)
        return self.update_g.step(self.loss_g(self.images))


def make(name, batch, layout, compiled):
    if name == "dcgan":
        return DcganWork(batch, layout, compiled)
    return DdpmWork(name, batch, layout, compiled)
