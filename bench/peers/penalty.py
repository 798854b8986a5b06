"""The pair of README.md with penalties on D's gradient by images: PyTorch differentiates a
second time, through the graph of the first."""
import torch
import torch.nn.functional as F

import dcgan

LAMBDA, GAMMA = 10.0, 10.0
ROUNDING = 1e-12  # under the root, which has no slope at 0


def gradient_squares(logits, images):
    gradient, = torch.autograd.grad(logits.sum(), images, create_graph=True)
    return gradient.flatten(1).square().sum(1)


class WganGp(dcgan.Pair):
    """Gulrajani et al. 2017, with layer norm in D as they have it."""

    def __init__(self, layout=torch.contiguous_format):
        super().__init__(layout, norm=dcgan.layer_norm)

    def loss_d_at(self, real, z, share):
        with torch.no_grad():
            fake = self.generator(z, self.layout)
        between = torch.lerp(real, fake, share[:, None, None, None]).requires_grad_()
        squares = gradient_squares(self.discriminator(between), between)
        penalty = LAMBDA * ((squares + ROUNDING).sqrt() - 1).square().mean()
        return self.discriminator(fake).mean() - self.discriminator(real).mean() + penalty

    def loss_g_at(self, z):
        return -self.discriminator(self.generator(z, self.layout)).mean()

    def loss_d(self, images):
        z, share = torch.randn(len(images), dcgan.Z), torch.rand(len(images))
        return self.loss_d_at(self.signed(images), z, share)


class R1(dcgan.Pair):
    """Mescheder et al. 2018: the logits' own gradient on real images, D without norm."""

    def __init__(self, layout=torch.contiguous_format):
        super().__init__(layout, norm=None)

    def loss_d_at(self, real, z, share=None):
        with torch.no_grad():
            fake = self.generator(z, self.layout)
        real = real.detach().requires_grad_()
        on_real, on_fake = self.discriminator(real), self.discriminator(fake)
        penalty = GAMMA / 2 * gradient_squares(on_real, real).mean()
        return F.softplus(-on_real).mean() + F.softplus(on_fake).mean() + penalty


PAIRS = {"wgan-gp": WganGp, "r1": R1}
