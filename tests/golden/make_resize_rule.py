#!/usr/bin/env python3
"""Golden values for src/image/resize_rule.c: procedural images (those of make_resize.py) as
floats of another size by the rules of feature networks. Needs numpy, Pillow and torch; writes
resize_rule.bin, f32 results one after the other, for each case by TensorFlow 1's rule, as its
documentation and kernel (resize_bilinear_op.cc) state it, by PyTorch and by Pillow."""
import os

import numpy
import torch
from PIL import Image

from make_resize import draw

# from height, width, channels -> to height, width; as in test_resize_rule.c
CASES = [(8, 8, 3, 19, 19), (32, 32, 1, 23, 17), (5, 9, 3, 5, 20), (40, 31, 1, 7, 9),
         (1, 1, 3, 3, 2), (6, 50, 1, 11, 4)]


def tensorflow_axis(size, to):
    at = numpy.arange(to, dtype=numpy.float32) * (numpy.float32(size) / numpy.float32(to))
    low = numpy.floor(at).astype(int)
    return low, numpy.minimum(low + 1, size - 1), at - low.astype(numpy.float32)


def tensorflow(pixels, height, width):
    top, bottom, down = tensorflow_axis(pixels.shape[0], height)
    left, right, across = tensorflow_axis(pixels.shape[1], width)
    x = pixels.astype(numpy.float32)
    rows = x[:, left] + (x[:, right] - x[:, left]) * across[None, :, None]
    return rows[top] + (rows[bottom] - rows[top]) * down[:, None, None]


def pytorch(pixels, height, width):
    x = torch.from_numpy(pixels.astype(numpy.float32)).permute(2, 0, 1)[None]
    y = torch.nn.functional.interpolate(x, (height, width), mode="bilinear",
                                        align_corners=False)
    return y[0].permute(1, 2, 0).numpy()


def clean(pixels, height, width):
    planes = [Image.fromarray(pixels[:, :, c].astype(numpy.float32), mode="F")
              .resize((width, height), Image.Resampling.BICUBIC)
              for c in range(pixels.shape[2])]
    return numpy.stack([numpy.asarray(plane) for plane in planes], 2).clip(0, 255)


if __name__ == "__main__":
    here = os.path.dirname(os.path.abspath(__file__))
    with open(os.path.join(here, "resize_rule.bin"), "wb") as out:
        for case_height, case_width, channels, to_height, to_width in CASES:
            image = draw(case_height, case_width, channels)
            for rule in (tensorflow, pytorch, clean):
                out.write(rule(image, to_height, to_width).astype("<f4").tobytes())
