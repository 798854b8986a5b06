"""The DCGAN-shaped pair of README.md."""
import torch
import torch.nn.functional as F
from torch import nn

Z, BATCH, SIZE, COLOURS = 128, 128, 32, 3
LR, BETAS, SLOPE = 2e-4, (0.5, 0.999), 0.2


def up(channels, out, bias=False):
    return nn.ConvTranspose2d(channels, out, 4, stride=2, padding=1, bias=bias)


def down(channels, out, bias=False):
    return nn.Conv2d(channels, out, 4, stride=2, padding=1, bias=bias)


def batch_norm(channels, kept=False):
    return nn.BatchNorm2d(channels, track_running_stats=kept)


def layer_norm(channels):
    return nn.GroupNorm(1, channels)


class Generator(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(Z, 4 * 4 * 256, bias=False)
        self.norm0 = batch_norm(256, kept=True)
        self.up1, self.norm1 = up(256, 128), batch_norm(128, kept=True)
        self.up2, self.norm2 = up(128, 64), batch_norm(64, kept=True)
        self.up3 = up(64, COLOURS, bias=True)

    def forward(self, z, layout):
        x = self.first(z).unflatten(1, (4, 4, 256)).permute(0, 3, 1, 2)
        x = F.relu(self.norm0(x.contiguous(memory_format=layout)))
        x = F.relu(self.norm1(self.up1(x)))
        x = F.relu(self.norm2(self.up2(x)))
        return torch.tanh(self.up3(x))


class Discriminator(nn.Module):
    """norm: of channels, or None, and then convolutions have biases."""

    def __init__(self, norm):
        super().__init__()
        bias, norm = norm is None, norm or (lambda channels: nn.Identity())
        self.down1 = down(COLOURS, 64, bias=True)
        self.down2, self.norm2 = down(64, 128, bias), norm(128)
        self.down3, self.norm3 = down(128, 256, bias), norm(256)
        self.out = nn.Conv2d(256, 1, 4)

    def forward(self, x):
        x = F.leaky_relu(self.down1(x), SLOPE)
        x = F.leaky_relu(self.norm2(self.down2(x)), SLOPE)
        x = F.leaky_relu(self.norm3(self.down3(x)), SLOPE)
        return self.out(x).flatten()


class Pair(nn.Module):
    def __init__(self, layout=torch.contiguous_format, norm=batch_norm):
        super().__init__()
        self.layout = layout
        self.generator, self.discriminator = Generator(), Discriminator(norm)
        for name, value in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(value)
            elif "norm" not in name:
                nn.init.normal_(value, std=0.02)

    def loss_d_at(self, real, z):
        with torch.no_grad():
            fake = self.generator(z, self.layout)
        on_real, on_fake = self.discriminator(real), self.discriminator(fake)
        return F.softplus(-on_real).mean() + F.softplus(on_fake).mean()

    def loss_g_at(self, z):
        return F.softplus(-self.discriminator(self.generator(z, self.layout))).mean()

    def signed(self, images):
        real = images.permute(0, 3, 1, 2).to(torch.float32, memory_format=self.layout)
        return real * (1 / 127.5) - 1

    def loss_d(self, images):
        return self.loss_d_at(self.signed(images), torch.randn(len(images), Z))

    def loss_g(self, images):
        return self.loss_g_at(torch.randn(len(images), Z))
