#!/usr/bin/python3
"""akin loss: the reference values through files, and what it says of files that cannot be used."""
import json
import math
import os
import pathlib
import shutil
import tempfile
import unittest

import numpy

from akin_cli import akin, akin_json

# (objective, options, loss, norm of dA, norm of dB, first element of dA)
KNOWN = [
    ("nt_xent", ["--tau", 0.5], 0.746080152929, 0.197157351355, 0.191086495988, -0.009085297447),
    ("nt_xent", ["--tau", 0.1], 0.027497511990, 0.116317429080, 0.098537296439, -0.000198212435),
    ("info_nce", ["--tau", 0.2], 0.111827941433, 0.084968020975, 0, 0.006128884611),
    ("byol", [], 0.344955115805, 0.211841024797, 0.231665243932, -0.010323434562),
    ("sup_con", ["--tau", 0.1], 8.307361026359, 1.917418231892, 1.624234653299, 0.047428511630),
    ("triplet", ["--margin", 0.2], 0.742862220136, 0.226375974027, 0.270434872367,
     -0.035309827126),
    ("siamese", ["--margin", 1], 0.022247418410, 0.027913842123, 0.030167348115, -0.001290429320),
    ("proxy_softmax", ["--tau", 0.1], 1.413559124413, 1.218895325445, 1.298024045890,
     -0.072378854817),
    ("dcl", ["--tau", 0.1], -5.184807549133, 2.221644151900, 2.361654760474, -0.279575314564),
    ("rince", ["--tau", 0.5, "--q", 0.5, "--lambda", 0.05], -3.371124373643, 0.473822877121,
     0.485732948338, -0.026136354967),
    ("debiased", ["--tau", 0.5, "--prior", 0.1], 0.441376143728, 0.290971659225, 0.279360277333,
     -0.015565398677),
]
NEEDS = {"info_nce": ["queue"], "triplet": ["labels"], "sup_con": ["labels"],
         "proxy_softmax": ["proxies", "labels"]}


def grid(rows, f):
    return numpy.array([[f(i + 1, k + 1) for k in range(8)] for i in range(rows)])


class Folder(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.folder)
        a = grid(4, lambda i, k: math.sin(i * k))
        self.arrays = {
            "a": a,
            "b": a + grid(4, lambda i, k: 0.5 * math.cos(2 * i + 3 * k)),
            "queue": grid(6, lambda j, k: math.sin(7 + 0.5 * j * (k + 1))),
            "proxies": grid(3, lambda c, k: math.cos(0.3 * c * k + c)),
        }
        for name, array in self.arrays.items():
            numpy.save(self.path(name + ".npy"), array)
            numpy.save(self.path(name + "32.npy"), array.astype(numpy.float32))
        self.text("labels", "0\n1\n0\n1\n")
        self.text("classes", "0\n1\n2\n0\n")

    def path(self, name):
        return os.path.join(self.folder, name)

    def text(self, name, text):
        pathlib.Path(self.path(name)).write_text(text, encoding="ascii")

    def arguments(self, name, width=""):
        files = ["--a", self.path(f"a{width}.npy"), "--b", self.path(f"b{width}.npy")]
        for need in NEEDS.get(name, []):
            file = f"{need}{width}.npy"
            if need == "labels":
                file = "classes" if name == "proxy_softmax" else "labels"
            files += [f"--{need}", self.path(file)]
        return [name, *files]

    def refused(self, says, *arguments):
        status, answer, err = akin_json("loss", *arguments)
        self.assertNotEqual(status, 0, arguments)
        self.assertIn(says, answer["error"]["detail"])
        self.assertIn(says, err)


class Values(Folder):
    def check(self, width, kind, tolerance):
        for name, options, loss, norm_da, norm_db, first in KNOWN:
            ga, gb = self.path("ga.npy"), self.path("gb.npy")
            status, answer, err = akin_json("loss", *self.arguments(name, width), *options,
                                            "--grad-a", ga, "--grad-b", gb)
            self.assertEqual((status, err), (0, ""), name)
            self.assertEqual(answer["objective"], name)
            self.assertAlmostEqual(answer["loss"], loss, delta=tolerance, msg=name)
            da, db = numpy.load(ga), numpy.load(gb)
            self.assertEqual((da.dtype, da.shape, db.dtype, db.shape), (kind, (4, 8)) * 2)
            self.assertAlmostEqual(numpy.linalg.norm(da), norm_da, delta=tolerance, msg=name)
            self.assertAlmostEqual(numpy.linalg.norm(db), norm_db, delta=tolerance, msg=name)
            self.assertAlmostEqual(da[0, 0], first, delta=tolerance, msg=name)

    def test_the_reference_values_come_out_of_float64_files(self):
        self.check("", numpy.float64, 1e-10)

    def test_the_reference_values_come_out_of_float32_files(self):
        self.check("32", numpy.float32, 1e-5)

    def test_one_float64_file_makes_it_float64(self):
        ga = self.path("ga.npy")
        status, _, _ = akin_json("loss", "byol", "--a", self.path("a32.npy"), "--b",
                                 self.path("b.npy"), "--grad-a", ga)
        self.assertEqual(status, 0)
        self.assertEqual(numpy.load(ga).dtype, numpy.float64)

    def test_defaults_are_those_of_the_list(self):
        _, answer, _ = akin_json("loss", "--list")
        self.assertEqual({row["name"] for row in answer["objectives"]},
                         {name for name, *_ in KNOWN})
        text = akin("loss", "--list")[1]
        for row in answer["objectives"]:
            options = [x for key, value in row["parameters"].items() for x in (f"--{key}", value)]
            self.assertEqual(row["needs"], NEEDS.get(row["name"], []))
            self.assertIn(row["name"], text)
            for key in row["parameters"]:
                self.assertIn(f"--{key}", text)
            arguments = self.arguments(row["name"])
            self.assertEqual(akin("loss", *arguments, "--json"),
                             akin("loss", *arguments, *options, "--json"))

    def test_without_json_the_number_stands_alone(self):
        status, out, _ = akin("loss", *self.arguments("byol"))
        self.assertEqual(status, 0)
        self.assertAlmostEqual(float(out), 0.344955115805, delta=1e-10)

    def test_what_is_not_read_is_said_and_left_aside(self):
        status, out, err = akin("loss", *self.arguments("nt_xent"), "--labels", "/nowhere",
                                "--margin", 1, "--json")
        self.assertEqual(status, 0)
        self.assertIn("--labels", err)
        self.assertIn("--margin", err)
        self.assertEqual(json.loads(out)["objective"], "nt_xent")


class Refusals(Folder):
    def pair(self, a, b="b.npy"):
        return ["nt_xent", "--a", self.path(a), "--b", self.path(b)]

    def save(self, name, array):
        numpy.save(self.path(name), array)
        return name

    def test_files_that_cannot_be_used_are_named_with_the_reason(self):
        good = self.arrays["a"]
        bad = good.copy()
        bad[2, 4] = math.nan
        far = good.copy()
        far[0, 0] = -math.inf
        whole = pathlib.Path(self.path("a.npy")).read_bytes()
        for name, length in (("empty.npy", 0), ("head.npy", 60), ("cut.npy", len(whole) - 1)):
            pathlib.Path(self.path(name)).write_bytes(whole[:length])
        for name, says in [
                (self.save("rows.npy", good[:3]), "3"), (self.save("columns.npy", good[:, :7]), "7"),
                (self.save("int.npy", good.astype(int)), "<i8"),
                (self.save("half.npy", good.astype(numpy.float16)), "<f2"),
                (self.save("big.npy", good.astype(">f8")), ">f8"),
                (self.save("fortran.npy", numpy.asfortranarray(good)), "Fortran"),
                (self.save("flat.npy", good.ravel()), "1 dimensions"),
                (self.save("none.npy", good[:0]), "no numbers"),
                (self.save("nan.npy", bad), "row 3, column 5 is NaN"),
                (self.save("inf.npy", far), "row 1, column 1 is infinite"),
                ("empty.npy", "no .npy"), ("head.npy", "cut short"), ("cut.npy", "cut short"),
                ("labels", "no .npy"), ("absent.npy", "absent.npy")]:
            self.refused(says, *self.pair(name))
            self.refused(says, *self.pair("a.npy", name))

    def test_labels_that_do_not_fit_are_named(self):
        for text, says in [("0\n1\n2\n", "3 labels for 4 pairs"), ("0\n" * 5, "5 labels"),
                           ("", "0 labels"), ("0\n1\nx\n1\n", 'line 3 is "x"'),
                           ("0\n1\n\n1\n", "line 3"), ("0\n1\n-1\n1\n", "line 3"),
                           ("0\n1\n1.5\n1\n", "line 3"), ("0\n1\n99999999999\n1\n", "line 3")]:
            self.text("labels", text)
            self.refused(says, *self.arguments("sup_con"))
        self.text("classes", "0\n1\n3\n0\n")
        self.refused("3 proxies", *self.arguments("proxy_softmax"))
        self.text("labels", "7\r\n9\r\n7\r\n9")  # any numbers, any end of line
        self.assertEqual(akin("loss", *self.arguments("sup_con"), "--tau", 0.1)[0], 0)

    def test_missing_inputs_and_bad_parameters_are_named(self):
        self.refused("there is no objective", "ntxent", *self.pair("a.npy")[1:])
        self.refused("--b", "nt_xent", "--a", self.path("a.npy"))
        self.refused("--a", "nt_xent")
        for name, needs in NEEDS.items():
            self.refused(f"--{needs[0]}", name, *self.pair("a.npy")[1:])
        for option in (["--tau", "0"], ["--tau", "nan"], ["--prior", "1"], ["--q", "0"]):
            status, _, err = akin("loss", *self.pair("a.npy"), *option)
            self.assertEqual(status, 2)
            self.assertIn(option[0], err)

    def test_gradients_that_cannot_be_written_are_a_failure(self):
        self.refused("/nowhere", *self.pair("a.npy"), "--grad-a", "/nowhere/ga.npy")


if __name__ == "__main__":
    unittest.main()
