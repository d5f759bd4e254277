#!/usr/bin/python3
"""A run is cancelled, or what it is for is deleted, at each of its stages; and it is paused."""
import json
import os
import sqlite3
import time
import unittest

from akin_runs import RUNS, Workplace, alive, wait_until

HOLIDAY = "/v1/collections/holiday"


class Rig(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.place = Workplace(refine_silence_s=4, refine_busy_threads=0)
        cls.addClassCleanup(cls.place.close)
        cls.call = staticmethod(lambda *a, **k: cls.place.server.call(*a, **k))
        cls.serving = cls.call("GET", HOLIDAY).json["model"]

    def tearDown(self):
        for job in self.call("GET", "/v1/jobs").json["items"]:
            if not job["ended_at"]:
                self.call("DELETE", f"/v1/jobs/{job['id']}")
                self.ended(job["id"])
        if self.call("GET", HOLIDAY).json["model"] != self.serving:
            answer = self.call("POST", f"/v1/admin/models/{self.serving}:promote", {"force": True})
            self.assertEqual(self.ended(answer.json["id"])["state"], "succeeded")

    def caught(self, attempt, moment):
        """Tries until the moment was met: it is short, and this process may be slow."""
        def tried():
            met = attempt()
            if not met:
                self.tearDown()
            return met
        return wait_until(tried, moment)

    def ended(self, job):
        return wait_until(lambda: (one := self.call("GET", f"/v1/jobs/{job}").json)["ended_at"]
                          and one, f"the end of {job}", 240)  # 330 pictures under a sanitizer

    def reach(self, stage, **body):
        """A run that has got to this moment."""
        self.place.plan(refine="slow" if stage == "training" else "ok",
                        gate="slow" if stage == "gate" else "pass")
        job = self.place.begin(promote="auto", **body)
        run = lambda: self.place.run(job)
        if stage in ("training", "gate"):
            self.place.wait_worker("refine" if stage == "training" else "gate")
        elif stage == "registering":
            pid = self.place.wait_worker("gate")
            wait_until(lambda: not alive(pid), "the gate's end")
        elif stage == "embedding":
            wait_until(lambda: (now := run())["ended_at"] or (now["stage"] == "promotion" and
                       now["total"]), "embedding")
        elif stage == "swap":
            wait_until(lambda: (now := run())["ended_at"] or (now["stage"] == "promotion" and
                       0 < now["total"] <= now["done"] + 8), "the swap")
        return job

    def untouched(self, job):
        """No trace of the run."""
        holiday = self.call("GET", HOLIDAY).json
        self.assertEqual((holiday["model"], holiday["coming_model"]), (self.serving, None))
        self.assertFalse(os.path.exists(self.place.folder(job)))
        self.assertEqual(self.call("POST", f"{HOLIDAY}/search", {"id": "p1"}).status, 200)

    def candidate(self):
        self.place.plan(gate="pass")
        return self.place.wait(self.place.begin(promote="ask"))["model"]


class Cancelled(Rig):
    def cancelled(self, stage):
        job = self.reach(stage)
        answer = self.call("DELETE", f"{RUNS}/{job}")
        run = self.ended(job)
        if run["state"] == "succeeded":  # it was over first, and that counts
            self.assertNotIn(stage, ("training", "gate"))
            self.assertEqual(run["decision"], "promoted")
            self.assertEqual(self.call("GET", HOLIDAY).json["model"], run["model"])
            self.assertEqual(self.call("POST", "/v1/admin/collections/holiday:rollback").status,
                             200)
        else:
            self.assertEqual((run["state"], run["decision"], run["error"]),
                             ("cancelled", None, None))
            self.assertIn(answer.status, (200, 202))
        self.untouched(job)
        return run

    def test_while_the_folder_is_made(self):
        seen = set()
        until = time.monotonic() + 60
        while "folder" not in seen:
            self.assertLess(time.monotonic(), until, seen)
            seen.add(self.cancelled("folder")["stage"])

    def test_in_training(self):
        self.assertEqual(self.cancelled("training")["stage"], "training")

    def test_in_the_gate(self):
        self.assertEqual(self.cancelled("gate")["stage"], "gate")

    def test_while_the_candidate_is_registered(self):
        for _ in range(3):
            self.cancelled("registering")

    def test_while_it_is_embedded(self):
        self.caught(lambda: self.cancelled("embedding")["state"] == "cancelled", "one that embeds")

    def test_just_before_the_swap(self):
        for _ in range(3):
            self.cancelled("swap")

    def test_one_that_waits_has_never_begun(self):
        def waits():
            first, second = self.candidate(), self.candidate()
            jobs = [self.call("POST", f"/v1/admin/models/{model}:promote", {}).json["id"]
                    for model in (first, second)]
            answer = self.call("DELETE", f"/v1/jobs/{jobs[1]}")
            self.call("DELETE", f"/v1/jobs/{jobs[0]}")
            if self.ended(jobs[0])["state"] != "cancelled" or \
                    self.ended(jobs[1])["started_at"]:  # its turn had come
                return False
            self.assertEqual((answer.status, answer.json["state"], answer.json["started_at"]),
                             (200, "cancelled", None), answer)
            self.untouched(jobs[0])
            return True
        self.caught(waits, "two promotions")

    def test_a_run_that_waits_for_another_promotion(self):
        def waits():
            other = self.candidate()
            promotion = self.call("POST", f"/v1/admin/models/{other}:promote", {}).json["id"]
            self.place.plan(gate="pass")
            job = self.place.begin(promote="auto")
            wait_until(lambda: (now := self.place.run(job))["ended_at"] or
                       now["stage"] == "promotion", "its turn")
            self.call("DELETE", f"{RUNS}/{job}")
            promoted = self.ended(promotion)
            self.assertEqual(promoted["state"], "succeeded", promoted)
            if self.ended(job)["state"] != "cancelled":
                return False
            holiday = self.call("GET", HOLIDAY).json
            self.assertEqual((holiday["model"], holiday["coming_model"]), (other, None))
            return True
        self.caught(waits, "a run behind a promotion")

    def test_a_cancel_that_a_crash_cut_short_is_finished(self):
        def cut_short():
            job = self.reach("embedding")
            self.place.server.kill()
            with sqlite3.connect(os.path.join(self.place.data, "catalog.db")) as catalog:
                catalog.execute("UPDATE jobs SET cancel = 1 WHERE id = ?", (job,))
            catalog.close()
            self.place.start()
            if self.ended(job)["decision"] == "promoted":
                return False
            self.assertEqual(self.ended(job)["state"], "cancelled")
            self.untouched(job)
            return True
        self.caught(cut_short, "one that embeds")


class Deleted(Rig):
    def gone(self, stage):
        """The run's collection goes at this moment; its pictures stay, as they are holiday's."""
        self.place.server.collection("gone")
        self.place.upload(range(330), "gone")
        job = self.reach(stage, collections=["gone"])
        self.assertEqual(self.call("DELETE", "/v1/collections/gone").status, 204)
        run = self.ended(job)
        if run["state"] == "succeeded":
            self.assertNotIn(stage, ("training", "gate"))
            self.assertEqual(run["decision"], "promoted")
        else:
            self.assertEqual((run["state"], run["decision"]), ("failed", None), run)
            self.assertRegex(run["error"], "deleted|gone|pictures to train on")
        self.untouched(job)
        return run

    def test_the_collection_while_the_folder_is_made(self):
        self.caught(lambda: self.gone("folder")["state"] == "failed", "one whose folder is made")

    def test_the_collection_in_training(self):
        self.assertEqual(self.gone("training")["state"], "failed")

    def test_the_collection_in_the_gate(self):
        self.assertEqual(self.gone("gate")["state"], "failed")

    def test_the_collection_while_the_candidate_is_registered(self):
        self.gone("registering")

    def test_the_collection_while_it_is_embedded(self):
        self.caught(lambda: self.gone("embedding")["state"] == "failed", "one that embeds")

    def test_the_collection_just_before_the_swap(self):
        self.gone("swap")

    def test_yardsticks_in_training_and_in_the_gate(self):
        items = self.call("GET", f"{HOLIDAY}/images?limit=1000").json["items"]
        ids = {image["sha256"]: image["id"] for image in items}
        for stage, command in (("training", "refine"), ("gate", "gate")):
            job = self.reach(stage)

            def rows():
                with open(os.path.join(self.place.folder(job), "pictures.jsonl"),
                          encoding="utf-8") as file:
                    return [json.loads(line) for line in file]
            doomed = [row["sha256"] for row in rows() if row.get("role") == "yardstick"][:3]
            self.assertEqual(len(doomed), 3)
            for sha in doomed:
                self.assertEqual(self.call("DELETE", f"{HOLIDAY}/images/{ids[sha]}").status, 204)
            wait_until(lambda: not {row.get("sha256") for row in rows()} & set(doomed),
                       "the folder without them")
            if stage == "gate":  # it had read them: it judges anew
                self.place.wait_worker(command, 2)
            self.call("DELETE", f"{RUNS}/{job}")
            self.assertEqual(self.ended(job)["state"], "cancelled")
            for sha in doomed:  # the next test has them again
                self.place.upload([int(ids[sha][1:])])


class Paused(Rig):
    def test_while_requests_come_in_and_no_longer(self):
        self.place.plan(refine="listen")
        job = self.place.begin()
        heard = os.path.join(self.place.home, "heard")

        def orders():
            if not os.path.exists(heard):
                return []
            with open(heard, encoding="utf-8") as file:
                return [json.loads(line) for line in file]
        all_threads = {"threads": os.cpu_count()}
        wait_until(lambda: orders() == [all_threads], "the first order")
        until = time.monotonic() + 6  # longer than it may be silent for
        while time.monotonic() < until:
            self.assertEqual(self.call("POST", f"{HOLIDAY}/search", {"id": "p1"}).status, 200)
        self.assertEqual(orders()[:2], [all_threads, {"pause": True}])
        wait_until(lambda: orders()[-2:] == [all_threads, {"pause": False}], "the end of the pause")
        self.assertEqual((self.place.run(job)["state"], self.place.run(job)["restarts"]),
                         ("running", 0))
        with open(os.path.join(self.place.home, "enough"), "w", encoding="utf-8"):
            self.call("POST", f"{HOLIDAY}/search", {"id": "p1"})
        self.assertEqual(self.ended(job)["state"], "succeeded")


if __name__ == "__main__":
    unittest.main(verbosity=2)
