"""A server whose training runs are worked on by fake_worker.py, and the events of its jobs."""
import json
import os
import shutil
import tempfile
import time

from akin_cli import WAIT_S, wait_until
from akin_server import Server, png

WORKER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "fake_worker.py")
RUNS = "/v1/admin/training-runs"
PICTURES = 330  # a run needs 320
SETTINGS = {"refine_program": WORKER, "refine_nice": 0, "refine_auto": 0, "refine_restarts": 1}


class Workplace:
    """A server with a collection that is large enough to be refined on. folder: where its data
    are, else one of its own; like: data to begin with a copy of; env: added to the server's."""

    def __init__(self, pictures=PICTURES, folder=None, like=None, env=None, **settings):
        self.home = tempfile.mkdtemp(prefix="akin-fake-")
        self.data = os.path.join(folder or self.home, "data")
        self.env = {"AKIN_FAKE": os.path.join(self.home, "plan"), **(env or {})}
        self.settings = {**SETTINGS, **settings}
        self.plan()
        if like:
            shutil.copytree(like, self.data)
        self.start()
        if not like:
            self.server.collection()
            self.upload(range(pictures))

    def upload(self, numbers, collection="holiday", picture=png):
        """Pictures by their numbers, with ids like p7."""
        for first in range(0, len(numbers), 100):
            some = numbers[first:first + 100]
            answer = self.server.upload_many([(f"{i}.png", picture(i)) for i in some],
                                             [{"id": f"p{i}"} for i in some], collection)
            assert answer.status == 207 and answer.json["failed"] == 0, answer

    def start(self):
        self.server = Server(data=self.data, settings=self.settings, env=self.env)

    def restart(self):
        """kill -9, and a new one on the same data."""
        self.server.kill()
        self.start()

    def close(self):
        self.server.stop()
        shutil.rmtree(self.home)

    def plan(self, refine="ok", gate="refuse"):
        """What the workers that start from now on do."""
        path = os.path.join(self.home, "plan")
        with open(path + ".new", "w", encoding="utf-8") as file:
            json.dump({"refine": refine, "gate": gate}, file)
        os.rename(path + ".new", path)
        for name in ("refine.pids", "gate.pids", "heard", "enough"):
            if os.path.exists(os.path.join(self.home, name)):
                os.unlink(os.path.join(self.home, name))

    def pids(self, command="refine"):
        try:
            with open(os.path.join(self.home, f"{command}.pids"), encoding="utf-8") as file:
                return [int(line) for line in file]
        except FileNotFoundError:
            return []

    def begin(self, **body):
        answer = self.server.call("POST", RUNS, {"promote": "ask", "seed": 1, **body})
        assert answer.status == 202, answer
        return answer.json["id"]

    def run(self, job):
        answer = self.server.call("GET", f"{RUNS}/{job}")
        assert answer.status == 200, answer
        return answer.json

    def wait(self, job, condition=lambda run: run["ended_at"], limit_s=WAIT_S):
        until = time.monotonic() + limit_s
        while not condition(run := self.run(job)):
            assert time.monotonic() < until, (run, self.server.log_text())
            assert not run["ended_at"], run
            time.sleep(0.03)
        return run

    def wait_worker(self, command="refine", count=1):
        wait_until(lambda: len(self.pids(command)) >= count, f"worker {count} of {command}")
        return self.pids(command)[count - 1]

    def folder(self, job):
        return os.path.join(self.data, "runs", job)


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


class Events:
    """The events of a job as they come: (id, event, data), and ("comment", text)."""

    def __init__(self, server, job, headers=None, timeout=60):
        self.connection = server.connect(timeout)
        self.connection.request("GET", f"/v1/jobs/{job}/events", headers=headers or {})
        self.answer = self.connection.getresponse()

    def __iter__(self):
        event = {}
        while line := self.answer.readline():
            line = line.decode().rstrip("\n")
            if line.startswith(":"):
                yield "comment", line[1:].strip(), None
            elif not line and event:
                yield int(event["id"]), event["event"], json.loads(event["data"])
                event = {}
            elif line:
                name, value = line.split(": ", 1)
                event[name] = value
        assert not event, event

    def close(self):
        self.connection.close()
