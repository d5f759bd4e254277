#!/usr/bin/python3
"""Each bound of the settings, set small, is kept, and names itself."""
import socket
import threading
import time
import unittest

from akin_cli import wait_until
from akin_server import Server, png

IMAGES = "/v1/collections/holiday/images"


def head(length, path=IMAGES, kind="image/png", more=""):
    return (f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\n"
            f"Content-Length: {length}\r\n{more}\r\n").encode()


class Sizes(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server(settings={
            "upload_part_bytes": 200000, "upload_bytes": 300000, "upload_parts": 3,
            "json_bytes": 2000, "json_depth": 5, "picture_pixels": 4000, "picture_side": 100,
            "header_bytes": 2000, "request_line_bytes": 300})
        cls.server.collection()

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def refused(self, answer, status, code, said):
        self.assertEqual((answer.status, answer.json["code"]), (status, code))
        self.assertIn(said, answer.json["detail"])

    def test_a_body_over_its_cap_is_refused_before_it_is_read(self):
        for length in (200001, 10 ** 9, 10 ** 15):
            got = self.server.raw(head(length), timeout=30)
            self.assertTrue(got.startswith(b"HTTP/1.1 413 "), got)
            self.assertIn(b"at most 200000", got)
        got = self.server.raw(head(300001, kind="multipart/form-data; boundary=x"), timeout=30)
        self.assertTrue(got.startswith(b"HTTP/1.1 413 "), got)

    def test_a_body_without_a_length_is_counted(self):
        def chunks():
            for _ in range(30):
                yield b"x" * 10000
        answer = self.server.call("POST", IMAGES, chunks(), {"Content-Type": "image/png"})
        self.refused(answer, 413, "too_large", "longer")
        whole = self.server.call("POST", IMAGES, iter([png(1)[:50], png(1)[50:]]))
        self.assertEqual(whole.status, 201)
        self.assertEqual(self.server.call("DELETE", f"{IMAGES}/{whole.json['id']}").status, 204)

    def test_parts(self):
        many = [(f"{k}.png", png(k)) for k in range(4)]
        self.refused(self.server.upload_many(many), 413, "too_large", "3")
        self.assertEqual(self.server.upload_many(many[:3], [{}] * 3).status, 207)
        self.refused(self.server.upload_many([("a.png", b"x" * 200001)]), 413, "too_large", "200000")

    def test_json(self):
        c = "/v1/collections/holiday"
        self.refused(self.server.call("PATCH", c, {"description": "x" * 2000}), 413, "too_large",
                     "2000")
        self.refused(self.server.call("POST", c + "/search", b"[" * 6 + b"]" * 6,
                                      {"Content-Type": "application/json"}), 400, "bad_json", "5")

    def test_pictures(self):
        self.refused(self.server.upload(png(1, 101, 2)), 422, "image_too_large", "100")
        self.refused(self.server.upload(png(1, 80, 51)), 422, "image_too_large", "80")
        self.assertEqual(self.server.upload(png(1, 80, 50)).status, 201)

    def test_headers(self):
        answer = self.server.call("GET", "/livez", headers={"X-Long": "x" * 2000})
        self.refused(answer, 431, "too_large", "2000")
        answer = self.server.call("GET", "/livez?" + "x" * 400)
        self.refused(answer, 414, "too_large", "300")
        for long in (b"X-Long: " + b"x" * 100000, b"X-Long: x\r\n" * 10000): # the parser's own refusal
            got = self.server.raw(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n" + long, timeout=30)
            self.assertRegex(got, b"^(HTTP/1.1 4(00|13|14|31) |$)")
        self.assertEqual(self.server.call("GET", "/livez").status, 200)


class Pressure(unittest.TestCase):
    def test_bodies_in_flight_are_bounded(self):
        with Server(settings={"body_bytes_in_flight": 100000}) as server:
            server.collection()
            with socket.create_connection((server.host, server.port), timeout=60) as slow:
                slow.sendall(head(90000, more="Expect: 100-continue\r\n"))
                self.assertRegex(slow.recv(100), b"^HTTP/1.1 100 ")  # it counts from here
                slow.sendall(b"x" * 100)
                answer = server.upload(b"x" * 20000)
                self.assertEqual((answer.status, answer.json["code"]), (503, "overloaded"))
                self.assertEqual(answer.header("Retry-After"), "1")
                self.assertEqual(server.upload(png(1)).status, 201)
            wait_until(lambda: server.upload(b"x" * 20000).status == 415,
                       "the slow one's bytes to be given back")

    def test_a_full_queue_refuses_and_recovers(self):
        with Server(settings={"work_queue": 2, "workers": 1}) as server:
            server.collection()
            body = [(f"{k}.png", png(k, 200, 200)) for k in range(60)]
            statuses = []

            def upload():
                statuses.append(server.upload_many(body).status)

            threads = [threading.Thread(target=upload) for _ in range(8)]
            for t in threads:
                t.start()
            for t in threads:
                t.join()
            self.assertLessEqual(set(statuses), {207, 503})
            self.assertIn(207, statuses)
            self.assertIn(503, statuses)
            self.assertEqual(server.call("GET", "/v1/collections/holiday").json["images"], 60)

    def test_few_slots_and_a_small_budget_only_make_it_wait(self):
        with Server(settings={"ingest_pictures": 1, "decoded_bytes": 1 << 20, "workers": 4}) as server:
            server.collection()
            results = []

            def upload(start):
                results.append(server.upload_many(
                    [(f"{k}.png", png(start + k, 300, 300)) for k in range(10)]).json["created"])

            threads = [threading.Thread(target=upload, args=(k * 10,)) for k in range(4)]
            for t in threads:
                t.start()
            for t in threads:
                t.join()
            self.assertEqual(results, [10] * 4)

    def test_a_silent_connection_is_closed(self):
        with Server(settings={"idle_s": 1}) as server:
            began = time.monotonic()
            self.assertEqual(server.raw(b"GET /livez HTTP/1.1\r\n", timeout=60), b"")
            server.raw(head(1000) + b"x" * 10, timeout=60)
            self.assertLess(time.monotonic() - began, 55)  # closed, not given up on

    def test_a_slow_body_is_closed(self):
        with Server(settings={"body_grace_s": 1, "body_rate": 1000}) as server:
            server.collection()
            with socket.create_connection((server.host, server.port), timeout=10) as slow:
                slow.sendall(head(100000))
                began = time.monotonic()
                try:
                    while time.monotonic() - began < 60:
                        slow.sendall(b"x" * 20)
                        time.sleep(0.1)
                    self.fail("the slow body was not closed")
                except OSError:
                    pass

    def test_connections_of_one_address_are_bounded(self):
        with Server(settings={"connections_per_address": 4}) as server:
            held = []

            def one_more():
                """Whether another is served. One that was closed counts until the server sees it."""
                connection = server.connect()
                try:
                    server.call("GET", "/livez", connection=connection)
                except OSError:
                    connection.close()
                    return False
                held.append(connection)
                return True

            for _ in range(4):
                wait_until(one_more, "a connection to be taken")
            self.assertFalse(one_more())
            for connection in held:
                connection.close()
            wait_until(one_more, "the closed ones to be given back")
            held[-1].close()

    def test_a_stop_finishes_what_is_in_flight(self):
        server = Server()
        server.collection()
        result = []
        body = [(f"{k}.png", png(k, 200, 200)) for k in range(80)]
        thread = threading.Thread(target=lambda: result.append(server.upload_many(body)))
        thread.start()
        while server.call("GET", "/v1/collections/holiday").json["images"] == 0 and thread.is_alive():
            time.sleep(0.002)
        server.stop()
        thread.join()
        self.assertEqual((result[0].status, result[0].json["failed"]), (207, 0))

    def test_settings_are_checked(self):
        for name, value in (("workers", "many"), ("work_queue", "0"), ("colour", "red")):
            with self.assertRaisesRegex(RuntimeError, name):
                Server(settings={name: value})


if __name__ == "__main__":
    unittest.main()
