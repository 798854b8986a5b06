#!/usr/bin/env python3
"""Small files in SVHN's layout by SciPy: svhn.mat, compressed, and svhn-plain.mat, not
compressed, with other types. Pixels and labels are those that tests/data/test_svhn.c
expects. Needs SciPy; writes into the folder given."""
import pathlib
import sys

import numpy
from scipy.io import savemat

HEIGHT, WIDTH, COUNT = 4, 5, 11


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    y, x, c, n = numpy.ogrid[:HEIGHT, :WIDTH, :3, :COUNT]
    images = ((n * 53 + y * 37 + x * 11 + c * 90) % 256).astype("u1")
    labels = (numpy.arange(COUNT) % 10 + 1).reshape(-1, 1)
    other = {"words": "not an image", "nested": {"a": 1.5}}
    savemat(folder / "svhn.mat", {**other, "X": images, "y": labels.astype("u1")},
            do_compression=True)
    savemat(folder / "svhn-plain.mat", {"y": labels.astype("f8"), "X": images})
    savemat(folder / "svhn-one.mat", {"X": images[:, :, :, :1].astype("i2"),
                                      "y": labels[:1].astype("u1")})


main()
