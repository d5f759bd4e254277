#!/usr/bin/python3
"""Training runs: what is asked, what becomes of it, and every kind of bad luck on the way."""
import json
import os
import signal
import time
import unittest

from akin_runs import PICTURES, RUNS, Workplace, alive, wait_until
from akin_server import png

NOT_BEGUN = {"decision": None, "reason": None, "model": None, "gate": []}


class Requests(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.place = Workplace(pictures=10)
        cls.call = staticmethod(cls.place.server.call)

    @classmethod
    def tearDownClass(cls):
        cls.place.close()

    def refused(self, body, status, *words):
        answer = self.call("POST", RUNS, body)
        self.assertEqual(answer.status, status, answer)
        for word in words:
            self.assertIn(word, json.dumps(answer.json))

    def test_too_few_pictures_are_refused_with_the_least_number(self):
        self.refused({}, 409, "10 pictures", "320")
        self.place.server.collection("empty")
        self.refused({"collections": ["empty"]}, 409, "0 pictures", "320")
        self.assertEqual(self.call("GET", RUNS).json["items"], [])

    def test_what_cannot_be_is_refused(self):
        self.refused({"budget_s": 0}, 400, "/budget_s")
        self.refused({"budget_s": -1}, 400, "/budget_s")
        self.refused({"budget_s": "long"}, 400, "/budget_s")
        self.refused({"recipe": "none"}, 400, "none", "default")
        self.refused({"recipe": 3}, 400, "/recipe")
        self.refused({"promote": "maybe"}, 400, "/promote", "ask")
        self.refused({"seed": -1}, 400, "/seed")
        self.refused({"seed": 1.5}, 400, "/seed")
        self.refused({"collections": []}, 400, "/collections")
        self.refused({"collections": [7]}, 400, "/collections")
        self.refused({"collections": ["holiday", "holiday"]}, 400, "twice")
        self.refused({"collections": ["nowhere"]}, 404, "nowhere")
        self.refused({"colections": []}, 400, "colections", "budget_s")
        self.assertEqual(self.call("POST", RUNS, b"{", {"Content-Type": "application/json"}).status,
                         400)
        for method in ("GET", "DELETE"):
            self.assertEqual(self.call(method, f"{RUNS}/none").status, 404)


class Switched(unittest.TestCase):
    def test_a_collection_can_be_kept_out(self):
        place = Workplace(pictures=0)
        call, c = place.server.call, "/v1/collections/holiday"
        self.assertIs(call("GET", c).json["refine"], True)
        self.assertIs(call("PATCH", c, {"refine": False}).json["refine"], False)
        self.assertIs(call("PATCH", c, {"description": "d"}).json["refine"], False)
        answer = call("POST", RUNS, {"collections": ["holiday"]})
        self.assertEqual((answer.status, "may not be refined on" in answer.json["detail"]),
                         (409, True))
        self.assertEqual(call("PATCH", c, {"refine": 1}).status, 400)
        place.close()

    def test_refinement_can_be_switched_off(self):
        place = Workplace(pictures=0, refine_enabled=0)
        answer = place.server.call("POST", RUNS, {})
        self.assertEqual(answer.status, 409)
        self.assertIn("refine_enabled", answer.json["detail"])
        place.close()


class Runs(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.place = Workplace(refine_silence_s=5, refine_memory=300 << 20)
        cls.call = staticmethod(lambda *a, **k: cls.place.server.call(*a, **k))

    @classmethod
    def tearDownClass(cls):
        cls.place.close()

    def tearDown(self):
        for run in self.call("GET", RUNS).json["items"]:
            if not run["ended_at"]:
                self.call("DELETE", f"{RUNS}/{run['id']}")
                self.place.wait(run["id"])

    def failed(self, *words, **plan):
        self.place.plan(**plan)
        run = self.place.wait(self.place.begin())
        self.assertEqual(run["state"], "failed", run)
        for word in words:
            self.assertIn(word, run["error"])
        self.assertEqual(run["reason"], run["error"])
        self.assertIsNone(run["decision"])
        return run

    def test_a_refused_run_has_succeeded_and_says_why(self):
        self.place.plan(gate="refuse")
        answer = self.call("POST", RUNS, {"collections": ["holiday"], "recipe": "default",
                                          "budget_s": 600, "promote": "auto", "seed": 1})
        self.assertEqual(answer.status, 202)
        job = answer.json["id"]
        self.assertEqual(answer.header("Location"), f"{RUNS}/{job}")
        self.assertEqual({**answer.json, **NOT_BEGUN, "kind": "training", "state": "queued",
                          "done": 0, "total": 0, "seconds_left": None}, answer.json)
        run = self.place.wait(job)
        serving = self.call("GET", "/v1/collections/holiday").json["model"]
        self.assertEqual((run["state"], run["decision"], run["reason"], run["incumbent"]),
                         ("succeeded", "refused", "not better", serving))
        self.assertNotIn(run["model"], (None, serving))
        self.assertEqual(run["gate"][0]["measure"], "parts_map")
        self.assertEqual(run["report"]["yardsticks"], 90)  # the verdict, whole
        self.assertEqual(self.call("GET", f"/v1/jobs/{job}/report").json, run["report"])
        self.assertEqual(self.call("GET", f"/v1/jobs/{job}").json["decision"], "refused")
        self.assertFalse(os.path.exists(self.place.folder(job)))
        models = self.call("GET", "/v1/admin/models").json["items"]
        kept = next(m for m in models if m["id"] == run["model"])
        self.assertEqual((kept["state"], kept["parent"]), ("refused", serving))
        self.assertEqual(kept["lineage"]["run"], job)
        self.assertEqual(self.call("POST", f"/v1/admin/models/{run['model']}:promote", {}).status,
                         409)

    def test_one_at_a_time_and_cancelled_at_once(self):
        for what in ("slow", "stubborn", "hang"):
            self.place.plan(refine=what)
            job = self.place.begin()
            pid = self.place.wait_worker()
            again = self.call("POST", RUNS, {})
            self.assertEqual((again.status, again.json["code"]), (409, "conflict"))
            self.assertIn(job, again.json["detail"])
            self.assertEqual(self.call("DELETE", f"{RUNS}/{job}").status, 202)
            # One to two and a half seconds where the cores are free; by itself it takes an hour.
            wait_until(lambda: not alive(pid), "the worker's end", 60)
            run = self.place.wait(job)
            self.assertEqual((run["state"], run["decision"], run["error"]),
                             ("cancelled", None, None))
            self.assertEqual(self.call("DELETE", f"{RUNS}/{job}").status, 200)  # it is cancelled
            self.assertFalse(os.path.exists(self.place.folder(job)))

    def test_cancelled_in_the_gate(self):
        self.place.plan(gate="slow")
        job = self.place.begin()
        pid = self.place.wait_worker("gate")
        self.call("DELETE", f"/v1/jobs/{job}")
        self.assertEqual(self.place.wait(job)["state"], "cancelled")
        self.assertFalse(alive(pid))

    def test_what_has_ended_cannot_be_cancelled(self):
        job = self.failed(refine="error")["id"]
        self.assertEqual(self.call("DELETE", f"{RUNS}/{job}").status, 409)

    def test_a_crash_is_gone_on_from(self):
        self.place.plan(refine="crash once")
        run = self.place.wait(self.place.begin())
        self.assertEqual((run["state"], run["decision"], run["restarts"]),
                         ("succeeded", "refused", 1))
        self.assertEqual(len(self.place.pids()), 2)

    def test_crashes_without_end_fail_the_run_and_say_how(self):
        run = self.failed("crashed", "Segmentation fault", "given up", refine="crash")
        self.assertEqual((run["restarts"], len(self.place.pids())), (1, 2))
        self.failed("memory", refine="killed")
        self.failed("MemoryError", refine="memory")
        self.failed("said nothing for", refine="hang")
        self.failed("No space left", refine="disk full")
        self.failed("`akin gate` crashed", gate="crash")
        self.assertEqual(self.call("GET", "/readyz").status, 200)

    def test_what_the_worker_says_itself_fails_the_run_at_once(self):
        run = self.failed("the loss is not a number", refine="error")
        self.assertEqual((run["restarts"], len(self.place.pids())), (0, 1))

    def test_garbage_on_the_pipe_is_passed_over(self):
        self.place.plan(refine="garbage")
        self.assertEqual(self.place.wait(self.place.begin())["state"], "succeeded")

    def test_a_verdict_that_is_none_is_not_believed(self):
        self.failed("verdict", gate="no verdict")

    def test_fewer_threads_while_queries_come_in(self):
        self.place.plan(refine="listen")
        job = self.place.begin()
        heard = os.path.join(self.place.home, "heard")
        orders = lambda: [json.loads(line) for line in open(heard, encoding="utf-8")] \
            if os.path.exists(heard) else []
        wait_until(orders, "the first order")
        self.assertEqual(orders(), [{"threads": os.cpu_count()}])

        def busy():
            self.call("POST", "/v1/collections/holiday/search", {"id": "p1"})
            return {"threads": 1} in orders()
        wait_until(busy, "fewer threads")
        wait_until(lambda: orders()[-1] == {"threads": os.cpu_count()}, "all threads again")
        with open(os.path.join(self.place.home, "enough"), "w", encoding="utf-8"):
            self.call("POST", "/v1/collections/holiday/search", {"id": "p1"})
        self.place.wait(job)

    def test_deleted_pictures_leave_the_folder(self):
        self.place.plan(refine="slow")
        self.place.server.upload(png(1000), id="doomed")
        sha = self.call("GET", "/v1/collections/holiday/images/doomed").json["sha256"]
        job = self.place.begin()
        self.place.wait_worker()

        def rows():
            with open(os.path.join(self.place.folder(job), "pictures.jsonl"),
                      encoding="utf-8") as file:
                return file.read()
        self.assertIn(sha, rows())
        self.assertEqual(self.call("DELETE", "/v1/collections/holiday/images/doomed").status, 204)
        wait_until(lambda: sha not in rows(), "the folder without the picture", 60)
        self.call("DELETE", f"{RUNS}/{job}")
        self.place.wait(job)

    def test_the_same_key_gets_the_same_answer(self):
        self.place.plan(refine="slow")
        headers = {"Idempotency-Key": "k 1"}
        first = self.call("POST", RUNS, {"seed": 5}, headers)
        again = self.call("POST", RUNS, {"seed": 5}, headers)
        self.assertEqual((first.status, again.status), (202, 202))
        self.assertEqual((first.json, first.header("Location")),
                         (again.json, again.header("Location")))
        other = self.call("POST", RUNS, {"seed": 6}, headers)
        self.assertEqual((other.status, other.json["code"]), (422, "key_reused"))
        self.assertEqual(self.call("POST", RUNS, {"seed": 5}, {"Idempotency-Key": "x" * 129}).status,
                         400)
        self.call("DELETE", first.header("Location"))
        self.place.wait(first.json["id"])
        ended = self.call("POST", RUNS, {"seed": 5}, headers)
        self.assertEqual(ended.json, first.json)


class Restarts(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.place = Workplace()

    @classmethod
    def tearDownClass(cls):
        cls.place.close()

    def gone_on(self, job):
        run = self.place.wait(job)
        self.assertEqual((run["state"], run["decision"]), ("succeeded", "refused"), run)

    def test_a_killed_daemon_takes_its_worker_along_and_goes_on(self):
        for command in ("refine", "gate"):
            self.place.plan(**{"refine": "ok", "gate": "refuse", command: "slow"})
            job = self.place.begin()
            pid = self.place.wait_worker(command)
            before = self.place.wait(job, lambda run: run["done"] > 3)
            self.place.server.process.kill()
            wait_until(lambda: not alive(pid), "the worker's end", 60)
            self.place.plan()
            self.place.restart()
            run = self.place.run(job)
            self.assertEqual((run["created_at"], run["seed" if "seed" in run else "id"]),
                             (before["created_at"], before["seed" if "seed" in run else "id"]))
            self.gone_on(job)

    def test_a_stopped_daemon_stops_its_worker_and_goes_on(self):
        self.place.plan(refine="slow")
        job = self.place.begin()
        pid = self.place.wait_worker()
        self.place.server.process.send_signal(signal.SIGTERM)
        self.assertEqual(self.place.server.process.wait(30), 0)
        self.assertFalse(alive(pid))
        self.place.plan()
        self.place.restart()
        self.gone_on(job)

    def test_killed_at_any_moment(self):
        for i in range(6):
            self.place.plan()
            job = self.place.begin(seed=i)
            time.sleep(0.06 * i)  # anywhere from the folder to the end
            self.place.restart()
            self.gone_on(job)
        self.assertEqual(os.listdir(os.path.join(self.place.data, "runs")), [])

    def test_a_cancel_that_was_answered_holds_after_a_crash(self):
        self.place.plan(refine="stubborn")
        job = self.place.begin()
        self.place.wait_worker()
        self.place.server.call("DELETE", f"{RUNS}/{job}")
        self.place.restart()
        self.assertEqual(self.place.wait(job)["state"], "cancelled")
        self.assertFalse(os.path.exists(self.place.folder(job)))

    def test_zz_a_deleted_collection_ends_the_run(self):
        self.place.plan(refine="slow")
        job = self.place.begin()
        self.place.wait_worker()
        self.assertEqual(self.place.server.call("DELETE", "/v1/collections/holiday").status, 204)
        run = self.place.wait(job)
        self.assertEqual(run["state"], "failed")
        self.assertIn("deleted", run["error"])


class Triggered(unittest.TestCase):
    def test_enough_new_pictures_begin_a_run_and_a_refusal_holds_the_next_off(self):
        place = Workplace(refine_auto=1, refine_check_s=1, refine_pictures=PICTURES,
                          refine_load=100000, refine_promote="ask")
        runs = lambda: place.server.call("GET", RUNS).json["items"]
        job = wait_until(runs, "a run that begins by itself")[0]["id"]
        run = place.wait(job)
        self.assertEqual((run["request"]["trigger"], run["request"]["promote"]),
                         ("pictures", "ask"))
        self.assertEqual(run["decision"], "refused")
        for first in range(2000, 2000 + PICTURES, 110):
            place.server.upload_many([(f"{i}.png", png(i)) for i in range(first, first + 100)])
        time.sleep(2.5)  # two looks: an hour has not passed
        self.assertEqual(len(runs()), 1)
        place.close()


if __name__ == "__main__":
    unittest.main(verbosity=2)
