"""Runs PyTorch, every configuration in a process of its own."""
import json
import os
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))


# glibc gives big blocks back to the system when they are freed, and asks for them again
# zeroed in the next step; to keep them makes steps of PyTorch some 8 % faster.
KEEP_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(1 << 32),
               "MALLOC_TRIM_THRESHOLD_": str(1 << 34),
               "MALLOC_TOP_PAD_": str(1 << 26)}


class PeerError(RuntimeError):
    pass


class Peer:
    def __init__(self, threads):
        self.threads = threads

    def run(self, script, *arguments):
        command = [sys.executable, os.path.join(HERE, script), *arguments]
        # Which GPU there is does not matter here, and asking for it costs time.
        environment = {**os.environ, **KEEP_MEMORY, "CUDA_VISIBLE_DEVICES": "",
                       "PYTHONDONTWRITEBYTECODE": "1",
                       "OMP_NUM_THREADS": str(self.threads)}
        result = subprocess.run(command, env=environment, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if result.returncode:
            raise PeerError(f"{' '.join(command)}\n{result.stderr[-4000:]}")
        return json.loads(result.stdout.splitlines()[-1])

    def measure(self, work, configuration, batch, steps, sample):
        return self.run("measure.py", work, "--configuration", configuration,
                        "--batch", str(batch), "--steps", str(steps),
                        "--sample", str(sample), "--threads", str(self.threads))

    def losses(self, work, path):
        return self.run("check.py", work, path)

    def startup_seconds(self, work, batch):
        began = time.monotonic()
        result = self.run("measure.py", work, "--batch", str(batch), "--steps", "1",
                          "--warmup", "0", "--threads", str(self.threads))
        return result["first_step_at"] - began

    def version(self):
        return self.run("version.py")
