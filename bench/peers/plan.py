"""What is compared, with how much work, and the goals."""
from dataclasses import dataclass

DDIM_STEPS, DDIM_IMAGES = 50, 64


@dataclass(frozen=True)
class Work:
    name: str
    title: str
    model: tuple  # limn's arguments for it
    batch: int
    steps: int  # timed in a round
    goal: float  # images/s over the peer's
    ddim: int = 0  # sampling steps timed in a round, 0: no sampling
    check_batch: int = 4

    def shortened(self):
        return Work(self.name, self.title, self.model, self.batch, min(self.steps, 2),
                    self.goal, min(self.ddim, 2), self.check_batch)


def ddpm(preset, batch, steps, ddim):
    return Work(preset, f"ddpm {preset}", ("ddpm", "--preset", preset), batch, steps, 2.5,
                ddim)


def penalty(name, title, *settings):
    arguments = [word for setting in settings for word in ("--set", setting)]
    return Work(name, title, ("gan", "--preset", "bench32", "--phase", "discriminator",
                              *arguments), 64, 5, 2.0, check_batch=8)


WORKS = {work.name: work for work in (
    ddpm("tiny", 64, 10, 10),
    ddpm("mnist", 128, 5, 10),
    ddpm("cifar10", 32, 2, 4),
    Work("dcgan", "DCGAN pair", ("gan", "--preset", "bench32"), 128, 10, 1.8, check_batch=8),
    penalty("wgan-gp", "WGAN-GP, D", "loss=wasserstein", "gp=10", "d-norm=layer"),
    penalty("r1", "R1, D", "r1=10", "d-norm=none"),
    Work("vae", "vae conv", ("vae", "--preset", "conv"), 128, 10, 2.0),
)}
DEFAULT = ("mnist", "cifar10", "dcgan", "wgan-gp", "r1", "vae")
STARTUP = "mnist"
MEMORY_GOAL = 0.5  # over the peer's memory beyond its import
STARTUP_GOAL = 0.5  # seconds
EAGER = ("eager", "eager-nhwc")
CONFIGURATIONS = EAGER + ("compile", "compile-nhwc")
