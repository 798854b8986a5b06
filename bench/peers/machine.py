"""Describes what the numbers were measured on."""
import datetime
import os
import subprocess


def output_of(*command):
    try:
        return subprocess.run(command, check=True, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def system():
    with open("/etc/os-release", encoding="utf-8") as file:
        pairs = dict(line.rstrip("\n").split("=", 1) for line in file if "=" in line)
    name = pairs.get("PRETTY_NAME", "unknown").strip('"')
    return f"{name}, Linux {os.uname().release}"


def commit(folder):
    text = output_of("git", "-C", folder, "rev-parse", "--short", "HEAD") or "unknown"
    changed = output_of("git", "-C", folder, "status", "--porcelain", "--", "src",
                        "include")
    return text + (" with changes" if changed else "")


def compiler():
    return (output_of("cc", "--version").splitlines() or ["unknown"])[0]


def load():
    return os.getloadavg()[0]


def describe(doctor, peer, threads, folder):
    """Lines of text. `doctor` is limn's own view, `peer` that of version.py."""
    now = datetime.datetime.now(datetime.timezone.utc)
    return [
        f"{now:%Y-%m-%d %H:%M} UTC, f32, {threads} threads",
        f"machine: {doctor['processor']}, {os.cpu_count()} cores, "
        f"{doctor['memory_gb']:.0f} GB; {system()}",
        f"limn: commit {commit(folder)}, {doctor['cpu']}; {compiler()}",
        f"PyTorch: {peer['torch']} with oneDNN {peer['onednn']}, {peer['isa']}; "
        f"Python {peer['python']}",
    ]
