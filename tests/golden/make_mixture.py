#!/usr/bin/env python3
"""Makes mixture.safetensors beside this file, with scikit-learn: x [N,D], a start (weights,
means, and covariances that are the identity), and for KIND full and diag the mixture after
ROUNDS rounds of expectation maximisation: KIND/weights, KIND/means, KIND/covariances,
KIND/log_prob."""
import os

import numpy as np
import torch
from sklearn.mixture import GaussianMixture

from make_golden import HERE, write_safetensors

N, D, K, ROUNDS = 240, 3, 4, 12

if __name__ == "__main__":
    draw = np.random.default_rng(19770101)
    centres = draw.normal(size=(K, D)) * 3
    shapes = draw.normal(size=(K, D, D)) * 0.7
    which = draw.integers(K, size=N)
    x = centres[which] + np.einsum("nij,nj->ni", shapes[which], draw.normal(size=(N, D)))
    x = x.astype(np.float32)
    start = {"weights": np.full(K, 1 / K), "means": x[:K].astype(np.float64)}
    kept = {"x": torch.from_numpy(x), "rounds": torch.tensor([ROUNDS], dtype=torch.int32)}
    kept |= {name: torch.from_numpy(value) for name, value in start.items()}
    for kind, precision in (("full", np.eye(D)[None].repeat(K, 0)), ("diag", np.ones((K, D)))):
        m = GaussianMixture(K, covariance_type=kind, tol=0, reg_covar=1e-6, max_iter=ROUNDS,
                            weights_init=start["weights"], means_init=start["means"],
                            precisions_init=precision)
        m.fit(x.astype(np.float64))
        kept |= {f"{kind}/weights": torch.from_numpy(m.weights_),
                 f"{kind}/means": torch.from_numpy(m.means_),
                 f"{kind}/covariances": torch.from_numpy(m.covariances_),
                 f"{kind}/log_prob": torch.tensor([m.score(x.astype(np.float64))], dtype=torch.float64)}
    write_safetensors(os.path.join(HERE, "mixture.safetensors"), kept)
