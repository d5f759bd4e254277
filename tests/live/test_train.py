#!/usr/bin/python3
"""akin train: a small run from files to a model, stopped and resumed, and what it refuses."""
import json
import os
import pathlib
import signal
import struct
import subprocess
import tempfile
import time
import unittest
import xml.dom.minidom

import akin_checkpoint
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

    def test_a_model_that_kept_the_ratios_of_its_whitening_describes_as_it_did(self):
        status, _, err = self.train("--views", "64")
        self.assertEqual(status, 0, err)
        version, config, tensors = akin_checkpoint.read(self.model.read_bytes())
        old = self.folder / "old"
        old.write_bytes(akin_checkpoint.write(
            version, config, [*tensors, ["whitening ratios", 0, bytes(4 * 16)]]))
        for name in (self.model, old):
            status, _, err = akin("embed", self.data, "--out", f"{name}-vectors", "--model", name)
            self.assertEqual(status, 0, err)
        vectors = [pathlib.Path(f"{name}-vectors.npy").read_bytes() for name in (self.model, old)]
        self.assertEqual(*vectors)

    def test_a_run_begins_where_a_model_stands(self):
        status, _, err = self.train("--views", "160", "--set", "net.width=0.25")
        self.assertEqual(status, 0, err)
        first = self.folder / "first"
        self.model.rename(first)
        still = ["--views", "16", "--set", "optimiser.rate=1e-6", "--set", "average=0"]
        vectors = []
        for more in ([], ["--from", first]):
            status, _, err = self.train(*still, *more)
            self.assertEqual(status, 0, err)
            vectors.append(self.model.read_bytes())
        sizes = [len(v) for v in vectors]
        self.assertLess(sizes[1], sizes[0])  # a quarter of the width, as the model has it
        encoder = {name: values for name, _, values in
                   akin_checkpoint.read(vectors[1])[2]}["encoder"]
        before = {name: values for name, _, values in
                  akin_checkpoint.read(first.read_bytes())[2]}["encoder"]
        n = len(before) // 2
        a, b = struct.unpack(f"<{n}e", before), struct.unpack(f"<{n}e", encoder)
        self.assertLess(max(abs(x - y) for x, y in zip(a, b)), 2e-3)
        status, _, err = self.train("--views", "16", "--from", self.data)
        self.assertNotEqual(status, 0)
        self.assertIn(str(self.data), err)

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

    def test_the_log_holds_the_measures_and_curves_are_drawn_from_it(self):
        held = self.folder / "held"
        fill(held, 16)
        plot = self.folder / "curves.svg"
        status, out, err = self.train("--views", "160", "--json", "--measure-every", "2",
                                      "--holdout", held, "--holdout-every", "5", "--plot", plot)
        self.assertEqual(status, 0, err)
        lines = pathlib.Path(f"{self.model}.log").read_text().splitlines()
        log = [json.loads(line) for line in lines]
        self.assertEqual(log[-1]["views"], 160)
        for member in ("loss", "rate", "positive", "negative", "alignment", "uniformity", "rank",
                       "deviation", "knn", "views_per_s", "seconds_left"):
            self.assertIn(member, log[-1])
        self.assertEqual(set(log[-1]["terms"]), {"proxy_softmax", "nt_xent"})
        self.assertEqual([json.loads(line) for line in out.splitlines()[:-1]], log)
        svg = plot.read_text()
        xml.dom.minidom.parseString(svg)
        self.assertIn("effective rank", svg)
        plot.unlink()
        status, _, err = akin("train", "--out", self.model, "--plot", plot)
        self.assertEqual((status, plot.read_text()), (0, svg), err)

    def test_recipes_are_listed_loaded_and_refused(self):
        status, out, err = akin("train", "--recipes", "--json")
        self.assertEqual(status, 0, err)
        recipes = {r["name"]: r["recipe"] for r in json.loads(out)["items"]}
        self.assertIn("byol", recipes)
        mine = self.folder / "mine.json"
        mine.write_text(json.dumps(recipes["info_nce"]))
        status, _, err = self.train("--views", "64", "--recipe", mine, "--set", "momentum.queue=64")
        self.assertEqual(status, 0, err)
        before = self.model.read_bytes()
        for recipe, says in (({"batsch": 8}, "batsch"), ({"views": {"hue": 9}}, "views.hue"),
                             ({"objectives": [{"name": "no"}]}, "no objective")):
            mine.write_text(json.dumps(recipe))
            status, _, err = self.train("--views", "64", "--recipe", mine)
            self.assertNotEqual(status, 0)
            self.assertIn(says, err)
        status, _, err = self.train("--views", "64", "--recipe", "simcrl")
        self.assertNotEqual(status, 0)
        self.assertIn("--recipes", err)
        self.assertEqual(self.model.read_bytes(), before)


if __name__ == "__main__":
    unittest.main()
