#!/usr/bin/python3
"""The exchanges that clients rely on, to the letter."""
import hashlib
import unittest

from akin_server import Server, fixture, multipart, png


class Exchanges(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server()

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def test_1_a_collection_is_put(self):
        answer = self.server.call("PUT", "/v1/collections/holiday", {})
        self.assertEqual(answer.status, 201)
        self.assertEqual(answer.json["name"], "holiday")
        self.assertEqual(answer.json["images"], 0)
        self.assertRegex(answer.json["model"], "^[0-9a-f]{32}$")
        self.assertEqual(answer.header("Location"), "/v1/collections/holiday")
        self.assertEqual(self.server.call("PUT", "/v1/collections/holiday", {}).status, 200)

    def test_2_a_picture_is_posted_raw(self):
        data = fixture("waves.jpg")
        answer = self.server.call(
            "POST", "/v1/collections/holiday/images?id=a1&name=beach%2Fa1.jpg", data,
            {"Content-Type": "image/jpeg"})
        self.assertEqual(answer.status, 201)
        self.assertEqual(answer.header("Location"), "/v1/collections/holiday/images/a1")
        image = answer.json
        self.assertEqual(
            {k: image[k] for k in ("id", "name", "sha256", "width", "height", "format", "bytes")},
            {"id": "a1", "name": "beach/a1.jpg", "sha256": hashlib.sha256(data).hexdigest(),
             "width": 160, "height": 120, "format": "jpeg", "bytes": len(data)})
        self.assertRegex(image["created_at"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")

    def test_3_the_same_bytes_again(self):
        data = fixture("waves.jpg")
        again = self.server.upload(data)
        self.assertEqual((again.status, again.json["id"]), (200, "a1"))
        second = self.server.upload(data, id="a2")
        self.assertEqual((second.status, second.json["id"]), (201, "a2"))
        self.assertEqual(second.json["sha256"], again.json["sha256"])
        taken = self.server.upload(png(1), id="a1")
        self.assertEqual((taken.status, taken.json["code"]), (409, "id_taken"))
        same = self.server.upload(data, id="a1")
        self.assertEqual((same.status, same.json["id"]), (200, "a1"))
        self.assertEqual(self.server.call("DELETE", "/v1/collections/holiday/images/a2").status, 204)

    def test_4_many_are_posted(self):
        answer = self.server.upload_many(
            [("one.png", png(1)), ("bad.png", png(2)[:60]), ("sub/two.webp", fixture("rings.webp")),
             ("again.png", png(1)), ("text.txt", b"no picture")])
        self.assertEqual(answer.status, 207)
        results = answer.json
        self.assertEqual([item["status"] for item in results["items"]], [201, 422, 201, 200, 415])
        self.assertEqual((results["created"], results["existing"], results["failed"]), (2, 1, 2))
        self.assertEqual(results["items"][0]["image"]["name"], "one.png")
        self.assertEqual(results["items"][2]["image"]["name"], "sub/two.webp")
        self.assertEqual(results["items"][1]["problem"]["code"], "broken_image")
        self.assertEqual(results["items"][4]["problem"]["code"], "not_an_image")

    def test_5_items_name_the_pictures(self):
        items = [{"id": "m1", "name": "n", "tags": ["beach", "sun"], "album": "Summer",
                  "caption": "By the sea", "taken_at": "2024-07-01T12:00:00+02:00",
                  "metadata": {"a": {"b": 1}}}, {}]
        answer = self.server.upload_many([("x.png", png(11)), ("y.png", png(12))], items)
        self.assertEqual(answer.status, 207)
        self.assertEqual(answer.json["created"], 2)
        image = self.server.call("GET", "/v1/collections/holiday/images/m1").json
        self.assertEqual(image["tags"], ["beach", "sun"])
        self.assertEqual((image["album"], image["caption"]), ("Summer", "By the sea"))
        self.assertEqual(image["taken_at"], "2024-07-01T10:00:00.000Z")
        self.assertEqual(image["metadata"], {"a": {"b": 1}})
        self.assertIsNone(answer.json["items"][1]["image"]["name"])

    def test_6_sums_are_checked(self):
        here, gone = hashlib.sha256(fixture("waves.jpg")).hexdigest(), "0" * 64
        answer = self.server.call("POST", "/v1/collections/holiday/images:check",
                                  {"sha256": [gone, here]})
        self.assertEqual(answer.status, 200)
        self.assertEqual(answer.json, {"items": [{"sha256": here, "ids": ["a1"]}]})

    def check_search(self, answer, first, score=0.9999):
        self.assertEqual(answer.status, 200)
        hits = answer.json["items"]
        self.assertEqual([hit["rank"] for hit in hits], list(range(1, len(hits) + 1)))
        self.assertEqual(sorted((hit["score"] for hit in hits), reverse=True),
                         [hit["score"] for hit in hits])
        if first:
            self.assertEqual(hits[0]["id"], first)
            self.assertGreaterEqual(hits[0]["score"], score)
            self.assertEqual(hits[0]["thumbnail"],
                             f"/v1/collections/holiday/images/{first}/thumbnail")
        self.assertTrue(answer.json["exact"])
        self.assertGreater(answer.json["scanned"], 0)
        return hits

    def test_7_searches(self):
        path = "/v1/collections/holiday/search"
        data = fixture("waves.jpg")
        raw = self.server.call("POST", path + "?limit=3", data, {"Content-Type": "image/jpeg"})
        hits = self.check_search(raw, "a1")
        self.assertEqual((len(hits), hits[0]["name"], hits[0]["match"]), (3, "beach/a1.jpg", None))
        body, kind = multipart([("file", "q.jpg", "image/jpeg", data),
                                ("query", None, "application/json", b'{"limit": 2}')])
        many = self.server.call("POST", path, body, {"Content-Type": kind})
        self.assertEqual(len(self.check_search(many, "a1")), 2)
        by_id = self.server.call("POST", path, {"id": "a1", "limit": 10})
        self.assertNotIn("a1", [hit["id"] for hit in self.check_search(by_id, None)])
        vector = self.server.call("GET", "/v1/collections/holiday/images/a1/vector").json
        self.assertEqual(vector["model"], by_id.json["model"])
        self.assertEqual(len(vector["vector"]), vector["dimensions"])
        self.assertAlmostEqual(sum(x * x for x in vector["vector"]), 1, 3)
        scaled = [7 * x for x in vector["vector"]]
        by_vector = self.server.call("POST", path, {"vector": scaled, "with": ["metadata", "vector"]})
        hits = self.check_search(by_vector, "a1")
        self.assertEqual(len(hits[0]["vector"]), vector["dimensions"])
        self.assertIn("metadata", hits[0])

    def test_8_a_stored_picture_finds_itself_whatever_its_format(self):
        for name in ("waves.png", "rings.jpg", "rings.webp", "turned.jpg", "moving.webp",
                     "cmyk.jpg", "deep.png"):
            data = fixture(name)
            answer = self.server.upload(data, id=name, kind="application/octet-stream")
            self.assertIn(answer.status, (200, 201), name)
            found = self.server.call("POST", "/v1/collections/holiday/search?limit=5", data,
                                     {"Content-Type": "image/*"})
            same = [hit["score"] for hit in found.json["items"] if hit["id"] == name]
            self.assertTrue(same and same[0] >= 0.9999, (name, found))
        turned = self.server.call("GET", "/v1/collections/holiday/images/turned.jpg").json
        self.assertEqual((turned["width"], turned["height"]), (120, 160))

    def test_9_errors_are_problems(self):
        answer = self.server.call("GET", "/v1/collections/holidy", headers={"X-Request-Id": "mine-7"})
        self.assertEqual(answer.status, 404)
        self.assertEqual(answer.header("Content-Type"), "application/problem+json")
        self.assertEqual(answer.header("X-Request-Id"), "mine-7")
        problem = answer.json
        self.assertEqual(problem["type"], "/problems/unknown-collection")
        self.assertEqual(problem["code"], "unknown_collection")
        self.assertEqual(problem["status"], 404)
        self.assertEqual(problem["instance"], "mine-7")
        self.assertIn('"holidy"', problem["detail"])
        page = self.server.call("GET", problem["type"])
        self.assertEqual(page.status, 200)
        self.assertIn(b"404", page.body)


if __name__ == "__main__":
    unittest.main()
