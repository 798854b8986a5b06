#!/usr/bin/env python3
"""Prints manifold.h: precision, recall, density and coverage of sets that the tests make
again from their seeds: as counts by every distance in f64, and as prdc and torch-fidelity
print them.
    python3 tests/golden/make_manifold.py build/limn > tests/golden/manifold.h
Needs prdc, scikit-learn, torch and torch-fidelity; takes some minutes and 4 GB.

Distances are |a|^2 + |b|^2 - 2 a.b in f64. A comparison closer than its error is made
again with exact fractions; there are none where features are whole numbers, as these
products are exact then."""

import contextlib
import io
import os
import subprocess
import sys
import tempfile
from fractions import Fraction

import numpy as np
import prdc
import torch
from torch_fidelity import metric_prc


def philox(seed, rows, columns):
    """Words of lm_rng {.seed, .sample = row}, element = column: upper 24 bits."""
    mask = np.uint64(0xFFFFFFFF)
    blocks = (columns + 3) // 4
    c0 = np.tile(np.arange(blocks, dtype=np.uint64), rows)
    c1 = np.repeat(np.arange(rows, dtype=np.uint64), blocks)
    c2, c3 = np.zeros_like(c0), np.zeros_like(c0)
    k0, k1 = seed & 0xFFFFFFFF, seed >> 32
    for _ in range(10):
        a, b = c0 * np.uint64(0xD2511F53), c2 * np.uint64(0xCD9E8D57)
        c0, c2 = (b >> np.uint64(32)) ^ c1 ^ np.uint64(k0), (a >> np.uint64(32)) ^ c3 ^ np.uint64(k1)
        c1, c3 = b & mask, a & mask
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    words = np.stack([c0, c1, c2, c3], axis=1).reshape(rows, blocks * 4)[:, :columns]
    return (words >> np.uint64(8)).astype(np.float64) / 2 ** 24


def uniform(rows, columns):
    """Products and sums that f64 has exactly, so that one rounding is left."""
    wide = (philox(2, rows, columns) * (65 / 64) + 1 / 64).astype(np.float32)
    return philox(1, rows, columns).astype(np.float32), wide


def digits(limn, count):
    sets = []
    with tempfile.TemporaryDirectory() as folder:
        for split in ("train", "test"):
            out = os.path.join(folder, split)
            subprocess.run([limn, "data", "prepare", f"builtin:digits:{split}?limit={count}", "--out",
                            out, "--quiet"], check=True, stdout=subprocess.DEVNULL)
            sets.append(np.load(os.path.join(out, "images.npy")).reshape(count, -1).astype(np.float32))
    real, fake = sets
    fake[-100:] = fake[:100]  # vectors that are there twice, and some of the real ones
    fake[-200:-100] = real[:100]
    return real, fake


class Distances:
    """Squared, in f64, row by row of a against all of b."""

    def __init__(self, a, b):
        self.a, self.b = a, b
        whole = np.all(a == np.round(a)) and np.all(b == np.round(b))
        centre = 0 if whole else a.mean(axis=0, dtype=np.float64)
        self.x, self.y = a.astype(np.float64) - centre, b.astype(np.float64) - centre
        self.nx, self.ny = (self.x ** 2).sum(axis=1), (self.y ** 2).sum(axis=1)
        # Far above what f64 makes of it, far below any gap of chance.
        self.error = 0 if whole else 1e-12 * (self.nx.max() + self.ny.max())

    def rows(self, step=500):
        for first in range(0, len(self.x), step):
            x = self.x[first:first + step]
            yield first, self.nx[first:first + step, None] + self.ny[None] - 2 * x @ self.y.T

    def exact(self, i, j):
        return sum((Fraction(float(p)) - Fraction(float(q))) ** 2 for p, q in zip(self.a[i], self.b[j]))


def radii(x, k):
    """The k-th smallest squared distance to others, and whose it is."""
    distances = Distances(x, x)
    values, owners = np.empty(len(x)), np.empty(len(x), int)
    for first, d in distances.rows():
        d[np.arange(len(d)), first + np.arange(len(d))] = -1
        order = np.argpartition(d, (k, k + 1), axis=1)
        at = np.arange(len(d))
        values[first:first + len(d)] = d[at, order[:, k]]
        owners[first:first + len(d)] = order[:, k]
        for i in range(len(d)):  # is it surely the k-th?
            close = np.flatnonzero(np.abs(d[i] - d[i, order[i, k]]) <= distances.error)
            if len(close) > 1 and distances.error > 0:
                close = sorted(close, key=lambda j: distances.exact(first + i, j))
                owners[first + i] = close[k - int((d[i] < d[i, close].min()).sum())]
    return values, owners


def count(real, fake, k, edge):
    pairs = Distances(real, fake)
    real_radii, real_owner = radii(real, k)
    fake_radii, fake_owner = radii(fake, k)
    within_real, within_fake = Distances(real, real), Distances(fake, fake)
    balls, recalled, covered = np.zeros(len(fake), int), 0, 0
    for first, d in pairs.rows():
        r = real_radii[first:first + len(d), None]
        in_real = d <= r if edge else d < r
        in_fake = d <= fake_radii if edge else d < fake_radii
        if pairs.error > 0:
            for i, j in np.argwhere(np.abs(d - r) <= 2 * pairs.error):
                x, y = pairs.exact(first + i, j), within_real.exact(first + i, real_owner[first + i])
                in_real[i, j] = x <= y if edge else x < y
            for i, j in np.argwhere(np.abs(d - fake_radii) <= 2 * pairs.error):
                x, y = pairs.exact(first + i, j), within_fake.exact(j, fake_owner[j])
                in_fake[i, j] = x <= y if edge else x < y
        balls += in_real.sum(axis=0)
        recalled += int(in_fake.any(axis=1).sum())
        covered += int(in_real.any(axis=1).sum())
    return int((balls > 0).sum()), recalled, int(balls.sum()), covered


def peers(real, fake, k, edge):
    """precision, recall, density, coverage; 0 where the tool has none."""
    with contextlib.redirect_stdout(io.StringIO()):
        if not edge:
            got = prdc.compute_prdc(real, fake, k)
            return [float(got[name]) for name in ("precision", "recall", "density", "coverage")]
    got = metric_prc.prc_features_to_metric(torch.from_numpy(fake), torch.from_numpy(real),
                                            prc_neighborhood=k, prc_batch_size=2500,
                                            save_cpu_ram=True, verbose=False)
    return [got["precision"], got["recall"], 0.0, 0.0]


print("""/* By make_manifold.py. Counts of vectors in balls; what prdc 0.2 (no edge) and
 * torch-fidelity 0.4 (edge; precision and recall alone) print. */
/* clang-format off */
static const struct {
    const char *set;
    int n, dim, k, edge, precise, recalled, balls, covered;
    double precision, recall, density, coverage;
} golden_manifolds[] = {""")
for name, (real, fake), ks in (("uniform", uniform(1500, 256), (3, 5)),
                               ("digits", digits(sys.argv[1], 5000), (3, 5)),
                               ("uniform", uniform(10000, 2048), (3,))):
    for k in ks:
        for edge in (0, 1):
            row = [f'"{name}"', *real.shape, k, edge, *count(real, fake, k, edge),
                   *map(repr, peers(real, fake, k, edge))]
            print("    {" + ", ".join(map(str, row)) + "},", flush=True)
print("};")
