#!/usr/bin/python3
"""tools/split-packs: what training must never see is not in train.tar. No server."""
import collections
import hashlib
import pathlib
import subprocess
import tarfile
import tempfile
import unittest

from akin_cli import tar_of

ROOT = pathlib.Path(__file__).resolve().parents[2]
CLASSES, EACH = 30, 105  # and one small class, and two that share a word


def hash_of(entry):
    return int.from_bytes(hashlib.sha256(entry.encode()).digest()[:8], "big")


def entries_of(tar):
    with tarfile.open(tar) as t:
        return [m.name for m in t]


class SplitPacks(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory()
        cls.packs = pathlib.Path(cls.temporary.name, "packs")
        cls.packs.mkdir()
        letters = "abcdefghijklmnopqrstuvwxyzabcdefghijkl"
        titles = {f"c{i:02d}": letters[i] * (3 + i // 26) for i in range(CLASSES)}
        titles |= {"small": "small", "one": "teapot, pot", "two": "coffee pot"}
        cls.entries = [f"{c}/{i}.webp" for c in titles for i in range(30 if c == "small" else EACH)]
        half = len(cls.entries) // 2
        for name, part in (("a", cls.entries[:half]), ("b", cls.entries[half:])):
            tar_of(cls.packs / f"train_{name}.tar", [(e.encode(), e.encode()) for e in part])
        cls.titles = pathlib.Path(cls.temporary.name, "classes.tsv")
        cls.titles.write_text("".join(f"p\t{c}\t{t}\n" for c, t in titles.items()))
        cls.hashes = {e: hash_of(e) for e in cls.entries}
        cls.before = cls.split("before")
        # One that was trained on becomes a near copy of a held-out one, 4 bits apart, another 5.
        cls.near, cls.far = cls.before["train"][:2]
        held = cls.before["unseen"][0], cls.before["seen"][0]
        cls.hashes[cls.near] = hash_of(held[0]) ^ 0x8000000100010001
        cls.hashes[cls.far] = hash_of(held[1]) ^ 0x8000000100010003
        cls.after = cls.split("after")

    @classmethod
    def tearDownClass(cls):
        cls.temporary.cleanup()

    @classmethod
    def split(cls, name, *more):
        (cls.packs / "hashes.tsv").write_text(
            "".join(f"p\t{e}\t1\t{h:016x}\n" for e, h in cls.hashes.items()))
        out = pathlib.Path(cls.temporary.name, name)
        subprocess.run([ROOT / "tools" / "split-packs", cls.packs, out, "--titles", cls.titles, *more],
                       check=True, stdout=subprocess.PIPE)
        return {role: entries_of(out / f"{role}.tar") for role in ("train", "new", "seen", "unseen")}

    def test_no_class_is_both_unseen_and_trained_on(self):
        classes = {role: collections.Counter(e.split("/")[0] for e in entries)
                   for role, entries in self.before.items()}
        self.assertEqual(set(classes["unseen"].values()), {100})
        self.assertEqual(len(classes["unseen"]), 20)
        self.assertEqual(classes["new"], {c: EACH - 100 for c in classes["unseen"]})
        self.assertFalse(set(classes["unseen"]) & set(classes["train"] + classes["seen"]))
        self.assertFalse({"small", "one", "two"} & set(classes["unseen"]))  # few, or a shared word
        self.assertEqual(set(classes["seen"].values()), {50})
        self.assertNotIn("small", classes["seen"])
        self.assertEqual(classes["train"]["small"], 30)

    def test_as_many_classes_are_held_out_as_asked(self):
        fewer = self.split("fewer", "--unseen", "7")
        self.assertEqual(len({e.split("/")[0] for e in fewer["unseen"]}), 7)

    def test_no_picture_has_two_roles(self):
        every = [e for entries in self.before.values() for e in entries]
        self.assertEqual(len(every), len(set(every)))

    def test_near_copy_of_a_held_out_picture_is_left_out_of_training(self):
        self.assertEqual(set(self.before["train"]) - set(self.after["train"]), {self.near})
        self.assertIn(self.far, self.after["train"])
        for role in ("seen", "unseen"):
            self.assertEqual(self.before[role], self.after[role])


if __name__ == "__main__":
    unittest.main()
