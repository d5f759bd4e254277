"""What the scripts of bench/ share: a server of our own in a fresh folder, medians, process memory.

AKIN_BIN is the binary, AKIN_BUILD the folder of the built programs (tools/bench.sh sets both).
"""
import http.client
import json
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("AKIN_BUILD", ROOT / "build/release"))
BIN = os.environ.get("AKIN_BIN", str(BUILD / "akin"))
WAIT_S = 120


def run_json(*command):
    """A program's one JSON object; what it says on standard error is shown when it fails."""
    done = subprocess.run([str(c) for c in command], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0 or not done.stdout.strip():
        raise SystemExit(f"{command[0]} ended with status {done.returncode}:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout)


def median(values):
    return statistics.median(values)


class Server:
    """`akin serve` on a free port, with its data in `data` or in a folder that goes with it."""

    def __init__(self, data=None, *more):
        self.folder = tempfile.mkdtemp(prefix="akin-bench-")
        self.data = str(data or pathlib.Path(self.folder) / "data")
        self.log_path = pathlib.Path(self.folder) / "log"
        with open(self.log_path, "w", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                [BIN, "serve", "--data", self.data, "--listen", "127.0.0.1:0", *map(str, more)],
                stdout=log, stderr=log)
        self.port = self.wait(self.find_port, "does not listen")
        self.url = f"http://127.0.0.1:{self.port}"
        self.wait(lambda: self.call("GET", "/readyz")[0] == 200, "is not ready")

    def find_port(self):
        found = re.search(r"listening on http://\S+:(\d+)", self.log_path.read_text())
        return int(found.group(1)) if found else None

    def wait(self, what, complaint):
        until = time.monotonic() + WAIT_S
        while time.monotonic() < until and self.process.poll() is None:
            if got := what():
                return got
            time.sleep(0.02)
        raise SystemExit(f"the server {complaint}: {self.log_path.read_text()[-2000:]}")

    def connect(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=WAIT_S)

    def call(self, method, path, body=None, kind="application/json", connection=None):
        """(status, body) of one request."""
        own = connection or self.connect()
        try:
            own.request(method, path, body, {"Content-Type": kind} if body is not None else {})
            answer = own.getresponse()
            return answer.status, answer.read()
        finally:
            if own is not connection:
                own.close()

    def begin(self, path, body):
        """The place of the job that the request began."""
        status, answer = self.call("POST", path, json.dumps(body))
        if status != 202:
            raise SystemExit(f"POST {path}: {status} {answer[:500]!r}")
        job = json.loads(answer)["id"]
        return f"{path}/{job}" if path.endswith("training-runs") else f"/v1/jobs/{job}"

    def follow(self, place, look_s=0.2):
        """Waits for a job's end, looking so often: its last state."""
        while True:
            job = json.loads(self.call("GET", place)[1])
            if job["ended_at"]:
                return job
            time.sleep(look_s)

    def memory(self, name="VmRSS"):
        """MiB of VmRSS, resident now, or VmHWM, the most that was."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(rf"^{name}:\s+(\d+) kB", status, re.M).group(1)) / 1024

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(timeout=WAIT_S)
        shutil.rmtree(self.folder, ignore_errors=True)
