#!/usr/bin/env python3
"""Writes the weights of a published feature network as limn reads them.

    convert_weights.py inception      pt_inception-2015-12-05-6726825d.pth
    convert_weights.py vgg16          vgg16-397923af.pth
    convert_weights.py lpips-vgg      vgg16-397923af.pth        lpips/weights/v0.1/vgg.pth
    convert_weights.py lpips-alex     alexnet-owt-7be5be79.pth  lpips/weights/v0.1/alex.pth
    convert_weights.py lpips-squeeze  squeezenet1_1-b8a52dc0.pth lpips/weights/v0.1/squeeze.pth

Needs torch, to read checkpoints. docs/extractors.md says where they come from. The result is
extractors/NAME.safetensors in limn's data folder ($LIMN_DATA, else limn/ in the XDG data
folder), or the file named by -o. Values stay as they are; convolutions go from OIHW to OHWI.
"""
import argparse
import json
import os
import struct
import sys

VGG16 = {0: "conv1_1", 2: "conv1_2", 5: "conv2_1", 7: "conv2_2", 10: "conv3_1",
         12: "conv3_2", 14: "conv3_3", 17: "conv4_1", 19: "conv4_2", 21: "conv4_3",
         24: "conv5_1", 26: "conv5_2", 28: "conv5_3"}
ALEXNET = {0: "conv1", 3: "conv2", 6: "conv3", 8: "conv4", 10: "conv5"}
SQUEEZENET = {0: "conv1", 3: "fire2", 4: "fire3", 6: "fire4", 7: "fire5", 9: "fire6",
              10: "fire7", 11: "fire8", 12: "fire9"}
TRUNKS = {"vgg16": VGG16, "lpips-vgg": VGG16, "lpips-alex": ALEXNET,
          "lpips-squeeze": SQUEEZENET}
HEADS = {"classifier.0": "fc6", "classifier.3": "fc7"}
NORM = {"bn.weight": "gamma", "bn.bias": "beta", "bn.running_mean": "mean",
        "bn.running_var": "variance", "conv.weight": "weight"}


def rename_inception(key):
    if key in ("fc.weight", "fc.bias"):
        return key
    parts = key.split(".")
    part = NORM.get(".".join(parts[-2:]))
    return ".".join(parts[:-2] + [part]) if part and parts[0] != "AuxLogits" else None


def rename_trunk(network, key):
    parts = key.split(".")
    if parts[0] == "features" and int(parts[1]) in TRUNKS[network]:
        return ".".join([TRUNKS[network][int(parts[1])]] + parts[2:])
    if parts[0].startswith("lin") and parts[0] != "lins" and network.startswith("lpips"):
        return parts[0] + ".weight"
    head = HEADS.get(".".join(parts[:2])) if network == "vgg16" else None
    return head + "." + parts[2] if head else None


def rename(network, key):
    """limn's name of a checkpoint's tensor; None: limn has no use for it."""
    return rename_inception(key) if network == "inception" else rename_trunk(network, key)


def arrange(name, array):
    """A checkpoint's array in limn's order."""
    if name.startswith("lin"):
        return array.reshape(-1)  # [1, C, 1, 1]
    if name == "fc6.weight":  # reads 7x7 positions of 512 channels
        planes = array.reshape(-1, 512, 7, 7)
        return planes.transpose(0, 2, 3, 1).reshape(len(array), -1)
    return array.transpose(0, 2, 3, 1) if array.ndim == 4 else array


def convert(network, states):
    """{limn's name: f32 array} of one or more state dictionaries."""
    kept = {}
    for state in states:
        for key, value in state.items():
            name = rename(network, key)
            if name:
                kept[name] = arrange(name, value.detach().float().numpy())
    return kept


def write_safetensors(path, arrays):
    header, at = {}, 0
    for name, array in arrays.items():
        header[name] = {"dtype": "F32", "shape": list(array.shape),
                        "data_offsets": [at, at + array.size * 4]}
        at += array.size * 4
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path + ".tmp", "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for array in arrays.values():
            file.write(array.astype("<f4").tobytes())
    os.replace(path + ".tmp", path)


def data_folder():
    home = os.environ.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share")
    return os.environ.get("LIMN_DATA") or os.path.join(home, "limn")


def main():
    import torch
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("network", choices=["inception", *TRUNKS])
    parser.add_argument("checkpoint", nargs="+")
    parser.add_argument("-o", "--out")
    given = parser.parse_args()
    states = [torch.load(path, map_location="cpu", weights_only=True)
              for path in given.checkpoint]
    arrays = convert(given.network, states)
    if not arrays:
        sys.exit(f"{given.checkpoint[0]}: not a checkpoint of {given.network}")
    path = given.out or os.path.join(data_folder(), "extractors",
                                     given.network + ".safetensors")
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    write_safetensors(path, arrays)
    print(f"{path}: {len(arrays)} tensors, {sum(a.size for a in arrays.values())} values")


if __name__ == "__main__":
    main()
