#!/usr/bin/python3
"""Bad input gets its 4xx with a detail that says what to change; nothing is stored."""
import json
import struct
import threading
import unittest
import zlib

from akin_server import Server, fixture, multipart, png, png_chunk, png_header

IMAGES = "/v1/collections/holiday/images"
SEARCH = "/v1/collections/holiday/search"
CHECK = "/v1/collections/holiday/images:check"


class BadInput(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server()
        cls.server.collection()
        assert cls.server.upload(png(0), id="there").status == 201

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def tearDown(self):
        self.assertEqual(self.server.call("GET", "/v1/collections/holiday").json["images"], 1)

    def refused(self, answer, status, code):
        self.assertEqual((answer.status, answer.json["code"]), (status, code), answer)
        self.assertGreater(len(answer.json["detail"]), 10)
        return answer.json

    def test_pictures_that_are_none(self):
        bomb = png_header(40000, 40000) + png_chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + \
            png_chunk(b"IEND", b"")
        wide = png_header(32769, 1) + png_chunk(b"IDAT", zlib.compress(b"\0" * 98308)) + \
            png_chunk(b"IEND", b"")
        jpeg = fixture("waves.jpg")
        cases = [
            (b"", 415, "not_an_image"), (b"\xff", 415, "not_an_image"),
            (b"just some text", 415, "not_an_image"), (b"GIF89a" + b"\0" * 40, 415, "not_an_image"),
            (png(1)[:len(png(1)) // 2], 422, "broken_image"), (jpeg[:len(jpeg) // 2], 422, "broken_image"),
            (fixture("rings.webp")[:900], 422, "broken_image"), (png(1)[:20], 422, "broken_image"),
            (bomb, 422, "image_too_large"), (wide, 422, "image_too_large"),
        ]
        for data, status, code in cases:
            for path in (IMAGES, SEARCH):
                with self.subTest(code=code, path=path, head=data[:8], n=len(data)):
                    self.refused(self.server.call("POST", path, data,
                                                  {"Content-Type": "image/png"}), status, code)

    def test_a_wrong_label_does_not_matter(self):
        answer = self.server.upload(png(0), kind="image/jpeg")
        self.assertEqual((answer.status, answer.json["format"]), (200, "png"))

    def test_a_body_that_is_cut_off(self):
        head = (f"POST {IMAGES} HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n"
                f"Content-Length: {len(png(2))}\r\n\r\n").encode()
        self.server.raw(head + png(2)[:100], timeout=1, shut=True)
        body, kind = multipart([("file", "a.png", "image/png", png(2))])
        for cut in (10, 60, len(body) // 2, len(body) - 5):
            self.refused(self.server.call("POST", IMAGES, body[:cut], {"Content-Type": kind}), 400,
                         "bad_request")

    def test_multipart_that_cannot_be_read(self):
        cases = [
            (multipart([(None, "a.png", "image/png", png(2))]), "no name"),
            (multipart([("file", None, "image/png", png(2))]), "no file name"),
            (multipart([]), "no picture"),
            ((b"--x\r\nno colon\r\n\r\nabc\r\n--x--\r\n", "multipart/form-data; boundary=x"), "colon"),
            ((b"", "multipart/form-data; boundary=x"), "boundary"),
            ((b"abc", "multipart/form-data"), "boundary"),
            ((b"--x\r\nContent-Disposition: form-data; name=f; filename=f\r\n" + b"a" * 9000 +
              b"\r\n--x--\r\n", "multipart/form-data; boundary=x"), "headers"),
        ]
        for (body, kind), said in cases:
            with self.subTest(said=said):
                problem = self.refused(
                    self.server.call("POST", IMAGES, body, {"Content-Type": kind}), 400,
                    "bad_request")
                self.assertIn(said, problem["detail"])

    def test_items_that_do_not_fit(self):
        for items, pointer in (([{"colour": 1}], "/0/colour"), ([{"id": "a/b"}], "/0/id"),
                               ([{"tags": ["a", ""]}], "/0/tags/1"), ([{"name": 5}], "/0/name"),
                               ([{"taken_at": "yesterday"}], "/0/taken_at"),
                               ([{"taken_at": "2024-02-30T00:00:00Z"}], "/0/taken_at"),
                               ([{"metadata": [1]}], "/0/metadata"),
                               ([{"metadata": {"a": "x" * 70000}}], "/0/metadata"),
                               ([{"name": "x" * 10000}], "/0/name"), ([5], "/0")):
            with self.subTest(pointer=pointer):
                problem = self.refused(self.server.upload_many([("a.png", png(2))], items), 400,
                                       "bad_value")
                self.assertEqual([f["pointer"] for f in problem["errors"]], [pointer])
        self.refused(self.server.upload_many([("a.png", png(2))], [{}, {}]), 400, "bad_value")

    def test_names(self):
        cases = [("%00", 400), ("a%00b", 400), ("x" * 1025, 400), ("%ff%fe", 400), ("%zz", 400),
                 ("%c0%af", 400), ("%ed%a0%80", 400)]
        for name, status in cases:
            answer = self.server.call("POST", f"{IMAGES}?name={name}", png(2),
                                      {"Content-Type": "image/png"})
            self.assertEqual(answer.status, status, name)
        self.assertEqual(self.server.call("POST", f"{IMAGES}?name={'x' * 10000}", png(2),
                                          {"Content-Type": "image/png"}).status, 414)
        bad = self.server.upload_many([("x" * 4000, png(2)), ("\udcff\udcfe", png(3))])
        self.assertEqual([i["status"] for i in bad.json["items"]], [400, 400])

    def test_a_name_with_a_slash_is_fine(self):
        name = "a/b/../ü \"q\".png"
        answer = self.server.upload(png(2), id="named", name=name)
        self.assertEqual((answer.status, answer.json["name"]), (201, name))
        self.assertEqual(self.server.call("DELETE", IMAGES + "/named").status, 204)

    def test_ids(self):
        for bad in ("a%2Fb", "..", ".", "x" * 129, "a%20b", "%C3%BC", ""):
            answer = self.server.call("POST", f"{IMAGES}?id={bad}", png(2),
                                      {"Content-Type": "image/png"})
            self.refused(answer, 400, "bad_value")
        self.refused(self.server.call("PUT", IMAGES + "/a%2Fb", png(2)), 400, "bad_value")
        self.refused(self.server.upload(png(2), id="there"), 409, "id_taken")
        for method, path in (("GET", "/none"), ("DELETE", "/none"), ("GET", "/none/vector"),
                             ("GET", "/none/thumbnail"), ("GET", "/a%2Fb")):
            self.refused(self.server.call(method, IMAGES + path), 404, "unknown_image")
        self.refused(self.server.call("PATCH", IMAGES + "/none", {}), 404, "unknown_image")

    def test_collections(self):
        for bad in ("Holiday", "a.b", "-a", "x" * 65, "a%2Fb", "%C3%BC"):
            self.refused(self.server.call("PUT", f"/v1/collections/{bad}", {}), 400, "bad_value")
            self.refused(self.server.call("GET", f"/v1/collections/{bad}"), 404,
                         "unknown_collection")
        c = "/v1/collections/none"
        self.refused(self.server.call("PATCH", c, {}), 404, "unknown_collection")
        for method, path, body in (("GET", "", None), ("DELETE", "", None), ("GET", "/images", None),
                                   ("GET", "/images/a", None), ("POST", "/images", png(2)),
                                   ("PUT", "/images/a", png(2)), ("DELETE", "/images/a", None),
                                   ("POST", "/images:check", {"sha256": []}),
                                   ("POST", "/search", {"id": "a"}), ("POST", "/search", png(2))):
            self.refused(self.server.call(method, c + path, body), 404, "unknown_collection")

    def test_vectors(self):
        n = self.server.call("GET", IMAGES + "/there/vector").json["dimensions"]
        fine = [1.0] * n
        for vector in ([], fine[:-1], fine + [1.0], [0.0] * n, ["a"] + fine[1:], [None] + fine[1:],
                       [1e300] + fine[1:]):
            self.refused(self.server.call("POST", SEARCH, {"vector": vector}), 400, "bad_vector")
        self.refused(self.server.call("POST", SEARCH, {"vector": "x"}), 400, "bad_vector")
        for text in ("NaN", "Infinity", "1e999"):
            body = json.dumps({"vector": fine}).replace("1.0", text, 1).encode()
            self.refused(self.server.call("POST", SEARCH, body,
                                          {"Content-Type": "application/json"}), 400, "bad_json")

    def test_json(self):
        kind = {"Content-Type": "application/json"}
        for body in (b"", b"{", b'{"id": "a", "id": "b"}', b"[" * 33 + b"]" * 33, b'{"id": "\xff"}',
                     b'{"id": "a\\u0000b"}', b"{} {}", b"\x00"):
            self.refused(self.server.call("POST", SEARCH, body, kind), 400, "bad_json")
        for body in ([], {}, {"id": "there", "vector": [1]}):
            self.refused(self.server.call("POST", SEARCH, body), 400, "bad_value")
        problem = self.refused(self.server.call(
            "POST", SEARCH, {"id": "there", "limit": 0, "filter": {}, "a/b~c": 1, "with": ["all"]}),
            400, "bad_value")
        self.assertEqual({f["pointer"] for f in problem["errors"]},
                         {"/limit", "/filter", "/a~1b~0c", "/with/0"})
        self.assertIn("not offered yet", json.dumps(problem))
        self.refused(self.server.call("POST", SEARCH, {"id": "none"}), 404, "unknown_image")
        self.refused(self.server.call("PUT", "/v1/collections/x", b"{}"), 415, "unsupported_media")
        self.refused(self.server.call("POST", IMAGES, b"{}", kind), 415, "unsupported_media")
        self.refused(self.server.call("PATCH", IMAGES + "/there", {"sha256": "x"}), 400, "bad_value")
        self.refused(self.server.call("POST", CHECK, {"sha256": ["x"]}), 400, "bad_value")
        self.refused(self.server.call("POST", CHECK, {"sha256": ["0" * 64] * 10001}), 400,
                     "bad_value")

    def test_query_parameters(self):
        for path in ("?limit=0", "?limit=1001", "?limit=ten", "?limit=-1", "?order=name"):
            self.refused(self.server.call("GET", IMAGES + path), 400, "bad_value")
        for path in ("?limits=1", "?limit=1&limit=2", "?filter=x"):
            self.refused(self.server.call("GET", IMAGES + path), 400, "bad_request")
        self.refused(self.server.call("GET", IMAGES + "/there/thumbnail?size=63"), 400, "bad_value")
        self.refused(self.server.call("GET", IMAGES + "/there/thumbnail?size=257"), 400, "bad_value")
        self.refused(self.server.call("POST", SEARCH + "?limit=1001", png(0)), 400, "bad_value")

    def test_cursors(self):
        for cursor in ("x", "AAAA", "", "%3D%3D", "A" * 400):
            self.refused(self.server.call("GET", f"{IMAGES}?cursor={cursor}"), 400, "bad_cursor")

    def test_a_body_where_none_is_taken(self):
        self.refused(self.server.call("DELETE", IMAGES + "/there", b"x"), 413, "too_large")

    def test_one_bad_request_disturbs_no_other(self):
        failures = []

        def good():
            for _ in range(20):
                answer = self.server.call("POST", SEARCH, {"id": "there"})
                if answer.status != 200:
                    failures.append(answer)

        def bad():
            for i in range(20):
                self.server.call("POST", IMAGES, fixture("waves.jpg")[:300 + i])

        threads = [threading.Thread(target=t) for t in (good, bad, good, bad)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual(failures, [])


class Races(unittest.TestCase):
    def test_the_same_bytes_from_many_clients_are_one_picture(self):
        with Server() as server:
            server.collection()
            answers = []
            threads = [threading.Thread(target=lambda: answers.append(server.upload(png(9))))
                       for _ in range(8)]
            for t in threads:
                t.start()
            for t in threads:
                t.join()
            self.assertEqual(sorted(a.status for a in answers), [200] * 7 + [201])
            self.assertEqual(len({a.json["id"] for a in answers}), 1)
            there = server.call("GET", "/v1/collections/holiday").json
            self.assertEqual((there["images"], there["pictures"]), (1, 1))

    def test_an_id_is_given_once(self):
        with Server() as server:
            server.collection()
            answers = []
            threads = [threading.Thread(
                target=lambda i=i: answers.append(server.upload(png(20 + i), id="one")))
                for i in range(8)]
            for t in threads:
                t.start()
            for t in threads:
                t.join()
            self.assertEqual(sorted(a.status for a in answers), [201] + [409] * 7)


if __name__ == "__main__":
    unittest.main()
