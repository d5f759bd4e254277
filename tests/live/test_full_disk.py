#!/usr/bin/python3
"""A disk that is full, for real, at each place of a training run: the run ends and says so, what
serves goes on, nothing is left behind, and the next run works."""
import os
import re
import unittest

from akin_luck import Disk, alone_where_needed
from akin_runs import RUNS, Workplace, wait_until
from akin_server import png

FLOOR = 64 << 10
FULL = r"No space left|disk is full"


class FullDisk(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.disk = Disk(256 << 20)
        cls.addClassCleanup(cls.disk.close)
        cls.place = Workplace(folder=cls.disk.path, disk_floor=FLOOR)
        cls.addClassCleanup(lambda: (cls.disk.relieve(), cls.place.close()))
        cls.call = staticmethod(lambda *a, **k: cls.place.server.call(*a, **k))
        cls.serving = cls.collection()["model"]

    def setUp(self):
        self.before = self.files()
        self.logged = len(self.place.server.log_text())

    def tearDown(self):
        self.disk.relieve()

    @classmethod
    def collection(cls):
        return cls.call("GET", "/v1/collections/holiday").json

    def files(self):
        return {os.path.join(where, name) for where, _, names in os.walk(self.place.data)
                for name in names if not name.endswith(("-wal", "-shm"))}

    def enough(self):
        """A worker that listens is to go on; it hears that a search wants the cores."""
        with open(os.path.join(self.place.home, "enough"), "w", encoding="utf-8"):
            self.searches()

    def searches(self):
        found = self.call("POST", "/v1/collections/holiday/search", png(7),
                          {"Content-Type": "image/png"})
        self.assertEqual((found.status, found.json["model"]), (200, self.serving))
        self.assertGreater(found.json["items"][0]["score"], 0.9999)

    def ended(self, job):
        """The run has ended, or would have if the disk had room for its end."""
        wait_until(lambda: self.place.run(job)["ended_at"] or
                   re.search("its end cannot be kept|cannot be called off",
                             self.place.server.log_text()[self.logged:]), "its end")

    def failed(self, job, *left):
        """The run has failed of the full disk, without a trace but the files that end like `left`;
        once there is room another one works."""
        self.ended(job)
        self.searches()
        self.disk.relieve()
        run = self.place.wait(job)
        self.assertEqual((run["state"], run["decision"]), ("failed", None), run)
        self.assertRegex(run["error"], FULL)
        collection = self.collection()
        self.assertEqual((collection["model"], collection["coming_model"]), (self.serving, None))
        self.assertFalse(os.path.exists(self.place.folder(job)))
        rest = [name for name in self.files() - self.before if not name.endswith(left or "/")]
        self.assertEqual(rest, [])
        self.searches()
        self.place.plan()
        after = self.place.wait(self.place.begin())
        self.assertEqual((after["state"], after["decision"]), ("succeeded", "refused"), after)
        return run

    def test_no_run_begins(self):
        self.disk.fill(FLOOR // 2)
        answer = self.call("POST", RUNS, {})
        self.assertEqual((answer.status, answer.json["code"]), (507, "disk_full"))
        self.assertIn("disk is full", answer.json["detail"])
        self.searches()

    def test_while_its_folder_is_made(self):
        self.disk.fill(2 << 20)  # the incumbent does not fit
        self.failed(self.place.begin())

    def test_while_the_candidate_is_written(self):
        self.place.plan(refine="listen")
        job = self.place.begin()
        self.place.wait_worker()
        self.disk.fill(1 << 20)
        self.enough()
        run = self.failed(job)
        self.assertEqual((run["model"], run["restarts"]), (None, 1))  # there might have been room

    def test_so_full_that_the_end_cannot_be_kept(self):
        """Not even that the run has failed: it is kept as soon as it can be."""
        self.place.plan(refine="listen")
        job = self.place.begin()
        self.place.wait_worker()
        self.disk.fill()
        self.enough()
        self.failed(job)
        self.place.restart()
        self.assertEqual(self.place.run(job)["state"], "failed")

    def test_while_the_candidate_is_registered(self):
        self.place.plan(gate="listen")
        job = self.place.begin(promote="auto")
        self.place.wait_worker("gate")
        self.disk.fill(1 << 20)  # enough for the verdict, and for the catalog
        self.enough()
        models = self.call("GET", "/v1/admin/models").json
        run = self.failed(job)
        self.assertIsNone(run["model"])
        self.assertEqual(self.call("GET", "/v1/admin/models").json["items"][1:], models["items"])

    def test_while_the_pictures_are_embedded_again(self):
        self.place.plan(gate="pass")
        for _ in range(20):
            job = self.place.begin(promote="auto")
            self.place.wait(job, lambda run: run["stage"] == "promotion" or run["ended_at"])
            self.disk.fill()
            self.ended(job)
            if self.collection()["model"] == self.serving:
                break
            self.disk.relieve()  # it was quicker than the disk was full
            self.place.wait(job)
            self.call("POST", "/v1/admin/collections/holiday:rollback")
            self.setUp()
        run = self.failed(job, ".akin")  # the model stays, and can be promoted when there is room
        answer = self.call("POST", f"/v1/admin/models/{run['model']}:promote", {})
        self.assertEqual(answer.status, 202, answer)
        wait_until(lambda: self.call("GET", answer.header("Location")).json["ended_at"], "its end")
        self.assertEqual(self.collection()["model"], run["model"])
        self.call("POST", "/v1/admin/collections/holiday:rollback")


if __name__ == "__main__":
    alone_where_needed()
    unittest.main(verbosity=2)
