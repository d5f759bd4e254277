"""Bad luck on order: a disk that fills up, a wall clock that is set, a load that comes and goes."""
import ctypes
import errno
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "luck.c")


class Luck:
    """The clock and the load that a server sees which was started with `env`."""

    def __init__(self):
        if not shutil.which("cc"):
            raise unittest.SkipTest("there is no C compiler to build luck.c with")
        self.folder = tempfile.mkdtemp(prefix="akin-luck-")
        library = os.path.join(self.folder, "luck.so")
        subprocess.run(["cc", "-O1", "-shared", "-fPIC", "-o", library, SOURCE], check=True)
        self.path = os.path.join(self.folder, "luck")
        self.seconds, self.load = 0, 0.0
        self.set()
        self.env = {"LD_PRELOAD": library, "AKIN_LUCK": self.path,
                    # asan wants to be the first library, and is not harmed by this one
                    "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"}

    def set(self, seconds=None, load=None):
        """The wall clock is to be off by so many seconds, the load average to be this."""
        self.seconds = self.seconds if seconds is None else seconds
        self.load = self.load if load is None else load
        with open(self.path + ".new", "w", encoding="ascii") as file:
            file.write(f"{int(self.seconds)} {self.load}")
        os.rename(self.path + ".new", self.path)

    def close(self):
        shutil.rmtree(self.folder)


def alone_where_needed():
    """Before a test program's main: mounting takes rights that a user has in a namespace alone."""
    if os.geteuid() and "AKIN_UNSHARED" not in os.environ and shutil.which("unshare") and \
            subprocess.run(["unshare", "-rm", "true"], stderr=subprocess.DEVNULL).returncode == 0:
        os.environ["AKIN_UNSHARED"] = "1"
        os.execvp("unshare", ["unshare", "-rm", sys.executable, *sys.argv])


class Disk:
    """A file system of its own in memory, at `path`."""

    def __init__(self, size):
        self.path = tempfile.mkdtemp(prefix="akin-disk-")
        self.libc = ctypes.CDLL(None, use_errno=True)
        if self.libc.mount(b"akin", self.path.encode(), b"tmpfs", 0, f"size={size}".encode()):
            os.rmdir(self.path)
            raise unittest.SkipTest("a file system cannot be mounted here: " +
                                    os.strerror(ctypes.get_errno()))
        self.ballast = os.path.join(self.path, "ballast")

    def fill(self, leave=0):
        """Until so many bytes are free."""
        file = os.open(self.ballast, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            while (much := self.free() - leave) > 0:
                try:
                    os.posix_fallocate(file, os.fstat(file).st_size, much)
                except OSError as fault:
                    if fault.errno != errno.ENOSPC:  # else somebody took of it meanwhile
                        raise
        finally:
            os.close(file)

    def free(self):
        fs = os.statvfs(self.path)
        return fs.f_bavail * fs.f_frsize

    def relieve(self):
        if os.path.exists(self.ballast):
            os.unlink(self.ballast)

    def close(self):
        self.libc.umount2(self.path.encode(), 2)  # MNT_DETACH
        os.rmdir(self.path)
