#!/usr/bin/env python3
"""Golden values for the crop, fit and background options of src/data/transform.c: by
slices of numpy and Pillow's resize on the images that tests/data/test_fit.c draws. Needs
Pillow and numpy; writes fit.bin, for each case the bytes of the result, one after the
other."""
import sys

import numpy
from PIL import Image

# height, width, channels; crop (rows, columns); size; fit; background; as in test_fit.c
CASES = [(13, 22, 3, (10, 15), 0, "crop", (255, 255, 255)),
         (13, 22, 3, (11, 11), 8, "crop", (255, 255, 255)),
         (13, 22, 3, None, 8, "pad", (255, 255, 255)),
         (13, 22, 3, None, 9, "pad", (0, 0, 0)),
         (22, 13, 3, None, 8, "pad", (18, 52, 171)),
         (22, 13, 1, None, 11, "pad", (18, 52, 171)),
         (3, 40, 3, (1, 40), 12, "pad", (200, 10, 0)),
         (5, 4, 1, None, 16, "pad", (255, 255, 255))]


def draw(height, width, channels):
    y, x, c = numpy.ogrid[:height, :width, :channels]
    return ((y * 37 + x * 11 + c * 90 + (x * y) % 7 * 20) % 256).astype("u1")


def crop(pixels, rows, columns):
    top, left = (pixels.shape[0] - rows) // 2, (pixels.shape[1] - columns) // 2
    return pixels[top:top + rows, left:left + columns]


def resize(pixels, height, width):
    grey = pixels.shape[2] == 1
    image = Image.fromarray(pixels[:, :, 0] if grey else pixels)
    made = numpy.asarray(image.resize((width, height), Image.Resampling.LANCZOS))
    return made.reshape(height, width, pixels.shape[2])


def pad(pixels, size, background):
    height, width, channels = pixels.shape
    longer = max(height, width)
    height = max(1, int(height * size / longer + 0.5))
    width = max(1, int(width * size / longer + 0.5))
    mode = "RGB" if channels == 3 else "L"
    color = Image.new("RGB", (1, 1), background).convert(mode).getpixel((0, 0))
    square = numpy.empty((size, size, channels), "u1")
    square[:] = color
    top, left = (size - height) // 2, (size - width) // 2
    square[top:top + height, left:left + width] = resize(pixels, height, width)
    return square


def main():
    with open(sys.argv[1] if len(sys.argv) > 1 else "fit.bin", "wb") as out:
        for height, width, channels, part, size, fit, background in CASES:
            pixels = draw(height, width, channels)
            if part:
                pixels = crop(pixels, *part)
            if size and fit == "crop":
                edge = min(pixels.shape[:2])
                pixels = resize(crop(pixels, edge, edge), size, size)
            elif size:
                pixels = pad(pixels, size, background)
            out.write(numpy.ascontiguousarray(pixels).tobytes())


main()
