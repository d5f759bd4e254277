#!/usr/bin/python3
"""What people say of two images: who may say what, and that it goes with the images."""
import json
import os
import sqlite3
import unittest

from akin_runs import Workplace
from akin_server import png


class Feedback(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.place = Workplace()
        cls.call = staticmethod(cls.place.server.call)

    @classmethod
    def tearDownClass(cls):
        cls.place.close()

    def say(self, collection="holiday", **body):
        return self.call("POST", f"/v1/collections/{collection}/feedback", body)

    def stored(self):
        with sqlite3.connect(f"file:{self.place.data}/catalog.db?mode=ro", uri=True) as db:
            return set(db.execute("SELECT q.id, r.id, similar FROM feedback f JOIN images q ON "
                                  "q.key = f.query JOIN images r ON r.key = f.result"))

    def test_what_is_said_is_kept_and_the_last_word_counts(self):
        body = {"query": "p1", "result": "p2", "verdict": "similar"}
        answer = self.say(**body)
        self.assertEqual((answer.status, answer.json), (200, body))
        self.assertIn(("p1", "p2", 1), self.stored())
        self.say(**{**body, "verdict": "different"})
        self.assertIn(("p1", "p2", 0), self.stored())
        self.assertNotIn(("p1", "p2", 1), self.stored())

    def test_what_makes_no_sense_is_refused(self):
        good = {"query": "p1", "result": "p2", "verdict": "similar"}
        for change, status in (({"query": "none"}, 404), ({"result": "none"}, 404),
                               ({"result": "p1"}, 400), ({"verdict": "maybe"}, 400),
                               ({"verdict": None}, 400), ({"query": 1}, 400), ({"more": 1}, 400),
                               ({"query": "x" * 200}, 400)):
            self.assertEqual(self.say(**{**good, **change}).status, status, change)
        self.assertEqual(self.say("nowhere", **good).status, 404)
        for name in good:
            answer = self.say(**{k: v for k, v in good.items() if k != name})
            self.assertEqual(answer.status, 400)
            self.assertIn("/" + name, json.dumps(answer.json))

    def test_it_goes_with_the_images(self):
        for i in range(3):
            self.place.server.upload(png(4000 + i), id=f"g{i}")
        for other in ("g1", "g2"):
            self.say(query="g0", result=other, verdict="similar")
        self.call("DELETE", "/v1/collections/holiday/images/g1")
        self.assertEqual({row for row in self.stored() if row[0] == "g0"}, {("g0", "g2", 1)})
        self.call("PUT", "/v1/collections/holiday/images/g2", png(4010),
                  {"Content-Type": "image/png"})  # shows something else now
        self.assertEqual({row for row in self.stored() if row[0] == "g0"}, set())

    def test_a_run_is_told(self):
        sums = [self.call("GET", f"/v1/collections/holiday/images/p{i}").json["sha256"]
                for i in (10, 11)]
        self.say(query="p10", result="p11", verdict="different")
        self.place.plan(refine="slow")
        job = self.place.begin()
        self.place.wait_worker()
        with open(os.path.join(self.place.folder(job), "pairs.jsonl"), encoding="utf-8") as file:
            text = file.read()
        self.assertTrue(all(sha in text for sha in sums), text)
        self.call("DELETE", f"/v1/jobs/{job}")
        self.place.wait(job)


if __name__ == "__main__":
    unittest.main(verbosity=2)
