#!/usr/bin/env python3
"""What check.sh measured, as tables in Markdown.

    table.py table DIR              # from the files that check.sh left in DIR
    table.py bandwidth cuda:N       # bytes a second of a copy within the card's memory, by PyTorch, as a line of JSON
"""
import json
import pathlib
import re
import sys


def lines(path):
    """The lines of a file that are JSON; others are left out."""
    found = []
    for line in path.read_text().splitlines() if path.exists() else []:
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return [entry for entry in found if isinstance(entry, dict)]


def row(*cells):
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def number(value, form="{:.1f}"):
    return "-" if value is None else form.format(value)


def share(ours, theirs):
    return number(ours / theirs if ours and theirs else None, "{:.2f} x")


def golden(folder):
    text = (folder / "golden.txt").read_text() if (folder / "golden.txt").exists() else ""
    ok, bad = len(re.findall(r"  ok\b", text)), text.count("FAIL")
    return [f"golden files: {ok} ok, {bad} failed"] if text else []


def tests(folder):
    text = (folder / "tests.txt").read_text() if (folder / "tests.txt").exists() else ""
    passed = sum(int(count) for count in re.findall(r"test result: ok\. (\d+) passed", text))
    return [f"tests: {passed} passed, {text.count('skipped: ')} skipped for want of a GPU"] if text else []


def steps(folder):
    measured = {}
    for entry in lines(folder / "steps.txt"):
        if "network" in entry:
            measured.setdefault((entry["network"], entry["precision"]), {})[entry["side"]] = entry["result"]
    if not measured:
        return []
    table = [row("training step", "batch", "pixels", "numbers", "wseg ms", "PyTorch ms", "time", "wseg MiB", "PyTorch MiB"), row(*["---"] * 9)]
    for (network, precision), sides in measured.items():
        ours = sides.get("wseg", {}).get("networks", [{}])[0]
        theirs = sides.get("torch", {})
        table.append(
            row(network, ours.get("batch", "-"), ours.get("size", "-"), precision, number(ours.get("training_ms")), number(theirs.get("ms")),
                share(ours.get("training_ms"), theirs.get("ms")), number(ours.get("training_memory_mib"), "{:.0f}"), number(theirs.get("peak_mib"), "{:.0f}"))
        )
    return table


def pamr(folder):
    measured, copied = {}, None
    for entry in lines(folder / "pamr.txt"):
        copied = entry.get("copy_bytes_per_second", copied)
        if "pixels" in entry:
            measured.setdefault(entry["pixels"], {})[entry["side"]] = entry["result"]
    if not measured:
        return []
    table = [row("PAMR, 10 iterations", "wseg ms", "PyTorch ms", "time", "of the copy bandwidth"), row(*["---"] * 5)]
    for side, sides in measured.items():
        ours = sides.get("wseg", {}).get("pamr", [{}])[0]
        ms, theirs = ours.get("ms"), sides.get("torch", {}).get("ms")
        # What must move at least: every iteration reads the masks and the 48 affinities and writes the masks; before, the
        # photo is read and the affinities are written.
        channels = ours.get("classes", 21)
        moved = 4 * side * side * (10 * (2 * channels + 48) + 3 + 48)
        bandwidth = moved / (ms / 1e3) / copied if ms and copied else None
        table.append(row(f"{channels} x {side} x {side}", number(ms, "{:.3f}"), number(theirs, "{:.3f}"), share(ms, theirs), number(bandwidth and 100 * bandwidth, "{:.0f} %")))
    return table


def train(folder):
    table = [row("training", "epoch", "loss", "img/s", "waiting for photos", "validation mIoU %"), row(*["---"] * 6)]
    for log in sorted(folder.glob("train-*/metrics.jsonl")):
        for entry in lines(log):
            waiting = entry.get("waiting")
            table.append(row(log.parent.name[len("train-"):], entry["epoch"], number(entry["loss_classification"], "{:.4f}"), number(entry["photos_per_second"]),
                             number(waiting and 100 * waiting, "{:.0f} %"), number(entry.get("validation_miou"))))
    return table if len(table) > 2 else []


def bandwidth(device):
    import time

    import torch

    source = torch.empty(1 << 28, dtype=torch.float32, device=device)
    target = torch.empty_like(source)
    best = 0.0
    for _ in range(10):
        torch.cuda.synchronize(device)
        start = time.perf_counter()
        target.copy_(source)
        torch.cuda.synchronize(device)
        # Read once, written once.
        best = max(best, 2 * source.numel() * 4 / (time.perf_counter() - start))
    print(json.dumps({"copy_bytes_per_second": best}))


def main():
    if len(sys.argv) != 3 or sys.argv[1] not in ("table", "bandwidth"):
        sys.exit(__doc__)
    if sys.argv[1] == "bandwidth":
        return bandwidth(sys.argv[2])
    folder = pathlib.Path(sys.argv[2])
    card = folder / "card.txt"
    parts = [[card.read_text().strip()] if card.exists() else []] + [part(folder) for part in (golden, tests, steps, pamr, train)]
    print("\n\n".join("\n".join(part) for part in parts if part))


main()
