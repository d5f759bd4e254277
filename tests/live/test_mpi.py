#!/usr/bin/python3
"""Training by several processes (mpirun): their calls, and the same losses as one process."""
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import unittest

from akin_cli import LIMIT_S, fill, wait_until
from akin_server import BIN

RANKS = pathlib.Path(BIN).resolve().parent / "tests/learn/test_ranks"
ENV = {**os.environ, "OMP_WAIT_POLICY": "passive", "OMP_NUM_THREADS": "1",
       "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
       "CMOCKA_MESSAGE_OUTPUT": "STDOUT"}
VIEWS = "1600"  # 100 steps
SMALL = ["--set", "batch=8", "--set", "side=32", "--set", "late_side=32", "--set",
         "describe.side=32", "--set", "describe.dims=16", "--set", "optimiser.rate=0.00001",
         "--threads", "1", "--f32", "--json"]


def has_mpi():
    """Whether mpirun is there, and an akin that was built with it (not for sanitizers)."""
    linked = subprocess.run(["ldd", BIN], capture_output=True, text=True, check=False).stdout
    return shutil.which("mpirun") and "libmpi" in linked


def start(ranks, *command):
    mpi = ["mpirun", "--oversubscribe", "--bind-to", "none", "-n", ranks] if ranks else []
    return subprocess.Popen([str(word) for word in [*mpi, *command]], env=ENV, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def children(pid):
    tasks = pathlib.Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text().split()]


def run(ranks, *command):
    """Runs as so many processes (0: without mpirun): (exit status, output, errors)."""
    process = start(ranks, *command)
    out, err = process.communicate(timeout=LIMIT_S)
    return process.returncode, out, err


@unittest.skipUnless(has_mpi(), "no mpirun, or an akin without MPI: tools/deps.sh mpi, then make")
class Several(unittest.TestCase):
    def test_two_and_three_processes_have_the_losses_of_one(self):
        curves = []
        for ranks in (0, 2, 3):
            status, out, err = run(ranks, RANKS)
            self.assertEqual(status, 0, out + err)
            found = dict(re.findall(r"^loss (\d+) (\S+)$", out, re.M))
            curves.append([float(found[str(step)]) for step in range(20)])
        one = curves[0]
        for several in curves[1:]:
            for step, (a, b) in enumerate(zip(one, several)):
                self.assertLess(abs(a - b), (1e-5 if step < 5 else 1e-3) * abs(a), (step, a, b))


@unittest.skipUnless(has_mpi(), "no mpirun, or an akin without MPI: tools/deps.sh mpi, then make")
class Train(unittest.TestCase):
    def setUp(self):
        self.temporary = tempfile.TemporaryDirectory(prefix="akin-mpi-")
        self.addCleanup(self.temporary.cleanup)
        self.folder = pathlib.Path(self.temporary.name)
        self.data = self.folder / "data"
        fill(self.data, 24)

    def command(self, out, *more):
        return [BIN, "train", "--data", self.data, "--out", self.folder / out, *SMALL, *more]

    def log(self, out):
        return [json.loads(line) for line in (self.folder / f"{out}.log").read_text().splitlines()]

    def test_a_run_of_two_is_that_of_one_and_goes_on_after_a_stop(self):
        status, _, err = run(0, *self.command("one", "--views", VIEWS))
        self.assertEqual(status, 0, err)
        two = start(2, *self.command("two", "--views", VIEWS, "--save-minutes", "0.001"))
        state = self.folder / "two.state"
        wait_until(lambda: state.exists() or two.poll() is not None, "a state")
        for pid in children(two.pid)[:1]:  # one of the two; both end at the same step
            os.kill(pid, signal.SIGTERM)
        _, err = two.communicate(timeout=LIMIT_S)
        self.assertIn("stopped by a signal", err)
        self.assertLess(self.log("two")[-1]["step"], 100)
        status, out, err = run(2, *self.command("two", "--views", VIEWS, "--resume"))
        self.assertEqual(status, 0, err)
        self.assertEqual(json.loads(out.splitlines()[-1])["views"], int(VIEWS))  # one process speaks
        self.assertEqual(err.count("pictures of"), 1)
        one, both = self.log("one")[-1], self.log("two")[-1]
        self.assertEqual(both["step"], 100)
        self.assertLess(abs(one["loss"] - both["loss"]), 1e-3 * one["loss"])

    def test_what_several_cannot_train_is_refused(self):
        for more, why in ((["--recipe", "byol"], "momentum encoder"),
                          (["--set", "batch=9"], "a batch of 9 pictures on 2 processes")):
            status, _, err = run(2, *self.command("no", "--views", VIEWS, *more))
            self.assertNotEqual(status, 0)
            self.assertIn(why, err)


if __name__ == "__main__":
    unittest.main()
