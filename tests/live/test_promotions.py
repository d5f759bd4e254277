#!/usr/bin/python3
"""What becomes of a better model: it serves, waits for a person, or is put to serve by force."""
import time
import unittest

from akin_runs import RUNS, Workplace, wait_until


class Promotions(unittest.TestCase):
    def setUp(self):
        self.place = Workplace()
        self.call = lambda *a, **k: self.place.server.call(*a, **k)

    def tearDown(self):
        self.place.close()

    def serving(self):
        return self.call("GET", "/v1/collections/holiday").json["model"]

    def model(self, name):
        return self.call("GET", f"/v1/admin/models/{name}").json

    def ended(self, answer):
        self.assertEqual(answer.status, 202, answer)
        self.assertEqual(answer.header("Location"), f"/v1/jobs/{answer.json['id']}")
        return wait_until(lambda: (job := self.call("GET", answer.header("Location")).json)
                          ["ended_at"] and job, "the promotion")

    def test_auto_serves_what_is_better_and_can_be_taken_back(self):
        self.place.plan(gate="pass")
        run = self.place.wait(self.place.begin(promote="auto"))
        self.assertEqual((run["state"], run["decision"]), ("succeeded", "promoted"), run)
        self.assertEqual(self.serving(), run["model"])
        self.assertEqual(self.model(run["model"])["state"], "serving")
        self.assertEqual(self.model(run["incumbent"])["state"], "serving")  # the base model
        found = self.call("POST", "/v1/collections/holiday/search", {"id": "p1"})
        self.assertEqual((found.status, found.json["model"]), (200, run["model"]))
        # The pictures are no news to the new model; to the old one they are.
        again = self.place.wait(self.place.begin())
        self.assertIn("0 of them new", again["error"])
        self.assertEqual(self.call("POST", "/v1/admin/collections/holiday:rollback").status, 200)
        self.place.plan()
        self.assertEqual(self.place.wait(self.place.begin())["decision"], "refused")

    def test_ask_leaves_it_to_a_person(self):
        self.place.plan(gate="pass")
        run = self.place.wait(self.place.begin(promote="ask"))
        self.assertEqual((run["state"], run["decision"]), ("succeeded", "awaiting"))
        self.assertEqual(self.serving(), run["incumbent"])
        self.assertEqual(self.model(run["model"])["state"], "candidate")
        promote = f"/v1/admin/models/{run['model']}:promote"
        self.assertEqual(self.call("POST", promote, {"collections": ["none"]}).status, 404)
        self.assertEqual(self.call("POST", promote, {"collections": []}).status, 400)
        job = self.ended(self.call("POST", promote, {}))
        self.assertEqual((job["kind"], job["state"]), ("promotion", "succeeded"), job)
        self.assertEqual(self.serving(), run["model"])
        self.assertEqual(self.place.run(run["id"])["decision"], "promoted")

    def test_what_was_refused_takes_force(self):
        run = self.place.wait(self.place.begin())
        promote = f"/v1/admin/models/{run['model']}:promote"
        self.assertEqual(self.call("POST", promote, {}).status, 409)
        headers = {"Idempotency-Key": "once"}
        answers = [self.call("POST", promote, {"force": True}, headers) for _ in range(2)]
        self.assertEqual(answers[0].json, answers[1].json)
        self.assertEqual(self.ended(answers[0])["state"], "succeeded")
        self.assertEqual(self.serving(), run["model"])

    def test_cancelled_or_killed_while_it_is_embedded(self):
        self.place.plan(gate="pass")
        before = self.serving()
        job = self.place.begin(promote="auto")
        self.place.wait(job, lambda run: run["stage"] == "promotion" or run["ended_at"])
        self.call("DELETE", f"{RUNS}/{job}")
        run = self.place.wait(job)
        self.assertIn((run["state"], self.serving()),
                      (("cancelled", before), ("succeeded", run["model"])))
        if run["state"] == "cancelled":
            self.assertIsNone(self.call("GET", "/v1/collections/holiday").json["coming_model"])
        else:  # it was quicker than we; the pictures are to be new again
            self.call("POST", "/v1/admin/collections/holiday:rollback")
        for i in range(3):
            job = self.place.begin(promote="auto", seed=10 + i, collections=["holiday"])
            self.place.wait(job, lambda run: run["stage"] in ("promotion", "ended") or
                            run["ended_at"])
            time.sleep(0.1 * i)
            self.place.restart()
            run = self.place.wait(job)
            if run["state"] == "failed":  # nothing new since the last one
                self.assertIn("new", run["error"])
                continue
            self.assertEqual((run["decision"], self.serving()), ("promoted", run["model"]))


if __name__ == "__main__":
    unittest.main(verbosity=2)
