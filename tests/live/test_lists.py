#!/usr/bin/python3
"""Lists and their cursors."""
import string
import unittest
import urllib.parse

from akin_server import Server, png


class Lists(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server()
        cls.server.collection()
        cls.server.collection("other")
        items = [{"id": f"i{k:02}"} for k in range(25)]
        cls.server.upload_many([(f"{k}.png", png(k)) for k in range(25)], items)

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def page(self, limit, order=None, cursor=None, collection="holiday"):
        query = {"limit": limit}
        if order:
            query["order"] = order
        if cursor:
            query["cursor"] = cursor
        return self.server.call("GET", f"/v1/collections/{collection}/images?" +
                                urllib.parse.urlencode(query))

    def walk(self, limit, order):
        ids, cursor = [], None
        while True:
            page = self.page(limit, order, cursor).json
            ids += [image["id"] for image in page["items"]]
            cursor = page["next_cursor"]
            if not cursor:
                return ids

    def test_pages_give_everything_once_in_every_order(self):
        all_ids = [f"i{k:02}" for k in range(25)]
        for order in (None, "created_at", "-created_at", "id"):
            whole = [image["id"] for image in self.page(1000, order).json["items"]]
            self.assertEqual(sorted(whole), all_ids)
            for limit in (1, 7, 25, 26):
                self.assertEqual(self.walk(limit, order), whole, (order, limit))
        self.assertEqual(self.walk(10, "id"), all_ids)

    def test_a_cursor_survives_inserts_and_deletes(self):
        first = self.page(10, "id").json
        call = self.server.call
        self.assertEqual(self.server.upload(png(50), id="a-new-one").status, 201)
        self.assertEqual(call("DELETE", "/v1/collections/holiday/images/i09").status, 204)
        second = self.page(10, "id", first["next_cursor"]).json
        self.assertEqual(second["items"][0]["id"], "i10")
        self.assertEqual(self.server.upload(png(9), id="i09").status, 201)
        self.assertEqual(call("DELETE", "/v1/collections/holiday/images/a-new-one").status, 204)

    def test_a_cursor_of_another_list_or_altered_is_refused(self):
        cursor = self.page(5, "id").json["next_cursor"]
        self.assertEqual(self.page(9, "id", cursor).status, 200)
        others = [self.page(5, "created_at", cursor), self.page(5, "id", cursor, "other"),
                  self.server.call("GET", f"/v1/collections?cursor={cursor}")]
        alphabet = string.ascii_letters + string.digits + "-_"
        for at in range(len(cursor)):
            other = alphabet[(alphabet.index(cursor[at]) + 1) % 64]
            others.append(self.page(5, "id", cursor[:at] + other + cursor[at + 1:]))
        others += [self.page(5, "id", cursor[:-1]), self.page(5, "id", cursor + "A")]
        for answer in others:
            self.assertEqual((answer.status, answer.json["code"]), (400, "bad_cursor"))

    def test_long_answers_are_packed_for_those_who_ask(self):
        path = "/v1/collections/holiday/images?limit=25"
        plain = self.server.call("GET", path)
        packed = self.server.call("GET", path, headers={"Accept-Encoding": "br, gzip"})
        self.assertIsNone(plain.header("Content-Encoding"))
        self.assertEqual(packed.header("Content-Encoding"), "gzip")
        self.assertEqual([a.header("Vary") for a in (plain, packed)], ["Accept-Encoding"] * 2)
        self.assertEqual(packed.json, plain.json)
        self.assertLess(len(packed.body), len(plain.body) / 2)
        short = self.server.call("GET", "/livez", headers={"Accept-Encoding": "gzip"})
        self.assertIsNone(short.header("Content-Encoding"))

    def test_collections_are_paged_by_name(self):
        names, cursor = [], ""
        while cursor is not None:
            page = self.server.call("GET", "/v1/collections?limit=1" +
                                    (f"&cursor={cursor}" if cursor else "")).json
            names += [c["name"] for c in page["items"]]
            cursor = page["next_cursor"]
        self.assertEqual(names, ["holiday", "other"])


if __name__ == "__main__":
    unittest.main()
