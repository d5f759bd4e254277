#!/usr/bin/python3
"""The commands: their help, their exit statuses, their JSON, and what they write."""
import json
import math
import os
import pathlib
import tempfile
import unittest

from akin_cli import BROKEN, GOOD, akin, akin_json, fill, model_arguments, read_npy, write
from akin_server import Server, fixture, png

COMMANDS = ["serve", "import", "search", "embed", "eval", "train", "loss", "version"]
NOBODY = "http://127.0.0.1:1"  # where nothing listens


def cosine(a, b):
    return sum(x * y for x, y in zip(a, b)) / math.sqrt(
        sum(x * x for x in a) * sum(y * y for y in b))


class Usage(unittest.TestCase):
    def test_help_names_every_command(self):
        for arguments in (["help"], ["--help"], ["-h"]):
            status, out, _ = akin(*arguments)
            self.assertEqual(status, 0)
            for command in COMMANDS:
                self.assertRegex(out, rf"(?m)^  {command} ")

    def test_every_command_has_help_with_json_in_it(self):
        for command in COMMANDS:
            for arguments in ([command, "--help"], ["help", command]):
                status, out, _ = akin(*arguments)
                self.assertEqual(status, 0, arguments)
                self.assertIn(f"akin {command}", out)
                self.assertIn("--json", out)

    def test_mistakes_are_status_2_with_a_hint(self):
        for arguments in ([], ["nonsense"], ["import"], ["import", "a", "b"], ["search"],
                          ["embed", "a"], ["eval"], ["eval", "retrieval"], ["eval", "other", "a"],
                          ["loss"], ["loss", "nt_xent", "dcl"], ["loss", "dcl", "--tau", "0"],
                          ["import", "--parallel", "0", "a"], ["search", "--limit", "x", "a"],
                          ["import", "--server", "ftp://127.0.0.1", "/"], ["version", "now"],
                          ["serve", "--set", "nonsense=1"], ["serve", "--set", "workers"],
                          *([c, "--nonsense"] for c in COMMANDS)):
            status, out, err = akin(*arguments)
            self.assertEqual(status, 2, arguments)
            self.assertEqual(out, "", arguments)
            self.assertNotEqual(err, "", arguments)
        _, _, err = akin("search", "--nonsense", "x")
        self.assertIn("--nonsense", err)
        self.assertIn("akin search --help", err)

    def test_version(self):
        status, answer, _ = akin_json("version")
        self.assertEqual(status, 0)
        self.assertIn(answer["version"], akin("--version")[1])

    def test_routes_and_settings_are_printed(self):
        self.assertIn("/v1/collections", akin("serve", "--routes")[1])
        self.assertIn("work_queue", akin("serve", "--settings")[1])


class Failures(unittest.TestCase):
    """Status 3, a line on standard error, and with --json an object that says the same."""

    def check(self, *arguments):
        status, answer, err = akin_json(*arguments)
        self.assertEqual(status, 3, err)
        self.assertIn(answer["error"]["detail"], err)
        return answer["error"]

    def test_no_server(self):
        with tempfile.TemporaryDirectory() as folder:
            write(folder, b"a.png", png(1))
            error = self.check("import", folder, "--server", NOBODY)
            self.assertIn("akin serve", error["detail"])
            error = self.check("search", folder + "/a.png", "--server", NOBODY)
            self.assertIn("akin serve", error["detail"])

    def test_what_is_not_there(self):
        self.check("import", "/nonexistent", "--server", NOBODY)
        self.check("search", "/nonexistent.png", "--server", NOBODY)
        self.check("embed", "/nonexistent", "--out", "/nonexistent/x", *model_arguments())
        self.check("eval", "retrieval", "/nonexistent", *model_arguments())

    def test_damaged_model_and_tar(self):
        with tempfile.TemporaryDirectory() as folder:
            write(folder, b"bad.model", b"AKIN" + bytes(5000))
            write(folder, b"bad.tar", b"no tar" * 1000)
            status, answer, _ = akin_json("embed", folder, "--out", folder + "/x", "--model",
                                          folder + "/bad.model")
            self.assertEqual(status, 3)
            self.assertIn("error", answer)
            self.check("embed", folder + "/bad.tar", "--out", folder + "/x", *model_arguments())
            self.assertFalse(os.path.exists(folder + "/x.npy"))


class Files(unittest.TestCase):
    """embed and eval: no server."""

    def test_embed_writes_rows_and_names_and_names_what_it_refused(self):
        with tempfile.TemporaryDirectory() as folder:
            for path, data in {**GOOD, **BROKEN}.items():
                write(folder + "/in", path, data)
            status, answer, err = akin_json("embed", folder + "/in", "--out", folder + "/x",
                                            *model_arguments())
            self.assertEqual(status, 1)
            self.assertEqual((answer["pictures"], answer["failed"]), (len(GOOD), len(BROKEN)))
            self.assertEqual(answer["total"], len(GOOD) + len(BROKEN))
            self.assertEqual({f["name"] for f in answer["failures"]},
                             {p.decode() for p in BROKEN})
            for path in BROKEN:
                self.assertIn(path.decode(), err)
            names = pathlib.Path(folder, "x.txt").read_bytes().split(b"\n")
            self.assertEqual(names.pop(), b"")
            self.assertEqual(names, sorted(GOOD))
            (rows, dims), vectors = read_npy(folder + "/x.npy")
            self.assertEqual((rows, dims), (len(GOOD), answer["dims"]))
            for vector in vectors:
                self.assertAlmostEqual(sum(x * x for x in vector), 1, places=3)
            same = [vectors[names.index(n)] for n in (b"a1.png", b"copy.png")]
            self.assertGreater(cosine(*same), 0.9999)

    def test_embed_of_good_files_is_status_0_and_of_none_too(self):
        with tempfile.TemporaryDirectory() as folder:
            os.mkdir(folder + "/in")
            status, answer, _ = akin_json("embed", folder + "/in", "--out", folder + "/x",
                                          *model_arguments())
            self.assertEqual((status, answer["pictures"]), (0, 0))
            self.assertEqual(read_npy(folder + "/x.npy")[0], (0, answer["dims"]))
            write(folder + "/in", b"a.png", png(1))
            status, out, _ = akin("embed", folder + "/in", "--out", folder + "/x",
                                  *model_arguments())
            self.assertEqual(status, 0)
            self.assertIn("1 pictures, 0 failed", out)

    def test_eval_prints_a_table_and_the_same_as_json(self):
        with tempfile.TemporaryDirectory() as folder:
            fill(folder, 30)
            status, answer, err = akin_json("eval", "retrieval", folder, *model_arguments())
            self.assertEqual(status, 0, err)
            self.assertEqual((answer["pictures"], answer["classes"], answer["queries"]), (30, 2, 30))
            self.assertEqual([r["name"] for r in answer["rows"]],
                             ["model", "random weights", "HSV histogram", "perceptual hash"])
            _, out, _ = akin("eval", "retrieval", folder, *model_arguments())
            for row in answer["rows"]:
                measures = ("map", "p1", "p10", "p20", "r5", "r10", "r20")
                for measure in measures:
                    self.assertTrue(0 <= row[measure] <= 100)
                shown = [f"{row[m]:.1f}" for m in measures]
                self.assertRegex(out, rf"(?m)^{row['name']} +" + " +".join(shown) + "$")
            self.assertIn("30 pictures", out)
            write(folder, b"wide/broken.png", b"x")
            status, answer, _ = akin_json("eval", "retrieval", folder, *model_arguments())
            self.assertEqual((status, answer["pictures"], answer["failed"]), (1, 30, 1))

    def test_eval_without_classes_says_what_a_class_is(self):
        with tempfile.TemporaryDirectory() as folder:
            write(folder, b"x/a.png", png(1))
            write(folder, b"y/b.png", png(2))
            status, _, err = akin("eval", "retrieval", folder, *model_arguments())
            self.assertEqual(status, 2)
            self.assertIn("class", err)


class Search(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server()
        cls.url = f"http://127.0.0.1:{cls.server.port}"
        cls.folder = tempfile.TemporaryDirectory()
        fill(cls.folder.name, 20)
        write(cls.folder.name, b"odd \x1b[31m.png", png(7))
        status, answer, err = akin_json("import", cls.folder.name, "--server", cls.url)
        assert (status, answer["created"]) == (0, 21), err

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()
        cls.folder.cleanup()

    def test_a_stored_picture_finds_itself_first(self):
        file = self.folder.name + "/tall/0003.png"
        status, answer, _ = akin_json("search", file, "--server", self.url, "--limit", 5)
        self.assertEqual(status, 0)
        self.assertEqual(len(answer["items"]), 5)
        self.assertEqual(answer["items"][0]["id"], "tall:0003.png")
        self.assertGreater(answer["items"][0]["score"], 0.9999)
        status, out, _ = akin("search", file, "--limit", 3, env={"AKIN_SERVER": self.url})
        lines = out.splitlines()
        self.assertEqual(lines[0].split(), ["rank", "score", "match", "name"])
        self.assertEqual(lines[1].split(), ["1", "1.000", "-", "tall/0003.png"])
        self.assertEqual((status, len(lines)), (0, 4))

    def test_json_is_the_answer_of_the_api(self):
        _, out, _ = akin("search", self.folder.name + "/wide/0002.png", "--server", self.url,
                         "--json")
        mine = json.loads(out)
        theirs = self.server.call("POST", "/v1/collections/default/search?limit=10",
                                  pathlib.Path(self.folder.name, "wide/0002.png").read_bytes(),
                                  {"Content-Type": "image/png"}).json
        self.assertEqual(set(mine), set(theirs))
        self.assertEqual([i["id"] for i in mine["items"]], [i["id"] for i in theirs["items"]])

    def test_names_cannot_draw_on_the_terminal(self):
        status, out, _ = akin("search", os.path.join(self.folder.name, "odd \x1b[31m.png"),
                              "--server", self.url, "--limit", 1)
        self.assertEqual(status, 0)
        self.assertNotIn("\x1b", out)
        self.assertIn("odd ?[31m.png", out)

    def test_refusals(self):
        write(self.folder.name + ".more", b"no.jpg", b"no picture")
        file = self.folder.name + ".more/no.jpg"
        self.addCleanup(os.rmdir, self.folder.name + ".more")
        self.addCleanup(os.unlink, file)
        status, answer, _ = akin_json("search", file, "--server", self.url)
        self.assertEqual((status, answer["error"]["code"]), (1, "not_an_image"))
        status, answer, _ = akin_json("search", self.folder.name + "/tall/0003.png", "--server",
                                      self.url, "--collection", "nowhere")
        self.assertEqual((status, answer["error"]["code"]), (3, "unknown_collection"))

    def test_embed_gives_the_vector_that_the_server_stores(self):
        out = self.folder.name + ".x"
        self.addCleanup(os.unlink, out + ".npy")
        self.addCleanup(os.unlink, out + ".txt")
        status, answer, err = akin_json("embed", self.folder.name, "--out", out,
                                        *model_arguments())
        self.assertEqual((status, answer["pictures"]), (0, 21), err)
        names = pathlib.Path(out + ".txt").read_text().splitlines()
        _, vectors = read_npy(out + ".npy")
        for name in ("tall/0003.png", "wide/0002.png"):
            stored = self.server.call(
                "GET", f"/v1/collections/default/images/{name.replace('/', ':')}/vector").json
            self.assertEqual(stored["model"], answer["model"])
            self.assertGreater(cosine(vectors[names.index(name)], stored["vector"]), 0.9999)


if __name__ == "__main__":
    unittest.main()
