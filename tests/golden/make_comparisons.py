#!/usr/bin/env python3
"""Prints comparisons.h: p-values, tests and similarities by scipy and scikit-image.
    python3 tests/golden/make_comparisons.py > tests/golden/comparisons.h
Needs scipy and scikit-image. Pictures are value(i) of a formula that the test has, too."""

import numpy as np
from scipy import special, stats
from skimage.metrics import structural_similarity


def row(*values):
    return "    {" + ", ".join(repr(v) for v in values) + "},"


def table(name, members, rows):
    print(f"static const struct {{\n    double {members};\n}} {name}[] = {{")
    print("\n".join(rows))
    print("};\n")


def picture(height, width, channels, which):
    i = np.arange(height * width * channels, dtype=np.int64)
    if which == 0:
        return ((i * i // 7 + 31 * i) % 256).astype(np.uint8).reshape(height, width, channels)
    smooth = (i * 255 // len(i)).reshape(height, width, channels)
    if which == 1:
        return smooth.astype(np.uint8)
    return np.clip(smooth + (i * 7919 % 41 - 20).reshape(smooth.shape), 0, 255).astype(np.uint8)


print("/* By make_comparisons.py. */")
print("/* clang-format off */")
gammas = [(0.5, 0.01), (0.5, 3), (1, 1), (4.5, 2), (4.5, 9), (4.5, 40), (50, 30), (50, 52),
          (50, 120), (500, 430), (500, 505), (500, 700), (1e5, 1e5), (1e5, 101000.0), (2, 1e-9)]
table("golden_gammas", "a, x, above",
      [row(float(a), float(x), float(special.gammaincc(a, x))) for a, x in gammas])

table("golden_normals", "z, below",
      [row(float(z), float(stats.norm.cdf(z))) for z in (-30, -8.5, -1.96, 0, 0.3, 4)])

pairs = [([10, 20, 30, 40], [12, 18, 33, 37]), ([100, 0, 50, 50], [60, 40, 0, 100]),
         ([900, 1010, 995, 1102], [6000, 6000, 6000, 6000])]
rows = []
for a, b in pairs:
    chi, p, freedom, _ = stats.chi2_contingency([a, b], correction=False)
    rows.append(row(*map(float, a + b), float(chi), float(p), float(freedom)))
table("golden_tables", "generated[4], data[4], statistic, p, freedom",
      [r.replace("{", "{{", 1) for r in
       (", ".join([*r.split(", ")[:3], r.split(", ")[3] + "}", "{" + r.split(", ")[4],
                   *r.split(", ")[5:7], r.split(", ")[7] + "}", *r.split(", ")[8:]])
        for r in rows)])

rows = []
for low, high, scale in ((60, 45, 1), (300, 500, 1), (40, 70, 4)):
    a = np.arange(low) * 37 % 101 // scale
    b = (np.arange(high) * 53 % 113 + 3) // scale
    test = stats.mannwhitneyu(a, b, use_continuity=False, alternative="less",
                              method="asymptotic")
    rows.append(row(low, high, scale, float(test.statistic), float(test.pvalue)))
table("golden_ranks", "n, m, scale, u, p", rows)

rows = []
for height, width, channels, a, b in ((32, 40, 1, 0, 1), (32, 40, 3, 1, 2), (11, 11, 3, 1, 2),
                                      (64, 17, 1, 0, 2), (28, 28, 1, 1, 2)):
    x, y = picture(height, width, channels, a), picture(height, width, channels, b)
    ssim = structural_similarity(x, y, gaussian_weights=True, sigma=1.5, channel_axis=2,
                                 use_sample_covariance=False, data_range=255)
    mse = float(np.mean((x.astype(float) - y) ** 2))
    rows.append(row(height, width, channels, a, b, mse, float(10 * np.log10(255 ** 2 / mse)),
                    float(ssim)))
table("golden_pictures", "height, width, channels, a, b, mse, psnr, ssim", rows)
