"""`make bench-latency`: how long searches take while the encoder refines itself.

    PACKS=../packs python3 bench/latency.py [--rate 20] [--idle 30] [--budget 60] [--models 6]
                                            [--cancels 5] [--json]

Imports PACKS/flickr.tar, then asks at a fixed rate, in turn by an uploaded picture and by id: on an
idle server, during a training run (training and gate), and while all pictures are embedded again
for another model, and another. A search counts from when it was due, not from when it could be
sent. Beside each p99 its ratio to that of the idle server in the same run; 1.5 is what is asked for
at most. At last runs are cancelled while they train: how long until their process is gone.
"""
import argparse
import http.client
import json
import os
import pathlib
import queue
import sys
import tarfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "parts"))
sys.path.insert(0, str(HERE.parent / "tests" / "live"))
import akin_checkpoint  # noqa: E402
from server import BIN, ROOT, Server, median, run_json  # noqa: E402

C = "/v1/collections/photos"
CONNECTIONS = 8
AT_MOST = 1.5


class Asker:
    """Searches at a fixed rate from now until it is stopped; rows of (due, by upload, seconds)."""

    def __init__(self, server, pictures, ids, rate):
        self.server, self.pictures, self.ids, self.rate = server, pictures, ids, rate
        self.due, self.rows, self.failures = queue.Queue(), [], []
        self.stopped = threading.Event()
        self.threads = [threading.Thread(target=self.clock)] + \
            [threading.Thread(target=self.ask) for _ in range(CONNECTIONS)]
        for thread in self.threads:
            thread.start()

    def clock(self):
        began, n = time.monotonic(), 0
        while not self.stopped.wait(max(0, began + n / self.rate - time.monotonic())):
            self.due.put((n, began + n / self.rate))
            n += 1
        for _ in range(CONNECTIONS):
            self.due.put(None)

    def ask(self):
        connection = self.server.connect()
        while job := self.due.get():
            n, due = job
            if n % 2:
                body, kind = self.pictures[n % len(self.pictures)], "image/jpeg"
            else:
                body, kind = json.dumps({"id": self.ids[n % len(self.ids)]}), "application/json"
            try:
                status, answer = self.server.call("POST", f"{C}/search", body, kind, connection)
                if status != 200:
                    self.failures.append(answer[:200])
            except (OSError, http.client.HTTPException) as failure:
                self.failures.append(repr(failure))
                connection = self.server.connect()
            self.rows.append((due, n % 2, time.monotonic() - due))
        connection.close()

    def stop(self):
        self.stopped.set()
        for thread in self.threads:
            thread.join()
        if self.failures:
            raise SystemExit(f"{len(self.failures)} searches failed, the first: {self.failures[0]}")
        return self.rows


def quantile(values, share):
    values = sorted(values)
    return values[min(len(values) - 1, int(share * len(values)))] if values else float("nan")


def figures(rows):
    """Milliseconds: p50 and p99 of all, of uploaded pictures, of ids."""
    result = {"searches": len(rows)}
    for name, kinds in (("all", (0, 1)), ("picture", (1,)), ("id", (0,))):
        seconds = [s for _, kind, s in rows if kind in kinds]
        result[name] = {"p50": 1e3 * quantile(seconds, 0.5), "p99": 1e3 * quantile(seconds, 0.99)}
    return result


def reembedding(server, ask, models):
    """Models one after the other, each serving at the end; what was asked meanwhile."""
    model = json.loads(server.call("GET", "/v1/admin/models")[1])["items"][0]["id"]
    checkpoint = server.call("GET", f"/v1/admin/models/{model}/checkpoint")[1]
    rows, states = [], set()
    for seed in range(models):
        checkpoint = akin_checkpoint.other_model(checkpoint, seed)
        model = json.loads(server.call("POST", "/v1/admin/models", checkpoint,
                                       "application/octet-stream")[1])["id"]
        place = server.begin(f"/v1/admin/models/{model}:promote", {})
        asker = ask()
        states.add(server.follow(place)["state"])
        rows += asker.stop()
    return {**figures(rows), "state": " ".join(sorted(states))}


def trains(run):
    return run["stage"] == "training" and run["done"] > 0


def cancelling(server, n):
    """Seconds from a cancel to the end of the process, of n runs that were training."""
    seconds = []
    for seed in range(n):
        place = server.begin("/v1/admin/training-runs", {"budget_s": 600, "promote": "ask",
                                                         "seed": seed})
        server.wait(lambda: trains(json.loads(server.call("GET", place)[1])), "does not train")
        time.sleep(1 + seed % 3)
        began = time.monotonic()
        server.call("DELETE", place)
        state = server.follow(place, 0.01)["state"]
        seconds.append(time.monotonic() - began)
        if state != "cancelled":
            raise SystemExit(f"a run that was cancelled is {state}")
    return {"n": n, "median": median(seconds), "most": max(seconds)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--rate", type=float, default=20, help="searches a second")
    parser.add_argument("--idle", type=float, default=30, help="seconds to measure the idle server")
    parser.add_argument("--budget", type=int, default=60, help="seconds of training")
    parser.add_argument("--models", type=int, default=6, help="that all is embedded by in turn")
    parser.add_argument("--cancels", type=int, default=5, help="runs to cancel")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    packs = pathlib.Path(os.environ.get("PACKS", ROOT / "../packs")).resolve()
    with tarfile.open(packs / "flickr.tar") as tar:
        pictures = [tar.extractfile(e).read() for e in list(tar)[:200] if e.isreg()]
    results = {}
    with Server() as server:
        run_json(BIN, "import", packs / "flickr.tar", "--server", server.url, "--collection",
                 "photos", "--json")
        ids = [i["id"] for i in json.loads(server.call("GET", f"{C}/images?limit=200")[1])["items"]]
        ask = lambda: Asker(server, pictures, ids, options.rate)
        asker = ask()
        time.sleep(options.idle)
        results["idle"] = figures(asker.stop())

        place = server.begin("/v1/admin/training-runs", {"budget_s": options.budget,
                                                         "promote": "ask", "seed": 1})
        asker = ask()
        run = server.follow(place)
        results["training run"] = {**figures(asker.stop()), "state": run["state"],
                                   "decision": run["decision"], "reason": run["reason"]}

        results["re-embedding"] = reembedding(server, ask, options.models)
        cancelled = cancelling(server, options.cancels)
    idle = results["idle"]["all"]["p99"]
    for name, row in results.items():
        row["ratio"] = row["all"]["p99"] / idle
    if options.json:
        print(json.dumps({**results, "cancel_s": cancelled}))
        return
    print("milliseconds at %g searches a second" % options.rate)
    print("%-14s %8s %16s %16s %16s %7s" % ("", "searches", "all p50 p99", "picture p50 p99",
                                            "id p50 p99", "p99"))
    for name, row in results.items():
        print("%-14s %8d " % (name, row["searches"]) +
              " ".join("%7.2f %8.2f" % (row[k]["p50"], row[k]["p99"])
                       for k in ("all", "picture", "id")) + " %6.2fx" % row["ratio"])
    print("the run: %s, %s: %s" % tuple(results["training run"][k]
                                        for k in ("state", "decision", "reason")))
    print("asked: %.1fx at most" % AT_MOST)
    print("a cancelled run is gone after %.2f s (median of %d; at most %.2f)" %
          (cancelled["median"], cancelled["n"], cancelled["most"]))


if __name__ == "__main__":
    main()
