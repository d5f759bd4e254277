"""`make bench-encoder`: an encoder on the development benchmark, beside the baselines, in per cent.

    MODEL=FILE PACKS=../packs python3 bench/encoder.py [--queries N] [--json]

unseen   20 classes that tools/split-packs holds out of training: retrieval
seen     50 held-out pictures of each of the other classes: kNN, each left out in turn
copies   altered pictures of flickr.tar, which nothing is trained on, among all of it and of seen
parts    two crops of a picture that hardly overlap find each other among the same
corel    Corel-1k, which nothing is trained or chosen on: only ever reported

The split is made when PACKS/dev lacks it. What was trained on all of the packs has seen the unseen
classes: a fair figure needs an encoder that was trained on PACKS/dev/train.tar.
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "parts"))
from server import BIN, ROOT, run_json  # noqa: E402

FAMILIES = ["crop", "jpeg", "colour", "blur", "mirror", "rotation"]
TARGET_UNSEEN = 2.0  # times the histogram's mAP
TARGET_COPIES, TARGET_FAMILY = 98.0, 93.0  # R@1: the mean's, and of each of the six


def split(packs):
    """The folder with the split of PACKS, made when it is missing."""
    dev = packs / "dev"
    if not (dev / "unseen.txt").exists():
        print(f"splitting {packs}", file=sys.stderr)
        subprocess.run([ROOT / "tools" / "split-packs", packs, dev], check=True, stdout=sys.stderr,
                       cwd=ROOT)
    return dev


def evaluate(*arguments):
    model = os.environ.get("MODEL")
    return run_json(BIN, "eval", *arguments, *(["--model", model] if model else []), "--json")


def measure(packs, queries):
    """(model's id, {measure: rows by name, and of what}), each as soon as it is there."""
    dev = split(packs)
    unseen = evaluate("retrieval", dev / "unseen.tar", "--random", 3)
    yield "model", unseen["model"]
    yield "unseen", unseen
    yield "seen", evaluate("knn", dev / "seen.tar", "--random", 1)
    both = evaluate("copies,parts", packs / "flickr.tar", "--distractors", dev / "seen.tar",
                    "--queries", queries, "--random", 1)
    for name in ("copies", "parts"):
        yield name, {**both, **both[name]}
    yield "corel", evaluate("retrieval", packs / "corel1k.tar", "--random", 3)


def lines(name, result):
    """What is shown of a measure: (title, key, target of the model or None)."""
    if name == "unseen":
        histogram = next(r for r in result["rows"] if r["name"] == "HSV histogram")
        return [("unseen classes, mAP", "map", TARGET_UNSEEN * histogram["map"]),
                ("unseen classes, P@1", "p1", None)]
    if name == "seen":
        return [("seen classes, kNN-20", "accuracy", None)]
    if name == "copies":
        return [*((f"copies, {family}, R@1", "r1_" + family, TARGET_FAMILY) for family in FAMILIES),
                ("copies, mean R@1", "r1", TARGET_COPIES), ("copies, mAP", "map", None),
                ("copies, microAP", "micro_ap", None)]
    if name == "parts":
        return [("parts, R@1", "r1", None), ("parts, mAP", "map", None)]
    return [("Corel-1k, mAP", "map", None), ("Corel-1k, P@1", "p1", None),
            ("Corel-1k, P@10", "p10", None)]


def bold(text, on):
    return f"\033[1m{text}\033[0m" if on and sys.stdout.isatty() else text


def show(name, result):
    total = result["pictures"] + result["distractors"]
    print(f"\n{result['queries']} queries among {total} pictures, {result['failed']} failed")
    for title, key, target in lines(name, result):
        values = [row[key] for row in result["rows"]]
        figures = "".join(f"{v:10.1f}" for v in values[1:])
        spread = next((r["spread"][key] for r in result["rows"] if "spread" in r), None)
        note = f"   random: spread {spread:.1f} over 3 seeds" if spread is not None else ""
        if target is not None:
            reached = values[0] >= target
            note = f"   target {target:.1f}: {'reached' if reached else 'missed'}" + note
        print(f"{title:24s}{bold(f'{values[0]:10.1f}', target is not None and reached)}{figures}{note}",
              flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--queries", type=int, default=500, help="pictures that are altered (500)")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    packs = pathlib.Path(os.environ.get("PACKS", ROOT / "../packs")).resolve()
    if not (packs / "flickr.tar").exists():
        print(f"{packs} holds no packs; PACKS names their folder", file=sys.stderr)
        raise SystemExit(1 if "PACKS" in os.environ else 0)  # `make bench` goes on without
    started, results = time.monotonic(), {}
    for name, result in measure(packs, options.queries):
        results[name] = result
        if options.json:
            continue
        if name == "model":
            print(f"model {result}\n{'':24s}{'model':>10s}{'random':>10s}{'histogram':>10s}{'pHash':>10s}",
                  end="")
        else:
            show(name, result)
    results["seconds"] = time.monotonic() - started
    print(json.dumps(results) if options.json else f"\n{results['seconds']:.0f} s")


if __name__ == "__main__":
    main()
