#!/usr/bin/python3
"""kill -9 of the daemon or its worker at random moments of a training run, from the folder to the
swap: the service is consistent after each, the run goes on to its end, and the next one can begin.

Two collections, `akin refine` and `akin gate` as they are (real_worker.py), a client that uploads
and searches all the while. A round is a run with some kills, its promotion, and the way back.
SEED=N repeats the moments; AKIN_TEST_LONG=1 takes 200 kills."""
import collections
import http.client
import itertools
import json
import os
import pathlib
import random
import re
import shutil
import tempfile
import threading
import time
import unittest

from akin_cli import akin, fill
from akin_runs import RUNS, alive, wait_until
from akin_server import BIN, Server, png
from test_refine import TINY

LONG = bool(os.environ.get("AKIN_TEST_LONG"))
KILLS = 200  # of the long form
SIZES = {"holiday": 280, "family": 80}  # pictures; a run needs 320
SHARED = 10  # of them in both
QUERIES = ("f0", "f7", "f33")
WORKER = pathlib.Path(__file__).with_name("real_worker.py")
SETTINGS = {"refine_program": WORKER, "refine_nice": 0, "refine_auto": 0, "refine_restarts": 2,
            "spare_models": 2}
PHASES = ("folder", "refine", "gate", "re-embedding", "swap")
OTHERS = ("restart", "way back")
BACK_S = 0.04  # of the two rollbacks
STAGES = {"folder": "folder", "training": "refine", "gate": "gate", "promotion": "re-embedding"}
SWAP_LEFT = 16  # pictures to embed, from where on it is the swap that is waited for
DOWN = (OSError, http.client.HTTPException)


class Client(threading.Thread):
    """Uploads and searches as long as it is wanted, over the restarts."""
    numbers = itertools.count(10000)  # never the same twice

    def __init__(self, service):
        super().__init__(daemon=True)
        self.service, self.stopped = service, threading.Event()
        self.sent, self.stored, self.answers, self.faults = {}, {}, [], []

    def run(self):
        for k in self.numbers:
            if self.stopped.is_set():
                return
            name = list(SIZES)[k % 2]
            try:
                self.sent[name, f"u{k}"] = k
                status, _ = self.service.ask("POST", f"/v1/collections/{name}/images?id=u{k}",
                                             png(k), "image/png")
                if status == 201:
                    self.stored[name, f"u{k}"] = k
                elif status != 503:
                    self.faults.append((name, k, status))
                query = QUERIES[k % len(QUERIES)]
                status, found = self.service.search(name, query)
                if status == 200:
                    self.answers.append((name, query, found))
                elif status != 503:
                    self.faults.append((name, query, status))
            except DOWN:
                pass
            self.stopped.wait(0.05)

    def end(self):
        self.stopped.set()
        self.join()


class Service:
    """The daemon on its folder, and what it must answer."""

    def __init__(self):
        self.home = tempfile.mkdtemp(prefix="akin-kills-")
        self.data = os.path.join(self.home, "data")
        fill(os.path.join(self.home, "small"), 64)
        self.model = os.path.join(self.home, "small.model")
        status, _, err = akin("train", "--data", os.path.join(self.home, "small"), "--out",
                              self.model, *TINY)
        assert status == 0, err
        self.known = {}  # {(collection, query, model): {id: score}} of the fixed pictures
        self.gone = set()
        self.start()
        first = 0
        for name, size in SIZES.items():
            self.server.collection(name)
            for at in range(0, size, 100):
                some = range(at, min(at + 100, size))
                answer = self.server.upload_many([(f"{i}.png", png(first + i)) for i in some],
                                                 [{"id": f"f{i}"} for i in some], name)
                assert answer.json["failed"] == 0, answer
            first += size - SHARED
        self.base = self.models().pop()

    def start(self, ready=True):
        self.server = Server(data=self.data, settings=SETTINGS, ready=ready,
                             arguments=("--model", self.model),
                             env={"AKIN_BIN": os.path.abspath(BIN), "AKIN_NOTES": self.home})

    def close(self):
        self.server.stop()
        shutil.rmtree(self.home)

    # asking, without the contract's checks: they take longer than the answers

    def ask(self, method, path, body=None, kind="application/json"):
        connection = self.server.connect()
        try:
            connection.request(method, path, body, {"Content-Type": kind} if body else {})
            answer = connection.getresponse()
            body = answer.read()
            return answer.status, json.loads(body) if body else None
        finally:
            connection.close()

    def get(self, path):
        status, answer = self.ask("GET", path)
        assert status == 200, (path, status, answer)
        return answer

    def search(self, collection, query):
        body = json.dumps({"id": query, "limit": 1000}).encode()
        return self.ask("POST", f"/v1/collections/{collection}/search", body)

    def models(self):
        """Those that serve, of one look at the collections."""
        return {c["model"] for c in self.get("/v1/collections")["items"]}

    def listed(self, name):
        ids, cursor = set(), ""
        while cursor is not None:
            page = self.get(f"/v1/collections/{name}/images?limit=1000" +
                            (f"&cursor={cursor}" if cursor else ""))
            ids |= {image["id"] for image in page["items"]}
            cursor = page["next_cursor"]
        return ids

    # what must hold

    def check_answer(self, name, query, found):
        """Of one model alone, and to the bit what that model answered before."""
        scores = {hit["id"]: hit["score"] for hit in found["items"] if hit["id"][0] == "f"}
        assert len(scores) == SIZES[name] - 1, (name, query, len(scores))
        known = self.known.setdefault((name, query, found["model"]), scores)
        other = {id: (score, known[id]) for id, score in scores.items() if score != known[id]}
        assert not other, (name, query, found["model"], other)
        return found["model"]

    def check_answers(self):
        before, used = self.models(), set()
        for name in SIZES:
            for query in QUERIES:
                status, found = self.search(name, query)
                assert status == 200, found
                used.add(self.check_answer(name, query, found))
        assert used <= before | self.models(), (before, used)

    def finds_itself(self, name, id, k):
        status, found = self.ask("POST", f"/v1/collections/{name}/search?limit=1000", png(k),
                                 "image/png")
        assert status == 200, found
        return any(hit["id"] == id and hit["score"] >= 0.9999 for hit in found["items"])

    def check_uploads(self, client, looked_up, patience_s=0):
        """All that was acknowledged is there, what was deleted is not, and what is there and was
        not looked up yet finds itself."""
        stored, sent = dict(client.stored), dict(client.sent)
        for name in SIZES:
            there = self.listed(name)
            lost = [key for key in stored if key[0] == name and key[1] not in there]
            assert not lost, f"acknowledged, and gone: {lost}"
            back = [key for key in self.gone if key[0] == name and key[1] in there]
            assert not back, f"deleted, and there: {back}"
            for key, k in sent.items():
                if key[0] == name and key[1] in there and key not in looked_up:
                    wait_until(lambda: self.finds_itself(*key, k), f"{key} to find itself",
                               patience_s)
                    looked_up.add(key)

    def check_files(self):
        runs = os.path.join(self.data, "runs")
        left = [os.path.join(runs, name) for name in os.listdir(runs)]
        left += [f"worker of {c}" for c in ("refine", "gate") if self.worker(c)]
        for folder, _, names in os.walk(self.data):
            left += [os.path.join(folder, name) for name in names if ".tmp" in name]
        assert not left, f"left over: {left}"

    # a run

    def run(self, job):
        return self.get(f"{RUNS}/{job}")

    def worker(self, command):
        """The process that works on it now, or None."""
        notes = pathlib.Path(self.home, f"{command}.pids")
        pids = notes.read_text().split() if notes.exists() else []
        return int(pids[-1]) if pids and alive(int(pids[-1])) else None


def phase_of(run):
    if run["ended_at"]:
        return "ended"
    near = run["stage"] == "promotion" and run["total"] and \
        run["done"] >= run["total"] - SWAP_LEFT
    return "swap" if near else STAGES.get(run["stage"], "swap")


@unittest.skipIf(re.search("/[at]san/", BIN), "a sanitizer takes more memory than a worker may")
class Kills(unittest.TestCase):
    def setUp(self):
        self.seed = int(os.environ.get("SEED", time.time_ns() % 100000))
        print(f"# seed {self.seed}", flush=True)
        self.chance = random.Random(self.seed)
        self.service = Service()
        self.took = dict.fromkeys(PHASES, 0.0)  # s, of a run that nothing disturbs
        self.killed = collections.Counter()
        self.sides = collections.Counter()  # of the swap, that kills around it came to

    def tearDown(self):
        if self.service.server.process.poll() is None:
            self.service.server.process.kill()
        shutil.rmtree(self.service.home, ignore_errors=True)

    # --- kills

    def past(self, job, phase):
        now = phase_of(self.service.run(job))
        return now == "ended" or PHASES.index(now) > PHASES.index(phase)

    def wait_phase(self, job, phase):
        """Until the run is in it, or further."""
        until = time.monotonic() + 60
        while True:
            run = self.service.run(job)
            now = phase_of(run)
            if now == "ended" or PHASES.index(now) >= PHASES.index(phase):
                return
            self.assertLess(time.monotonic(), until, f"no {phase}: {run}")
            time.sleep(0.003)

    def kill_daemon(self, phase):
        self.service.server.kill()
        for command in ("refine", "gate"):
            wait_until(lambda: not self.service.worker(command), "the end of its worker", 60)
        self.killed["daemon", phase] += 1

    def kill(self, job, phase, victim):
        """Waits for the phase, and a random while; kills. False: the run had ended before."""
        if phase == "restart":  # and again while it starts
            self.kill_daemon(phase_of(self.service.run(job)))
            self.service.start(ready=False)
            time.sleep(self.chance.uniform(0, 0.1))
            self.kill_daemon("restart")
            self.service.start()
            return True
        self.wait_phase(job, phase)
        if victim == "worker":
            wait_until(lambda: self.service.worker(phase) or self.past(job, phase), "a worker")
            self.pause(phase)
            pid = self.service.worker(phase)
            if pid:
                os.kill(pid, 9)
                wait_until(lambda: not alive(pid), "the worker's end", 60)
                self.killed["worker", phase] += 1
            return True
        self.pause(phase)
        run = self.service.run(job)
        self.kill_daemon("swap" if run["ended_at"] else phase_of(run))
        self.service.start()
        if phase == "swap":
            self.sides[self.service.models() != {self.service.base}] += 1
        return not run["ended_at"]

    def pause(self, phase):
        time.sleep(self.chance.uniform(0, 0.7 * self.took[phase]))

    # --- a round

    def measure(self, job):
        """How long the phases take: the first run is left alone."""
        since, last = time.monotonic(), "folder"
        while last != "ended":
            phase, now = phase_of(self.service.run(job)), time.monotonic()
            if phase != last:
                self.took[last] = now - since
                since, last = now, phase
            time.sleep(0.003)
        print("# " + ", ".join(f"{phase} {self.took[phase]:.2f} s" for phase in PHASES),
              flush=True)

    def begin(self):
        for command in ("refine", "gate"):
            pathlib.Path(self.service.home, f"{command}.pids").unlink(missing_ok=True)
        body = json.dumps({"collections": list(SIZES), "promote": "auto",
                           "seed": self.chance.randrange(10**6)}).encode()
        status, answer = self.service.ask("POST", RUNS, body)
        self.assertEqual(status, 202, answer)
        return answer["id"]

    def check(self, seen):
        """What must hold at any moment. seen: models of this run that an answer came from."""
        service = self.service
        models = service.models()
        self.assertEqual(len(models), 1, "collections of one run are served by two models")
        seen |= {answer["model"] for _, _, answer in list(self.client.answers)}
        if seen - {service.base}:
            self.assertNotEqual(models, {service.base}, "a swap that was seen is undone")
        service.check_answers()
        service.check_uploads(self.client, self.looked_up)

    def roll_back(self, back):
        """Each collection that is not there yet; back: those whose way back was acknowledged."""
        for name in SIZES:
            model = self.service.get(f"/v1/collections/{name}")["model"]
            if name in back:
                self.assertEqual(model, self.service.base, "a way back that was answered is undone")
            elif model != self.service.base:
                status, answer = self.service.ask("POST",
                                                  f"/v1/admin/collections/{name}:rollback")
                self.assertEqual((status, answer["model"]), (200, self.service.base), answer)
            back.add(name)

    def way_back(self, kill):
        """Answers are to the bit those before the promotion (check_answer)."""
        service, back = self.service, set()
        killer = threading.Timer(self.chance.uniform(0, BACK_S), service.server.process.kill)
        if kill:
            killer.start()
        try:
            self.roll_back(back)
        except DOWN:
            self.assertTrue(kill)
        if kill:
            killer.join()
            self.kill_daemon("way back")
            service.start()
            self.roll_back(back)
        self.assertEqual(service.models(), {service.base})
        service.check_answers()
        service.check_uploads(self.client, set(), 30)  # once more, by the other model

    def delete_uploads(self):
        for name, id in self.client.stored:
            status, _ = self.service.ask("DELETE", f"/v1/collections/{name}/images/{id}")
            self.assertEqual(status, 204)
            self.service.gone.add((name, id))

    def one_round(self, kills, given_up=False):
        service, seen = self.service, set()
        self.client, self.looked_up = Client(service), set()
        self.client.start()
        try:
            job = self.begin()
            if kills is None:
                self.measure(job)
            for phase, victim in kills or ():
                if phase == "way back" or not self.kill(job, phase, victim):
                    break  # the run was past that moment
                self.check(seen)
            run = wait_until(lambda: (run := service.run(job))["ended_at"] and run, "the run's end",
                             120)
            self.check(seen)
        finally:
            self.client.end()
        for name, query, found in self.client.answers:
            service.check_answer(name, query, found)
        self.assertEqual(self.client.faults, [])
        service.check_files()
        # A kill may find a worker that has just ended: then the run has not crashed so often.
        if given_up and run["state"] == "succeeded":
            self.assertLessEqual(run["restarts"], SETTINGS["refine_restarts"])
        if given_up and run["state"] != "succeeded":
            self.assertEqual((run["state"], run["decision"]), ("failed", None), run)
            self.assertIn("given up", run["error"])
            self.assertEqual(service.models(), {service.base})
        else:
            self.assertEqual((run["state"], run["decision"]), ("succeeded", "promoted"), run)
            self.assertEqual(service.models(), {run["model"]})
            self.way_back(("way back", "daemon") in (kills or ()))
        self.delete_uploads()

    def draw(self):
        """The kills of a round, in the order of the phases."""
        some, crashes = [], 0
        for phase in PHASES:
            for _ in range(2):
                if self.chance.random() < 0.4:
                    crash = phase in ("refine", "gate") and crashes < SETTINGS["refine_restarts"] \
                        and self.chance.random() < 0.6
                    crashes += crash
                    some.append((phase, "worker" if crash else "daemon"))
            if self.chance.random() < 0.1:
                some.append(("restart", "daemon"))
        if not some or self.chance.random() < 0.2:
            some.append(("way back", "daemon"))
        return some

    def test_kills_at_random_moments_leave_a_consistent_service(self):
        self.one_round(None)
        if LONG:
            while sum(self.killed.values()) < KILLS:
                print(f"# {sum(self.killed.values())} so far", flush=True)
                if self.chance.random() < 0.05:
                    self.one_round([(self.chance.choice(("refine", "gate")), "worker")] * 3, True)
                else:
                    self.one_round(self.draw())
        else:
            self.one_round([("refine", "worker"), ("gate", "daemon"), ("re-embedding", "daemon"),
                            ("swap", "daemon")])
            self.one_round([("folder", "daemon"), ("refine", "daemon"), ("restart", "daemon"),
                            ("gate", "worker"), ("swap", "daemon"), ("way back", "daemon")])
        for victim in ("daemon", "worker"):
            counts = [f"{phase} {self.killed[victim, phase]}" for phase in PHASES + OTHERS]
            print(f"# kills of the {victim}: {', '.join(counts)}")
        print(f"# {sum(self.killed.values())} kills; around the swap {self.sides[False]} before "
              f"it, {self.sides[True]} after", flush=True)
        self.service.close()


if __name__ == "__main__":
    unittest.main(verbosity=2)
