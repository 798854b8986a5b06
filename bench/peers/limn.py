"""Runs limn and reads what it prints."""
import json
import os
import subprocess
import tempfile


class Limn:
    def __init__(self, program, threads):
        self.program, self.threads = os.path.abspath(program), threads

    def run(self, *arguments):
        command = [self.program, *arguments, "--threads", str(self.threads)]
        result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                text=True)
        if result.returncode:
            raise RuntimeError(f"{' '.join(command)}\n{result.stderr}")
        return result.stdout

    def doctor(self):
        return json.loads(self.run("doctor", "--json"))

    def measure(self, model, batch, steps, sample):
        """`model`: arguments for family and preset. `sample`: steps of DDIM, 0: none."""
        wanted = ["--batch", str(batch), "--steps", str(steps), "--sample", str(sample)]
        return json.loads(self.run("bench", "model", *model, *wanted, "--json"))

    def export(self, model, batch, path):
        self.run("bench", "model", *model, "--batch", str(batch), "--export", path)

    def startup_seconds(self, model):
        """From the start of the program to the first training step."""
        with tempfile.TemporaryDirectory() as folder:
            run = os.path.join(folder, "run")
            self.run("train", *model, "--data", "builtin:digits", "--steps", "1",
                     "--snapshot-every", "1000", "--quiet", "--out", run)
            with open(os.path.join(run, "log.jsonl"), encoding="utf-8") as log:
                return json.loads(log.readline())["startup_seconds"]
