#!/usr/bin/env python3
"""Golden values for src/image/resize.c: what Pillow's Image.resize makes of procedural
images (test_resize.c makes the same). Needs Pillow and numpy; writes resize.bin, for each
case the bytes of the result, one after the other."""
import sys

import numpy
from PIL import Image

FILTERS = [Image.Resampling.BOX, Image.Resampling.BILINEAR, Image.Resampling.BICUBIC,
           Image.Resampling.LANCZOS]
# from height, width, channels -> to height, width; as in test_resize.c
CASES = [(32, 32, 3, 16, 16), (37, 53, 3, 16, 24), (20, 31, 1, 7, 31), (9, 7, 3, 21, 20),
         (64, 40, 1, 5, 3), (5, 5, 1, 5, 9), (3, 200, 3, 3, 11), (1, 1, 3, 4, 4)]


def draw(height, width, channels):
    """Hard edges, ramps and noise: what filters ring at, and what they smooth."""
    y, x, c = numpy.ogrid[:height, :width, :channels]
    noise = (x * 7919 + y * 104729 + c * 1299709) % 251
    ramp = (x * 255 // max(width - 1, 1) + 40 * c) % 256
    edges = ((x // 3 + y // 5) % 2) * 255
    return numpy.where(y % 3 == 0, noise, numpy.where(x % 4 < 2, ramp, edges)).astype("u1")


def main():
    with open(sys.argv[1] if len(sys.argv) > 1 else "resize.bin", "wb") as out:
        for height, width, channels, new_height, new_width in CASES:
            pixels = draw(height, width, channels)
            image = Image.fromarray(pixels[:, :, 0] if channels == 1 else pixels)
            for chosen in FILTERS:
                made = image.resize((new_width, new_height), chosen)
                out.write(numpy.asarray(made).tobytes())


if __name__ == "__main__":
    main()
