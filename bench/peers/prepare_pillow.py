#!/usr/bin/env python3
"""What one would write without limn: images of a folder to one array, by Pillow, with a
process for every core."""
import argparse
import multiprocessing
import os

import numpy
from PIL import Image

SIZE = 64


def load(path):
    image = Image.open(path).convert("RGB")
    edge = min(image.size)
    left, top = (image.width - edge) // 2, (image.height - edge) // 2
    image = image.crop((left, top, left + edge, top + edge))
    return numpy.asarray(image.resize((SIZE, SIZE), Image.LANCZOS))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder")
    parser.add_argument("out")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    paths = [os.path.join(arguments.folder, name)
             for name in sorted(os.listdir(arguments.folder))]
    with multiprocessing.Pool(arguments.processes) as pool:
        images = pool.map(load, paths)
    numpy.save(arguments.out, numpy.stack(images))


if __name__ == "__main__":
    main()
