#!/usr/bin/python3
"""Models imported and exported; collections change to another model and back, under load."""
import tempfile
import threading
import time
import unittest

import akin_checkpoint
from akin_cli import WAIT_S
from akin_server import Server, png

C = "/v1/collections/holiday"
BYTES = {"Content-Type": "application/octet-stream"}
PICTURES = 40


def dot(a, b):
    return sum(x * y for x, y in zip(a, b))


class Rig(unittest.TestCase):
    settings = {}

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.server = Server(self.folder.name, self.settings)
        self.server.collection()
        self.base = self.models()[0]["id"]
        self.checkpoint = self.call("GET", f"/v1/admin/models/{self.base}/checkpoint").body

    def tearDown(self):
        self.server.__exit__()
        self.folder.cleanup()

    def call(self, *arguments, **named):
        return self.server.call(*arguments, **named)

    def models(self):
        return self.call("GET", "/v1/admin/models").json["items"]

    def model(self, id):
        return self.call("GET", f"/v1/admin/models/{id}").json

    def take_in(self, seed=1):
        """Another model, imported; its id."""
        answer = self.call("POST", "/v1/admin/models",
                           akin_checkpoint.other_model(self.checkpoint, seed), BYTES)
        self.assertEqual(answer.status, 201, answer)
        return answer.json["id"]

    def upload(self, numbers):
        numbers = list(numbers)
        for i in range(0, len(numbers), 50):
            pictures = [(f"p{k}", png(k)) for k in numbers[i:i + 50]]
            answer = self.server.upload_many(pictures, [{"id": name} for name, _ in pictures])
            self.assertEqual((answer.status, answer.json["failed"]), (207, 0), answer)

    def job(self, answer):
        self.assertEqual(answer.status, 202, answer)
        place = answer.header("Location")
        until = time.monotonic() + WAIT_S
        while True:
            job = self.call("GET", place).json
            if job["state"] not in ("queued", "running"):
                return job
            self.assertLess(time.monotonic(), until, job)
            time.sleep(0.05)

    def promote(self, model, **body):
        job = self.job(self.call("POST", f"/v1/admin/models/{model}:promote", body))
        self.assertEqual(job["state"], "succeeded", job)
        return job

    def rollback(self):
        answer = self.call("POST", f"{C.replace('/v1', '/v1/admin')}:rollback")
        self.assertEqual(answer.status, 200, answer)
        return answer.json

    def vectors(self, numbers):
        """(model, {id: vector}) as the service has them now."""
        answers = {f"p{k}": self.call("GET", f"{C}/images/p{k}/vector").json for k in numbers}
        models = {answer["model"] for answer in answers.values()}
        self.assertEqual(len(models), 1)
        return models.pop(), {id: answer["vector"] for id, answer in answers.items()}

    def search(self, id, limit=1000):
        answer = self.call("POST", f"{C}/search", {"id": id, "limit": limit})
        self.assertEqual(answer.status, 200, answer)
        return answer.json


class Models(Rig):
    def test_an_imported_model_is_listed_exported_and_the_same_again(self):
        other = self.take_in()
        items = self.models()
        self.assertEqual([(m["id"], m["state"], m["base"]) for m in items],
                         [(other, "imported", False), (self.base, "serving", True)])
        file = akin_checkpoint.other_model(self.checkpoint)
        self.assertEqual(self.call("GET", f"/v1/admin/models/{other}/checkpoint").body, file)
        self.assertEqual(self.call("POST", "/v1/admin/models", file, BYTES).status, 200)
        page = self.call("GET", "/v1/admin/models?limit=1").json
        self.assertEqual(page["items"][0]["id"], other)
        rest = self.call("GET", f"/v1/admin/models?limit=1&cursor={page['next_cursor']}").json
        self.assertEqual(([m["id"] for m in rest["items"]], rest["next_cursor"]),
                         ([self.base], None))
        tag = self.call("GET", f"/v1/admin/models/{other}").header("ETag")
        self.assertEqual(self.call("GET", f"/v1/admin/models/{other}",
                                   headers={"If-None-Match": tag}).status, 304)

    def test_what_cannot_be_imported_is_told_apart(self):
        broken = bytearray(self.checkpoint)
        broken[len(broken) // 2] ^= 1
        version, config, tensors = akin_checkpoint.read(self.checkpoint)
        cases = [
            (bytes(broken), "broken_model"),
            (self.checkpoint[:-1000], "broken_model"),
            (b"not a checkpoint", "broken_model"),
            (b"", "broken_model"),
            (akin_checkpoint.write(version + 1, config, tensors), "foreign_model"),
            (akin_checkpoint.write(version, {**config, "kind": "training"}, tensors),
             "foreign_model"),
            (akin_checkpoint.fewer_dimensions(self.checkpoint), "other_dimensions"),
        ]
        for file, code in cases:
            answer = self.call("POST", "/v1/admin/models", file, BYTES)
            self.assertEqual((answer.status, answer.json["code"]), (422, code), answer)
        self.assertEqual(len(self.models()), 1)
        self.assertEqual(self.call("GET", "/v1/admin/models/none").json["code"], "unknown_model")
        self.assertEqual(self.call("GET", "/v1/admin/models/none/checkpoint").status, 404)
        answer = self.call("POST", "/v1/admin/models/none:promote", {})
        self.assertEqual(answer.json["code"], "unknown_model")
        answer = self.call("POST", "/v1/admin/collections/none:rollback")
        self.assertEqual(answer.json["code"], "unknown_collection")
        answer = self.call("POST", "/v1/admin/collections/holiday:rollback")
        self.assertEqual((answer.status, answer.json["code"]), (409, "conflict"))

    def test_a_newer_release_s_encoder_is_a_candidate_and_changes_nothing(self):
        self.upload(range(3))
        before = self.search("p0")
        self.server.stop()
        with tempfile.NamedTemporaryFile(suffix=".akin") as file:
            file.write(akin_checkpoint.other_model(self.checkpoint))
            file.flush()
            self.server = Server(self.folder.name, arguments=("--model", file.name))
            newest = self.models()[0]
            self.assertEqual((newest["state"], newest["lineage"]),
                             ("candidate", {"source": "release"}))
            self.assertEqual(self.call("GET", C).json["model"], self.base)
            after = self.search("p0")
            self.assertEqual(after["items"], before["items"])
            self.promote(newest["id"])
            self.assertEqual(self.search("p0")["model"], newest["id"])


class Changes(Rig):
    def test_promotion_and_rollback_give_the_answers_of_each_model_to_the_bit(self):
        self.upload(range(210)) # enough for `match`
        before = [self.search(f"p{k}") for k in range(5)]
        other = self.take_in()
        self.promote(other)
        self.assertEqual(self.model(other)["state"], "serving")
        collection = self.call("GET", C).json
        self.assertEqual((collection["model"], collection["previous_model"],
                          collection["coming_model"]), (other, self.base, None))
        new = [self.search(f"p{k}") for k in range(5)]
        self.assertEqual({answer["model"] for answer in new}, {other})
        self.assertNotEqual([hit["score"] for hit in new[0]["items"]],
                            [hit["score"] for hit in before[0]["items"]])
        # An uploaded query is embedded by the model that it is compared with.
        found = self.call("POST", f"{C}/search", png(7), {"Content-Type": "image/png"}).json
        self.assertGreater(found["items"][0]["score"], 0.9999)
        self.assertEqual(found["model"], other)
        for _ in range(2): # and once more from what is on disk
            answer = self.rollback()
            self.assertEqual((answer["model"], answer["previous_model"], answer["to_come"]),
                             (self.base, other, 0))
            again = [self.search(f"p{k}") for k in range(5)]
            self.assertEqual([a["items"] for a in again], [b["items"] for b in before])
            self.assertEqual(self.rollback()["model"], other)
            forward = [self.search(f"p{k}") for k in range(5)]
            self.assertEqual([a["items"] for a in forward], [b["items"] for b in new])
            self.server.kill()
            self.server = Server(self.folder.name)

    def test_later_uploads_are_filled_in_for_the_way_back(self):
        self.upload(range(10))
        self.promote(self.take_in())
        self.upload(range(10, 20))
        self.assertEqual(self.call("DELETE", f"{C}/images/p3").status, 204)
        answer = self.rollback()
        until = time.monotonic() + 60
        while len(self.search("p0")["items"]) < 18: # all but p3 and the query
            self.assertLess(time.monotonic(), until, answer)
            time.sleep(0.05)
        model, _ = self.vectors([0, 12, 19])
        self.assertEqual(model, self.base)
        self.assertNotIn("p3", [hit["id"] for hit in self.search("p12")["items"]])

    def test_searches_and_uploads_go_on_and_never_mix(self):
        self.upload(range(PICTURES))
        answers, faults, stop, back = [], [], threading.Event(), threading.Event()

        def search_on():
            k = 0
            while not stop.is_set():
                answer = self.call("POST", f"{C}/search", {"id": f"p{k % PICTURES}", "limit": 1000})
                if answer.status != 200:
                    faults.append(answer)
                else:
                    answers.append((f"p{k % PICTURES}", answer.json))
                k += 1

        def upload_on():
            k = 1000
            while not stop.is_set():
                answer = self.server.upload(png(k), id=f"p{k}")
                if answer.status != 201:
                    faults.append(answer)
                found = self.call("POST", f"{C}/search", png(k), {"Content-Type": "image/png"})
                # What came just before the way back is filled in a little later.
                lost = found.status == 200 and found.json["items"][0]["score"] < 0.9999
                if found.status != 200 or (lost and not back.is_set()):
                    faults.append(found)
                k += 1

        known = dict([self.vectors(range(PICTURES))])
        others = [self.take_in(1), self.take_in(2)]
        threads = [threading.Thread(target=f) for f in (search_on, search_on, upload_on)]
        for t in threads:
            t.start()
        try:
            for other in others:
                self.promote(other)
                known.update([self.vectors(range(PICTURES))])
            back.set()
            self.rollback()
        finally:
            stop.set()
            for t in threads:
                t.join()
        self.assertEqual(faults, [])
        self.assertEqual({answer["model"] for _, answer in answers}, {self.base, *others})
        for id, answer in answers:
            vectors = known[answer["model"]]
            scores = {hit["id"]: hit["score"] for hit in answer["items"]}
            for k in range(PICTURES):
                if f"p{k}" != id: # nothing is missing, and each score is this model's
                    self.assertAlmostEqual(scores[f"p{k}"], dot(vectors[id], vectors[f"p{k}"]),
                                           delta=1e-5)
        print(f"# {len(answers)} searches", flush=True)

    def test_a_collection_that_goes_while_it_changes_leaves_the_others_to_it(self):
        self.server.collection("short")
        for k in range(30):
            self.assertEqual(self.server.upload(png(k), "short", id=f"p{k}").status, 201)
        self.upload(range(60))
        coming = lambda: self.call("GET", "/v1/collections/short").json["coming_model"]
        until = time.monotonic() + 60
        for seed in range(1, 20):  # until a change is seen that has not ended before it is
            other = self.take_in(seed)
            place = self.call("POST", f"/v1/admin/models/{other}:promote", {}).header("Location")
            while not (seen := coming()) and self.call("GET", place).json["ended_at"] is None:
                self.assertLess(time.monotonic(), until)
                time.sleep(0.01)
            if seen:
                break
        self.assertEqual(self.call("DELETE", "/v1/collections/short").status, 204)
        self.assertEqual(self.call("DELETE", f"{C}/images/p5").status, 204)
        while self.call("GET", place).json["state"] in ("queued", "running"):
            self.assertLess(time.monotonic(), until)
            time.sleep(0.05)
        self.assertEqual(self.call("GET", place).json["state"], "succeeded")
        found = self.search("p0")
        self.assertEqual((found["model"], len(found["items"])), (other, 58))
        self.assertNotIn("p5", [hit["id"] for hit in found["items"]])

    def test_kill_9_during_re_embedding_goes_on_after_the_restart(self):
        self.upload(range(100))
        other = self.take_in()
        answer = self.call("POST", f"/v1/admin/models/{other}:promote", {})
        place, until = answer.header("Location"), time.monotonic() + 60
        while self.call("GET", place).json["done"] < 10:
            self.assertLess(time.monotonic(), until)
            time.sleep(0.01)
        self.server.kill()
        self.server = Server(self.folder.name)
        while self.call("GET", place).json["state"] in ("queued", "running"):
            self.assertLess(time.monotonic(), until)
            self.assertIn(self.search("p0")["model"], (self.base, other))
            time.sleep(0.05)
        self.assertEqual(self.call("GET", place).json["state"], "succeeded")
        answer = self.search("p0")
        self.assertEqual((answer["model"], len(answer["items"])), (other, 99))


class FewModels(Rig):
    settings = {"loaded_models": 3, "spare_models": 2}

    def test_more_models_serve_than_are_loaded_at_once(self):
        ids = [self.take_in(seed) for seed in range(1, 3)]
        for name, model in zip(("a", "b"), ids):
            self.server.collection(name)
            for k in range(4):
                self.assertEqual(self.server.upload(png(k), name, id=f"p{k}").status, 201)
            self.promote(model, collections=[name])
        self.upload(range(4))
        third = self.take_in(0)
        self.promote(third, collections=["holiday"])
        for _ in range(3):
            for name, model in zip(("a", "b", "holiday"), (*ids, third)):
                found = self.call("POST", f"/v1/collections/{name}/search", png(2),
                                  {"Content-Type": "image/png"})
                self.assertEqual((found.status, found.json["model"]), (200, model), found)
                self.assertGreater(found.json["items"][0]["score"], 0.9999)

    def test_of_models_that_nothing_needs_the_newest_stay(self):
        ids = [self.take_in(seed) for seed in range(3)]
        more = self.call("POST", "/v1/admin/models", akin_checkpoint.other_model(
            akin_checkpoint.other_model(self.checkpoint), 2), BYTES).json["id"]
        until = time.monotonic() + 30
        while len(self.models()) > 3:
            self.assertLess(time.monotonic(), until)
            time.sleep(0.02)
        self.assertEqual([m["id"] for m in self.models()], [more, ids[2], self.base])
        self.assertEqual(self.call("GET", f"/v1/admin/models/{ids[0]}/checkpoint").status, 404)


if __name__ == "__main__":
    unittest.main()
