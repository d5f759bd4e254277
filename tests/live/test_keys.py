#!/usr/bin/python3
"""Who may call: Host and Origin on loopback, keys elsewhere."""
import os
import pathlib
import stat
import tempfile
import unittest

from akin_server import Server


class Loopback(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server(settings={"allowed_hosts": "akin.example,proxy.example:8443"})

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def test_hosts(self):
        for host in ("localhost", "LOCALHOST:1", "127.0.0.1", "127.9.9.9:80", "[::1]:5",
                     "akin.example", "Akin.Example:99", "proxy.example:8443"):
            self.assertEqual(self.server.call("GET", "/livez", headers={"Host": host}).status, 200)
        for host in ("evil.example", "127.0.0.1.evil.example", "127.evil", "localhost.evil.example",
                     "proxy.example", "proxy.example:1", "", "192.168.0.1", "evil.example:localhost"):
            answer = self.server.call("GET", "/v1/collections", headers={"Host": host})
            self.assertEqual((answer.status, answer.json["code"]), (421, "misdirected"), host)

    def test_origins(self):
        path, port = "/v1/collections/holiday", self.server.port
        for origin in ("http://evil.example", "null", f"http://127.0.0.1:{port + 1}",
                       "http://localhost", "https://akin.example.evil"):
            for method in ("PUT", "DELETE", "POST", "OPTIONS"):
                answer = self.server.call(method, path, {}, {"Origin": origin})
                self.assertEqual((answer.status, answer.json["code"]), (403, "foreign_origin"))
            self.assertEqual(self.server.call("GET", "/livez", headers={"Origin": origin}).status,
                             200)
        for origin in (f"http://127.0.0.1:{port}", "https://akin.example"):
            answer = self.server.call("PUT", path, {}, {"Origin": origin})
            self.assertIn(answer.status, (200, 201))


class Elsewhere(unittest.TestCase):
    def check(self, server, key):
        call = server.call
        for path in ("/livez", "/readyz"):
            self.assertEqual(call("GET", path, headers={"Host": "any.example"}).status, 200)
        for headers in ({}, {"Authorization": "Bearer akin_" + "0" * 64}, {"Authorization": key},
                        {"Authorization": "Basic " + key}, {"Authorization": "Bearer " + key[:-1]},
                        {"Authorization": "Bearer " + key + "0"}, {"Authorization": "Bearer "}):
            for path in ("/v1/collections", "/nothing", "/openapi.yaml"):
                answer = call("GET", path, headers=headers)
                self.assertEqual((answer.status, answer.json["code"]), (401, "unauthorized"))
                self.assertIn("Bearer", answer.header("WWW-Authenticate"))
        good = {"Authorization": "Bearer " + key, "Host": "any.example"}
        self.assertEqual(call("GET", "/v1/collections", headers=good).status, 200)
        self.assertNotIn(key, server.log_text())

    def test_a_key_is_made_and_kept(self):
        with tempfile.TemporaryDirectory() as data:
            with Server(data, listen="0.0.0.0:0") as server:
                path = pathlib.Path(data) / "admin.key"
                self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
                key = path.read_text().strip()
                self.assertRegex(key, "^akin_[0-9a-f]{64}$")
                self.assertIn(str(path), server.log_text())
                self.check(server, key)
            with Server(data, listen="0.0.0.0:0") as server:
                self.assertEqual(path.read_text().strip(), key)
                self.check(server, key)

    def test_a_key_is_given(self):
        with tempfile.NamedTemporaryFile("w", suffix=".key") as file:
            key = "akin_" + "k" * 40
            file.write(key + "\n")
            file.flush()
            with Server(listen="0.0.0.0:0", env={"AKIN_ADMIN_KEY_FILE": file.name}) as server:
                self.check(server, key)

    def test_a_short_key_is_refused(self):
        with tempfile.NamedTemporaryFile("w", suffix=".key") as file:
            file.write("short\n")
            file.flush()
            with self.assertRaisesRegex(RuntimeError, "at least"):
                Server(listen="0.0.0.0:0", env={"AKIN_ADMIN_KEY_FILE": file.name})


if __name__ == "__main__":
    unittest.main()
