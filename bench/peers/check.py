#!/usr/bin/env python3
"""Computes the losses of a file that `limn bench model --export` wrote, and prints one
JSON object: name of the loss to [limn's, PyTorch's]."""
import argparse
import json

import torch
from safetensors.torch import load_file

import dcgan
import ddpm
import penalty
import vae
import weights


def planes(images):
    return images.permute(0, 3, 1, 2).contiguous()


def ddpm_losses(preset, tensors, inputs):
    model = ddpm.Ddpm(ddpm.PRESETS[preset])
    weights.load(model, tensors)
    model.eval()
    return {"loss": model.loss_at(planes(inputs["x0"]), inputs["t"].long(),
                                  planes(inputs["noise"]))}


def dcgan_losses(tensors, inputs):
    model = dcgan.Pair()
    weights.load(model, tensors)
    return {"loss.d": model.loss_d_at(planes(inputs["real"]), inputs["z"]),
            "loss.g": model.loss_g_at(inputs["z"])}


def penalty_losses(name, tensors, inputs):
    model = penalty.PAIRS[name]()
    weights.load(model, tensors)
    with torch.enable_grad():
        loss_d = model.loss_d_at(planes(inputs["real"]), inputs["z"], inputs.get("share"))
    return {"loss.d": loss_d, "loss.g": model.loss_g_at(inputs["z"])}


def vae_losses(preset, tensors, inputs):
    model = vae.Vae(vae.PRESETS[preset])
    weights.load(model, tensors)
    return {"loss": model.loss_at(inputs["images"], inputs["eps"][0])}


def split(tensors):
    """Parameters, inputs without their prefix, losses."""
    parts = {}, {}, {}
    for name, value in tensors.items():
        if name.startswith("input."):
            parts[1][name.removeprefix("input.")] = value
        else:
            parts[2 if name.startswith("loss") else 0][name] = value
    return parts


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", help="one of plan.py's")
    parser.add_argument("file")
    arguments = parser.parse_args()
    parameters, inputs, losses = split(load_file(arguments.file))
    with torch.no_grad():
        if arguments.work == "dcgan":
            peers = dcgan_losses(parameters, inputs)
        elif arguments.work in penalty.PAIRS:
            peers = penalty_losses(arguments.work, parameters, inputs)
        elif arguments.work in vae.PRESETS:
            peers = vae_losses(arguments.work, parameters, inputs)
        else:
            peers = ddpm_losses(arguments.work, parameters, inputs)
    print(json.dumps({name: [losses[name].item(), peers[name].item()] for name in peers}))


if __name__ == "__main__":
    main()
