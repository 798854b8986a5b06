"""Weights from limn's names and layouts into PyTorch's."""
import torch

# Words that Python or nn.Module have taken, and the norms' parameters.
RENAMED = {"in": "first", "double": "twice", "gamma": "weight", "beta": "bias"}


def torch_name(name):
    return ".".join(RENAMED.get(word, word) for word in name.split("."))


def load(model, tensors):
    """`tensors` by limn's names. All parameters must be there, and nothing else."""
    targets = dict(model.named_parameters())
    with torch.no_grad():
        for name, value in tensors.items():
            target = targets.pop(torch_name(name))
            if value.ndim == 4:  # [out, h, w, in], or [in, h, w, out] when transposed
                value = value.permute(0, 3, 1, 2)
            elif target.ndim == 4:  # dense as a convolution of all the pixels there are
                value = value.unflatten(1, (*target.shape[2:], -1)).permute(0, 3, 1, 2)
            if value.shape != target.shape:
                raise ValueError(f"{name}: {value.shape}, expected {target.shape}")
            target.copy_(value)
    if targets:
        raise ValueError(f"missing: {', '.join(targets)}")
