#!/usr/bin/env python3
"""Small sets of arrays as NumPy packs them, under the names in use:
    python3 tests/golden/make_arrays.py
Pixel p of an array (counted through the whole of it) is (start + 7 p) mod 256."""

import os

import numpy as np

FOLDER = os.path.dirname(os.path.abspath(__file__))


def pixels(start, *shape):
    return ((start + 7 * np.arange(np.prod(shape))) % 256).astype(np.uint8).reshape(shape)


# Keras' mnist.npz is deflated.
np.savez_compressed(
    os.path.join(FOLDER, "keras.npz"),
    x_train=pixels(1, 4, 3, 2), y_train=np.array([3, 0, 1, 2], np.uint8),
    x_test=pixels(2, 2, 3, 2), y_test=np.array([1, 3], np.uint8))
# MedMNIST: colour, labels of shape (N, 1), a third split.
np.savez(
    os.path.join(FOLDER, "medmnist.npz"),
    train_images=pixels(3, 3, 2, 2, 3), train_labels=np.array([[5], [0], [2]], np.uint8),
    val_images=pixels(4, 1, 2, 2, 3), val_labels=np.array([[1]], np.uint8),
    test_images=pixels(5, 2, 2, 2, 3), test_labels=np.array([[0], [1]], np.uint8))
# Without names: planes of colour, labels as NumPy's own integers.
np.savez(os.path.join(FOLDER, "unnamed.npz"),
         pixels(6, 2, 3, 4, 5), np.array([1, 0], np.int64))
