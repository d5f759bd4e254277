#!/usr/bin/python3 -ES
"""Stands in for `akin refine RUNDIR` and `akin gate RUNDIR`: does what the file that AKIN_FAKE names
says, a JSON object of two behaviours. It notes each start in that file's folder."""
import hashlib
import json
import os
import signal
import sys
import time

PLAN = os.environ["AKIN_FAKE"]
HOME = os.path.dirname(PLAN)


def say(**line):
    os.write(1, (json.dumps(line) + "\n").encode())


def steps(n, pause=0.02):
    for i in range(n):
        say(phase="train", done=i + 1, total=n, loss=1.0 / (i + 1))
        time.sleep(pause)


def propose(folder):
    """The incumbent with the last bits of some numbers turned: another model, and a whole one."""
    with open(f"{folder}/incumbent.model", "rb") as model:
        data = bytearray(model.read()[:-32])
    for i, byte in enumerate(hashlib.sha256(folder.encode()).digest()[:4]):
        data[-4 * i - 4] ^= byte | 1
    with open(f"{folder}/candidate.model", "wb") as model:
        model.write(data + hashlib.sha256(data).digest())
    with open(f"{folder}/pictures.jsonl", encoding="utf-8") as rows:
        sums = [row["sha256"] for row in map(json.loads, rows) if row.get("role") == "train"]
    with open(f"{folder}/trained.json", "w", encoding="utf-8") as out:
        json.dump({"sha256": sums}, out)


def judge(folder, passed):
    row = {"measure": "parts_map", "primary": True, "incumbent": 0.41, "candidate": 0.44,
           "low": 0.01, "high": 0.05, "margin": 0.0, "passed": passed}
    with open(f"{folder}/verdict.json", "w", encoding="utf-8") as out:
        json.dump({"passed": passed, "reason": "better" if passed else "not better",
                   "gate": [row], "yardsticks": 90}, out)


def for_ever():
    i = 0
    while True:
        say(done=i % 1000, total=1000)
        i += 1
        time.sleep(0.05)


def act(what, folder, first):
    if what == "slow":
        for_ever()
    if what == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        for_ever()
    if what == "hang":
        time.sleep(3600)
    if what == "crash" or (what == "crash once" and first):
        os.kill(os.getpid(), signal.SIGSEGV)
    if what == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "memory":
        held = []
        while True:
            held.append(bytearray(16 << 20))
    if what == "error":
        say(phase="failed", code="conflict", detail="the loss is not a number")
        sys.exit(3)
    if what == "disk full":
        say(phase="failed", code="disk_full", detail="checkpoint.state: No space left on device")
        sys.exit(3)
    if what == "garbage":
        os.write(1, b"\x00\xff{\n[1, 2]\n\"text\"\n{\"done\": -5, \"total\": \"x\"}\n" + b"x" * 200000 + b"\n")
        os.write(1, b"{\"done\": 99999999999, \"total\": 3}\n")
        os.write(2, b"y" * 100000)
    if what == "listen":
        with open(f"{HOME}/heard", "ab", 0) as heard:
            while line := os.read(0, 4096):
                heard.write(line)
                say(done=1, total=2)
                if os.path.exists(f"{HOME}/enough"):
                    break


def main():
    command, folder = sys.argv[1:3]
    with open(PLAN, encoding="utf-8") as file:
        what = json.load(file)[command]
    first = not os.path.exists(f"{HOME}/{command}.pids")
    with open(f"{HOME}/{command}.pids", "a", encoding="utf-8") as pids:
        pids.write(f"{os.getpid()}\n")
    act(what, folder, first)
    steps(5)
    if command == "refine":
        propose(folder)
    elif what == "no verdict":
        with open(f"{folder}/verdict.json", "w", encoding="utf-8") as out:
            out.write("{\"passed\": 1}")
    else:
        judge(folder, what != "refuse")


main()
