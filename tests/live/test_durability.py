#!/usr/bin/python3
"""Kill -9, a read-only and a full data folder: nothing acknowledged is lost, reads go on."""
import os
import pathlib
import random
import shutil
import tempfile
import threading
import time
import unittest

from akin_cli import wait_until
from akin_server import Server, png


class Killed(unittest.TestCase):
    def setUp(self):
        self.data = tempfile.mkdtemp(prefix="akin-test-")
        self.addCleanup(shutil.rmtree, self.data, True)

    def upload_until_killed(self, server, start, acknowledged):
        for k in range(start, start + 10000):
            try:
                answer = server.upload(png(k), id=f"k{k}")
            except OSError:
                return
            if answer.status in (200, 201):
                acknowledged[f"k{k}"] = answer.json["sha256"]

    def test_kill_9_loses_nothing_acknowledged(self):
        seed = int(os.environ.get("SEED", time.time_ns() % 100000))
        print(f"# seed {seed}", flush=True)
        delays = random.Random(seed)
        acknowledged = {}
        for turn in range(4):
            server = Server(self.data)
            if turn == 0:
                server.collection()
            threads = [threading.Thread(target=self.upload_until_killed,
                                        args=(server, 1000 * (4 * turn + t), acknowledged))
                       for t in range(3)]
            for t in threads:
                t.start()
            if turn: # the first kill comes whenever it comes, the others once uploads are on disk
                enough = len(acknowledged) + 5
                wait_until(lambda: len(acknowledged) >= enough, "some uploads")
            time.sleep(delays.uniform(0.1, 0.8))
            server.kill()
            for t in threads:
                t.join()
        with Server(self.data) as server:
            self.assertGreater(len(acknowledged), 10)
            there, cursor = {}, ""
            while cursor is not None:
                page = server.call("GET", "/v1/collections/holiday/images?limit=1000" +
                                   (f"&cursor={cursor}" if cursor else "")).json
                there.update({image["id"]: image["sha256"] for image in page["items"]})
                cursor = page["next_cursor"]
            self.assertEqual({k: there.get(k) for k in acknowledged}, acknowledged)
            for k in there: # also what was not acknowledged is whole
                hits = server.call("POST", "/v1/collections/holiday/search",
                                   png(int(k[1:])), {"Content-Type": "image/png"}).json["items"]
                # A stored picture finds itself; others of these may look the same to the model.
                self.assertGreaterEqual(hits[0]["score"], 0.9999, k)
                self.assertEqual(server.call(
                    "GET", f"/v1/collections/holiday/images/{k}/thumbnail").status, 200)

    def test_a_second_server_cannot_open_the_folder(self):
        with Server(self.data):
            with self.assertRaises(RuntimeError):
                Server(self.data)

    def test_a_cursor_outlives_a_restart(self):
        with Server(self.data) as server:
            server.collection()
            server.upload_many([(f"{k}.png", png(k)) for k in range(4)])
            page = server.call("GET", "/v1/collections/holiday/images?limit=2").json
        with Server(self.data) as server:
            rest = server.call("GET", "/v1/collections/holiday/images?limit=2&cursor=" +
                               page["next_cursor"]).json
            self.assertEqual(len(rest["items"]), 2)
            self.assertIsNone(rest["next_cursor"])


class NoRoom(unittest.TestCase):
    def check_writes_are_refused(self, server, codes):
        call, c = server.call, "/v1/collections/holiday"
        answer = server.upload(png(2), id="second")
        self.assertEqual(answer.status, 507, answer)
        self.assertIn(answer.json["code"], codes)
        self.assertEqual(call("GET", "/readyz").status, 503)
        self.assertEqual(call("GET", c + "/images/second").status, 404)
        self.assertEqual(call("GET", c).json["images"], 1)
        self.assertEqual(call("GET", c + "/images/first/thumbnail").status, 200)
        found = call("POST", c + "/search", png(1), {"Content-Type": "image/png"})
        self.assertEqual(found.json["items"][0]["id"], "first")

    def filled(self, data):
        with Server(data) as server:
            server.collection()
            self.assertEqual(server.upload(png(1), id="first").status, 201)

    def test_a_full_disk(self):
        with tempfile.TemporaryDirectory() as data:
            self.filled(data)
            with Server(data, {"disk_floor": 1 << 60}, ready=False) as server:
                time.sleep(0.1)
                wait_until(lambda: server.call("GET", "/readyz").json["checks"]["model"]["ok"],
                           "the model")
                self.check_writes_are_refused(server, ("disk_full",))

    def test_a_folder_that_becomes_read_only(self):
        if os.geteuid() == 0:
            try: # root may write everywhere: the server runs as somebody else
                import pwd
                owner = pwd.getpwnam("nobody")
            except KeyError:
                self.skipTest("there is no user to run as")
            process = {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}
        else:
            owner, process = None, {}
        with tempfile.TemporaryDirectory() as data:
            if owner:
                os.chown(data, owner.pw_uid, owner.pw_gid)
            try:
                server = Server(data, **process)
            except (RuntimeError, OSError) as fault:
                self.skipTest(f"the server cannot run as nobody here: {fault}")
            with server:
                server.collection()
                self.assertEqual(server.upload(png(1), id="first").status, 201)
                folders = [data] + [str(p) for p in pathlib.Path(data).rglob("*") if p.is_dir()]
                for folder in folders:
                    os.chmod(folder, 0o555)
                try:
                    self.check_writes_are_refused(server, ("read_only", "disk_full"))
                finally:
                    for folder in folders:
                        os.chmod(folder, 0o755)
                self.assertEqual(server.upload(png(2), id="second").status, 201)


if __name__ == "__main__":
    unittest.main()
