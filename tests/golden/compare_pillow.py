#!/usr/bin/env python3
"""How far our decoding and resizing are from Pillow's on real photographs. Needs Pillow,
numpy, and the program tests/image/print_pixels of a build folder.

usage: compare_pillow.py PRINT_PIXELS PATH... >TABLE

A path is a picture, or a folder or tar archive of pictures."""
import io
import os
import subprocess
import sys
import tarfile
import tempfile

import numpy
from PIL import Image, features
import PIL

FILTERS = {"box": Image.Resampling.BOX, "bilinear": Image.Resampling.BILINEAR,
           "bicubic": Image.Resampling.BICUBIC, "lanczos": Image.Resampling.LANCZOS}
SIZES = [(32, 32), (64, 64), (48, 37), (128, 128), (300, 300)]
MOST_RESIZED = 100  # pictures of each path


def read_all(path):
    """Bytes of the pictures there, in the order of their names."""
    if tarfile.is_tarfile(path) if os.path.isfile(path) else False:
        with tarfile.open(path) as archive:
            members = sorted((m for m in archive if m.isfile()), key=lambda m: m.name)
            return [archive.extractfile(m).read() for m in members]
    names = [path] if os.path.isfile(path) else sorted(
        os.path.join(path, n) for n in os.listdir(path) if n.endswith((".png", ".jpg")))
    return [open(n, "rb").read() for n in names]


def ours(program, paths, width=0, height=0, name="box"):
    """Our pictures, one by one."""
    lines = "".join(f"{width} {height} {name} {p}\n" for p in paths)
    out = subprocess.run([program], input=lines.encode(), stdout=subprocess.PIPE, check=True).stdout
    at = 0
    for _ in paths:
        end = out.index(b"\n", at) + 1
        kind, columns, rows, _ = out[at:end].split()
        shape = (int(rows), int(columns)) + ((3,) if kind == b"P6" else ())
        size = int(numpy.prod(shape))
        yield numpy.frombuffer(out, "u1", size, end).reshape(shape).astype(int)
        at = end + size


class Difference:
    def __init__(self):
        self.most, self.differ, self.count = 0, 0, 0

    def add(self, a, b):
        off = numpy.abs(a - numpy.asarray(b).astype(int))
        self.most = max(self.most, int(off.max()))
        self.differ += int((off > 0).sum())
        self.count += off.size

    def text(self):
        return f"{self.most} ({100 * self.differ / self.count:.2g} %)"


def compare(program, path, folder):
    pictures = read_all(path)
    if not pictures:
        sys.exit(f"{path}: no pictures in it")
    names = []
    for i, data in enumerate(pictures):
        names.append(os.path.join(folder, str(i)))
        with open(names[-1], "wb") as out:
            out.write(data)
    images = [Image.open(io.BytesIO(data)) for data in pictures]
    decoded = Difference()
    for mine, image in zip(ours(program, names), images):
        decoded.add(mine, image)
    cells = [decoded.text()]
    for name, chosen in FILTERS.items():
        resized = Difference()
        for size in SIZES:
            for mine, image in zip(ours(program, names[:MOST_RESIZED], *size, name), images):
                resized.add(mine, image.resize(size, chosen))
        cells.append(resized.text())
    return len(pictures), images[0].format, cells


def main():
    program, paths = sys.argv[1], sys.argv[2:]
    print("| pictures | decode | " + " | ".join(FILTERS) + " |")
    print("|---|---|" + "---|" * len(FILTERS))
    for path in paths:
        with tempfile.TemporaryDirectory() as folder:
            count, kind, cells = compare(program, path, folder)
        name = "/".join(path.rstrip("/").split("/")[-2:])
        print(f"| `{name}`: {count} {kind} | " + " | ".join(cells) + " |")
    print(f"\nPillow {PIL.__version__} with libjpeg-turbo {features.version('libjpeg_turbo')}, sizes " +
          ", ".join(f"{w} x {h}" for w, h in SIZES) + ".")


main()
