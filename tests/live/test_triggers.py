#!/usr/bin/python3
"""When a training run begins by itself, and what a clock that is set does to it and to the rest."""
import datetime
import os
import shutil
import time
import unittest
import zlib

from akin_luck import Luck
from akin_runs import RUNS, Events, Workplace, wait_until
from akin_server import png_chunk, png_header

HOUR, DAY, YEAR = 3600, 86400, 365 * 86400
AUTO = {"refine_auto": 1, "refine_check_s": 1, "refine_promote": "ask"}
NEVER = {"refine_pictures": 10**9, "refine_drift": 2000}  # neither number nor drift begins a run
LOOKS_S = 2.5  # two looks of the trigger


def speckles(seed):
    """Noise: nothing like the waves that the other pictures are."""
    grey = zlib.compress(b"".join(b"\0" + b"".join(
        bytes([v]) * 3 for v in (os.urandom(16) + bytes([seed % 256, seed // 256 % 256]))
    ) for _ in range(16)))
    return png_header(18, 16) + png_chunk(b"IDAT", grey) + png_chunk(b"IEND", b"")


class Rig(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        first = Workplace()  # all have its pictures
        first.server.stop()
        cls.addClassCleanup(shutil.rmtree, first.home)
        cls.pictures = first.data

    def setUp(self):
        self.luck = Luck()
        self.addCleanup(self.luck.close)

    def workplace(self, **settings):
        self.place = Workplace(like=self.pictures, env=self.luck.env, **settings)
        self.addCleanup(lambda: self.place.close())
        self.call = lambda *a, **k: self.place.server.call(*a, **k)
        return self.place

    def runs(self):
        return self.call("GET", RUNS).json["items"]

    def ended(self, n):
        """The newest of n runs, when that many have ended."""
        def all_ended():
            runs = self.runs()
            return runs if len(runs) == n and all(run["ended_at"] for run in runs) else None
        return wait_until(all_ended, f"{n} runs")[0]

    def none_begins(self, n):
        time.sleep(LOOKS_S)
        self.assertEqual(len(self.runs()), n)

    def restart(self):
        self.place.server.stop()
        self.place.start()


def at(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


class Triggers(Rig):
    def test_pictures_that_differ_begin_a_run_and_others_do_not(self):
        self.workplace(**AUTO, refine_pictures=10**6, refine_drift=100, refine_back_off_s=0)
        self.place.wait(self.place.begin())
        self.place.upload(range(1000, 1210))
        self.none_begins(1)  # new, enough, and as the old ones are
        self.place.upload(range(2000, 2210), picture=speckles)
        self.assertEqual(self.ended(2)["request"]["trigger"], "drift")

    def test_refusals_hold_the_next_one_off_longer_and_longer(self):
        self.workplace(**AUTO, refine_pictures=10, refine_back_off_s=2)
        for n in range(1, 4):
            self.ended(n)
            self.place.upload(range(1000 * n, 1000 * n + 20))
        runs = self.runs()[::-1]
        waits = [at(b["created_at"]) - at(a["ended_at"]) for a, b in zip(runs, runs[1:])]
        self.assertEqual([run["decision"] for run in runs], ["refused"] * 3)
        self.assertGreaterEqual(waits[0], 2)
        self.assertGreaterEqual(waits[1], 8)
        self.none_begins(3)  # 48 s
        self.place.wait(self.place.begin())  # by hand at any time

    def test_none_begins_while_the_load_is_high(self):
        self.luck.set(load=1000.0)
        self.workplace(**AUTO, refine_pictures=300)
        self.none_begins(0)
        self.luck.set(load=0.0)
        self.assertEqual(self.ended(1)["request"]["trigger"], "pictures")

    def test_a_schedule_begins_them_in_its_window(self):
        now = time.time()
        noon = now - now % DAY + DAY / 2 - now  # seconds from now
        self.luck.set(noon)
        self.workplace(**AUTO, **NEVER, refine_every_h=20, refine_window="03:00-05:00")
        self.none_begins(0)
        self.luck.set(noon + 16 * HOUR)  # four in the morning
        self.assertEqual(self.ended(1)["request"]["trigger"], "schedule")
        self.place.upload(range(1000, 1010))
        self.luck.set(noon + 17 * HOUR + HOUR / 2)
        self.restart()
        self.none_begins(1)  # an hour and a half is not twenty
        self.luck.set(noon + 40 * HOUR)
        self.restart()
        self.assertEqual(self.ended(2)["request"]["trigger"], "schedule")
        self.luck.set(noon + 64 * HOUR)
        self.restart()
        self.none_begins(2)  # nothing new to train on

    def test_nothing_begins_when_refinement_is_switched_off(self):
        self.workplace(**AUTO, refine_pictures=300, refine_enabled=0)
        self.none_begins(0)


class Clock(Rig):
    def test_a_refusal_from_the_future_holds_off_no_longer_than_another(self):
        self.luck.set(YEAR)
        self.workplace(**AUTO, refine_pictures=300)
        self.ended(1)
        self.place.upload(range(1000, 1310))
        self.luck.set(0)
        self.restart()
        wait_until(lambda: at(self.runs()[0]["ended_at"]) <= time.time(), "the end that is mended")
        self.assertIsNotNone(self.place.run(self.runs()[0]["id"]).get("report"))
        self.none_begins(1)  # the hour counts from the start,
        self.luck.set(HOUR // 2)
        self.restart()
        self.none_begins(1)
        self.luck.set(HOUR + 60)
        self.restart()  # and not from each start anew
        self.ended(2)

    def test_a_clock_that_is_set_while_it_runs_begins_nothing_and_puts_nothing_off(self):
        self.workplace(**AUTO, refine_pictures=10, refine_back_off_s=5)
        first = self.ended(1)
        self.place.upload(range(1000, 1020))
        self.luck.set(-DAY)
        self.assertEqual(len(self.ended(2)["id"]), len(first["id"]))  # 5 s later
        self.place.upload(range(2000, 2020))
        self.luck.set(DAY)
        self.none_begins(2)  # 20 s

    def test_jobs_keep_their_order_and_their_numbers_make_sense(self):
        self.workplace()
        jobs = []
        for seconds in (0, -DAY, DAY, -YEAR):
            self.luck.set(seconds)
            self.place.plan(refine="slow")
            jobs.append(self.place.begin())
            self.place.wait_worker()
            told = 0
            events = Events(self.place.server, jobs[-1])
            for _, name, job in events:
                told += name == "progress"
                if job is None:  # a comment
                    continue
                for what in ("rate", "seconds_left", "done"):
                    self.assertGreaterEqual(job[what] or 0, 0)
                if told == 3:  # the clock is set under the run, too
                    self.luck.set(seconds - 2 * DAY)
                if told == 8:
                    self.call("DELETE", f"{RUNS}/{jobs[-1]}")
            events.close()
            self.assertEqual(self.place.wait(jobs[-1])["state"], "cancelled")
        self.assertEqual([run["id"] for run in self.runs()], jobs[::-1])
        page = self.call("GET", "/v1/jobs?limit=2").json
        rest = self.call("GET", f"/v1/jobs?limit=2&cursor={page['next_cursor']}").json
        self.assertEqual([job["id"] for job in page["items"] + rest["items"]], jobs[::-1])
        self.restart()
        self.assertEqual([run["id"] for run in self.runs()], jobs[::-1])

    def test_keys_are_remembered_for_a_day_of_whatever_clock(self):
        self.workplace()
        self.place.plan(refine="error")

        def begin(key, seed=1):
            answer = self.call("POST", RUNS, {"seed": seed}, {"Idempotency-Key": key})
            if answer.status == 202:
                self.place.wait(answer.json["id"])
            return answer.json.get("id", answer.json.get("code"))
        first = begin("a")
        self.luck.set(-DAY)
        self.assertEqual(begin("a"), first)
        other = begin("b")  # now the first counts from here
        self.luck.set(-60)
        self.assertEqual((begin("a"), begin("a", 2)), (first, "key_reused"))
        self.luck.set(60)
        self.assertNotIn(begin("a", 2), (first, other, "key_reused"))
        self.restart()
        self.assertEqual(self.call("GET", "/readyz").status, 200)


if __name__ == "__main__":
    unittest.main(verbosity=2)
