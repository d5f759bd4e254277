#!/usr/bin/python3
"""The table of docs/learning.md: every objective trained on equally many views, then measured.

    tools/learning.py [--packs ../packs] [--runs ../runs/objectives] [--views 600000] [--seeds 1]
                      [--only NAME...] [--threads N]

Trains each built-in recipe but `default` at 64 px on PACKS/dev/train.tar (tools/split-packs) and
measures it on the development benchmark: retrieval among the 20 classes that were held out, and
kNN-20 on 50 pictures of each other class. Descriptors: the pooled features whitened to 256 by PCA,
without the colour part. A run that was stopped goes on; one that is there is not done again.
--threads is what OpenMP may use for a run: seconds are comparable only between runs on the same
number, on an otherwise idle machine.
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
BIN = os.environ.get("AKIN_BIN", ROOT / "build" / "release" / "akin")
# Views that are not spoilt as copies are, descriptors without colours, layout and palette, nothing
# learned by the whitening (weights and power 0: PCA alone): the objective is what differs.
PLAIN = [word for change in ("views.shrink=0", "views.jpeg=0", "views.blur=0", "views.cast=0",
                             "mask_labels=false", "describe.colour=0", "describe.layout=0",
                             "describe.palette=0", "describe.side=64", "describe.kin=0",
                             "describe.parts=0", "describe.copies=0", "describe.power=0")
         for word in ("--set", change)]


def akin(*arguments, **more):
    done = subprocess.run([BIN, *map(str, arguments), "--json"], stdout=subprocess.PIPE, text=True,
                          **more)
    if done.returncode != 0:
        sys.exit(f"akin {' '.join(map(str, arguments))}: exit status {done.returncode}")
    return done.stdout


def train(name, seed, options, model):
    resume = ["--resume"] if pathlib.Path(f"{model}.state").exists() else []
    environment = dict(os.environ, OMP_NUM_THREADS=str(options.threads))
    akin("train", "--data", options.packs / "dev" / "train.tar", "--cache", options.runs / "cache",
         "--out", model, "--recipe", name, "--views", options.views, "--seed", seed, "--set",
         "late_from=1", *PLAIN, "--threads", options.threads, *resume, env=environment)


def measure(name, seed, options):
    """What is known of a run, made when it is missing."""
    stem = options.runs / f"{name}-{options.views}-{seed}"
    result = pathlib.Path(f"{stem}.json")
    if not result.exists():
        train(name, seed, options, f"{stem}.model")
        last = json.loads(pathlib.Path(f"{stem}.model.log").read_text().splitlines()[-1])
        dev = options.packs / "dev"
        values = {"seconds": last["seconds"], "views_per_s": last["views"] / last["seconds"],
                  "rank": last.get("rank")}
        for key, kind, field in (("unseen_map", "retrieval", "map"), ("knn", "knn", "accuracy")):
            tar = dev / ("unseen.tar" if kind == "retrieval" else "seen.tar")
            answer = json.loads(akin("eval", kind, tar, "--model", f"{stem}.model", "--random", 0))
            values[key] = answer["rows"][0][field]
        result.write_text(json.dumps(values))
        os.unlink(f"{stem}.model.state")
    return json.loads(result.read_text())


def spread(values):
    mean = sum(values) / len(values)
    return f"{mean:.1f}" if len(values) == 1 else f"{mean:.1f} ({min(values):.1f}-{max(values):.1f})"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--packs", type=pathlib.Path, default=pathlib.Path("../packs"))
    parser.add_argument("--runs", type=pathlib.Path, default=pathlib.Path("../runs/objectives"))
    parser.add_argument("--views", type=int, default=600000)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--only", nargs="*")
    options = parser.parse_args()
    options.runs.mkdir(parents=True, exist_ok=True)
    names = [r["name"] for r in json.loads(akin("train", "--recipes"))["items"]]
    print("| recipe | kNN-20, % | unseen classes, mAP % | effective rank | minutes | views/s |")
    print("|---|---|---|---|---|---|")
    for name in options.only or [n for n in names if n != "default"]:
        runs = [measure(name, seed, options) for seed in range(1, options.seeds + 1)]
        print("| %s | %s | %s | %.0f | %.1f | %.0f |" %
              (name, spread([r["knn"] for r in runs]), spread([r["unseen_map"] for r in runs]),
               runs[0]["rank"], sum(r["seconds"] for r in runs) / len(runs) / 60,
               sum(r["views_per_s"] for r in runs) / len(runs)), flush=True)


if __name__ == "__main__":
    main()
