#!/usr/bin/python3
"""akin train: a small run from files to a model, stopped and resumed, and what it refuses."""
import json
import os
import pathlib
import signal
import subprocess
import tempfile
import time
import unittest

from akin_cli import BROKEN, akin, fill, write
from akin_server import BIN

SMALL = ["--set", "batch=8", "--set", "side=32", "--set", "late_side=40", "--set",
         "describe.side=32", "--set", "describe.dims=16", "--threads", "1"]


class Train(unittest.TestCase):
    def setUp(self):
        self.temporary = tempfile.TemporaryDirectory(prefix="akin-train-")
        self.addCleanup(self.temporary.cleanup)
        self.folder = pathlib.Path(self.temporary.name)
        self.data = self.folder / "data"
        fill(self.data, 24)
        self.model = self.folder / "model"

    def train(self, *more, data=None):
        return akin("train", "--data", data or self.data, "--out", self.model, *SMALL, *more)

    def test_a_run_gives_a_model_that_embeds(self):
        write(self.data, b"wide/broken.jpg", BROKEN[b"cut.jpg"])
        status, out, err = self.train("--views", "64", "--json")
        self.assertEqual(status, 0, err)
        last = json.loads(out.splitlines()[-1])
        self.assertEqual((last["views"], last["refused"]), (64, 1))
        self.assertIn("broken.jpg", err)
        status, _, err = akin("embed", self.data, "--out", self.folder / "x", "--model", self.model)
        self.assertEqual(status, 1, err)  # the broken one is refused there too
        self.assertEqual(len((self.folder / "x.txt").read_text().split()), 24)

    def test_a_stopped_run_goes_on_and_ends_with_the_same_bytes(self):
        status, _, err = self.train("--views", "160")
        self.assertEqual(status, 0, err)
        whole = self.model.read_bytes()
        self.model.unlink()
        os.unlink(f"{self.model}.state")
        status, _, err = self.train("--views", "160", "--save-minutes", "0.001", "--resume")
        self.assertNotEqual(status, 0)  # there is nothing to resume
        self.assertIn(".state", err)
        run = subprocess.Popen([BIN, "train", "--data", self.data, "--out", self.model, *SMALL,
                                "--views", "160", "--save-minutes", "0.001"],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until = time.monotonic() + 120
        while not os.path.exists(f"{self.model}.state") and time.monotonic() < until:
            time.sleep(0.005)
        run.send_signal(signal.SIGTERM)
        run.wait(120)
        status, _, err = self.train("--views", "160", "--resume")
        self.assertEqual(status, 0, err)
        mine, other = self.model.read_bytes(), whole
        # The configuration tells the seconds that were trained; the tensors are the same.
        self.assertEqual(mine[-200000:-32], other[-200000:-32])

    def test_what_cannot_be_trained_on_is_refused_and_nothing_is_damaged(self):
        status, _, err = self.train("--views", "32")
        self.assertEqual(status, 0, err)
        before = self.model.read_bytes()
        empty = self.folder / "empty"
        empty.mkdir()
        status, _, err = self.train("--views", "32", data=empty)
        self.assertNotEqual(status, 0)
        self.assertIn("no readable picture", err)
        status, _, err = self.train("--views", "32", "--set", "batch=100")
        self.assertNotEqual(status, 0)
        self.assertIn("100 pictures from a set of 24", err)
        state = pathlib.Path(f"{self.model}.state")
        state.write_bytes(state.read_bytes()[:-1])
        status, _, err = self.train("--views", "64", "--resume")
        self.assertNotEqual(status, 0)
        self.assertIn("cut short", err)
        self.assertEqual(self.model.read_bytes(), before)


if __name__ == "__main__":
    unittest.main()
