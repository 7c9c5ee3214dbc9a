"""Measure the batch judge under stress with the real command and stub servers.

    python -m creative4u.serving.bench.stress FOLDER [bad-rows|ctrl-c|outage|two-servers|memory]

Servers are stubs, so what is measured is the judge and not a model. Each line is one JSON object.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import resource
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

CREATIVE4U = [sys.executable, "-c", "from creative4u.cli import main; main()"]
BAD = ("bad_row", "bad_row", "bad_image", "bad_image", "bad_image")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def stub(port: int, seconds: float = 0.0, dies_after: int = -1) -> subprocess.Popen[bytes]:
    """A stub server that listens when this returns."""
    program = "creative4u.serving.bench.quick_stub"
    words = [sys.executable, "-m", program, str(port), str(seconds), str(dies_after)]
    process = subprocess.Popen(words)
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return process
        time.sleep(0.05)


def write_pairs(folder: Path, count: int, bad_every: int = 0) -> tuple[Path, list[str]]:
    """Pairs whose right choice is known, and the expected choice or error code of each row."""
    noise = np.random.default_rng(0).integers(0, 256, (48, 48, 3), dtype=np.uint8)
    Image.fromarray(noise).save(folder / "good.png")
    Image.new("RGB", (48, 48), "grey").save(folder / "plain.png")
    Image.new("RGB", (9, 9)).save(folder / "tiny.png")
    (folder / "text.png").write_text("no image")
    path, expected = folder / f"pairs-{count}-{bad_every}.jsonl", []
    with path.open("w") as file:
        for n in range(count):
            side = "AB"[n % 3 == 0]
            images = ("good.png", "plain.png") if side == "A" else ("plain.png", "good.png")
            row = {"pair_id": f"p{n}", "product_title": f"boot {n}", "label": side,
                   "image_a": images[0], "image_b": images[1]}  # fmt: skip
            kind = n // bad_every % len(BAD) if bad_every and n % bad_every == 0 else None
            if kind == 1:
                row["product_title"] = " "
            elif kind is not None and kind >= 2:
                row["image_b"] = ("none.png", "text.png", "tiny.png")[kind - 2]
            file.write(("{not json" if kind == 0 else json.dumps(row)) + "\n")
            expected.append(side if kind is None else BAD[kind])
    return path, expected


def judge(
    pairs: Path, out: Path, *urls: str, more: tuple[str, ...] = (), told: int = subprocess.PIPE
) -> subprocess.Popen[str]:
    words = [*CREATIVE4U, "judge", str(pairs), "-o", str(out), "--json", *more]
    words += [word for url in urls for word in ("--model", url)]
    return subprocess.Popen(words, text=True, stdout=subprocess.PIPE, stderr=told)


def rows(out: Path) -> list[dict[str, Any]]:
    """The rows of a file of verdicts without the one thing that time decides."""
    lines = out.read_text().splitlines() if out.exists() else []
    return [{k: v for k, v in json.loads(line).items() if k != "seconds"} for line in lines]


def said(out: Path) -> list[str]:
    return [row["error"]["code"] if "error" in row else row["choice"] for row in rows(out)]


def lines_of(out: Path) -> int:
    return out.read_bytes().count(b"\n") if out.exists() else 0


def wait_for_lines(process: subprocess.Popen[str], out: Path, count: int) -> None:
    while process.poll() is None and lines_of(out) < count:
        time.sleep(0.005 if count <= 1000 else 0.5)


def url(port: int) -> str:
    return f"http://127.0.0.1:{port}"


def bad_rows(folder: Path) -> dict[str, Any]:
    """1,000 pairs, 5 % of them bad; then again with three kills at random moments."""
    pairs, expected = write_pairs(folder, 1000, 20)
    port = free_port()
    server = stub(port, 0.002)
    whole, out = folder / "whole.jsonl", folder / "killed.jsonl"
    judge(pairs, whole, url(port)).communicate()
    draw, kills = random.Random(5), []
    for least, most in ((20, 300), (320, 600), (620, 900)):
        process = judge(pairs, out, url(port))
        wait_for_lines(process, out, draw.randint(least, most))
        process.kill()
        process.communicate()
        kills.append(lines_of(out))
    last = judge(pairs, out, url(port))
    last.communicate()
    server.kill()
    right = sum(a == b for a, b in zip(said(whole), expected, strict=True))
    reasons = {row["error"]["message"].split(";")[0] for row in rows(whole) if "error" in row}
    return {"rows": 1000, "as_expected": right, "exit": last.returncode, "killed_at_rows": kills,
            "same_as_uninterrupted": rows(out) == rows(whole),
            "reasons": sorted(reasons, key=len)[:5]}  # fmt: skip


def ctrl_c(folder: Path) -> dict[str, Any]:
    """SIGINT and SIGTERM in mid-run, against a server that is slow to answer."""
    pairs, _ = write_pairs(folder, 1000, 20)
    port = free_port()
    server = stub(port, 2.0)
    took, used, resume = [], [], ""
    for number in (signal.SIGINT, signal.SIGTERM):
        out = folder / f"stopped-{int(number)}.jsonl"
        process = judge(pairs, out, url(port))
        wait_for_lines(process, out, 4)
        time.sleep(0.5)  # requests are in flight now
        began = time.perf_counter()
        before = cpu_seconds(process.pid) + children_cpu_seconds()
        process.send_signal(number)
        _, errors = process.communicate()
        took.append(round(time.perf_counter() - began, 2))
        used.append(round(children_cpu_seconds() - before, 2))
        resume = errors.strip().splitlines()[-1]
        assert process.returncode == 130, (process.returncode, errors)
    server.kill()
    return {"seconds_to_stop": took, "cpu_seconds_to_stop": used, "exit": 130,
            "said": resume.replace(str(folder), "FOLDER")}  # fmt: skip


def outage(folder: Path) -> dict[str, Any]:
    """The only server dies in mid-run: it comes back; or it does not and patience ends."""
    pairs, expected = write_pairs(folder, 300, 20)
    port = free_port()
    server = stub(port, 0.01)
    out = folder / "back.jsonl"
    process = judge(pairs, out, url(port), more=("--patience", "900"))
    wait_for_lines(process, out, 40)
    server.kill()
    server.wait()
    at = lines_of(out)
    time.sleep(3)
    server = stub(port, 0.01)
    _, errors = process.communicate()
    notes = [
        line for line in errors.replace("]http", "]\nhttp").splitlines() if line.startswith("http")
    ]
    back = {"killed_at_rows": at, "as_expected": said(out) == expected, "said": notes}
    gone = folder / "gone.jsonl"
    process = judge(pairs, gone, url(port), more=("--patience", "2"))
    wait_for_lines(process, gone, 40)
    server.kill()
    server.wait()
    process.communicate()
    codes = said(gone)
    kept = next(n for n, code in enumerate(codes) if code == "backend")
    report = {"rows": len(codes), "judged_before": kept, "backend_errors": codes.count("backend"),
              "exit": process.returncode}  # fmt: skip
    server = stub(port, 0.001)
    again = judge(pairs, gone, url(port), more=("--retry-errors",))
    again.communicate()
    server.kill()
    return {"back": back, "gone": report, "retried_as_expected": said(gone) == expected}


def two_servers(folder: Path) -> dict[str, Any]:
    """One slow server and one that dies after 60 answers."""
    pairs, expected = write_pairs(folder, 300, 20)
    slow, dying = free_port(), free_port()
    servers = [stub(slow, 0.05), stub(dying, 0.0, 60)]
    out = folder / "two.jsonl"
    judge(pairs, out, url(slow), url(dying)).communicate()
    died = servers[1].poll()
    servers[0].kill()
    ids = [row["pair_id"] for row in rows(out)]
    return {"rows": len(ids), "unique": len(set(ids)), "as_expected": said(out) == expected,
            "dead_server_exit": died}  # fmt: skip


def memory(folder: Path, count: int = 100_000) -> dict[str, Any]:
    """Peak memory of the judge after a thousandth, a tenth and all of the rows."""
    pairs, expected = write_pairs(folder, count)
    port = free_port()
    server = stub(port)
    out = folder / "many.jsonl"
    peaks: dict[int, float | None] = {}
    began = time.perf_counter()
    # a progress bar of so many rows fills a pipe that nobody empties
    process = judge(pairs, out, url(port), more=("--concurrency", "8"), told=subprocess.DEVNULL)
    for mark in (count // 1000, count // 10, count // 2, count):
        wait_for_lines(process, out, mark)
        peaks[mark] = peak_mb(process.pid) or peaks.get(mark // 2)
    summary = json.loads(process.communicate()[0])
    seconds = time.perf_counter() - began
    server.kill()
    right = sum(row == want for row, want in zip(iter_said(out), expected, strict=True))
    return {"rows": summary["n"], "as_expected": right, "peak_mb_at_rows": peaks,
            "seconds": round(seconds), "AA": summary["AA"]}  # fmt: skip


def iter_said(out: Path) -> Any:
    with out.open() as lines:
        for line in lines:
            row = json.loads(line)
            yield row["error"]["code"] if "error" in row else row["choice"]


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def children_cpu_seconds() -> float:
    """Of the children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def peak_mb(pid: int) -> int | None:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    found = next((line for line in status.splitlines() if line.startswith("VmHWM")), None)
    return int(found.split()[1]) // 1024 if found else None


TRIALS = {"bad-rows": bad_rows, "ctrl-c": ctrl_c, "outage": outage, "two-servers": two_servers,
          "memory": memory}  # fmt: skip


if __name__ == "__main__":
    # a shell starts what runs in its background deaf to Ctrl-C, and children inherit that
    signal.signal(signal.SIGINT, signal.default_int_handler)
    where = Path(sys.argv[1]).resolve()
    for name in sys.argv[2:] or TRIALS:
        scratch = next(p for n in itertools.count() if not (p := where / f"{name}-{n}").exists())
        scratch.mkdir(parents=True)
        print(json.dumps({"trial": name, **TRIALS[name](scratch)}, ensure_ascii=False), flush=True)
