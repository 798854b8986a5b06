#!/usr/bin/env python3
"""limn and PyTorch in turns on the same models: ratios of speed and memory.

Needs torch, numpy and safetensors; `./dev bench peers` brings them. One heavy process
runs at a time. The losses are compared first: without equal results no time counts."""
import argparse
import os
import sys
import tempfile
from statistics import median

import machine
import plan
import report
from limn import Limn
from output import publish, say
from peer import Peer, PeerError
from results import OURS, Results

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TOLERANCE = 1e-4  # relative
BUSY = 0.5  # load average


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--limn", default=os.path.join(ROOT, "build", "limn"))
    parser.add_argument("--only", default=",".join(plan.DEFAULT), metavar="WORK,..",
                        help=f"of {', '.join(plan.WORKS)} [%(default)s]")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--quick", action="store_true",
                        help="one round of two steps, without torch.compile")
    parser.add_argument("--every", action="store_true",
                        help="all configurations in all rounds, also the slow ones")
    parser.add_argument("--out", metavar="FILE", help="write the report there, too")
    arguments = parser.parse_args()
    names = arguments.only.split(",")
    unknown = [name for name in names if name not in plan.WORKS]
    if unknown:
        parser.error(f"--only: {unknown[0]} is not one of {', '.join(plan.WORKS)}")
    arguments.works = [plan.WORKS[name] for name in names]
    if arguments.quick:
        arguments.rounds = 1
        arguments.works = [work.shortened() for work in arguments.works]
    return arguments


def compare_losses(limn, peer, works):
    """Rows (work, loss, ours, theirs, relative difference)."""
    checks = []
    with tempfile.TemporaryDirectory() as folder:
        for work in works:
            path = os.path.join(folder, work.name + ".safetensors")
            limn.export(work.model, work.check_batch, path)
            for name, (ours, theirs) in peer.losses(work.name, path).items():
                difference = abs(ours - theirs) / abs(theirs)
                checks.append((work.title, name, ours, theirs, difference))
    if not all(check[-1] <= TOLERANCE for check in checks):
        raise RuntimeError(f"the losses differ\n{report.losses_table(checks)}")
    return checks


def time_startup(arguments, limn, peer):
    """Seconds to the first step, ours and theirs."""
    work = plan.WORKS[plan.STARTUP]
    ours, theirs = [], []
    for _ in range(arguments.rounds):
        ours.append(limn.startup_seconds(work.model))
        theirs.append(peer.startup_seconds(work.name, work.batch))
    return median(ours), median(theirs)


def run_round(limn, peer, results, configurations):
    work, measured = results.work, {}
    say(f"  {work.name}: {OURS}")
    measured[OURS] = limn.measure(work.model, work.batch, work.steps, work.ddim)
    for name in configurations:
        say(f"  {work.name}: PyTorch {name}")
        try:
            measured[name] = peer.measure(work.name, name, work.batch, work.steps,
                                          work.ddim)
        except PeerError as error:  # torch.compile needs more than PyTorch alone
            say(f"  {work.name}: PyTorch {name} is left out: {error}")
            results.failed.append(name)
            continue
        if measured[name]["parameters"] != measured[OURS]["parameters"]:
            raise RuntimeError(f"{work.name}: the two models differ in parameters")
    if len(measured) < 2:
        raise RuntimeError(f"{work.name}: PyTorch fails in every configuration")
    results.rounds.append(measured)


def choose(arguments, results):
    if arguments.quick:
        return plan.EAGER
    chosen = plan.CONFIGURATIONS if arguments.every else results.contenders()
    return [name for name in chosen if name not in results.failed]


def measure(arguments, limn, peer):
    all_results = [Results(work) for work in arguments.works]
    for i in range(arguments.rounds):
        say(f"round {i + 1} of {arguments.rounds}, load {machine.load():.1f}")
        for results in all_results:
            run_round(limn, peer, results, choose(arguments, results))
    return all_results


def main():
    arguments = parse_arguments()
    limn, peer = Limn(arguments.limn, arguments.threads), Peer(arguments.threads)
    load = machine.load()
    if load > BUSY:
        say(f"the machine is busy (load {load:.1f}): the numbers will be poor")
    facts = machine.describe(limn.doctor(), peer.version(), arguments.threads, ROOT)
    facts.append(f"load before the start {load:.2f}; rounds: {arguments.rounds}")
    say("comparing losses and startup")
    checks = compare_losses(limn, peer, arguments.works)
    starts = time_startup(arguments, limn, peer)
    text = report.whole(facts, checks, starts, measure(arguments, limn, peer))
    publish(text, arguments.out)


if __name__ == "__main__":
    try:
        main()
    except (OSError, RuntimeError) as error:
        sys.exit(f"peers: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
