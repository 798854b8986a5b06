#!/usr/bin/env python3
"""Small files in both forms of USPS: usps/usps.h5 (groups train and test, deflated chunks
that cut images) and LIBSVM's text, usps/usps.bz2 and usps.t.bz2:
    python3 tests/golden/make_usps.py
Needs h5py. Place p of image i has level l = (i * 389 + p * 31) mod 2001, which is l / 2000
in the one and l / 1000 - 1 in the other; the images are the digits 3, 0, 9 and 5."""

import bz2
import os

import h5py
import numpy as np

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "usps")
os.makedirs(FOLDER, exist_ok=True)


def line(levels, digit):
    items = [f"{p + 1}:{l / 1000 - 1:.4g}" for p, l in enumerate(levels) if l != 1000]
    return f"{digit + 1} {' '.join(items)} \n"


with h5py.File(os.path.join(FOLDER, "usps.h5"), "w", libver="earliest") as file:
    for split, name, first, digits in (("train", "usps.bz2", 0, [3, 0, 9]),
                                       ("test", "usps.t.bz2", 3, [5])):
        images = np.arange(first, first + len(digits))[:, None]
        levels = (images * 389 + np.arange(256) * 31) % 2001
        group = file.create_group(split)
        group.create_dataset("data", data=(levels / 2000).astype(np.float32),
                             chunks=(len(digits), 48), compression="gzip")
        group.create_dataset("target", data=np.array(digits, np.int32))
        text = "".join(line(*pair) for pair in zip(levels, digits))
        with open(os.path.join(FOLDER, name), "wb") as packed:
            packed.write(bz2.compress(text.encode()))
