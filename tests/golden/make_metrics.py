#!/usr/bin/env python3
"""FID, KID and inception score of known features, by torch-fidelity, pytorch-fid and by
brute force:
    python3 tests/golden/make_metrics.py [--limn build/limn]
Needs numpy, scipy, torch, torch-fidelity and pytorch-fid. Features are drawn by a rule
that tests/metrics/test_golden.c repeats, or are pixels of builtin:digits and, with
$LIMN_DATA, of MNIST; only results are stored. Takes some minutes."""

import argparse
import json
import os
import subprocess
import tempfile

import numpy as np
import torch
from pytorch_fid.fid_score import calculate_frechet_distance
from scipy.linalg import svdvals
from torch_fidelity.metric_fid import fid_statistics_to_metric
from torch_fidelity.metric_isc import isc_features_to_metric
from torch_fidelity.metric_kid import kernel_mmd

FOLDER = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(FOLDER))


# ---- features ----------------------------------------------------------------------------


def philox(c0, c1, c2, c3, k0, k1):
    """Philox4x32-10 of arrays of counters."""
    low = np.uint64(0xFFFFFFFF)
    c0, c1, c2, c3 = (np.asarray(c, np.uint64) for c in (c0, c1, c2, c3))
    for _ in range(10):
        a, b = np.uint64(0xD2511F53) * c0, np.uint64(0xCD9E8D57) * c2
        c0, c1, c2, c3 = ((b >> np.uint64(32)) ^ c1 ^ np.uint64(k0), b & low,
                          (a >> np.uint64(32)) ^ c3 ^ np.uint64(k1), a & low)
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return np.stack([c0, c1, c2, c3], -1)


def uniform(seed, stream, rows, columns):
    """lm_rng_uniform for each row as sample: multiples of 2^-24 in [0, 1)."""
    blocks = (columns + 3) // 4
    element, sample = np.meshgrid(np.arange(blocks), np.arange(rows))
    zero = np.zeros_like(element)
    words = philox(element, sample, zero, zero + stream, seed, 0)
    words = words.reshape(rows, 4 * blocks)[:, :columns] >> np.uint64(8)
    return (words * 2.0 ** -24).astype(np.float32)


def draw(seed, rows, columns):
    """Groups of 32 features have a part in common; scales differ by feature and by seed,
    means by seed."""
    j = np.arange(columns)
    scale = (1 + (j % (5 + seed)) / np.float32(8)).astype(np.float32)
    common = uniform(seed, 1, rows, (columns + 31) // 32)[:, j // 32]
    return uniform(seed, 0, rows, columns) * scale + common + np.float32(seed / 16)


def logits(rows, classes):
    return 8 * uniform(3, 0, rows, classes)


def pixels(limn, spec, rows):
    """The first images of a set, as floats from 0 to 1."""
    with tempfile.TemporaryDirectory() as work:
        out = os.path.join(work, "set")
        subprocess.run([limn, "data", "prepare", spec, "--out", out, "--quiet"], check=True)
        for folder, _, files in os.walk(out):
            if "images.npy" in files:
                images = np.load(os.path.join(folder, "images.npy"))[:rows]
                return images.reshape(rows, -1).astype(np.float32) * np.float32(1 / 255)


# ---- values ------------------------------------------------------------------------------


def brute_fid(x, y):
    """By singular values of A B' where A'A and B'B are the covariances: nothing is squared,
    so the digits of small eigenvalues stay."""
    x, y = x.astype(np.float64), y.astype(np.float64)
    parts = []
    for z in x, y:
        z = (z - z.mean(0)) / np.sqrt(len(z) - 1)
        parts.append(np.linalg.qr(z, mode="r") if len(z) > z.shape[1] else z)
    step = x.mean(0) - y.mean(0)
    return float(step @ step + sum((p * p).sum() for p in parts)
                 - 2 * svdvals(parts[0] @ parts[1].T).sum())


def fid(x, y):
    stats = [{"mu": z.mean(0), "sigma": np.cov(z, rowvar=False)}
             for z in (x.astype(np.float64), y.astype(np.float64))]
    values = {"brute": brute_fid(x, y),
              "torch_fidelity": fid_statistics_to_metric(*stats, False)
              ["frechet_inception_distance"]}
    try:
        values["pytorch_fid"] = float(calculate_frechet_distance(
            stats[0]["mu"], stats[0]["sigma"], stats[1]["mu"], stats[1]["sigma"]))
    except ValueError as error:  # an imaginary part
        values["pytorch_fid"] = str(error)
    return values


def brute_kid(x, y):
    x, y = x.astype(np.float64), y.astype(np.float64)
    n, m = len(x), len(y)

    def kernel(a, b):
        return (a @ b.T / a.shape[1] + 1) ** 3

    xx, yy = kernel(x, x), kernel(y, y)
    return float((xx.sum() - xx.trace()) / (n * (n - 1))
                 + (yy.sum() - yy.trace()) / (m * (m - 1)) - 2 * kernel(x, y).mean())


def kid(x, y):
    """torch-fidelity's takes sets of one size."""
    values = {"brute": brute_kid(x, y)}
    if len(x) == len(y):
        values["torch_fidelity"] = float(kernel_mmd(
            x.astype(np.float64), y.astype(np.float64), kid_kernel="poly",
            kid_kernel_poly_degree=3, kid_kernel_poly_gamma=None, kid_kernel_poly_coef0=1))
    return values


def case(name, x, y, kid_rows):
    """KID of the first rows, and of subsets of every tenth row."""
    values = {"fid": fid(x, y), "kid": kid(x[:kid_rows], y[:kid_rows])}
    if min(len(x), len(y)) >= 500:
        values["kid_tenths"] = [kid(x[s::10], y[s::10]) for s in range(2)]
    print(name, json.dumps(values, indent=1), flush=True)
    return values


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--limn", default=os.path.join(ROOT, "build", "limn"))
    arguments = parser.parse_args()
    result = {}
    a, b = draw(1, 10000, 2048), draw(2, 10000, 2048)
    result["drawn"] = case("drawn", a, b, 2000)
    result["short"] = case("short", a[:1500, :96], b[:1000, :96], 700)
    # Fewer vectors than features, of one side and of both.
    result["few"] = case("few", a[:100, :256], b[:300, :256], 100)
    result["fewer"] = case("fewer", a[:30, :256], b[:90, :256], 30)
    sets = {"digits": "builtin:digits"}
    if os.environ.get("LIMN_DATA"):
        sets["mnist"] = "mnist"
    for name, spec in sets.items():
        result[name] = case(name, pixels(arguments.limn, f"{spec}:train?limit=5000", 5000),
                            pixels(arguments.limn, f"{spec}:test?limit=5000", 5000), 1000)
    images = torch.from_numpy(logits(5000, 1008))
    score = isc_features_to_metric(images, splits=10, shuffle=False)
    result["score"] = {"mean": score["inception_score_mean"],
                       "deviation": score["inception_score_std"]}
    with open(os.path.join(FOLDER, "metrics.json"), "w", encoding="ascii") as file:
        json.dump(result, file, indent=1)
        file.write("\n")


if __name__ == "__main__":
    main()
