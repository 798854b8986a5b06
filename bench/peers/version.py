#!/usr/bin/env python3
"""Prints what PyTorch is made of, as one JSON object."""
import json
import platform
import re

import torch

found = re.search(r"MKL-DNN v([\d.]+)", torch.__config__.show())
print(json.dumps({"torch": torch.__version__,
                  "onednn": found.group(1) if found else "none",
                  "python": platform.python_version(),
                  "isa": torch.backends.cpu.get_cpu_capability()}))
