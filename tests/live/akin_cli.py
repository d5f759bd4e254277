"""Calls of the akin binary, and folders of pictures for them."""
import array
import ast
import hashlib
import io
import json
import os
import pathlib
import re
import struct
import subprocess
import tarfile
import time

from akin_server import BIN, fixture, png

LIMIT_S = 240  # of a call
WAIT_S = 180   # for what happens by itself; a sanitizer on a busy machine takes its time


def akin(*arguments, env=None):
    """Runs akin to its end: (exit status, standard output, standard error)."""
    done = subprocess.run([BIN, *map(str, arguments)], capture_output=True, timeout=LIMIT_S,
                          env={**os.environ, "OMP_WAIT_POLICY": "passive", **(env or {})},
                          encoding="utf-8", errors="surrogateescape", check=False)
    return done.returncode, done.stdout, done.stderr


def akin_json(*arguments, env=None):
    """The same with --json: (exit status, the one object on standard output, standard error)."""
    status, out, err = akin(*arguments, "--json", env=env)
    lines = out.splitlines()
    assert len(lines) == 1, (out, err)
    return status, json.loads(lines[0]), err


def model_arguments():
    """--model FILE where the tests are told to use another encoder than the shipped one."""
    return ["--model", os.environ["AKIN_MODEL"]] if os.environ.get("AKIN_MODEL") else []


def id_of(path):
    """The rule of ids, written a second time; path in bytes, as the file system has it."""
    text = path.decode("utf-8", "surrogateescape")
    plain = text.replace("/", ":")
    if re.fullmatch(r"[A-Za-z0-9._:-]{1,128}", plain) and plain not in (".", ".."):
        return plain
    cut = re.sub(r"[^A-Za-z0-9._:-]", "_", plain)[:115]
    return cut + "-" + hashlib.sha256(path).hexdigest()[:12]


def name_of(path):
    """The name that a path becomes: each byte that is no UTF-8 is U+FFFD."""
    return re.sub("[\udc80-\udcff]", "\ufffd", path.decode("utf-8", "surrogateescape"))


def write(folder, path, data):
    """A file at path (bytes) within the folder."""
    at = os.path.join(os.fsencode(folder), path)
    os.makedirs(os.path.dirname(at), exist_ok=True)
    pathlib.Path(os.fsdecode(at)).write_bytes(data)


def fill(folder, count, first=1000):
    """count different pictures in two folders, `wide` and `tall`, that also look different."""
    for i in range(count):
        wide = i % 2 == 0
        data = png(first + i, 64 if wide else 24, 24 if wide else 64)
        write(folder, b"%s/%04d.png" % (b"wide" if wide else b"tall", i), data)


def read_npy(path):
    """(rows, dims) and the rows of a .npy file, read as its format says."""
    data = pathlib.Path(path).read_bytes()
    assert data[:8] == b"\x93NUMPY\x01\x00"
    (length,) = struct.unpack("<H", data[8:10])
    assert (10 + length) % 64 == 0 and data[9 + length:10 + length] == b"\n"
    header = ast.literal_eval(data[10:10 + length].decode("ascii"))
    assert header["descr"] == "<f4" and header["fortran_order"] is False
    rows, dims = header["shape"]
    values = array.array("f", data[10 + length:])
    assert len(values) == rows * dims
    return (rows, dims), [values[i * dims:(i + 1) * dims] for i in range(rows)]


def tar_of(path, files):
    """A tar of (name in bytes, data), in this order."""
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT, encoding="utf-8",
                      errors="surrogateescape") as tar:
        for name, data in files:
            info = tarfile.TarInfo(name.decode("utf-8", "surrogateescape"))
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


def wait_until(condition, what, limit_s=WAIT_S):
    """What the condition says at last."""
    until = time.monotonic() + limit_s
    while not (got := condition()):
        assert time.monotonic() < until, f"waited {limit_s} s for {what}"
        time.sleep(0.02)
    return got


BROKEN = {
    b"empty.jpg": b"",
    b"one.png": b"\x89",
    b"notes.txt": b"no picture at all\n",
    b"cut.jpg": fixture("waves.jpg")[:700],
    b"labelled.jpg": b"GIF89a" + bytes(100),
}
GOOD = {
    b"a1.png": png(1),
    b"beach/a-2_x.png": png(2),
    b"beach/2020/with space.png": png(3),
    "stra\u00dfe/\u6f22\u5b57.png".encode(): png(4),
    b"caf\xe9.png": png(5),  # Latin-1: no UTF-8
    b"wrong.png": fixture("waves.jpg"),  # a JPEG all the same
    b"d" * 60 + b"/" + b"e" * 60 + b"/long.png": png(6),
    b"copy.png": png(1),
}
