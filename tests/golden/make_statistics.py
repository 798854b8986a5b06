#!/usr/bin/env python3
"""Statistics files of 3 features as pytorch-fid writes them (numpy.savez_compressed), and
as others do:
    python3 tests/golden/make_statistics.py
Component i of mu is i - 1.5; sigma is a a' for a lower triangular a with a[i][j] = i + 2 j
+ 1, over 4."""

import os

import numpy as np

FOLDER = os.path.dirname(os.path.abspath(__file__))
mu = np.arange(3) - 1.5
a = np.tril(np.arange(3)[:, None] + 2.0 * np.arange(3) + 1)
sigma = a @ a.T / 4
np.savez_compressed(os.path.join(FOLDER, "statistics.npz"), mu=mu, sigma=sigma)
np.savez(os.path.join(FOLDER, "statistics-f32.npz"), sigma=sigma.astype(np.float32),
         mu=mu.astype(np.float32), other=np.zeros(5))
