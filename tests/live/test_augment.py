#!/usr/bin/python3
"""akin augment: a sheet of views from a file and a recipe, and what it refuses."""
import json
import pathlib
import struct
import tempfile
import unittest

from akin_cli import BROKEN, akin, fill, write


class Augment(unittest.TestCase):
    def setUp(self):
        self.temporary = tempfile.TemporaryDirectory(prefix="akin-augment-")
        self.addCleanup(self.temporary.cleanup)
        self.folder = pathlib.Path(self.temporary.name)
        fill(self.folder / "data", 1)
        self.picture = next(p for p in (self.folder / "data").rglob("*") if p.is_file())
        self.sheet = self.folder / "sheet.png"

    def augment(self, *more, picture=None, recipe=None):
        if recipe is not None:
            (self.folder / "recipe.json").write_text(recipe)
            more += ("--recipe", self.folder / "recipe.json")
        return akin("augment", picture or self.picture, "--grid", self.sheet, *more)

    def test_a_sheet_is_a_png_of_its_cells_and_the_same_again(self):
        shape = ["--side", "32", "--rows", "3", "--columns", "5", "--seed", "4"]
        recipe = '{"views": {"blur": 1, "jpeg": 1}, "small_views": {"count": 2, "side": 16}}'
        status, out, err = self.augment(*shape, "--json", recipe=recipe)
        self.assertEqual(status, 0, err)
        said, png = json.loads(out), self.sheet.read_bytes()
        self.assertEqual(png[:8], b"\x89PNG\r\n\x1a\n")
        self.assertEqual(struct.unpack(">II", png[16:24]), (5 * 34 + 2, 3 * 34 + 2))
        self.assertEqual((said["views"], said["width"], said["height"]), (14, 172, 104))
        self.assertEqual((said["recipe"]["views"]["blur"], said["recipe"]["small_views"]["count"]),
                         (1, 2))
        self.assertEqual(self.augment(*shape, recipe=recipe)[0], 0)
        self.assertEqual(self.sheet.read_bytes(), png)
        self.assertEqual(self.augment(*shape[:-1], "5", recipe=recipe)[0], 0)
        self.assertNotEqual(self.sheet.read_bytes(), png)
        # What --json tells is a recipe.
        self.assertEqual(self.augment(*shape, recipe=json.dumps(said["recipe"]))[0], 0)
        self.assertEqual(self.sheet.read_bytes(), png)

    def test_bad_recipes_and_pictures_are_named_and_nothing_is_written(self):
        cut = self.folder / "cut.jpg"
        write(self.folder, b"cut.jpg", BROKEN[b"cut.jpg"])
        for more, says in [({"recipe": '{"views": {"blurr": 1}}'}, "views.blurr"),
                           ({"recipe": '{"views": {"blur": 2}}'}, "views.blur is 2; 0 to 1"),
                           ({"recipe": '{"view": {}}'}, "has none of"),
                           ({"recipe": '{"views": '}, "line 1"),
                           ({"recipe": '[1]'}, "a recipe is an object"),
                           ({"recipe": '{"small_views": {"count": 1, "side": 80}}'},
                            "above --side 64"),
                           ({"picture": cut}, "cut.jpg"),
                           ({"picture": self.folder / "none.jpg"}, "none.jpg")]:
            status, _, err = self.augment(**more)
            self.assertNotEqual(status, 0, more)
            self.assertIn(says, err)
            self.assertFalse(self.sheet.exists())
        self.assertEqual(akin("augment", self.picture)[0], 2)


if __name__ == "__main__":
    unittest.main()
