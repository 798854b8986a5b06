#!/usr/bin/env python3
"""Times one work in one configuration of PyTorch, in a process of its own, and prints
one JSON object. Compiling happens in the steps that warm up and is not timed."""
import argparse
import json
import resource
import time

STARTED = time.monotonic()

import torch  # noqa: E402  (its import is part of what is measured)

import works  # noqa: E402

# name: (layout, compiled)
CONFIGURATIONS = {
    "eager": (torch.contiguous_format, False),
    "eager-nhwc": (torch.channels_last, False),
    "compile": (torch.contiguous_format, True),
    "compile-nhwc": (torch.channels_last, True),
}


def peak_bytes():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def timed(function):
    began = time.perf_counter()
    function()
    return time.perf_counter() - began


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", help="one of plan.py's")
    parser.add_argument("--configuration", choices=CONFIGURATIONS, default="eager")
    parser.add_argument("--batch", type=int, default=0, help="images a step [the work's]")
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--warmup", type=int, default=2)
    parser.add_argument("--sample", type=int, default=0, help="steps of DDIM, 0: none")
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    result = {"import_bytes": peak_bytes(), "import_seconds": time.monotonic() - STARTED}
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    layout, compiled = CONFIGURATIONS[arguments.configuration]
    work = works.make(arguments.work, arguments.batch, layout, compiled)
    result["batch"] = work.batch
    result["parameters"] = sum(p.numel() for p in work.model.parameters())
    result["first_step_at"] = time.monotonic()
    result["warmup_seconds"] = [timed(work.step) for _ in range(arguments.warmup)]
    result["step_seconds"] = [timed(work.step) for _ in range(arguments.steps)]
    result["peak_bytes"] = peak_bytes()
    if arguments.sample:
        draw = work.sampler(arguments.sample)
        draw(1)
        result["sample_seconds"] = timed(draw)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
