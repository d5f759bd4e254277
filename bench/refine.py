"""`make bench-refine`: what a collection gains when its encoder refines itself on it.

    BASE=FILE PACKS=../packs SPLIT=../packs/refine python3 bench/refine.py [--part shifted|flickr|poison] [--seeds 3]
        [--budget 600] [--set train.rate=0.01 ...] [--json]

shifted  classes that the encoder was not trained on arrive without labels; mAP and kNN on held-out
         pictures of these and of the classes that it was trained on, before and after. BASE is an
         encoder that was trained on SPLIT/train.tar, which lacks 40 classes; without BASE one is
         trained for --base-minutes. SPLIT: what tools/split-packs made (PACKS/refine, which is made
         with --unseen 40 where it is not there).
flickr   the shipped encoder on flickr.tar, which no encoder was trained on: the gate's numbers, and
         how long it took.
poison   runs that must be refused: pictures of one colour, feedback by chance, a rate that is a
         hundred times too high.

The pictures are uploaded to a server that has the encoder to start with, and its worker runs. With
--set, which a server does not take, and for what must be refused, runs are made from files (`akin
refine --make`), as the daemon makes them from its store. Nothing is chosen by what is measured here,
but what --set says. Each figure is of one seed; the spread is shown.
"""
import argparse
import hashlib
import json
import os
import pathlib
import random
import statistics
import struct
import subprocess
import sys
import tarfile
import tempfile
import time
import zlib

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "parts"))
from server import BIN, ROOT, Server, run_json  # noqa: E402

TARGET_NEW, TARGET_OLD = 3.0, -0.5  # points of mAP
HELD_OUT = 40  # classes
POISONED = ("colours", "feedback", "rate")


def say(text):
    print(text, file=sys.stderr, flush=True)


# --- collections -----------------------------------------------------------------------------------

def unlabelled(source, out):
    """The pictures of a labelled tar under names that tell nothing, in an order that tells nothing."""
    with tarfile.open(source) as tar, tarfile.open(out, "w") as to:
        entries = [(hashlib.sha256(e.name.encode()).hexdigest(), e) for e in tar if e.isreg()]
        for digest, entry in sorted(entries, key=lambda pair: pair[0]):
            info = tarfile.TarInfo(f"new/{digest[:16]}.jpg")
            info.size = entry.size
            to.addfile(info, tar.extractfile(entry))
    return len(entries)


def sample_tar(source, out, wanted):
    """About so many pictures of a tar, by the hash of their names."""
    with tarfile.open(source) as tar:
        total = sum(entry.isreg() for entry in tar)
    with tarfile.open(source) as tar, tarfile.open(out, "w") as to:
        for entry in tar:
            share = int(hashlib.sha256(entry.name.encode()).hexdigest()[:8], 16) / 2**32
            if entry.isreg() and share * total < wanted:
                to.addfile(entry, tar.extractfile(entry))


def png(colour, side=96):
    """A picture of one colour."""
    def chunk(kind, data):
        return (struct.pack(">I", len(data)) + kind + data +
                struct.pack(">I", zlib.crc32(kind + data)))
    rows = (b"\0" + bytes(colour) * side) * side
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
            + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


# --- runs ------------------------------------------------------------------------------------------

def akin(*arguments):
    done = subprocess.run([BIN, *map(str, arguments)], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def refine(folder, options, seed, *more):
    """Makes a run, works it off and judges it: what it did, or why it failed."""
    sets = [part for change in options.set for part in ("--set", change)]
    status, _, err = akin("refine", folder, "--make", "--seed", seed, "--budget", options.budget,
                          *sets, *more)
    if status != 0:
        raise SystemExit(f"akin refine --make: {err[-1000:]}")
    began = time.monotonic()
    status, out, err = akin("refine", folder)
    worked = time.monotonic() - began
    if status != 0:
        return {"passed": False, "reason": err.strip().splitlines()[-1], "worked_s": worked}
    last = json.loads(out.splitlines()[-1])
    began = time.monotonic()
    verdict = run_json(BIN, "gate", folder, "--json")
    return {**verdict, "worked_s": worked, "judged_s": time.monotonic() - began,
            "factor": last["factor"], "smoothing": last["smoothing"]}


def serve_and_refine(candidate, options, seed, model, data):
    """The same on a server that the pictures are uploaded to. candidate: where that model goes."""
    with Server(None, "--model", model) as server:
        began = time.monotonic()
        run_json(BIN, "import", data, "--server", server.url, "--collection", "photos", "--json")
        uploaded = time.monotonic() - began
        began = time.monotonic()
        run = server.follow(server.begin("/v1/admin/training-runs", {
            "budget_s": int(options.budget), "seed": seed, "promote": "auto"}))
        took = {"uploaded_s": uploaded, "worked_s": time.monotonic() - began}
        if run["state"] != "succeeded":
            return {"passed": False, "reason": run["error"], **took}
        if run["model"]:
            status, file = server.call("GET", f"/v1/admin/models/{run['model']}/checkpoint")
            if status == 200:
                candidate.write_bytes(file)
        return {**run["report"], **took, "passed": run["decision"] == "promoted"}


def attempt(run, options, seed, model, data, *more):
    """A run by a server's worker, or from files where there is what a server does not take. What it
    proposes is run/candidate.model."""
    if options.set or more:
        return refine(run, options, seed, "--data", data, "--model", model, *more)
    run.mkdir()
    return serve_and_refine(run / "candidate.model", options, seed, model, data)


def shown(verdict):
    state = "passed" if verdict["passed"] else "refused"
    lines = [f"  {state} after {verdict['worked_s']:.0f} s: {verdict['reason']}"]
    for row in verdict.get("gate", []):
        lines.append(f"    {row['measure']:<26} {100 * row['incumbent']:8.2f} "
                     f"{100 * row['candidate']:8.2f}   {100 * row['low']:+7.2f} .. "
                     f"{100 * row['high']:+.2f}")
    return "\n".join(lines)


# --- parts -----------------------------------------------------------------------------------------

def base_of(split, folder, options):
    if os.environ.get("BASE"):
        return pathlib.Path(os.environ["BASE"])
    model = folder / "base.model"
    say(f"training an encoder for {options.base_minutes:g} minutes; BASE=FILE takes one that is there")
    run = subprocess.run([BIN, "train", "--data", split / "train.tar", "--out", model,
                          "--minutes", str(options.base_minutes)], check=False)
    if run.returncode != 0:
        raise SystemExit("the base encoder could not be trained")
    return model


def measured(model, new, old):
    """mAP and kNN in per cent on both sets of classes."""
    figures = {}
    for name, tar in (("new", new), ("old", old)):
        r = run_json(BIN, "eval", "retrieval", tar, "--model", model, "--json")
        k = run_json(BIN, "eval", "knn", tar, "--model", model, "--json")
        figures[f"{name} mAP"] = r["rows"][0]["map"]
        figures[f"{name} kNN"] = k["rows"][0]["accuracy"]
    return figures


def seeds_of(options):
    return range(options.first_seed, options.first_seed + options.seeds)


def part_shifted(packs, folder, options):
    split = pathlib.Path(os.environ.get("SPLIT", packs / "refine")).resolve()
    if not (split / "unseen.txt").exists():
        subprocess.run([ROOT / "tools/split-packs", packs, split, "--unseen", str(HELD_OUT)],
                       check=True, cwd=ROOT)
    base = base_of(split, folder, options)
    learn, test, old = folder / "learn.tar", split / "unseen.tar", folder / "old.tar"
    say(f"{unlabelled(split / 'new.tar', learn)} pictures of new classes arrive")
    sample_tar(split / "seen.tar", old, options.old_pictures)
    before = measured(base, test, old)
    rows = []
    for seed in seeds_of(options):
        run = folder / f"shifted-{seed}"
        candidate = run / "candidate.model"
        verdict = attempt(run, options, seed, base, learn,
                          *(["--old", options.old, "--trained"] if options.old else []))
        after = measured(candidate, test, old) if candidate.exists() else before
        rows.append({"seed": seed, "after": after, "verdict": verdict})
        print(f"seed {seed}: " + ", ".join(f"{k} {before[k]:.2f} -> {after[k]:.2f} "
                                           f"({after[k] - before[k]:+.2f})" for k in before))
        print(shown(verdict), flush=True)
    for key in before:
        gains = [row["after"][key] - before[key] for row in rows]
        target = {"new mAP": TARGET_NEW, "old mAP": TARGET_OLD}.get(key)
        print(f"{key}: {statistics.mean(gains):+.2f} points, {min(gains):+.2f} to {max(gains):+.2f}"
              + (f"; target {target:+.1f}" if target is not None else ""))
    return {"before": before, "runs": rows}


def part_flickr(packs, folder, options):
    rows = []
    for seed in seeds_of(options):
        verdict = attempt(folder / f"flickr-{seed}", options, seed, ROOT / "models/akin.model",
                          packs / "flickr.tar")
        print(f"flickr, seed {seed}\n{shown(verdict)}", flush=True)
        rows.append(verdict)
    return {"runs": rows}


def part_poison(packs, folder, options):
    """Every kind as often as there are runs to share among them; refused is as it must be."""
    flat = folder / "flat"
    flat.mkdir()
    chance = random.Random(1)
    for i in range(1000):
        (flat / f"{i}.png").write_bytes(png([chance.randrange(256) for _ in range(3)]))
    with tarfile.open(packs / "flickr.tar") as tar:
        names = [entry.name for entry in tar if entry.isreg()]
    feedback = folder / "feedback.tsv"
    feedback.write_text("".join(f"{chance.choice(names)}\t{chance.choice(names)}\t"
                                f"{chance.choice(['similar', 'different'])}\n" for _ in range(3000)))
    refused = 0
    for i in range(options.first_seed - 1, options.first_seed - 1 + options.poisoned):
        how = POISONED[i % len(POISONED)]
        more = {"colours": ["--data", flat],
                "feedback": ["--data", packs / "flickr.tar", "--feedback", feedback,
                             "--set", "train.feedback=10", "--set", "train.contrast=0"],
                "rate": ["--data", packs / "flickr.tar", "--set", "train.rate=3"]}[how]
        verdict = refine(folder / f"poison-{i}", options, i, *more, "--model",
                         ROOT / "models/akin.model")
        refused += not verdict["passed"]
        print(f"{how}: {shown(verdict).splitlines()[0].strip()}", flush=True)
    print(f"{refused} of {options.poisoned} poisoned runs were refused")
    return {"refused": refused, "runs": options.poisoned}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--part", action="append", choices=["shifted", "flickr", "poison"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--poisoned", type=int, default=10)
    parser.add_argument("--budget", type=float, default=600)
    parser.add_argument("--base-minutes", type=float, default=30)
    parser.add_argument("--old-pictures", type=int, default=5000, help="that measure old classes")
    parser.add_argument("--old", help="a tar that the base was trained on, for replay")
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    packs = pathlib.Path(os.environ.get("PACKS", ROOT / "../packs")).resolve()
    parts = {"shifted": part_shifted, "flickr": part_flickr, "poison": part_poison}
    results = {}
    with tempfile.TemporaryDirectory(prefix="akin-bench-refine-") as folder:
        for name in options.part or parts:
            results[name] = parts[name](packs, pathlib.Path(folder), options)
    if options.json:
        print(json.dumps(results))


if __name__ == "__main__":
    main()
