"""A server of our own on a free port, and requests to it, each held against the contract.

AKIN_BIN is the binary (./akin), AKIN_MODEL a model file (else the shipped one). Every answer that
`Server.call` gets is checked: its status is listed for its operation in api/openapi.yaml, its body
fits the schema. What was called is collected in Contract.called.
"""
import gzip
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time
import urllib.parse
import zlib

import jsonschema
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = os.environ.get("AKIN_BIN", str(ROOT / "akin"))
FIXTURES = ROOT / "tests" / "fixtures"
WAIT_S = 60


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        packed = self.header("Content-Encoding") == "gzip"
        return json.loads(gzip.decompress(self.body) if packed else self.body)

    def header(self, name):
        return next((v for k, v in self.headers if k.lower() == name.lower()), None)

    def __repr__(self):
        return f"<{self.status} {self.body[:300]!r}>"


class Contract:
    document = yaml.safe_load((ROOT / "api" / "openapi.yaml").read_text())
    called = set()  # (METHOD, path pattern)

    @classmethod
    def resolve(cls, node):
        while isinstance(node, dict) and "$ref" in node:
            at = cls.document
            for name in node["$ref"][2:].split("/"):
                at = at[name]
            node = at
        return node

    @classmethod
    def find(cls, method, path):
        """The operation of a request, or None when the contract has none."""
        path = path.split("?")[0]
        for pattern, item in cls.document["paths"].items():
            regex = re.sub(r"\\{\w+\\}", "[^/]+", re.escape(pattern))
            operation = item.get("get" if method == "HEAD" else method.lower())
            if operation and re.fullmatch(regex, path):
                return pattern, operation
        return None

    @classmethod
    def check(cls, method, path, answer):
        found = cls.find(method, path)
        if not found:
            return
        pattern, operation = found
        where = f"{method} {path}: {answer.status}"
        cls.called.add((method, pattern))
        listed = operation["responses"].get(str(answer.status))
        assert listed is not None, f"{where} is not listed: {answer.body[:300]!r}"
        listed = cls.resolve(listed)
        for name, header in listed.get("headers", {}).items():
            value = answer.header(name)
            if cls.resolve(header).get("required"):
                assert value is not None, f"{where} lacks {name}"
            if value is not None:
                cls.validate(value, cls.resolve(header)["schema"], where)
        content = listed.get("content", {})
        if not content:
            assert not answer.body, f"{where} has a body"
            return
        kind = (answer.header("Content-Type") or "").split(";")[0]
        assert kind in content, f"{where} is {kind}"
        if method != "HEAD" and kind.endswith("json"):
            cls.validate(answer.json, content[kind]["schema"], where)
            if kind == "application/problem+json":
                assert answer.json["status"] == answer.status, where
                assert answer.json["instance"] == answer.header("X-Request-Id"), where

    @classmethod
    def validate(cls, value, schema, where):
        resolver = jsonschema.RefResolver("", cls.document)
        faults = list(jsonschema.Draft202012Validator(schema, resolver=resolver).iter_errors(value))
        assert not faults, f"{where}: {faults[0].message} at {list(faults[0].path)}"


class Server:
    def __init__(self, data=None, settings=None, listen="127.0.0.1:0", env=None, ready=True,
                 arguments=(), **process):
        self.made = data is None
        self.data = data or tempfile.mkdtemp(prefix="akin-test-")
        command = [BIN, "serve", "--data", self.data, "--listen", listen, *arguments]
        if os.environ.get("AKIN_MODEL"):
            command += ["--model", os.environ["AKIN_MODEL"]]
        for name, value in (settings or {}).items():
            command += ["--set", f"{name}={value}"]
        self.log_path = tempfile.mktemp(prefix="akin-log-")
        self.log = open(self.log_path, "w+", encoding="utf-8", errors="replace")
        environment = {**os.environ, "OMP_WAIT_POLICY": "passive", **(env or {})}
        self.process = subprocess.Popen(command, stderr=self.log, stdout=self.log,
                                        env=environment, **process)
        self.host = "127.0.0.1"
        try:
            self.port = self.wait_port()
            if ready:
                self.wait_ready()
        except BaseException:
            self.kill()
            raise

    def log_text(self):
        return pathlib.Path(self.log_path).read_text(errors="replace")

    def wait_port(self):
        until = time.monotonic() + WAIT_S
        while time.monotonic() < until:
            found = re.search(r"listening on http://\S+:(\d+)", self.log_text())
            if found:
                return int(found.group(1))
            if self.process.poll() is not None:
                raise RuntimeError(f"the server ended: {self.log_text()}")
            time.sleep(0.02)
        raise RuntimeError(f"the server does not listen: {self.log_text()}")

    def wait_ready(self):
        until = time.monotonic() + WAIT_S
        while self.call("GET", "/readyz").status != 200:
            assert time.monotonic() < until, self.log_text()
            time.sleep(0.05)

    def connect(self, timeout=WAIT_S):
        return http.client.HTTPConnection(self.host, self.port, timeout=timeout)

    def call(self, method, path, body=None, headers=None, connection=None):
        """One request. A dict or list as body goes as JSON."""
        headers = dict(headers or {})
        if isinstance(body, (dict, list)):
            body = json.dumps(body).encode()
            headers.setdefault("Content-Type", "application/json")
        own = connection or self.connect()
        try:
            own.request(method, path, body, headers)
            got = own.getresponse()
            answer = Answer(got.status, got.getheaders(), got.read())
        finally:
            if own is not connection:
                own.close()
        Contract.check(method, path, answer)
        return answer

    def raw(self, data, timeout=WAIT_S, shut=False):
        """Bytes as they are; everything that comes back until the server closes or is silent."""
        with socket.create_connection((self.host, self.port), timeout=timeout) as s:
            s.sendall(data)
            if shut:
                s.shutdown(socket.SHUT_WR)
            got = b""
            try:
                while chunk := s.recv(65536):
                    got += chunk
            except (TimeoutError, ConnectionResetError):
                pass
            return got

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.log.close()
        os.unlink(self.log_path)
        if self.made:
            shutil.rmtree(self.data, ignore_errors=True)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(timeout=WAIT_S)
        self.log.close()
        if self.made:
            shutil.rmtree(self.data, ignore_errors=True)
        text = self.log_text()
        os.unlink(self.log_path)
        assert status == 0, f"exit status {status}: {text}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.stop()

    # what most tests need

    def collection(self, name="holiday", **settings):
        answer = self.call("PUT", f"/v1/collections/{name}", settings)
        assert answer.status == 201, answer
        return answer.json

    def upload(self, picture, collection="holiday", kind="image/png", **query):
        path = f"/v1/collections/{collection}/images"
        if query:
            path += "?" + urllib.parse.urlencode(query)
        return self.call("POST", path, picture, {"Content-Type": kind})

    def upload_many(self, pictures, items=None, collection="holiday"):
        parts = [("items", None, "application/json", json.dumps(items).encode())] if items else []
        parts += [("file", name, "application/octet-stream", data) for name, data in pictures]
        body, kind = multipart(parts)
        return self.call("POST", f"/v1/collections/{collection}/images", body,
                         {"Content-Type": kind})


def multipart(parts, boundary="xXakinXx"):
    """(name, file name or None, type, bytes) each; name None leaves the name away."""
    body = b""
    for name, file, kind, data in parts:
        disposition = "form-data"
        if name is not None:
            disposition += f'; name="{name}"'
        if file is not None:
            disposition += f'; filename="{file}"'
        body += (f"--{boundary}\r\nContent-Disposition: {disposition}\r\n"
                 f"Content-Type: {kind}\r\n\r\n").encode("utf-8", "surrogateescape")
        body += data + b"\r\n"
    return body + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"


def png_chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_header(width, height, depth=8, colour=2):
    return b"\x89PNG\r\n\x1a\n" + png_chunk(
        b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))


def png(seed, width=48, height=40):
    """A picture of its own for each seed: smooth waves of three colours."""
    a, b, c = 1 + seed % 7, 1 + seed // 7 % 11, seed * 37 % 251
    rows = b"".join(
        b"\0" + bytes((a * x * 3 + b * y + c * (k + 1)) // (k + 1) & 255
                      for x in range(width) for k in range(3)) for y in range(height))
    return png_header(width, height) + png_chunk(b"IDAT", zlib.compress(rows)) + png_chunk(
        b"IEND", b"")


def fixture(name):
    return (FIXTURES / name).read_bytes()
