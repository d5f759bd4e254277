"""`make bench-import`: pictures a second over HTTP beside the bare work, and the server's memory.

Each round, `akin import` of the pictures into a fresh server, then bench/import.c on the same files.
PACK=DIR|TAR: those pictures instead of generated JPEGs.

    AKIN_BUILD=build/release python3 bench/import.py [--rounds N] [--count N] [--json]
    AKIN_BUILD=build/release python3 bench/import.py --loop 10000

--loop N: uploads N different pictures (the generated ones, each time with another comment segment)
over and over to the same 256 ids, and prints the server's resident memory every 1,000, to show
that it does not grow. --distinct: to N ids, whose vectors and rows the server must hold.
"""
import argparse
import json
import os
import pathlib
import queue
import sys
import tempfile
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "parts"))
from server import BIN, BUILD, Server, median, run_json  # noqa: E402

BARE = BUILD / "bench" / "import"
CLIENTS = 8
KEPT_IDS = 256


def compare(pack, rounds):
    """Rounds of [seconds over HTTP, bare seconds, ...], and the memory of the last server."""
    run_json(BARE, pack)  # the files are in the page cache from here on
    got = []
    for _ in range(rounds):
        with Server() as server:
            empty = server.memory()
            http = run_json(BIN, "import", pack, "--server", server.url, "--json")
            memory = {"empty": empty, "VmRSS": server.memory(), "VmHWM": server.memory("VmHWM")}
        bare = run_json(BARE, pack)
        done = http["created"] + http["existing"] + http["replaced"]
        got.append({"http": done / http["seconds"], "bare": bare["pictures_per_s"],
                    "http_failed": http["failed"], "bare_failed": bare["failed"], "memory": memory,
                    "pictures": done, "part_seconds": bare["part_seconds"],
                    "threads": bare["threads"], "bf16": bare["bf16"]})
    return got


def summary(got):
    last = got[-1]
    return {"pictures": last["pictures"], "failed": last["http_failed"], "rounds": len(got),
            "threads": last["threads"], "bf16": last["bf16"],
            "http_pictures_per_s": median([g["http"] for g in got]),
            "bare_pictures_per_s": median([g["bare"] for g in got]),
            "ratio": median([g["http"] / g["bare"] for g in got]),
            "bare_part_seconds": last["part_seconds"],
            "memory_mib": {name: median([g["memory"][name] for g in got])
                           for name in last["memory"]}}


def report(s):
    print(f"{s['threads']} threads; this processor multiplies bf16: {'yes' if s['bf16'] else 'no'}; "
          f"medians of {s['rounds']} rounds in turns; {s['pictures']} pictures, {s['failed']} failed")
    print(f"  import over HTTP      {s['http_pictures_per_s']:9.1f} pictures/s   "
          f"{100 * s['ratio']:.0f}% of the bare work")
    print(f"  bare, one process     {s['bare_pictures_per_s']:9.1f} pictures/s")
    parts = s["bare_part_seconds"]
    print("  bare work, thread-seconds: " + ", ".join(f"{n} {v:.2f}" for n, v in parts.items())
          + " (embed: seconds of all threads)")
    m = s["memory_mib"]
    print(f"  server's memory, MiB: {m['empty']:.0f} empty, {m['VmRSS']:.0f} after the import, "
          f"{m['VmHWM']:.0f} at most")


def with_comment(jpeg, text):
    """The same picture in other bytes: a comment segment behind the start of the image."""
    return jpeg[:2] + b"\xff\xfe" + (len(text) + 2).to_bytes(2, "big") + text + jpeg[2:]


def upload_all(server, pictures, first, count, distinct):
    jobs, wrong = queue.SimpleQueue(), []
    for i in range(first, first + count):
        jobs.put(i)

    def client():
        connection = server.connect()
        while not wrong:
            try:
                i = jobs.get_nowait()
            except queue.Empty:
                break
            body = with_comment(pictures[i % len(pictures)], b"upload %d" % i)
            name = i if distinct else i % KEPT_IDS
            status, answer = server.call("PUT", f"/v1/collections/loop/images/p{name}", body,
                                         "image/jpeg", connection)
            if status not in (200, 201):
                wrong.append(f"{status} {answer[:300]!r}")
        connection.close()

    threads = [threading.Thread(target=client) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if wrong:
        raise SystemExit(f"an upload was refused: {wrong[0]}")


def loop(folder, total, distinct, step, as_json):
    pictures = [p.read_bytes() for p in sorted(pathlib.Path(folder).iterdir())]
    memory = []
    with Server() as server:
        server.call("PUT", "/v1/collections/loop", "{}")
        memory.append((0, server.memory()))
        for first in range(0, total, step):
            upload_all(server, pictures, first, min(step, total - first), distinct)
            memory.append((min(first + step, total), server.memory()))
            if not as_json:
                print(f"  {memory[-1][0]:7d} uploads: {memory[-1][1]:8.1f} MiB resident", flush=True)
        most = server.memory("VmHWM")
    # The caches and pools of a young server fill up at first: growth is told over the second half.
    half = memory[len(memory) // 2:]
    grown = half[-1][1] - half[0][1]
    result = {"uploads": total, "distinct_ids": distinct, "resident_mib": memory, "most_mib": most,
              "second_half_uploads": half[-1][0] - half[0][0], "second_half_grown_mib": grown}
    if as_json:
        print(json.dumps(result))
    else:
        print(f"  {most:.1f} MiB at most; over the last {result['second_half_uploads']} uploads it "
              f"grew by {grown:.1f} MiB")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--count", type=int, default=1000, help="generated pictures (1000)")
    parser.add_argument("--loop", type=int, default=0, metavar="N")
    parser.add_argument("--step", type=int, default=1000, help="uploads between two looks (1000)")
    parser.add_argument("--distinct", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="akin-bench-") as folder:
        pack = os.environ.get("PACK")
        if options.loop or not pack:
            made = pathlib.Path(folder) / "made"
            os.spawnl(os.P_WAIT, BARE, str(BARE), "--make", str(made),
                      str(200 if options.loop else options.count))
            pack = pack if pack and not options.loop else str(made)
        if options.loop:
            loop(pack, options.loop, options.distinct, options.step, options.json)
            return
        result = summary(compare(pack, options.rounds))
        if options.json:
            print(json.dumps(result))
        else:
            report(result)


if __name__ == "__main__":
    main()
