#!/usr/bin/python3
"""akin import against a live server: what is created, skipped, replaced, refused, and survives."""
import json
import os
import pathlib
import subprocess
import tempfile
import unittest
import urllib.parse

from akin_cli import (BROKEN, GOOD, akin, akin_json, fill, id_of, name_of, tar_of, wait_until,
                      write)
from akin_server import BIN, Server, png


def images(server, collection):
    """All images of a collection by id."""
    found, cursor = {}, None
    while True:
        query = {"limit": 1000, **({"cursor": cursor} if cursor else {})}
        answer = server.call(
            "GET", f"/v1/collections/{collection}/images?{urllib.parse.urlencode(query)}").json
        found.update((item["id"], item) for item in answer["items"])
        cursor = answer["next_cursor"]
        if not cursor:
            return found


def counts(answer):
    return tuple(answer[k] for k in ("created", "existing", "replaced", "failed"))


class Import(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server()
        cls.url = f"http://127.0.0.1:{cls.server.port}"

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def run_import(self, path, collection, status, *more):
        got, answer, err = akin_json("import", path, "--server", self.url, "--collection",
                                     collection, *more)
        self.assertEqual(got, status, err)
        self.assertEqual(answer["total"], sum(counts(answer)))
        self.assertEqual(len(answer["failures"]), answer["failed"])
        self.assertEqual(answer["collection"], collection)
        self.assertGreaterEqual(answer["seconds"], 0)
        return answer, err

    def test_ids_names_refusals_skips_and_replacements(self):
        with tempfile.TemporaryDirectory() as folder:
            for path, data in {**GOOD, **BROKEN}.items():
                write(folder, path, data)
            answer, err = self.run_import(folder, "odd", 1)
            self.assertEqual(counts(answer), (len(GOOD), 0, 0, len(BROKEN)))
            self.assertEqual({f["name"] for f in answer["failures"]}, {p.decode() for p in BROKEN})
            for failure in answer["failures"]:
                self.assertTrue(failure["reason"] and failure["code"])
                self.assertIn(f"{failure['name']}: {failure['reason']}", err)
            found = images(self.server, "odd")
            self.assertEqual({i: found[i]["name"] for i in found},
                             {id_of(p): name_of(p) for p in GOOD})

            answer, _ = self.run_import(folder, "odd", 1)
            self.assertEqual(counts(answer), (0, len(GOOD), 0, len(BROKEN)))
            self.assertEqual(images(self.server, "odd"), found)

            write(folder, b"a1.png", png(99))
            write(folder, b"beach/2020/with space.png", png(98))
            write(folder, b"new.png", png(97))
            for path in BROKEN:
                os.unlink(os.path.join(os.fsencode(folder), path))
            answer, _ = self.run_import(folder, "odd", 0)
            self.assertEqual(counts(answer), (1, len(GOOD) - 2, 2, 0))
            now = images(self.server, "odd")
            self.assertEqual(len(now), len(GOOD) + 1)
            self.assertNotEqual(now["a1.png"]["sha256"], found["a1.png"]["sha256"])
            self.assertEqual(now["copy.png"]["sha256"], found["copy.png"]["sha256"])

    def test_a_tar_gives_what_a_folder_gives(self):
        with tempfile.TemporaryDirectory() as folder:
            files = {p: d for p, d in GOOD.items() if p != b"caf\xe9.png"}
            for path, data in files.items():
                write(folder + "/in", path, data)
            tar_of(folder + "/x.tar", files.items())
            answer, _ = self.run_import(folder + "/in", "both", 0)
            self.assertEqual(answer["created"], len(files))
            answer, _ = self.run_import(folder + "/x.tar", "both", 0)
            self.assertEqual(counts(answer), (0, len(files), 0, 0))

    def test_what_stands_before_the_cut_in_a_tar_is_imported(self):
        with tempfile.TemporaryDirectory() as folder:
            tar_of(folder + "/x.tar", [(b"%d.png" % i, png(i)) for i in range(10)])
            whole = pathlib.Path(folder, "x.tar").read_bytes()
            at = whole.index(b"7.png\0")
            pathlib.Path(folder, "cut.tar").write_bytes(whole[:at + 700])
            answer, err = self.run_import(folder + "/cut.tar", "cut", 3)
            self.assertEqual(answer["created"], 7)
            self.assertIn("cut.tar", answer["error"]["detail"])
            self.assertIn("cut.tar", err)

    def test_text_output_names_refusals_and_counts(self):
        with tempfile.TemporaryDirectory() as folder:
            fill(folder, 5)
            write(folder, b"notes.txt", b"no picture")
            status, out, err = akin("import", folder, "--server", self.url, "--collection", "text",
                                    "--parallel", 1)
            self.assertEqual(status, 1)
            self.assertIn("refused notes.txt: ", err)
            self.assertIn("6/6 pictures", err)
            self.assertRegex(out, r"^5 created, 0 existing, 0 replaced, 1 failed; .* pictures/s\n$")

    def test_an_empty_folder_makes_the_collection(self):
        with tempfile.TemporaryDirectory() as folder:
            answer, _ = self.run_import(folder, "empty", 0)
            self.assertEqual(counts(answer), (0, 0, 0, 0))
            self.assertEqual(self.server.call("GET", "/v1/collections/empty").status, 200)

    def test_a_collection_name_that_is_none_is_usage(self):
        with tempfile.TemporaryDirectory() as folder:
            status, answer, _ = akin_json("import", folder, "--server", self.url, "--collection",
                                          "No/Name")
            self.assertEqual(status, 2, answer)
            self.assertIn("error", answer)


class Killed(unittest.TestCase):
    COUNT = 400

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        fill(self.folder.name, self.COUNT)
        self.data = tempfile.TemporaryDirectory()
        self.addCleanup(self.data.cleanup)
        self.server = Server(self.data.name)
        self.port = self.server.port

    def start_import(self):
        process = subprocess.Popen(
            [BIN, "import", self.folder.name, "--server", f"http://127.0.0.1:{self.port}",
             "--collection", "killed", "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.kill)
        return process

    def stored(self):
        answer = self.server.call("GET", "/v1/collections/killed")
        return answer.json["images"] if answer.status == 200 else 0

    def killed_in_the_middle(self):
        """An import whose server was killed while pictures came, and those that the API listed
        just before: they were acknowledged."""
        for _ in range(20):
            process = self.start_import()
            wait_until(lambda: self.stored() > 20, "the first pictures")
            listed = images(self.server, "killed")
            if len(listed) < self.COUNT * 3 // 4:
                break
            process.wait(240)  # it was quicker than we
            self.assertEqual(self.server.call("DELETE", "/v1/collections/killed").status, 204)
        self.server.kill()
        self.assertGreater(len(listed), 20)
        self.assertLess(len(listed), self.COUNT)
        return process, listed

    def restart(self):
        self.server = Server(self.data.name, listen=f"127.0.0.1:{self.port}")
        self.addCleanup(self.server.__exit__)

    def check_whole(self, found):
        """Every image has its picture, its vector and a place in searches."""
        for image in list(found)[::25]:
            path = f"/v1/collections/killed/images/{image}"
            self.assertEqual(self.server.call("GET", path + "/vector").status, 200)
            self.assertEqual(self.server.call("GET", path + "/thumbnail").status, 200)
            file = pathlib.Path(self.folder.name, found[image]["name"])
            hits = self.server.call("POST", "/v1/collections/killed/search?limit=5",
                                    file.read_bytes(), {"Content-Type": "image/png"}).json["items"]
            self.assertIn(image, [hit["id"] for hit in hits])

    def test_an_import_goes_on_when_the_server_comes_back(self):
        process, listed = self.killed_in_the_middle()
        self.restart()
        out, err = process.communicate(timeout=240)
        answer = json.loads(out)
        self.assertEqual(process.returncode, 0, err)
        self.assertEqual(counts(answer), (self.COUNT, 0, 0, 0))
        found = images(self.server, "killed")
        self.assertEqual(len(found), self.COUNT)
        for image, record in listed.items():
            self.assertEqual(found[image]["sha256"], record["sha256"])
        self.check_whole(found)

    def test_nothing_acknowledged_is_lost_when_the_server_stays_away(self):
        process, listed = self.killed_in_the_middle()
        out, err = process.communicate(timeout=240)  # it gives up after a bounded number of tries
        answer = json.loads(out)
        self.assertEqual(process.returncode, 3, err)
        self.assertIn("given up after", answer["error"]["detail"])
        self.restart()
        found = images(self.server, "killed")
        self.assertGreaterEqual(len(found), max(answer["created"], len(listed)))
        self.assertLessEqual(set(listed), set(found))
        self.check_whole(found)
        status, answer, err = akin_json("import", self.folder.name, "--server",
                                        f"http://127.0.0.1:{self.port}", "--collection", "killed")
        self.assertEqual(status, 0, err)
        self.assertEqual(counts(answer), (self.COUNT - len(found), len(found), 0, 0))


if __name__ == "__main__":
    unittest.main()
