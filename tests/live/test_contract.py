#!/usr/bin/python3
"""api/openapi.yaml and the server agree, in both directions."""
import os
import re
import subprocess
import unittest

from akin_server import BIN, Contract, Server, fixture, png


class TheContract(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server()

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def operations(self):
        return {(method.upper(), path) for path, item in Contract.document["paths"].items()
                for method in item if method != "parameters"}

    def test_1_routes_of_the_table_and_the_file_are_the_same(self):
        table = subprocess.run([BIN, "serve", "--routes"], capture_output=True, text=True,
                               check=True).stdout.split("\n")
        self.assertEqual({tuple(line.split(" ")) for line in table if line}, self.operations())

    def test_2_every_operation_answers_as_the_file_says(self):
        call, c = self.server.call, "/v1/collections/contract"
        self.assertEqual(call("PUT", c, {"description": "d"}).status, 201)
        self.assertEqual(call("PATCH", c, {"keep_original": False}).json["keep_original"], False)
        self.assertEqual(call("GET", c).json["description"], "d")
        self.assertEqual(call("GET", "/v1/collections").status, 200)
        self.assertEqual(self.server.upload(png(3), "contract", id="p").status, 201)
        self.assertEqual(call("PUT", c + "/images/q", fixture("waves.jpg"),
                              {"Content-Type": "image/jpeg"}).status, 201)
        self.assertEqual(call("PUT", c + "/images/q", fixture("rings.jpg"),
                              {"Content-Type": "image/jpeg"}).status, 200)
        self.assertEqual(call("GET", c + "/images").json["next_cursor"], None)
        self.assertEqual(call("GET", c + "/images/p").json["format"], "png")
        patched = call("PATCH", c + "/images/p", {"tags": ["t"], "caption": "c"})
        self.assertEqual((patched.status, patched.json["tags"]), (200, ["t"]))
        patched = call("PATCH", c + "/images/p", {"caption": None})
        self.assertEqual((patched.json["tags"], patched.json["caption"]), (["t"], None))
        self.assertEqual(call("GET", c + "/images/p/vector").status, 200)
        self.assertEqual(call("POST", c + "/images:check", {"sha256": []}).json, {"items": []})
        self.assertEqual(call("POST", c + "/search", {"id": "p"}).status, 200)
        models = call("GET", "/v1/admin/models").json["items"]
        self.assertEqual([(m["state"], m["base"]) for m in models], [("serving", True)])
        m = "/v1/admin/models/" + models[0]["id"]
        self.assertEqual(call("GET", m).json, models[0])
        checkpoint = call("GET", m + "/checkpoint")
        self.assertEqual(len(checkpoint.body), models[0]["bytes"])
        self.assertEqual(call("POST", "/v1/admin/models", checkpoint.body,
                              {"Content-Type": "application/octet-stream"}).status, 200)
        self.assertEqual(call("POST", "/v1/admin/collections/contract:rollback").json["code"],
                         "conflict")
        self.assertEqual(call("GET", "/livez").json, {"status": "alive"})
        self.assertEqual(call("GET", "/readyz").json["status"], "ready")
        self.assertIn(b"openapi: 3.1", call("GET", "/openapi.yaml").body)
        self.assertEqual(call("GET", "/problems/id-taken").status, 200)
        self.assertEqual(call("GET", "/problems/none").status, 404)
        thumbnail = call("GET", c + "/images/q/thumbnail?size=64")
        self.assertEqual(thumbnail.header("Content-Type"), "image/jpeg")
        self.assertEqual(thumbnail.body[:3], b"\xff\xd8\xff")
        webp = call("GET", c + "/images/q/thumbnail", headers={"Accept": "image/webp,*/*"})
        self.assertEqual((webp.header("Content-Type"), webp.body[8:12]), ("image/webp", b"WEBP"))
        said = {"query": "p", "result": "q", "verdict": "different"}
        self.assertEqual(call("POST", c + "/feedback", said).json, said)
        runs = "/v1/admin/training-runs"
        self.assertEqual(call("POST", runs, {}).status, 409)  # too few pictures
        self.assertEqual(call("GET", runs).json, {"items": [], "next_cursor": None})
        self.assertEqual(call("GET", "/v1/jobs").json, {"items": [], "next_cursor": None})
        for method, path in (("GET", runs + "/j"), ("DELETE", runs + "/j"), ("GET", "/v1/jobs/j"),
                             ("DELETE", "/v1/jobs/j"), ("GET", "/v1/jobs/j/events"),
                             ("GET", "/v1/jobs/j/report")):
            self.assertEqual(call(method, path).status, 404)
        self.assertEqual(call("POST", "/v1/admin/models/none:promote", {}).status, 404)
        self.assertEqual(call("DELETE", c + "/images/p").status, 204)
        self.assertEqual(call("GET", c + "/images/p").status, 404)
        self.assertEqual(call("DELETE", c).status, 204)
        self.assertEqual(call("GET", c).status, 404)
        self.assertEqual(self.operations() - Contract.called, set())

    def test_3_what_is_served_is_the_file(self):
        with open(os.path.join(os.path.dirname(__file__), "../../api/openapi.yaml"), "rb") as file:
            self.assertEqual(self.server.call("GET", "/openapi.yaml").body, file.read())

    def test_4_head_options_and_other_methods(self):
        call = self.server.call
        whole, head = call("GET", "/livez"), call("HEAD", "/livez")
        self.assertEqual((head.status, head.body), (200, b""))
        self.assertEqual(head.header("Content-Length"), str(len(whole.body)))
        options = call("OPTIONS", "/v1/collections/x")
        self.assertEqual(options.status, 204)
        self.assertEqual(set(options.header("Allow").split(", ")),
                         {"PUT", "GET", "HEAD", "PATCH", "DELETE", "OPTIONS"})
        refused = call("POST", "/v1/collections/x", b"{}", {"Content-Type": "application/json"})
        self.assertEqual((refused.status, refused.json["code"]), (405, "method_not_allowed"))
        self.assertIn("PATCH", refused.header("Allow"))
        self.assertEqual(call("GET", "/v1/nothing").json["code"], "unknown_route")

    def test_5_request_ids(self):
        call = self.server.call
        self.assertEqual(call("GET", "/livez", headers={"X-Request-Id": "a" * 64})
                         .header("X-Request-Id"), "a" * 64)
        for bad in ("a" * 65, "a b", "é"):
            made = call("GET", "/livez", headers={"X-Request-Id": bad.encode("latin-1")})
            self.assertTrue(re.fullmatch("[0-9A-Z]{26}", made.header("X-Request-Id")), bad)

    def test_7_it_answers_before_the_model_is_warm(self):
        with Server(ready=False) as server:
            server.collection()
            answer = server.upload(png(1))
            self.assertIn(answer.status, (201, 503))
            if answer.status == 503:
                self.assertEqual(answer.header("Retry-After"), "1")
            server.wait_ready()
            self.assertIn(server.upload(png(1)).status, (200, 201))

    def test_6_tags_guard_and_spare(self):
        call, c = self.server.call, "/v1/collections/tags"
        self.assertEqual(call("PUT", c, {}).status, 201)
        self.assertEqual(self.server.upload(png(5), "tags", id="p").status, 201)
        for path in (c, c + "/images/p", c + "/images/p/vector", c + "/images/p/thumbnail"):
            tag = call("GET", path).header("ETag")
            for given in (tag, f'"other", W/{tag}', "*"):
                spared = call("GET", path, headers={"If-None-Match": given})
                self.assertEqual((spared.status, spared.body), (304, b""), (path, given))
            self.assertEqual(call("GET", path, headers={"If-None-Match": '"other"'}).status, 200)
        for path, body in ((c + "/images/p", {"caption": "x"}), (c, {"description": "x"})):
            tag = call("GET", path).header("ETag")
            changed = call("PATCH", path, body, {"If-Match": tag})
            self.assertEqual(changed.status, 200)
            self.assertNotEqual(changed.header("ETag"), tag)
            for method, given in (("PATCH", body), ("DELETE", None)):
                refused = call(method, path, given, {"If-Match": tag})
                self.assertEqual(refused.json["code"], "precondition_failed")
        refused = call("PUT", c + "/images/new", png(6), {"If-Match": "*"})
        self.assertEqual(refused.status, 412)
        self.assertEqual(call("GET", c + "/images/new").status, 404)
        self.assertEqual(call("DELETE", c + "/images/p", headers={"If-Match": "*"}).status, 204)


if __name__ == "__main__":
    unittest.main()
