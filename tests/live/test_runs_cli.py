#!/usr/bin/python3
"""akin training-runs and akin models do what the API does."""
import os
import unittest

from akin_cli import akin, akin_json
from akin_runs import Workplace


class Commands(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.place = Workplace()
        cls.env = {"AKIN_SERVER": f"http://127.0.0.1:{cls.place.server.port}"}

    @classmethod
    def tearDownClass(cls):
        cls.place.close()

    def akin(self, *arguments):
        return akin(*arguments, env=self.env)

    def json(self, *arguments):
        return akin_json(*arguments, env=self.env)[:2]

    def test_a_run_from_its_start_to_a_promotion_and_back(self):
        self.place.plan(refine="ok", gate="pass")
        status, out, err = self.akin("training-runs", "start", "--collection", "holiday",
                                     "--promote", "ask", "--seed", 4, "--budget", 60, "--watch")
        self.assertEqual(status, 0, err)
        for word in ("awaiting", "parts_map", "0.4100", "primary, passed"):
            self.assertIn(word, out)
        self.assertIn("train", err)
        status, runs = self.json("training-runs", "list")
        run = runs["items"][0]
        self.assertEqual((run["request"]["seed"], run["request"]["budget_s"]), (4, 60))
        self.assertIn(run["id"], self.akin("training-runs", "list")[1])
        self.assertEqual(self.json("training-runs", "show", run["id"])[1]["report"]["passed"], True)
        model, before = run["model"], run["incumbent"]
        self.assertIn("candidate", self.akin("models", "list")[1])
        status, job = self.json("models", "promote", model)
        self.assertEqual((status, job["state"]), (0, "succeeded"))
        status, out, err = self.akin("models", "rollback", "holiday")
        self.assertEqual((status, before in out), (0, True), err)
        file = os.path.join(self.place.home, "m.akin")
        self.assertEqual(self.akin("models", "export", model, "--output", file)[0], 0)
        status, again = self.json("models", "import", file)
        self.assertEqual((status, again["id"]), (0, model))

    def test_failures(self):
        self.place.plan(refine="error")
        status, answer = self.json("training-runs", "start", "--watch")
        self.assertEqual(status, 3)
        self.place.plan(refine="slow")
        status, run = self.json("training-runs", "start")
        self.assertEqual(status, 0)
        self.assertEqual(self.akin("training-runs", "start")[0], 3)  # one at a time
        self.assertEqual(self.akin("training-runs", "cancel", run["id"])[0], 0)
        status, _, err = self.akin("training-runs", "watch", run["id"])
        self.assertEqual((status, "cancelled" in err), (3, True), err)
        for arguments in (("training-runs",), ("training-runs", "dance"),
                          ("training-runs", "show"), ("models", "promote"),
                          ("training-runs", "list", "x"), ("models", "list", "x")):
            self.assertEqual(self.akin(*arguments)[0], 2, arguments)
        self.assertEqual(self.akin("models", "promote", "none")[0], 3)
        self.assertEqual(self.akin("models", "import", os.devnull)[0], 1)


if __name__ == "__main__":
    unittest.main(verbosity=2)
