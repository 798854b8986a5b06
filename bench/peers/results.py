"""Collects the measurements of all rounds and answers for the tables."""
from dataclasses import dataclass
from statistics import median

import plan

OURS = "limn"
# After the first round, configurations this far behind the fastest are left out.
FAR_BEHIND = 1.15


@dataclass(frozen=True)
class Ratio:
    median: float
    low: float
    high: float


def training_speed(work, measured):
    return measured["batch"] / median(measured["step_seconds"])


def sampling_speed(work, measured):
    whole = measured["sample_seconds"] * plan.DDIM_STEPS / work.ddim
    return plan.DDIM_IMAGES / whole


def speeds_of(work):
    """Names and functions of what a work is measured by."""
    yield "training step", training_speed
    if work.ddim:
        yield "DDIM", sampling_speed


class Results:
    def __init__(self, work):
        self.work = work
        self.rounds = []  # each {configuration: measured}
        self.failed = []  # configurations that did not run

    def configurations(self):
        return [name for name in self.rounds[0] if name != OURS]

    def of(self, name):
        return [measured[name] for measured in self.rounds if name in measured]

    def speed(self, name, speed):
        return median(speed(self.work, measured) for measured in self.of(name))

    def best(self, speed):
        """The peer's fastest configuration, by its median."""
        return max(self.configurations(), key=lambda name: self.speed(name, speed))

    def ratio(self, speed):
        """Ours over the fastest peer of the same round."""
        ratios = []
        for measured in self.rounds:
            speeds = {name: speed(self.work, values) for name, values in measured.items()}
            ours = speeds.pop(OURS)
            ratios.append(ours / max(speeds.values()))
        return Ratio(median(ratios), min(ratios), max(ratios))

    def contenders(self):
        """Configurations that may still be the fastest in training or in sampling."""
        if not self.rounds:
            return plan.CONFIGURATIONS
        near = set()
        for _, speed in speeds_of(self.work):
            fastest = self.speed(self.best(speed), speed)
            near |= {name for name in self.configurations()
                     if self.speed(name, speed) * FAR_BEHIND >= fastest}
        return [name for name in self.configurations() if name in near]

    def peak(self, name):
        """Most of all rounds, in bytes."""
        return max(measured["peak_bytes"] for measured in self.of(name))

    def peak_beyond_import(self, name):
        return max(measured["peak_bytes"] - measured["import_bytes"]
                   for measured in self.of(name))
