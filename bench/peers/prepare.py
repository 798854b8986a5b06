#!/usr/bin/env python3
"""`limn data prepare` and a plain Pillow script in turns on folders of JPEGs: ratios of
time and peak memory, after a check that both make the same images.

Needs Pillow and numpy; `./dev bench prepare` brings them."""
import argparse
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from statistics import median

import numpy
import PIL
from PIL import Image

import machine
from output import publish, say, table

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PILLOW = os.path.join(os.path.dirname(os.path.abspath(__file__)), "prepare_pillow.py")
GOAL = 2.0
LEVELS = 1  # that images may differ by
HEAD = ["JPEGs to 64 x 64", "limn, images/s", "Pillow", "ratio", "of rounds", "goal",
        "of processor time", "limn, peak MB", "Pillow", "levels apart at most, of samples"]


# ---- pictures --------------------------------------------------------------------------


def draw(number, width, height):
    """Smooth colours, edges and grain: compresses about as a photograph does."""
    rng = numpy.random.default_rng(number)
    small = rng.uniform(0, 255, (6, 6, 3)).astype(numpy.uint8)
    smooth = Image.fromarray(small).resize((width, height), Image.BICUBIC)
    pixels = numpy.asarray(smooth).astype(numpy.float32)
    y, x = numpy.mgrid[:height, :width]
    for _ in range(12):
        row, column = rng.uniform(0, height), rng.uniform(0, width)
        inside = (y - row) ** 2 + (x - column) ** 2 < rng.uniform(10, height / 5) ** 2
        pixels[inside] += rng.uniform(-80, 80, 3)
    pixels += rng.normal(0, 5, pixels.shape)
    return Image.fromarray(numpy.clip(pixels, 0, 255).astype(numpy.uint8))


def drawn(folder, count, width, height):
    os.makedirs(folder)
    for i in range(count):
        draw(i, width, height).save(os.path.join(folder, f"{i:05d}.jpg"), quality=90)
    return folder


def celeba(folder):
    """The aligned photographs as distributed, unpacked; None where they are not there."""
    data = os.environ.get("LIMN_DATA")
    archive = os.path.join(data or "", "celeba", "celebA-4000-89x109.tar.gz")
    if not os.path.exists(archive):
        return None
    with tarfile.open(archive) as file:
        file.extractall(folder, filter="data")
    return os.path.join(folder, "celebA")


# ---- measuring -------------------------------------------------------------------------


def tree(pid):
    """A process and all below it."""
    found = [pid]
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as file:
                for child in file.read().split():
                    found += tree(int(child))
    except OSError:
        pass
    return found


def private_bytes(pid):
    """What a process holds apart from files: its share of pages that are common."""
    try:
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
            return sum(int(line.split()[1]) * 1024 for line in file
                       if line.startswith("Pss_Anon:"))
    except OSError:
        return 0


def run(command):
    """Seconds from start to end, seconds of processors, and the most memory that all its
    processes held."""
    peak, done = 0, threading.Event()

    def watch(pid):
        nonlocal peak
        while not done.wait(0.02):
            peak = max(peak, sum(private_bytes(p) for p in tree(pid)))

    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    watcher = threading.Thread(target=watch, args=(process.pid,))
    watcher.start()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    done.set()
    watcher.join()
    if status:
        sys.exit(f"{command[0]} failed")
    return seconds, usage.ru_utime + usage.ru_stime, peak


def run_limn(limn, folder, out, options=()):
    shutil.rmtree(out, ignore_errors=True)
    return run([limn, "data", "prepare", folder, "--size", "64", "--out", out, "--quiet",
                *options])


def run_pillow(folder, out):
    return run([sys.executable, PILLOW, folder, out])


def differ(ours, theirs):
    """The most levels that a sample differs by, and the share of those that do."""
    a, b = numpy.load(os.path.join(ours, "images.npy")), numpy.load(theirs)
    difference = numpy.abs(a.astype(numpy.int16) - b)
    return int(difference.max()), float((difference > 0).mean())


# ---- the report ------------------------------------------------------------------------


def compare(limn, name, folder, rounds, work):
    count = len(os.listdir(folder))
    ours, theirs = os.path.join(work, "limn"), os.path.join(work, "pillow.npy")
    times = []
    for number in range(rounds + 1):  # the first brings the files into memory
        mine, other = run_limn(limn, folder, ours), run_pillow(folder, theirs)
        say(f"{name}: {mine[0]:.2f} s, Pillow {other[0]:.2f} s")
        if number:
            times.append((mine, other))
    levels, share = differ(ours, theirs)
    if levels > LEVELS:
        sys.exit(f"{name}: images differ by {levels} levels")
    ratios = [other[0] / mine[0] for mine, other in times]
    processors = median(other[1] / mine[1] for mine, other in times)
    mine = median(m[0] for m, _ in times)
    other = median(o[0] for _, o in times)
    return [name, f"{count / mine:.0f}", f"{count / other:.0f}", f"{median(ratios):.2f}",
            f"{min(ratios):.2f} to {max(ratios):.2f}",
            f"{GOAL:.0f}, {'reached' if median(ratios) >= GOAL else 'missed'}",
            f"{processors:.2f}",
            f"{max(m[2] for m, _ in times) / 1e6:.0f}",
            f"{max(o[2] for _, o in times) / 1e6:.0f}",
            f"{levels}, {100 * share:.2f} %"]


def memory(limn, folder, work):
    """Peaks for parts of a set: constant, if they are alike."""
    lines = []
    count = len(os.listdir(folder))
    for part in (count // 4, count // 2, count):
        out = os.path.join(work, f"part-{part}")
        peak = run_limn(limn, f"{folder}?limit={part}", out)[2]
        lines.append(f"{part} images {peak / 1e6:.1f} MB")
    return ", ".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--limn", default=os.path.join(ROOT, "build", "limn"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--images", type=int, default=4000, help="to draw of 178 x 218")
    parser.add_argument("--large", type=int, default=1000, help="to draw of 512 x 512")
    parser.add_argument("--out", metavar="FILE", help="write the report there, too")
    arguments = parser.parse_args()
    load = machine.load()
    with tempfile.TemporaryDirectory() as work:
        say("drawing")
        real = celeba(work)
        middle = drawn(os.path.join(work, "middle"), arguments.images, 178, 218)
        large = drawn(os.path.join(work, "large"), arguments.large, 512, 512)
        works = [("drawn, 178 x 218", middle), ("drawn, 512 x 512", large)]
        if real:
            works.insert(0, ("CelebA, 89 x 109", real))
        rows = [compare(arguments.limn, name, folder, arguments.rounds, work)
                for name, folder in works]
        peaks = memory(arguments.limn, middle, work)
    lines = ["# Preparing folders of JPEGs", "",
             f"- {time.strftime('%Y-%m-%d %H:%M', time.gmtime())} UTC, "
             f"{os.cpu_count()} cores; {machine.system()}",
             f"- limn: commit {machine.commit(ROOT)}; Pillow {PIL.__version__}, a process "
             f"a core; load before the start {load:.2f}; rounds: {arguments.rounds}",
             f"- memory of limn, parts of one folder: {peaks}", "", table(HEAD, rows)]
    publish("\n".join(lines) + "\n", arguments.out)


if __name__ == "__main__":
    main()
