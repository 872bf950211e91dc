#!/usr/bin/env python3
"""Times of wseg beside PyTorch's, measured in turns in one sitting, as a table in Markdown.

    python3 -m venv V && V/bin/pip install torch
    cargo build --release
    V/bin/python host/benches/compare.py                         # 10 minutes; nothing else should run
    V/bin/python host/benches/compare.py --rounds 1 --only pamr

Every number is a process of its own, so that peaks of memory are its own; the medians are over the rounds.
"""
import argparse
import functools
import json
import os
import pathlib
import platform
import re
import statistics
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent

# Name, arguments of `wseg bench`, arguments of peer.py.
ROWS = [
    ("training step, ResNet-50, batch 2, 321", "resnet50 --only training --batch 2 --size 321", "training --network resnet50 --batch 2 --size 321"),
    ("forward, ResNet-50, batch 1, 321", "resnet50 --only view --batch 1 --size 321", "view --network resnet50 --batch 1 --size 321"),
    ("training step, WideResNet-38, batch 1, 321", "resnet38 --only training --batch 1 --size 321", "training --network resnet38 --batch 1 --size 321"),
    ("forward, WideResNet-38, batch 1, 321", "resnet38 --only view --batch 1 --size 321", "view --network resnet38 --batch 1 --size 321"),
    ("PAMR 21 x 81 x 81, 10 iterations", "--only pamr --size 81", "pamr --size 81"),
    ("PAMR 21 x 321 x 321, 10 iterations", "--only pamr --size 321", "pamr --size 321"),
]

# Name, benchmark of cuda-runner/benches/ops.rs, arguments of peer.py: forward and backward.
OPERATIONS = [
    (
        f"depthwise 3x3, 728 channels of 41 x 41, batch {batch}, stride {stride}, dilation {dilation}",
        f"depthwise_conv2d/{batch}x728 3x3 s{stride} d{dilation} 41x41 both",
        f"depthwise --batch {batch} --size 41 --stride {stride} --dilation {dilation}",
    )
    for batch in (1, 4)
    for stride, dilation in ((1, 1), (1, 2), (2, 1))
]


def run(command, environment=None):
    """What the command prints, and the peak of its memory in MiB."""
    with tempfile.TemporaryFile() as out:
        process = subprocess.Popen(command, stdout=out, env={**os.environ, **(environment or {})})
        _, status, usage = os.wait4(process.pid, 0)
        if status:
            sys.exit(f"failed: {' '.join(map(str, command))}")
        out.seek(0)
        return out.read().decode(), usage.ru_maxrss / 1024


def ours(arguments, options):
    command = [options.wseg, "bench", *arguments.split(), "--runs", str(options.runs), "--threads", str(options.threads), "--json", "--quiet"]
    report, peak = run(command)
    report = json.loads(report)
    entry = (report["networks"] or report["pamr"])[0]
    milliseconds = next(entry[key] for key in ("training_ms", "view_ms", "ms") if entry.get(key) is not None)
    return milliseconds, peak, report["version"]


@functools.cache
def benchmarks():
    """The program of all operations' benchmarks, built if need be."""
    command = ["cargo", "bench", "--workspace", "--locked", "--bench", "ops", "--no-run", "--message-format", "json"]
    built = subprocess.run(command, cwd=HERE, stdout=subprocess.PIPE, check=True).stdout.splitlines()
    paths = [message.get("executable") for message in map(json.loads, built) if message.get("target", {}).get("name") == "ops"]
    return next(path for path in paths if path)


def operation(benchmark, options):
    command = [benchmarks(), "--bench", benchmark, "--warm-up-time", "0.5", "--measurement-time", "2", "--noplot"]
    report, peak = run(command, {"RAYON_NUM_THREADS": str(options.threads)})
    time, unit = re.search(r"time: +\[\S+ \S+ (\S+) (\S+)", report).groups()
    version = re.search('^version = "(.+)"', (HERE.parent.parent / "Cargo.toml").read_text(), re.MULTILINE).group(1)
    return float(time) * {"ns": 1e-6, "µs": 1e-3, "ms": 1, "s": 1e3}[unit], peak, version


def theirs(arguments, options):
    command = [sys.executable, HERE / "peer.py", *arguments.split(), "--runs", str(options.runs), "--threads", str(options.threads)]
    report, peak = run(command)
    report = json.loads(report)
    return report["ms"], peak, report["version"]


def processor():
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    flags = next((line for line in lines if line.startswith("flags")), "")
    vectors = next((name for name in ("avx512f", "avx2", "avx") if f" {name} " in flags + " "), "no AVX")
    return f"{names[0] if names else platform.machine()} ({vectors})"


def shown(milliseconds):
    return f"{milliseconds:.{2 if milliseconds < 10 else 1}f} ms" if milliseconds < 100 else f"{milliseconds:.0f} ms"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wseg", default=HERE.parent.parent / "target/release/wseg", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--runs", type=int, default=3, help="measurements in each process")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", default="", help="rows whose name contains this")
    options = parser.parse_args()
    print("| work | wseg | PyTorch | time | memory | |\n|---|---|---|---|---|---|")
    versions = ("", "")
    rows = [(name, ours, *arguments) for name, *arguments in ROWS] + [(name, operation, *arguments) for name, *arguments in OPERATIONS]
    for name, measure, mine, peer in rows:
        if options.only.lower() not in name.lower():
            continue
        # In turns, so that both sides see the same moods of the machine.
        rounds = [(measure(mine, options), theirs(peer, options)) for _ in range(options.rounds)]
        (our_ms, our_peak), (their_ms, their_peak) = [
            [statistics.median(pair[side][value] for pair in rounds) for value in (0, 1)] for side in (0, 1)
        ]
        versions = (rounds[0][0][2], rounds[0][1][2])
        print(
            f"| {name} | {shown(our_ms)}, {our_peak:.0f} MiB | {shown(their_ms)}, {their_peak:.0f} MiB "
            f"| {our_ms / their_ms:.2f} x | {our_peak / their_peak:.2f} x | {their_ms / our_ms:.1f} times as fast |",
            flush=True,
        )
    print(f"\n{processor()}, {options.threads} threads; wseg {versions[0]}, PyTorch {versions[1]}; medians of {options.rounds} x {options.runs}")


main()
