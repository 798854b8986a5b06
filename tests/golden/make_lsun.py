#!/usr/bin/env python3
"""Small LMDB environments in LSUN's layout by Python's lmdb, for tests/data/test_lsun.c:
images of one colour, wider than high by one pixel a record. Records of noise need pages
of their own, and the church is a tree of two levels. Needs lmdb, numpy and Pillow; writes
lsun.bin.gz: for each environment its name, padded to 32 bytes, the size of its data.mdb
as 8 bytes, and that."""
import gzip
import hashlib
import io
import pathlib
import sys
import tempfile

import lmdb
import numpy
from PIL import Image


def encode(kind, height, colour):
    image = Image.new("RGB", (height + 1, height), colour)
    if kind == "NOISE":
        noise = numpy.arange(height * (height + 1) * 3, dtype=numpy.uint64)
        noise = noise * 2654435761 // 8192 % 256
        image = Image.fromarray(noise.astype("u1").reshape(height, height + 1, 3))
        kind = "PNG"
    if kind == "GREY":
        image, kind = image.convert("L"), "PNG"
    file = io.BytesIO()
    image.save(file, kind, **({"quality": 90} if kind != "PNG" else {}))
    return file.getvalue()


def environment(values):
    with tempfile.TemporaryDirectory() as folder:
        base = lmdb.open(folder, map_size=1 << 20)
        with base.begin(write=True) as transaction:
            for value in values:
                transaction.put(hashlib.sha1(value).hexdigest().encode(), value)
        base.close()
        return (pathlib.Path(folder) / "data.mdb").read_bytes()


def main():
    kinds = ["PNG", "JPEG", "WEBP", "GREY"]
    church = [encode(kinds[i % 4], 8 + i, (3 * i, 200 - 3 * i, 90)) for i in range(40)]
    church += [encode("NOISE", 30, None)]
    bases = {"church_outdoor_train_lmdb": church,
             "bedroom_train_lmdb": [encode("PNG", 5, (10, 20, 30))],
             "bedroom_val_lmdb": [encode("PNG", 6, (40, 50, 60))]}
    contents = bytearray()
    for name, values in bases.items():
        data = environment(values)
        contents += name.encode().ljust(32, b"\0") + len(data).to_bytes(8, "little") + data
    path = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "lsun.bin.gz")
    path.write_bytes(gzip.compress(bytes(contents), mtime=0))


main()
