#!/usr/bin/env python3
"""`limn bench metrics` and its Python peers in turns on the same features: ratios of time,
after a check that both find the same numbers. Each measurement is a process of its own;
reading features and importing are not counted.

Needs numpy, scipy, torch, pytorch-fid and prdc; `./dev bench metrics` brings them."""
import argparse
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from statistics import median

import machine
from output import publish, say, table

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
HEAD = ["metric", "limn, s", "peer", "s", "ratio", "of rounds", "goal",
        "of processor time", "limn, MB besides features", "processes, MB"]


# ---- peers -------------------------------------------------------------------------------
# Each reads two arrays of features and returns the value; it runs in a fresh process.


def fid_of_pytorch_fid(a, b):
    """As pytorch_fid.fid_score does from features to the number."""
    import numpy as np
    from pytorch_fid.fid_score import calculate_frechet_distance
    moments = [(np.mean(x, axis=0), np.cov(x, rowvar=False)) for x in (a, b)]
    return calculate_frechet_distance(*moments[0], *moments[1])


def manifold_of_prdc(a, b):
    """The sum of all four numbers."""
    import contextlib
    import io
    import prdc
    with contextlib.redirect_stdout(io.StringIO()):
        return sum(prdc.compute_prdc(a, b, 5).values())


# name in `limn bench metrics`, peer and its package, goal, how far values may be apart
COMPARISONS = [
    ("fid", fid_of_pytorch_fid, "pytorch-fid", 3.0, 1e-6),
    ("manifold", manifold_of_prdc, "prdc", 1.0, 1e-4),
]


def run_peer(name, paths):
    """In the child: imports first, then the clock."""
    import numpy as np
    peer = next(c[1] for c in COMPARISONS if c[0] == name)
    arrays = [np.load(path) for path in paths]
    peer(*(array[:64, :8] for array in arrays))  # imports, and what is made once
    began, cpu_began = time.perf_counter(), time.process_time()
    value = peer(*arrays)
    print(json.dumps({"value": float(value), "seconds": time.perf_counter() - began,
                      "cpu_seconds": time.process_time() - cpu_began}))


# ---- measuring -----------------------------------------------------------------------------


def write_features(paths, count, dim):
    import numpy as np
    for seed, path in enumerate(paths, 1):
        rng = np.random.default_rng(seed)
        x = rng.normal(0, 1 + seed / 8, (count, dim)) + rng.normal(0, 1, (count, 1))
        np.save(path, x.astype(np.float32))


def draw(folder, count, dim):
    """Two sets whose features hang together and differ. Drawn by a process of its own: what
    this one holds when it starts another counts as the other's memory."""
    paths = [os.path.join(folder, f"{seed}.npy") for seed in (1, 2)]
    drawing = multiprocessing.Process(target=write_features, args=(paths, count, dim))
    drawing.start()
    drawing.join()
    if drawing.exitcode:
        sys.exit(f"drawing features: exit status {drawing.exitcode}")
    return paths


def run(command, environment=None):
    """What it printed, and the most memory that its process had, in MB."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True) as child:
        text = child.stdout.read()
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        sys.exit(f"{command[0]}: exit status {child.returncode}")
    return text, usage.ru_maxrss / 1024


def measure_limn(limn, name, paths, threads):
    text, memory = run([limn, "bench", "metrics", *paths, "--only", name, "--json",
                        "--threads", str(threads)])
    report = json.loads(text)
    report["rows"][0]["process"] = memory
    return report["rows"][0], report["blas"]


def measure_peer(name, paths, threads):
    environment = dict(os.environ, OMP_NUM_THREADS=str(threads),
                       OPENBLAS_NUM_THREADS=str(threads), MKL_NUM_THREADS=str(threads))
    text, memory = run([sys.executable, os.path.abspath(__file__), "--peer", name, *paths],
                       environment)
    return dict(json.loads(text.splitlines()[-1]), process=memory)


def compare(comparison, limn, paths, rounds, threads):
    name, _, package, goal, apart = comparison
    ours, theirs, ratios, processors = [], [], [], []
    for _ in range(rounds):
        mine, blas = measure_limn(limn, name, paths, threads)
        other = measure_peer(name, paths, threads)
        say(f"{name}: {mine['seconds']:.2f} s, {package} {other['seconds']:.2f} s")
        if abs(mine["value"] - other["value"]) > apart * abs(other["value"]):
            sys.exit(f"{name}: {mine['value']!r}, by {package} {other['value']!r}")
        ours.append(mine["seconds"])
        theirs.append(other["seconds"])
        ratios.append(other["seconds"] / mine["seconds"])
        processors.append(other["cpu_seconds"] / mine["cpu_seconds"])
    reached = "reached" if median(ratios) >= goal else "missed"
    return [name, f"{median(ours):.2f}", package, f"{median(theirs):.2f}",
            f"{median(ratios):.2f}", f"{min(ratios):.2f} to {max(ratios):.2f}",
            f"{goal:.0f}, {reached}", f"{median(processors):.2f}", f"{mine['bytes'] / 1e6:.0f}",
            f"{mine['process']:.0f}, {other['process']:.0f}"], blas


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--limn", default=os.path.join(ROOT, "build", "limn"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--count", type=int, default=10000, help="features of each set")
    parser.add_argument("--dim", type=int, default=2048, help="their length")
    parser.add_argument("--only", metavar="METRIC", help="one of the table")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--out", metavar="FILE", help="write the report there, too")
    parser.add_argument("--peer", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.peer:
        run_peer(arguments.peer[0], arguments.peer[1:])
        return
    load = machine.load()
    with tempfile.TemporaryDirectory() as work:
        paths = draw(work, arguments.count, arguments.dim)
        results = [compare(c, arguments.limn, paths, arguments.rounds, arguments.threads)
                   for c in COMPARISONS if arguments.only in (None, c[0])]
    lines = ["# Distances between features", "",
             f"- {time.strftime('%Y-%m-%d %H:%M', time.gmtime())} UTC, {arguments.threads} "
             f"threads; {machine.system()}",
             f"- limn: commit {machine.commit(ROOT)}; {results[0][1]}; load before the start "
             f"{load:.2f}; rounds: {arguments.rounds}",
             f"- two sets of {arguments.count} features of length {arguments.dim}, real-valued "
             "and random; from features to the number", "",
             table(HEAD, [row for row, _ in results])]
    publish("\n".join(lines) + "\n", arguments.out)


if __name__ == "__main__":
    main()
