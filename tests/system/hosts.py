# SPDX-License-Identifier: BSD-3-Clause
"""hosts: daemons that seem to run on hosts of their own, on one device, and clients whose mappings outlive them. guise.c shows them another
machine id, boot, name and product, and keeps their locks apart. The judge is image.py."""

import contextlib
import hashlib
import mmap
import os

from lab import *   # noqa: F403
from image import Image

LIBRARY = os.path.join(BUILD, "tests/system/.libs/guise.so")


def digits(*words):
    return hashlib.md5(" ".join(map(str, words)).encode()).hexdigest()


class Host(Lab):
    """A host of its own, on the device of @lab, with a kernel of its own: none sees the locks of another."""

    def __init__(self, lab, name, **keys):
        if "ASAN_OPTIONS" in os.environ or not os.path.exists(LIBRARY):
            raise Skip("a sanitizer wants to be the first library")
        directory = os.path.join(lab.dir, name)
        os.mkdir(directory)
        super().__init__(directory)
        self.device, self.name, self.guise, self.boots = lab.device, name, os.path.join(directory, "guise"), 0
        os.mkdir(self.guise)
        self.show("machine-id", digits(name))
        self.show("hostname", name)
        self.show("product_uuid", digits(name, "dmi"))
        lab.kernels = getattr(lab, "kernels", 0) + 1
        self.show("kernel", str(lab.kernels))
        self.boot()
        self.keys = {"size": "64M", **keys}
        self.arena(**self.keys)
        os.mkdir(os.path.join(directory, "state"))
        self.options.append("state-directory=" + os.path.join(directory, "state"))
        lab.close_all = getattr(lab, "close_all", lab.close)
        lab.others = [*getattr(lab, "others", []), self]
        lab.close = lambda: [other.close() for other in lab.others] and lab.close_all()

    def show(self, file, text):
        with open(os.path.join(self.guise, file), "w") as f:
            f.write(text + "\n" if text else "")

    def boot(self):
        """Another boot: the runtime directory is empty, and what ran is gone."""
        self.boots += 1
        d = digits(self.name, self.boots)
        self.show("boot_id", "-".join((d[:8], d[8:12], d[12:16], d[16:20], d[20:])))
        shutil.rmtree(self.run, ignore_errors=True)

    @property
    def env(self):
        return {"LD_PRELOAD": LIBRARY, "GUISE": self.guise}

    def start(self, *options, **kwargs):
        return super().start(*options, env=self.env, **kwargs)

    def refuse_start(self, *options, status=1):
        """It must not start; returns what it said."""
        with self.in_guise():
            return super().refuse_start(*options, status=status)

    @contextlib.contextmanager
    def in_guise(self):
        os.environ.update(self.env)
        try:
            yield
        finally:
            for key in self.env:
                del os.environ[key]

    def ctl(self, *args, status=0, **kwargs):
        with self.in_guise():
            return super().ctl(*args, status=status, **kwargs)

    def image(self):
        image = Image(self.device, None if self.keys.get("metadata") == "device" else self.device + ".meta")
        assert all(copy.is_good and copy.seq == image.sb.seq for copy in image.copies)
        return image


class Mapping:
    """A client that has the arena mapped: its mark stays while it lives, whatever becomes of the daemon."""

    def __init__(self, host, name, size):
        self.client = host.client()
        self.fd = self.client.call(ATTACH, pack_request()).fds[0]
        self.made = self.client.create(name, size)
        self.client.ok(OPEN, name=name)
        self.extents = self.made.extents
        self.maps = [mmap.mmap(self.fd, length, offset=off) for off, length in self.extents]
        for i, m in enumerate(self.maps):
            m[:8] = b"mine %03d" % i
            m[-8:] = b"tail %03d" % i

    def is_whole(self):
        return all(m[:8] == b"mine %03d" % i and m[-8:] == b"tail %03d" % i for i, m in enumerate(self.maps))

    def free(self):
        self.client.ok(FREE, **self.made.handle())

    def close(self):
        for m in self.maps:
            m.close()
        os.close(self.fd)
        self.client.close()
