#!/usr/bin/env python3
"""Small files in the form of CIFAR's Python version, and what the opcodes of others look
like: python3 tests/golden/make_pickles.py. Needs numpy.

  pickles/ten/data_batch_1      protocol 2 as Python 2 wrote it, two images
  pickles/ten/test_batch        protocol 4 as Python 3 does, one image
  pickles/hundred/train         protocol 2, two images in Fortran's order
  pickles/bad/...               what must be refused; calls.pkl would run a command

Value p of image n is (31 n + 7 p) mod 256; labels are 3 and 9, 4, and 57 and 99."""

import io
import os
import pickle
import struct

import numpy as np

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "pickles")


class OldPickler(pickle._Pickler):
    """Text and bytes are one type in Python 2."""

    dispatch = dict(pickle._Pickler.dispatch)

    def save_old_text(self, value):
        data = value.encode("latin-1") if isinstance(value, str) else bytes(value)
        if len(data) < 256:
            self.write(b"U" + bytes([len(data)]) + data)
        else:
            self.write(b"T" + struct.pack("<i", len(data)) + data)
        self.memoize(value)

    dispatch[str] = save_old_text
    dispatch[bytes] = save_old_text

    def save_global(self, value, name=None):
        # Names of before NumPy 2.
        module = getattr(value, "__module__", "").replace("numpy._core", "numpy.core")
        text = f"c{module}\n{name or value.__qualname__}\n"
        self.write(text.encode())
        self.memoize(value)

    dispatch[type] = save_global
    dispatch[type(lambda: 0)] = save_global
    dispatch[type(len)] = save_global


def pack_old(value):
    out = io.BytesIO()
    OldPickler(out, 2).dump(value)
    return out.getvalue()


def images(first, count):
    n, p = np.arange(first, first + count)[:, None], np.arange(3072)
    return ((31 * n + 7 * p) % 256).astype(np.uint8)


def batch(first, labels, key="labels", order="C"):
    return {"batch_label": "batch of a test", key: labels,
            "data": np.array(images(first, len(labels)), order=order),
            "filenames": [f"{n}.png" for n in range(len(labels))]}


class Call:
    def __reduce__(self):
        return os.system, ("touch /tmp/limn-pickle-was-run",)


FILES = {
    "ten/data_batch_1": pack_old(batch(0, [3, 9])),
    "ten/test_batch": pickle.dumps(batch(2, [4]), protocol=4),
    "hundred/train": pack_old(dict(batch(0, [57, 99], "fine_labels", "F"),
                                   coarse_labels=[1, 2])),
    "bad/calls.pkl": pickle.dumps({"data": Call()}, protocol=2),
    "bad/floats.pkl": pickle.dumps({"data": np.zeros((1, 2), np.float32)}, protocol=4),
    "bad/list.pkl": pickle.dumps([1, 2, 3], protocol=4),
    "bad/protocol5.pkl": pickle.dumps({"labels": [1]}, protocol=5),
    "bad/nested.pkl": b"\x80\x02}U\x01a]K\x01a]K\x02aas.",
    "bad/text.pkl": pickle.dumps({"labels": ["x"], "data": 5}, protocol=4),
}

for name, data in FILES.items():
    path = os.path.join(FOLDER, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(data)
