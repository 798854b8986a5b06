#!/usr/bin/env python3
"""The rows of tests/data/published.def, from the original files under $LIMN_DATA, read by
Python's own means: number of images, shape, images of each class, whether that is part of
the set only, and the SHA-256 of the first 100 images as interleaved bytes. Needs lmdb,
numpy, Pillow and SciPy.
    LIMN_DATA=... python3 tests/golden/make_published.py > tests/data/published.def"""

import bz2
import gzip
import hashlib
import io
import os
import tarfile

import lmdb
import numpy as np
import scipy.io
from PIL import Image

DATA = os.environ["LIMN_DATA"]


def decode(file):
    return np.asarray(Image.open(file).convert("RGB"))


def idx(path, header):
    with gzip.open(os.path.join(DATA, path)) as file:
        return np.frombuffer(file.read(), np.uint8, offset=header)


def mnist(name, split):
    return (idx(f"{name}/{split}-images-idx3-ubyte.gz", 16).reshape(-1, 28, 28, 1),
            idx(f"{name}/{split}-labels-idx1-ubyte.gz", 8))


def member(archive, name):
    with tarfile.open(os.path.join(DATA, archive)) as tar:
        return np.frombuffer(tar.extractfile(name).read(), np.uint8)


def cifar10(name):
    records = member("cifar10/cifar-10-binary-subset.tar.gz",
                     f"cifar-10-batches-bin/{name}").reshape(-1, 3073)
    return records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1), records[:, 0]


def stl10(name):
    planes = member("stl10/stl10_binary-subset.tar.gz", f"stl10_binary/{name}")
    return planes.reshape(-1, 3, 96, 96).transpose(0, 3, 2, 1), None


def usps(name):
    images, labels = [], []
    with bz2.open(os.path.join(DATA, "usps", name), "rt") as file:
        for line in file:
            label, *items = line.split()
            row = np.zeros(256)  # LIBSVM leaves out what is 0
            for item in items:
                index, value = item.split(":")
                row[int(index) - 1] = float(value)
            labels.append(int(label) - 1)
            images.append(row)
    # Values have three decimals: exactly, as halves occur, which round up.
    level = np.rint((np.array(images) + 1) * 1000).astype(np.int64)
    pixels = ((level * 255 + 1000) // 2000).astype(np.uint8)
    return pixels.reshape(-1, 16, 16, 1), np.array(labels)


def svhn(name):
    arrays = scipy.io.loadmat(os.path.join(DATA, "svhn", name))
    return arrays["X"].transpose(3, 0, 1, 2), arrays["y"].ravel() % 10


def mnist_m(split):
    archive, images, labels = "mnist-m/mnist_m-subset.tar.gz", {}, []
    with tarfile.open(os.path.join(DATA, archive)) as tar:
        for entry in tar:
            if entry.name.endswith(f"mnist_m_{split}_labels.txt"):
                text = tar.extractfile(entry).read().decode()
                labels = [line.split() for line in text.splitlines()]
            elif f"mnist_m_{split}/" in entry.name and entry.isfile():
                name = os.path.basename(entry.name)
                images[name] = np.asarray(Image.open(tar.extractfile(entry)))
    pixels = np.stack([images[name] for name, _ in labels])
    return pixels, np.array([int(label) for _, label in labels])


def lsun(folder):
    base = lmdb.open(os.path.join(DATA, folder), readonly=True, lock=False)
    with base.begin() as transaction:
        values = [bytes(value) for _, value in transaction.cursor()]
    return [decode(io.BytesIO(value)) for value in values], None


def folder(name):
    files = sorted(os.listdir(os.path.join(DATA, name)))
    return np.stack([decode(os.path.join(DATA, name, file)) for file in files]), None


def archive(name):
    with tarfile.open(os.path.join(DATA, name)) as tar:
        members = sorted((m for m in tar.getmembers() if m.isfile()), key=lambda m: m.name)
        return np.stack([decode(tar.extractfile(m)) for m in members]), None


PARTS = ["cifar10:train", "stl10:unlabeled", "svhn:train", "mnist-m:train", "celeba:train", "ffhq:train"]
SETS = [
    ("mnist:train", *mnist("mnist", "train")),
    ("mnist:test", *mnist("mnist", "t10k")),
    ("fashion-mnist:train", *mnist("fashion-mnist", "train")),
    ("fashion-mnist:test", *mnist("fashion-mnist", "t10k")),
    ("cifar10:train", *cifar10("data_batch_1.bin")),
    ("cifar10:test", *cifar10("test_batch.bin")),
    ("stl10:unlabeled", *stl10("unlabeled_X.bin")),
    ("usps:train", *usps("usps.bz2")),
    ("usps:test", *usps("usps.t.bz2")),
    ("svhn:train", *svhn("train_32x32-first8.mat")),
    ("mnist-m:train", *mnist_m("train")),
    ("mnist-m:test", *mnist_m("test")),
    ("/lsun-like/church_outdoor_sample_lmdb",
     *lsun("lsun-like/church_outdoor_sample_lmdb")),
    ("/lsun-like/church_outdoor", *folder("lsun-like/church_outdoor")),
    ("/lsun-like/bedroom", *folder("lsun-like/bedroom")),
    ("ffhq:train", *folder("ffhq")),
    ("celeba:train", *archive("celeba/img_align_celeba-first32.tar.gz")),
    ("/celeba/celebA-4000-89x109.tar.gz", *archive("celeba/celebA-4000-89x109.tar.gz")),
    ("/lsun-like/celeba600_lmdb", *lsun("lsun-like/celeba600_lmdb")),
]

print("/* Written by tests/golden/make_published.py. */")
for spec, images, labels in SETS:
    digest = hashlib.sha256()
    for image in images[:100]:
        digest.update(np.ascontiguousarray(image).tobytes())
    # A list has images of any size, in colour.
    size = images.shape[1:] if isinstance(images, np.ndarray) else (0, 0, 3)
    shape = ", ".join(str(n) for n in (len(images), *size))
    counts = [] if labels is None else np.bincount(labels, minlength=10).tolist()
    part = "true" if spec in PARTS else "false"
    print(f'{{"{spec}", {part}, {{{shape}}}, {len(counts)},\n'
          f' {{{", ".join(map(str, counts or [0]))}}},\n "{digest.hexdigest()}"}},')
