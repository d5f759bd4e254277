#!/usr/bin/python3
"""Jobs as any client sees them: lists, one, its events to the letter, its report."""
import time
import unittest

from akin_runs import RUNS, Events, Workplace, wait_until


class Jobs(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.place = Workplace(heartbeat_s=1, event_listeners=3, idle_s=3)
        cls.call = staticmethod(lambda *a, **k: cls.place.server.call(*a, **k))

    @classmethod
    def tearDownClass(cls):
        cls.place.close()

    def tearDown(self):
        for run in self.call("GET", "/v1/jobs").json["items"]:
            if not run["ended_at"]:
                self.call("DELETE", f"/v1/jobs/{run['id']}")
                self.place.wait(run["id"])

    def ended(self):
        self.place.plan()
        job = self.place.begin()
        self.place.wait(job)
        return job

    def test_what_is_not_there(self):
        for method, path in (("GET", ""), ("DELETE", ""), ("GET", "/events"), ("GET", "/report")):
            answer = self.call(method, f"/v1/jobs/01M88B89D1WM0JS845RX6YXBJ0{path}")
            self.assertEqual((answer.status, answer.json["code"]), (404, "not_found"))
        self.assertEqual(self.call("GET", "/v1/jobs?cursor=x").status, 400)
        self.assertEqual(self.call("GET", "/v1/jobs?limit=0").status, 400)
        self.place.plan(refine="slow")
        job = self.place.begin()
        self.assertEqual(self.call("GET", f"/v1/jobs/{job}/report").status, 404)

    def test_lists_are_paged_newest_first(self):
        jobs = [self.ended() for _ in range(3)]
        page = self.call("GET", "/v1/jobs?limit=2").json
        self.assertEqual([job["id"] for job in page["items"]], jobs[:0:-1])
        later = self.ended()  # does not move what the cursor names
        rest = self.call("GET", f"/v1/jobs?limit=1&cursor={page['next_cursor']}").json
        self.assertEqual([job["id"] for job in rest["items"]], jobs[:1])
        self.assertEqual(self.call("GET", f"{RUNS}?cursor={page['next_cursor']}").status, 400)
        self.assertEqual(self.call("GET", RUNS).json["items"][0]["id"], later)

    def test_one_has_a_tag(self):
        job = self.ended()
        answer = self.call("GET", f"/v1/jobs/{job}")
        tag = {"If-None-Match": answer.header("ETag")}
        self.assertEqual(self.call("GET", f"/v1/jobs/{job}", headers=tag).status, 304)
        self.assertEqual(answer.json["request"]["collections"], ["holiday"])
        self.assertNotIn("report", answer.json)

    def test_events_to_the_letter(self):
        self.place.plan(refine="slow", gate="refuse")
        job = self.place.begin()
        self.place.wait(job, lambda run: "progress" in run)
        events = Events(self.place.server, job)
        self.assertEqual((events.answer.status, events.answer.getheader("Content-Type"),
                          events.answer.getheader("Cache-Control")),
                         (200, "text/event-stream", "no-store"))
        seen = []
        for event in events:
            if event[0] == "comment":  # the worker was slow
                continue
            seen.append(event)
            if len(seen) == 4:
                self.call("DELETE", f"/v1/jobs/{job}")
        self.assertEqual([name for _, name, _ in seen[:4]], ["snapshot"] + 3 * ["progress"])
        self.assertEqual([name for _, name, _ in seen].count("snapshot"), 1)
        ids = [number for number, _, _ in seen]
        self.assertEqual(ids, sorted(set(ids)))
        self.assertEqual((seen[-1][1], seen[-1][2]["state"]), ("end", "cancelled"))
        for _, name, data in seen[:-1]:
            self.assertEqual((data["id"], data["state"]), (job, "running"))
        self.assertEqual(seen[1][2]["progress"]["total"], 1000)  # what the worker says beside
        polled = self.call("GET", f"/v1/jobs/{job}").json
        self.assertEqual(polled, seen[-1][2])
        self.assertEqual(events.answer.readline(), b"")  # closed by the server

        again = list(Events(self.place.server, job))
        self.assertEqual([name for _, name, _ in again], ["snapshot", "end"])
        self.assertGreaterEqual(again[0][0], ids[-2])
        for last, status in ((again[1][0], 204), (again[1][0] - 1, 200), ("x", 200)):
            known = Events(self.place.server, job, {"Last-Event-ID": str(last)})
            self.assertEqual(known.answer.status, status)
            known.close()

    def test_silence_is_broken_by_a_comment(self):
        self.place.plan(refine="hang")
        job = self.place.begin()
        self.place.wait(job, lambda run: run["stage"] == "training")
        since = time.monotonic()
        events = iter(Events(self.place.server, job))
        names = [next(events)[0] for _ in range(6)]
        self.assertEqual(names[-3:], ["comment"] * 3)
        self.assertGreater(time.monotonic() - since, 2)

    def test_listeners_are_counted_and_their_places_come_back(self):
        self.place.plan(refine="slow")
        job = self.place.begin()
        listeners = []

        def one_more():
            """Whether there is a place. One that was left counts until the server sees it."""
            events = Events(self.place.server, job)
            if events.answer.status != 200:
                events.close()
                return False
            listeners.append(events)
            return True
        for _ in range(3):
            wait_until(one_more, "a listener's place")
        answer = self.call("GET", f"/v1/jobs/{job}/events")
        self.assertEqual((answer.status, answer.json["code"]), (503, "overloaded"))
        for listener in listeners:
            listener.close()
        wait_until(one_more, "a listener's place")
        listeners[-1].close()

    def test_who_does_not_read_holds_nothing_up(self):
        self.place.plan(refine="slow")
        job = self.place.begin()
        deaf = Events(self.place.server, job)
        before = self.place.wait(job, lambda run: "progress" in run)["done"]
        self.place.wait(job, lambda run: run["done"] > before)
        self.call("DELETE", f"/v1/jobs/{job}")
        self.assertEqual(self.place.wait(job)["state"], "cancelled")
        deaf.close()

    def test_head_and_methods(self):
        job = self.ended()
        self.assertEqual(self.call("HEAD", f"/v1/jobs/{job}/events").status, 200)
        self.assertEqual(self.call("POST", f"/v1/jobs/{job}", {}).status, 405)
        self.assertEqual(self.call("GET", f"/v1/jobs/{job}?x=1").status, 400)


class Ends(unittest.TestCase):
    def test_a_stopping_server_closes_the_streams_and_numbers_go_on_growing(self):
        place = Workplace(jobs_kept=2)
        place.plan(refine="slow")
        job = place.begin()
        events = Events(place.server, job)
        seen = iter(events)
        numbers = [next(seen)[0] for _ in range(3)]
        place.server.process.terminate()
        rest = list(seen)  # ends, and not with an "end": the job goes on
        self.assertNotIn("end", [name for _, name, _ in rest])
        self.assertEqual(place.server.process.wait(30), 0)
        place.restart()
        number, name, data = next(iter(Events(place.server, job)))
        self.assertEqual((name, data["state"]), ("snapshot", "running"))
        self.assertGreater(number, max(numbers + [n for n, _, _ in rest]))
        place.server.call("DELETE", f"/v1/jobs/{job}")
        place.wait(job)
        place.plan()
        for _ in range(4):
            place.wait(place.begin())
        self.assertEqual(len(place.server.call("GET", "/v1/jobs").json["items"]), 3)
        self.assertEqual(place.server.call("GET", f"/v1/jobs/{job}").status, 404)
        place.close()


if __name__ == "__main__":
    unittest.main(verbosity=2)
