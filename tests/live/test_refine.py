#!/usr/bin/python3
"""akin refine and akin gate as processes: orders, stops, kills, and what they refuse."""
import json
import pathlib
import random
import signal
import subprocess
import tempfile
import time
import unittest

from akin_cli import akin, akin_json, fill, wait_until
from akin_luck import Disk, alone_where_needed
from akin_server import BIN

SMALL = ["--set", "train.batch=16", "--set", "train.side=32", "--set", "train.save_s=0.2",
         "--set", "gate.resamples=200", "--budget", "3600"]
TINY = ["--set", "net.width=0.25", "--set", "batch=8", "--set", "side=32", "--set", "late_side=32",
        "--set", "describe.side=32", "--set", "describe.dims=16", "--views", "32", "--threads", "1"]


class Worker:
    """A started worker; its lines of progress are read as they are asked for."""

    def __init__(self, folder, *more):
        self.process = subprocess.Popen([BIN, "refine", folder, *more], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def until(self, condition):
        """The first line that meets the condition, or None at the end."""
        for line in self.process.stdout:
            told = json.loads(line)
            if condition(told):
                return told
        return None

    def order(self, **what):
        self.process.stdin.write(json.dumps(what) + "\n")
        self.process.stdin.flush()

    def end(self):
        """(exit status, last line of progress or None)"""
        lines = self.process.stdout.read().splitlines()
        status = self.process.wait(120)
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            pipe.close()
        return status, json.loads(lines[-1]) if lines else None


# The thread sanitizer makes minutes of what a worker computes on one thread; its orders, which come
# on another, are tested there too.
whole_run = unittest.skipIf("/tsan/" in str(BIN), "minutes under the thread sanitizer")


def trains(told):
    return told["phase"] == "train" and told["step"] > 0


class Refine(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory(prefix="akin-refine-")
        cls.addClassCleanup(cls.temporary.cleanup)
        cls.folder = pathlib.Path(cls.temporary.name)
        fill(cls.folder / "data", 320)
        cls.model = cls.folder / "model"
        status, _, err = akin("train", "--data", cls.folder / "data", "--out", cls.model, *TINY)
        assert status == 0, err
        cls.number = 0

    def make(self, *more, steps=8, within=None):
        Refine.number += 1
        folder = (within or self.folder) / f"run-{Refine.number}"
        status, _, err = akin("refine", folder, "--make", "--data", self.folder / "data", "--model",
                              self.model, *SMALL, "--set", f"train.steps={steps}",
                              *more)
        self.assertEqual(status, 0, err)
        return folder

    @whole_run
    def test_a_run_ends_with_a_candidate_and_the_gate_says_the_same_twice(self):
        folder = self.make()
        worker = Worker(folder)
        status, last = worker.end()
        self.assertEqual((status, last["phase"]), (0, "done"))
        self.assertTrue((folder / "candidate.model").exists())
        first = akin_json("gate", folder)
        verdict = (folder / "verdict.json").read_bytes()
        second = akin_json("gate", folder)
        self.assertEqual(first, second)
        self.assertEqual(verdict, (folder / "verdict.json").read_bytes())
        self.assertEqual(first[1]["candidate"], last["candidate"])
        self.assertEqual([row["measure"] for row in first[1]["gate"] if row["primary"]],
                         ["neighbourhoods"])
        status, out, err = akin("gate", folder)
        self.assertEqual(status, 0, err)
        self.assertIn("PASSED" if first[1]["passed"] else "REFUSED", out)

    @whole_run
    def test_sigterm_and_the_parents_end_save_the_state_and_stop(self):
        folder = self.make(steps=100000)
        for how in ("signal", "parent", "order"):
            worker = Worker(folder, *(["--with-parent"] if how == "parent" else []))
            self.assertIsNotNone(worker.until(trains))
            began = time.monotonic()
            if how == "signal":
                worker.process.send_signal(signal.SIGTERM)
            elif how == "parent":
                worker.process.stdin.close()
            else:
                worker.order(stop=True)
            lines = worker.process.stdout.read().splitlines()
            self.assertEqual(worker.process.wait(60), 3)
            self.assertLess(time.monotonic() - began, 60)  # a second on a machine that is free
            self.assertEqual(json.loads(lines[-1]), {"phase": "stopped"})
            for pipe in (worker.process.stdin, worker.process.stdout, worker.process.stderr):
                pipe.close()
        worker = Worker(folder)
        told = worker.until(trains)
        self.assertTrue(told["resumed"])
        worker.process.kill()
        worker.end()

    @whole_run
    def test_kills_at_random_moments_leave_what_goes_on_to_the_end(self):
        folder = self.make(steps=40)
        seed = random.randrange(10**6)
        chance = random.Random(seed)
        for _ in range(5):
            worker = Worker(folder)
            time.sleep(chance.uniform(0, 0.6))
            worker.process.kill()
            worker.end()
        worker = Worker(folder)
        status, last = worker.end()
        self.assertEqual((status, last["phase"]), (0, "done"), f"seed {seed}")
        self.assertEqual(akin("gate", folder, "--json")[0], 0, f"seed {seed}")

    def test_a_pause_computes_nothing_and_threads_may_change(self):
        folder = self.make(steps=100000)
        worker = Worker(folder, "--threads", "1")
        self.assertIsNotNone(worker.until(trains))
        worker.order(threads=2)
        worker.order(pause=True)
        paused = worker.until(lambda told: told.get("saved_step", 0) and
                              told["saved_step"] == told["step"])
        state = folder / "checkpoint.state"
        wait_until(state.exists, "the state")
        worker.order(pause=False)
        told = worker.until(lambda told: trains(told) and told["step"] > paused["step"])
        self.assertIsNotNone(told)
        worker.process.kill()
        worker.end()

    @whole_run
    def test_a_full_disk_is_named_and_worked_on_from_once_there_is_room(self):
        disk = Disk(64 << 20)
        self.addCleanup(disk.close)
        within = pathlib.Path(disk.path)

        def names(folder):
            return {path.name for path in folder.iterdir()}

        def fails(worker):
            lines = worker.process.stdout.read().splitlines()
            self.assertIn("No space left", worker.process.stderr.read())
            self.assertEqual(worker.end()[0], 3)
            last = json.loads(lines[-1])
            self.assertEqual((last["phase"], last["code"]), ("failed", "disk_full"))
            disk.relieve()

        folder = self.make("--set", "train.save_s=3600", steps=100000, within=within)
        given = names(folder)
        worker = Worker(folder)
        self.assertIsNotNone(worker.until(trains))
        disk.fill()
        worker.order(pause=True)  # saves the state
        fails(worker)
        self.assertEqual(names(folder) - given, {"plan"})
        worker = Worker(folder)
        self.assertIsNotNone(worker.until(trains))
        worker.process.kill()
        worker.end()

        while True:
            folder = self.make(within=within)
            worker = Worker(folder)
            self.assertIsNotNone(worker.until(lambda told: told.get("saved_step") == 8))
            worker.process.send_signal(signal.SIGSTOP)  # before it writes the candidate
            if not any(name.startswith(("trained", "candidate")) for name in names(folder)):
                break
            worker.process.kill()  # it was faster: once more
            worker.end()
        disk.fill()
        worker.process.send_signal(signal.SIGCONT)
        fails(worker)
        self.assertEqual(names(folder) - given, {"plan", "checkpoint.state"})
        status, last = Worker(folder).end()
        self.assertEqual((status, last["phase"]), (0, "done"))

    def test_what_cannot_be_used_says_why(self):
        status, out, err = akin("refine", self.folder / "nowhere")
        self.assertEqual(status, 3)
        self.assertIn("holds no run", err)
        self.assertEqual(json.loads(out.splitlines()[-1])["code"], "not_found")
        folder = self.make()
        status, _, err = akin("gate", folder)
        self.assertEqual(status, 3)
        self.assertIn("candidate.model", err)
        table = folder / "pictures.jsonl"
        table.write_bytes(table.read_bytes()[:-500])
        status, out, err = akin("refine", folder)
        self.assertEqual(status, 3)
        self.assertIn("pictures.jsonl", err)
        for wrong, what in (("train.rates=1", "recipe.train.rates"), ("train.rate=-1", "is -1"),
                            ("rate", "train.rate=0.01")):
            status, _, err = akin("refine", self.folder / "x", "--make", "--data",
                                  self.folder / "data", "--model", self.model,
                                  "--set", wrong)
            self.assertEqual(status, 2, err)
            self.assertIn(what, err)
        status, _, err = akin("refine", self.folder / "x", "--make", "--data", self.folder / "data",
                              "--model", self.model, "--budget", "0")
        self.assertEqual(status, 2)
        self.assertIn("budget of 0", err)
        self.assertFalse((self.folder / "x").exists())


if __name__ == "__main__":
    alone_where_needed()
    unittest.main()
