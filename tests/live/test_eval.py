#!/usr/bin/python3
"""`akin eval`: every measure, its JSON beside its table, and what it does with bad input."""
import math
import os
import pathlib
import tempfile
import unittest

from akin_cli import BROKEN, akin, akin_json, fill, model_arguments, read_npy, tar_of, write
from akin_server import png

ROWS = ["model", "random weights", "HSV histogram", "perceptual hash"]
FAMILIES = ["crop", "jpeg", "colour", "blur", "mirror", "rotation"]
KEYS = {
    "retrieval": {"map", "p1", "p10", "p20", "r5", "r10", "r20"},
    "knn": {"accuracy"},
    "copies": {"r1", "map", "micro_ap", *("r1_" + f for f in FAMILIES),
               *("map_" + f for f in FAMILIES)},
    "parts": {"r1", "map"},
}


ALL = ",".join(KEYS)


def evaluate(measures, *arguments):
    return akin_json("eval", measures, *arguments, *model_arguments())


class Eval(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory()
        cls.folder = cls.temporary.name
        cls.own, cls.other = cls.folder + "/own", cls.folder + "/other"
        fill(cls.own, 24)
        fill(cls.other, 16, first=2000)
        cls.status, cls.answer, cls.err = evaluate(ALL, cls.own, "--queries", 10)

    @classmethod
    def tearDownClass(cls):
        cls.temporary.cleanup()

    def rows(self, measure):
        return self.answer[measure]["rows"]

    def test_each_measure_has_a_row_for_the_model_and_each_baseline(self):
        answer = self.answer
        self.assertEqual(self.status, 0, self.err)
        self.assertEqual((answer["pictures"], answer["classes"], answer["alone"]), (24, 2, 0))
        queries = {"retrieval": 24, "knn": 24, "copies": 10, "parts": 20}
        for measure, keys in KEYS.items():
            self.assertEqual([row["name"] for row in self.rows(measure)], ROWS)
            self.assertEqual(answer[measure]["queries"], queries[measure])
            for row in self.rows(measure):
                self.assertEqual(set(row), keys | {"name"})
                self.assertTrue(all(0 <= row[key] <= 100 for key in keys), row)

    def test_measure_alone_says_what_it_says_among_others_and_a_tar_what_its_folder_says(self):
        files = []
        for place in ("tall", "wide"):
            for path in sorted(pathlib.Path(self.own, place).iterdir()):
                files.append((f"{place}/{path.name}".encode(), path.read_bytes()))
        tar_of(self.folder + "/own.tar", files)
        for measure in ("copies", "parts"):
            _, alone, _ = evaluate(measure, self.folder + "/own.tar", "--queries", 10)
            self.assertEqual(alone["rows"], self.rows(measure))
            self.assertEqual(alone["queries"], self.answer[measure]["queries"])

    def test_mean_of_the_copies_is_the_mean_and_a_mirror_keeps_the_histogram(self):
        for row in self.rows("copies"):
            for kind in ("r1", "map"):
                mean = sum(row[f"{kind}_{f}"] for f in FAMILIES) / len(FAMILIES)
                self.assertAlmostEqual(row[kind], mean, places=2)
            self.assertTrue(all(row["map_" + f] >= row["r1_" + f] for f in FAMILIES))
        self.assertEqual(self.rows("copies")[2]["r1_mirror"], 100)

    def test_seed_decides_what_is_altered_and_how(self):
        _, other, _ = evaluate("copies", self.own, "--queries", 10, "--seed", 2)
        self.assertNotEqual(other["rows"], self.rows("copies"))

    def test_distractors_are_searched_and_never_asked(self):
        status, among, err = evaluate("retrieval,copies,parts", self.own, "--queries", 10,
                                      "--distractors", self.other)
        self.assertEqual(status, 0, err)
        self.assertEqual((among["pictures"], among["distractors"], among["classes"]), (24, 16, 2))
        for measure in ("retrieval", "copies", "parts"):
            self.assertEqual(among[measure]["queries"], self.answer[measure]["queries"])
            for a, b in zip(self.rows(measure), among[measure]["rows"]):
                self.assertLessEqual(b["map"], a["map"] + 1e-4)
            self.assertNotEqual(self.rows(measure), among[measure]["rows"])

    def vectors(self, which):
        out = f"{self.folder}/{which}-vectors"
        akin("embed", f"{self.folder}/{which}", "--out", out, *model_arguments())
        names = pathlib.Path(out + ".txt").read_text(encoding="utf-8").splitlines()
        return list(zip(names, read_npy(out + ".npy")[1]))

    @staticmethod
    def voted(vector, bank):
        """The class that all of the bank says, which is smaller than the 20 that are asked."""
        votes = {}
        for name, other in bank:
            score = sum(a * b for a, b in zip(vector, other))
            place = name.split("/")[0]
            votes[place] = votes.get(place, 0) + math.exp(score / 0.07)
        return max(votes, key=votes.get)

    def test_bank_votes(self):
        status, answer, err = evaluate("knn", self.own, "--bank", self.other, "--random", 0)
        self.assertEqual(status, 0, err)
        self.assertEqual((answer["pictures"], answer["bank"], answer["queries"]), (24, 16, 24))
        bank = self.vectors("other")
        right = sum(self.voted(v, bank) == name.split("/")[0] for name, v in self.vectors("own"))
        self.assertGreater(right, 18)  # by chance: 12
        self.assertAlmostEqual(answer["rows"][0]["accuracy"], 100 * right / 24, delta=0.01)

    def test_seeds_of_random_weights_are_averaged_with_their_spread(self):
        one = self.rows("retrieval")[1]
        three = evaluate("retrieval", self.own, "--random", 3)[1]["rows"][1]
        self.assertNotIn("seeds", one)
        self.assertEqual(three["seeds"], 3)
        self.assertEqual(set(three["spread"]), KEYS["retrieval"])
        self.assertLessEqual(abs(one["map"] - three["map"]), three["spread"]["map"] + 1e-4)
        none = evaluate("retrieval", self.own, "--random", 0)[1]["rows"]
        self.assertEqual([row["name"] for row in none], [ROWS[0], *ROWS[2:]])

    def test_table_shows_the_numbers_of_the_json(self):
        _, out, _ = akin("eval", "copies", self.own, "--queries", 10, *model_arguments())
        shown = [*("r1_" + f for f in FAMILIES), "r1", "map", "micro_ap"]
        for row in self.rows("copies"):
            self.assertRegex(out, rf"(?m)^{row['name']} +" +
                             " +".join(f"{row[key]:.1f}" for key in shown) + "$")

    def test_picture_alone_in_its_class_is_counted_and_no_query(self):
        with tempfile.TemporaryDirectory() as folder:
            fill(folder, 6)
            write(folder, b"lone/a.png", png(77))
            status, answer, err = evaluate("retrieval,knn", folder, "--random", 0)
            self.assertEqual(status, 0, err)
            self.assertEqual((answer["pictures"], answer["alone"]), (7, 1))
            self.assertEqual((answer["retrieval"]["queries"], answer["knn"]["queries"]), (6, 6))

    def test_broken_pictures_are_skipped_counted_and_named(self):
        with tempfile.TemporaryDirectory() as folder:
            fill(folder, 6)
            for name, data in BROKEN.items():
                write(folder, b"wide/" + name, data)
            status, answer, err = evaluate(ALL, folder, "--random", 0)
            self.assertEqual(status, 1, err)
            self.assertEqual((answer["pictures"], answer["failed"]), (6, len(BROKEN)))
            self.assertEqual({f["name"] for f in answer["failures"]},
                             {"wide/" + n.decode() for n in BROKEN})
            for name in BROKEN:
                self.assertIn("wide/" + name.decode(), err)

    def test_sets_that_hold_nothing_are_refused(self):
        with tempfile.TemporaryDirectory() as folder:
            os.mkdir(folder + "/empty")
            write(folder + "/broken", b"a/b.jpg", b"no picture")
            write(folder + "/loose", b"x/a.png", png(1))
            write(folder + "/loose", b"y/b.png", png(2))
            for measure, place, word in (
                    ("copies", "empty", "no files"), ("parts", "broken", "none of the 1"),
                    ("knn", "loose", "class"), ("retrieval", "loose", "class")):
                status, answer, err = evaluate(measure, f"{folder}/{place}", "--random", 0)
                self.assertEqual(status, 2, err)
                self.assertIn(word, answer["error"]["detail"])

    def test_mistakes_are_status_2_with_a_hint(self):
        own = self.own
        for arguments, word in ((["nothing", own], "nothing"), (["copies,nothing", own], "nothing"),
                                (["copies,copies", own], "once"), (["", own], "measure"),
                                (["copies,", own], "measure"),
                                (["copies", own, "--bank", own], "--bank"),
                                (["knn", own, "--bank", own, "--distractors", own], "exclude"),
                                (["copies", own, "--queries", "0"], "queries"),
                                (["copies", own, "--random", "4"], "0 to 3")):
            status, out, err = akin("eval", *arguments)
            self.assertEqual((status, out), (2, ""), arguments)
            self.assertIn(word, err)


if __name__ == "__main__":
    unittest.main()
