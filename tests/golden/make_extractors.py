#!/usr/bin/env python3
"""Makes extractors.safetensors and extractors.txt beside this file: what published feature
networks with drawn weights make of drawn pictures, by PyTorch in float64.

Needs torch, torchvision, pytorch-fid, lpips; downloads nothing. extractors.txt lists the
tensors of each network as tools/convert_weights.py names and arranges them, a line
"NETWORK NAME SHAPE.."; a test draws the same values (tests/eval/drawn.c): uniform, by limn's
Philox with seed SEED and the hash of the name as its stream, in a range that depends on what
the tensor is. So no weights are kept.

lpips-NET/HxWxC: distances of pairs of pictures.
inception/PROTOCOL/NAME: features [n, 2048]; of tf also logits and logits_unbiased [n, 1008].
vgg16/features: [1, 4096]; of fc6 only the first FC6_ROWS filters are not zero.
"""
import os
import sys

import numpy
import torch
import torch.nn.functional as F

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "..", "tools"))
from convert_weights import convert, rename  # noqa: E402
from make_golden import write_safetensors  # noqa: E402
from make_resize_rule import clean, pytorch, tensorflow  # noqa: E402

SEED = 20151205
FC6_ROWS = 64
CASES = {"lpips-vgg": [(64, 64, 3), (37, 52, 1), (16, 16, 3)],
         "lpips-alex": [(64, 64, 3), (37, 52, 1), (31, 31, 3)],
         "lpips-squeeze": [(64, 64, 3), (37, 52, 1), (17, 17, 3), (66, 33, 3)]}
PAIRS = 3


# ---- what is drawn on both sides --------------------------------------------------------

def philox_u24(seed, stream, count):
    """Elements 0 .. count - 1, as lm_philox_u24 with step and sample 0."""
    blocks = (count + 3) // 4
    mask, shift = numpy.uint64(0xFFFFFFFF), numpy.uint64(32)
    c = [numpy.arange(blocks, dtype=numpy.uint64), numpy.zeros(blocks, numpy.uint64),
         numpy.zeros(blocks, numpy.uint64), numpy.full(blocks, stream, numpy.uint64)]
    k0, k1 = seed & 0xFFFFFFFF, seed >> 32
    for _ in range(10):
        a, b = c[0] * numpy.uint64(0xD2511F53), c[2] * numpy.uint64(0xCD9E8D57)
        c = [(b >> shift) ^ c[1] ^ numpy.uint64(k0), b & mask,
             (a >> shift) ^ c[3] ^ numpy.uint64(k1), a & mask]
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return (numpy.stack(c, 1).reshape(-1)[:count] >> numpy.uint64(8)).astype(numpy.float64)


def hash_name(name):
    value = 2166136261
    for byte in name.encode():
        value = ((value ^ byte) * 16777619) & 0xFFFFFFFF
    return value


def limits(name, shape):
    """He's range for weights, so that activations neither die nor explode."""
    part = name.split(".")[-1]
    if part in ("gamma", "variance"):
        return 0.5, 1.5
    if name.startswith("lin"):
        return 0.0, 1.0
    if part == "weight":
        limit = numpy.sqrt(6 / numpy.prod(shape[1:], dtype=numpy.float64))
        return -limit, limit
    return -0.2, 0.2


def draw(name, shape):
    low, high = limits(name, shape)
    count = int(numpy.prod(shape))
    values = low + (high - low) * (philox_u24(SEED, hash_name(name), count) * 2.0 ** -24)
    values = values.astype(numpy.float32).reshape(shape)
    if name == "fc6.weight":
        values[FC6_ROWS:] = 0
    return values


def picture(number, height, width, channels):
    y, x, c = numpy.ogrid[:height, :width, :channels]
    steps = (x // 4 + y // 6 + number) % 3 * 60
    return ((x * (7 + number) + y * (11 + 3 * number) + c * 50 + steps) % 256).astype("u1")


# ---- networks ---------------------------------------------------------------------------

def unarrange(name, values, like):
    """What convert_weights.arrange undoes: limn's order to PyTorch's."""
    if name.startswith("lin"):
        return values.reshape(like.shape)
    if name == "fc6.weight":
        return values.reshape(-1, 7, 7, 512).transpose(0, 3, 1, 2).reshape(like.shape)
    return values.transpose(0, 3, 1, 2) if values.ndim == 4 else values


def fill(network, states, lines):
    """Draws all that convert() finds in the states, and sees that it finds it again."""
    shapes = {name: array.shape for name, array in convert(network, states).items()}
    drawn = {name: draw(name, shape) for name, shape in shapes.items()}
    for state in states:
        for key, value in state.items():
            name = rename(network, key)
            if name:
                value.copy_(torch.from_numpy(unarrange(name, drawn[name], value).copy()))
    for name, array in convert(network, states).items():
        assert numpy.array_equal(array, drawn[name]), name
    lines += [" ".join([network, name, *map(str, shape)]) for name, shape in shapes.items()]


def to_torch(pictures):
    images = torch.from_numpy(numpy.stack(pictures)).double().permute(0, 3, 1, 2)
    return images.expand(-1, 3, -1, -1)


# ---- LPIPS ------------------------------------------------------------------------------

def make_lpips(network, kept, lines):
    import lpips
    import torchvision.models as models
    trunk = {"vgg": models.vgg16, "alex": models.alexnet, "squeeze": models.squeezenet1_1}
    net = network.split("-")[1]
    whole = lpips.LPIPS(net=net, pretrained=False, pnet_rand=True, verbose=False).eval()
    published = trunk[net](weights=None)
    heads = {key: value for key, value in whole.state_dict().items() if key.startswith("lin")}
    features = {key: value for key, value in published.state_dict().items()
                if key.startswith("features")}
    fill(network, [features, heads], lines)
    for slices in range(whole.net.N_slices):  # by their numbers in torchvision's features
        for number, module in getattr(whole.net, f"slice{slices + 1}").named_children():
            module.load_state_dict(published.features[int(number)].state_dict())
    whole.double()
    for height, width, channels in CASES[network]:
        a, b = (to_torch([picture(2 * i + side, height, width, channels)
                          for i in range(PAIRS)]) / 127.5 - 1 for side in (0, 1))
        with torch.no_grad():
            kept[f"{network}/{height}x{width}x{channels}"] = whole(a, b).reshape(-1)


# ---- Inception and VGG16 ----------------------------------------------------------------

def build_inception(patched=True):
    """pytorch-fid's module without its weights; patched=False: torchvision's."""
    import pytorch_fid.inception as fid
    import torchvision
    net = torchvision.models.inception_v3(num_classes=1008, aux_logits=False, weights=None,
                                          init_weights=False)
    if patched:
        net.Mixed_5b = fid.FIDInceptionA(192, pool_features=32)
        net.Mixed_5c = fid.FIDInceptionA(256, pool_features=64)
        net.Mixed_5d = fid.FIDInceptionA(288, pool_features=64)
        net.Mixed_6b = fid.FIDInceptionC(768, channels_7x7=128)
        net.Mixed_6c = fid.FIDInceptionC(768, channels_7x7=160)
        net.Mixed_6d = fid.FIDInceptionC(768, channels_7x7=160)
        net.Mixed_6e = fid.FIDInceptionC(768, channels_7x7=192)
        net.Mixed_7b = fid.FIDInceptionE_1(1280)
        net.Mixed_7c = fid.FIDInceptionE_2(2048)
    return net.eval()


def run_inception(net, x):
    """Features and logits; torchvision's forward, up to its pooling, is the same."""
    kept = {}
    hook = net.avgpool.register_forward_hook(
        lambda module, given, made: kept.update(features=made.flatten(1)))
    with torch.no_grad():
        logits = net(x)
    hook.remove()
    return kept["features"], logits


def resized(rule, side, pictures):
    return torch.stack([torch.from_numpy(rule(picture, side, side)).double()
                        for picture in pictures]).permute(0, 3, 1, 2).expand(-1, 3, -1, -1)


INCEPTION = {"tf": (tensorflow, 1 / 128, -1, 2, (64, 48, 3)),
             "pytorch": (pytorch, 2 / 255, -1, 1, (40, 40, 1)),
             "clean": (clean, 1 / 128, -1, 1, (320, 301, 3))}


def cosine(a, b):
    return float((F.cosine_similarity(a, b)).min())


def make_inception(kept, lines):
    net = build_inception()
    fill("inception", [net.state_dict()], lines)
    other = build_inception(patched=False)
    other.load_state_dict(net.state_dict())
    net.double()
    other.double()
    for protocol, (rule, scale, shift, count, size) in INCEPTION.items():
        x = resized(rule, 299, [picture(i, *size) for i in range(count)]) * scale + shift
        features, logits = run_inception(net, x)
        kept[f"inception/{protocol}/features"] = features.float()
        if protocol == "tf":
            kept["inception/tf/logits"] = logits.float()
            kept["inception/tf/logits_unbiased"] = (logits - net.fc.bias).float()
        print(protocol, "features of torchvision's pooling: cosine",
              cosine(features, run_inception(other, x)[0]), "alive",
              float((features > 0).double().mean()))


def make_vgg16(kept, lines):
    import torchvision
    net = torchvision.models.vgg16(weights=None).eval()
    fill("vgg16", [net.state_dict()], lines)
    x = resized(tensorflow, 224, [picture(0, 64, 48, 3)]) / 255
    mean = torch.tensor([0.485, 0.456, 0.406], dtype=torch.float64)[:, None, None]
    deviation = torch.tensor([0.229, 0.224, 0.225], dtype=torch.float64)[:, None, None]
    net.classifier = net.classifier[:5]  # up to the ReLU of fc7
    with torch.no_grad():
        kept["vgg16/features"] = net.double()((x - mean) / deviation).float()


def main():
    kept, lines = {}, []
    for network in CASES:
        make_lpips(network, kept, lines)
    make_inception(kept, lines)
    make_vgg16(kept, lines)
    write_safetensors(os.path.join(HERE, "extractors.safetensors"), kept)
    with open(os.path.join(HERE, "extractors.txt"), "w") as file:
        file.write("\n".join(lines) + "\n")
    for name, tensor in kept.items():
        print(name, list(tensor.shape), tensor.flatten()[:3].tolist())


if __name__ == "__main__":
    main()
