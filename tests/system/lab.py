# SPDX-License-Identifier: BSD-3-Clause
"""lab: a real daemon on a file arena in a directory of its own, and the means to talk to it: the client protocol written
a second time from doc/PROTOCOL.md, the admin socket, and pmemarenactl. Nothing here sleeps: it waits for READY=1, a reply
or the end of a connection, at most 10 seconds.

A test is a function with @test; main() runs each with a Lab of its own and prints PASS, FAIL or SKIP."""

import array
import errno
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import traceback

TIMEOUT = 10
TEST_TIMEOUT = 120
BUILD = os.environ.get("builddir", os.getcwd())
DAEMON = os.environ.get("PMEMARENAD", os.path.join(BUILD, "pmemarenad"))
CTL = os.environ.get("PMEMARENACTL", os.path.join(BUILD, "pmemarenactl"))
MiB = 1 << 20
# tmpfs: a commit to a file of a disk is the disk's latency, hundreds of times in a test.
ROOM = os.environ.get("PMEMARENA_LAB", "/dev/shm" if os.access("/dev/shm", os.W_OK) else None)

# The directory of each test stays, for somebody to look at. The daemon does not.
KEEP = bool(os.environ.get("PMEMARENA_KEEP"))

# ---- the wire ----

MAGIC, VERSION, MAX, MAX_ITEMS = 0x31414D50, 1, 65536, 256
(HELLO, ATTACH, RESERVE, PUBLISH, ABORT, FREE, OPEN, CLOSE, RESIZE, RENAME, SETATTR, STAT, EXTENTS, LIST, SUBSCRIBE, CARVE,
 WINDOW, PIN, USAGE, WAIT, TOUCH, SURVEY) = range(1, 23)
REPLY, EVENT = 0x8000, 0xC000
REPEATS, CARVES, LENDS, WINDOWS, USAGES, REPLACES, EVICTS, ATTRIBUTES = (1 << i for i in range(8))
WAITS = 1 << 9
BUNDLES = 1 << 10
SURVEYS = 1 << 11
(AND_PUBLISH, CONTIGUOUS, READ_ONLY, WANT_UID, UNMAPPED, SET_UID, SET_GID, SET_MODE, UNSUBSCRIBE, LEASE, KEEP_OPEN, RECALLS, LENT, IF_CLOSED,
 DONE, REPLACE) = (1 << i for i in range(16))
ALL_OR_NONE = 1 << 16
EVICTABLE = 1 << 18
ANY_CONTENTS = 1 << 19
WITH_ATTRIBUTES = 1 << 20
UNTIL_THERE = 1 << 21
IS_RESERVED, IS_POISONED, IS_LEASED, WAS_DONE = (1 << i for i in range(4))
HAS_ATTRIBUTES = 1 << 8
IS_EVICTABLE = 1 << 9
EVENT_PUBLISHED, EVENT_FREED, EVENT_RENAMED, EVENT_RESIZED, EVENT_SETATTRED, EVENT_POISONED, EVENT_RECALL, EVENT_OFFLINE, EVENT_LOST, EVENT_EVICTED, EVENT_ADDED, EVENT_REMOVED, EVENT_MOVED = range(1, 14)

HEADER = struct.Struct("<IHHIIQQ")
HELLO_ITEM = struct.Struct("<HHIQQ16s24x")
WELCOME = struct.Struct("<iHHQQ16sQIIQ")
ARENA = struct.Struct("<iI16s64sQQQQQIIQII96sQ")
USAGE_ITEM = struct.Struct("<iI12Q24x")
WINDOW_ITEM = struct.Struct("<iIQ16sII24x")
REQUEST = struct.Struct("<HHIIIQQQIIIH10x")
RESULT = struct.Struct("<HHiIIQQIIIIIHHQQQ16x")
EXTENT = struct.Struct("<QQ")
assert [s.size for s in (HEADER, HELLO_ITEM, WELCOME, ARENA, REQUEST, RESULT)] == [32, 64, 64, 256, 64, 96]


def pack_request(name=b"", flags=0, arena=0, slot=0, id=0, len_=0, arg=0, uid=0, gid=0, mode=0, attributes=b""):
    flags |= WITH_ATTRIBUTES if attributes else 0
    text = name + attributes
    padded = text + b"\0" * (-len(text) % 8)
    return REQUEST.pack(REQUEST.size + len(padded), len(name), flags, arena, slot, id, len_, arg, uid, gid, mode, len(attributes)) + padded


class Result:
    def __init__(self, data):
        (size, nr, self.result, self.arena, self.slot, self.id, self.len, self.uid, self.gid, self.mode, self.flags, self.nr_extents,
         text_len, attributes_len, self.version, self.created_ns, self.cursor) = RESULT.unpack_from(data)
        self.extents = [EXTENT.unpack_from(data, RESULT.size + i * EXTENT.size) for i in range(nr)]
        rest = data[RESULT.size + nr * EXTENT.size:]
        text, self.attributes = rest[:text_len], rest[text_len:][:attributes_len]
        self.name = text if self.result == 0 else b""
        self.message = text.decode(errors="replace") if self.result < 0 else ""
        self.size = size

    def handle(self):
        return {"arena": self.arena, "slot": self.slot, "id": self.id}


class Message:
    def __init__(self, data, fds):
        magic, version, self.opcode, length, self.count, self.tag, _ = HEADER.unpack_from(data)
        assert magic == MAGIC and version == VERSION and length == len(data), "a broken message from the daemon"
        self.fds, self.results, self.arenas = fds, [], []
        at = HEADER.size
        if self.opcode == HELLO | REPLY:
            (self.result, self.version, _, self.features, self.session, self.token, self.last_tag, self.resumed, self.max_items, self.read_tag) = WELCOME.unpack_from(data, at)
            self.arenas = [ARENA.unpack_from(data, at + WELCOME.size + i * ARENA.size) for i in range(self.count - 1)]
        elif self.opcode == ATTACH | REPLY:
            self.arenas = [ARENA.unpack_from(data, at)]
        elif self.opcode == SURVEY | REPLY:
            self.arenas = [ARENA.unpack_from(data, at + i * ARENA.size) for i in range(self.count)]
        elif self.opcode == WINDOW | REPLY:
            self.window = WINDOW_ITEM.unpack_from(data, at)
        elif self.opcode == USAGE | REPLY:
            self.usage = USAGE_ITEM.unpack_from(data, at)
        else:
            for _ in range(self.count):
                self.results.append(Result(data[at:]))
                at += self.results[-1].size
            assert at == len(data), "bytes behind the last item"


class Client:
    """One connection. hello() by default; tags count up by themselves."""

    def __init__(self, lab, hello=True, session=0, token=b"\0" * 16, features=0):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.sock.settimeout(TIMEOUT)
        self.sock.connect(lab.socket)
        self.tag = 0
        if hello:
            self.welcome = self.hello(session, token, features=features)

    def hello(self, session=0, token=b"\0" * 16, versions=(1, 1), features=0):
        self.send_raw(HEADER.pack(MAGIC, VERSION, HELLO, 96, 1, 0, 0) + HELLO_ITEM.pack(versions[0], versions[1], 0, features, session, token))
        return self.receive()

    def send_raw(self, data, fds=()):
        control = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        self.sock.sendmsg([data], control)

    def send(self, opcode, *items, tag=None, repeats=0, fds=()):
        if tag is None:
            self.tag += 1
            tag = self.tag
        body = b"".join(items)
        self.send_raw(HEADER.pack(MAGIC, VERSION, opcode, HEADER.size + len(body), len(items), tag, repeats) + body, fds)
        return tag

    def receive(self):
        """The next message, or None when the daemon hung up."""
        fds = array.array("i")
        try:
            data, control, flags, _ = self.sock.recvmsg(MAX, socket.CMSG_SPACE(4 * 4))
        except ConnectionResetError:
            return None
        for level, kind, payload in control:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                fds.frombytes(payload[:len(payload) - len(payload) % 4])
        return Message(data, list(fds)) if data else None

    def call(self, opcode, *items, repeats=0, fds=()):
        """All results of one message; events that come meanwhile are kept in self.events."""
        tag = self.send(opcode, *items, repeats=repeats, fds=fds)
        while True:
            message = self.receive()
            assert message, "the daemon hung up"
            if message.opcode == EVENT:
                self.events = getattr(self, "events", []) + message.results
                continue
            assert (message.tag, message.opcode) == (tag, opcode | REPLY)
            return message

    def one(self, opcode, **fields):
        return self.call(opcode, pack_request(**fields)).results[0]

    def ok(self, opcode, **fields):
        result = self.one(opcode, **fields)
        assert result.result == 0, f"{errno.errorcode.get(-result.result)}: {result.message}"
        return result

    def refused(self, code, opcode, **fields):
        """It is refused with this error; returns the message for a person, which must be there."""
        result = self.one(opcode, **fields)
        assert result.result == -code, f"expected {errno.errorcode[code]}, got {errno.errorcode.get(-result.result)}: {result.message}"
        assert result.message, "a refusal without a word"
        return result.message

    def create(self, name=b"", len_=4096, **fields):
        flags = fields.pop("flags", 0)
        return self.ok(RESERVE, name=name, len_=len_, flags=flags | AND_PUBLISH, **fields)

    def is_hung_up_on(self):
        return self.receive() is None

    def list(self, prefix=b"", max_=0):
        names, cursor = [], 0
        while True:
            message = self.call(LIST, pack_request(name=prefix, arg=cursor, len_=max_))
            for result in message.results:
                assert result.result == 0, result.message
            names += [r.name for r in message.results]
            cursor = message.results[-1].cursor if message.results else 0
            if cursor == 0:
                return names

    def close(self):
        self.sock.close()


# ---- the daemon ----


class Refusal(Exception):
    def __init__(self, code, message):
        super().__init__(f"{code}: {message}")
        self.code, self.message = code, message


class Lab:
    def __init__(self, directory):
        self.dir = directory
        self.run = os.path.join(directory, "run")
        self.socket = os.path.join(self.run, "pmemarena.sock")
        self.admin_socket = os.path.join(self.run, "admin.sock")
        self.device = os.path.join(directory, "arena")
        self.log_path = os.path.join(directory, "log")
        self.options = ["log-level=debug", "runtime-directory=" + self.run]
        self.arena(size="256M")
        self.process = None
        self.notify = None
        self.id = 0

    def arena(self, name="main", **keys):
        keys = {"device": self.device, "format": "if-blank", **{k.replace("_", "-"): v for k, v in keys.items()}}
        self.options = [o for o in self.options if not o.startswith(f"arena.{name}.")]
        self.options += [f"arena.{name}.{k}={v}" for k, v in keys.items()]

    def command(self, *options):
        args = [DAEMON, "-c", "/dev/null" if not getattr(self, "config", None) else self.config]
        for option in (*self.options, *options):
            args += ["-o", option]
        return args

    def spawn(self, *options, env=None, **kwargs):
        path = os.path.join(self.dir, "notify")
        if self.notify:
            self.notify.close()
            os.unlink(path)
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.settimeout(TIMEOUT)
        self.notify.bind(path)
        os.chmod(path, 0o777)
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(self.command(*options), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env={**os.environ, "NOTIFY_SOCKET": path, **(env or {})}, **kwargs)
        return self

    def wait_for(self, what):
        """A notification that has this line; returns it as a dict."""
        while True:
            self.notify.settimeout(0.05 if self.process.poll() is not None else TIMEOUT)
            try:
                lines = self.notify.recv(4096).decode().splitlines()
            except socket.timeout:
                raise AssertionError(f"no {what} from the daemon (exit status {self.process.poll()}); its log:\n{self.log()}") from None
            if what in lines or any(line.startswith(what) for line in lines):
                return dict(line.split("=", 1) for line in lines)

    def drain(self):
        """Nobody waits for what the daemon has said. It says its status again and again, and would stand still after the tenth that
        nobody has read."""
        self.notify.setblocking(False)
        try:
            while self.notify.recv(4096):
                pass
        except BlockingIOError:
            pass

    def start(self, *options, **kwargs):
        self.spawn(*options, **kwargs)
        self.status = self.wait_for("READY=1")["STATUS"]
        return self

    def signal(self, sig):
        self.process.send_signal(sig)

    def kill(self):
        self.process.kill()
        self.process.wait(TIMEOUT)

    def stop(self):
        self.process.terminate()
        status = self.process.wait(TIMEOUT)
        assert status == 0, f"exit status {status} after SIGTERM:\n{self.log()}"

    def restart(self, *options):
        self.stop()
        return self.start(*options)

    def refuse_start(self, *options, status=1):
        """It must not start; returns what it said."""
        done = subprocess.run(self.command(*options), capture_output=True, timeout=TIMEOUT, stdin=subprocess.DEVNULL, check=False)
        text = done.stderr.decode(errors="replace")
        assert done.returncode == status, f"exit status {done.returncode}, not {status}: {text}"
        assert text.strip(), "it said nothing"
        return text

    def log(self):
        with open(self.log_path, errors="replace") as log:
            return log.read()

    def client(self, **kwargs):
        return Client(self, **kwargs)

    # -- admin --

    def admin_connect(self):
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.settimeout(TIMEOUT)
        sock.connect(self.admin_socket)
        return sock, sock.makefile("r", encoding="utf-8")

    def admin_line(self, line):
        """One raw line; returns the response as a dict."""
        sock, file = self.admin_connect()
        with sock, file:
            sock.sendall(line if isinstance(line, bytes) else line.encode() + b"\n")
            return json.loads(file.readline())

    def admin(self, method, **params):
        self.id += 1
        response = self.admin_line(json.dumps({"jsonrpc": "2.0", "id": self.id, "method": method, "params": params}))
        assert response["jsonrpc"] == "2.0" and response["id"] == self.id
        if "error" in response:
            raise Refusal(response["error"]["code"], response["error"]["message"])
        assert response["result"]["schema"] == 1
        return response["result"]

    def stats(self):
        return self.admin("stats")["arenas"][0]

    def is_sound(self):
        for method in ("check", "check-memmap"):
            found = self.admin(method)
            assert found["clean"], f"{method}: {found['findings']}"

    # -- pmemarenactl --

    def ctl(self, *args, status=0, **kwargs):
        done = subprocess.run([CTL, *args], capture_output=True, timeout=TIMEOUT, stdin=subprocess.DEVNULL, check=False,
                              env={**os.environ, "PMEMARENA_ADMIN_SOCKET": self.admin_socket, "PMEMARENA_SOCKET": self.socket,
                                   "PMEMARENAD": DAEMON}, **kwargs)
        out, err = done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
        assert done.returncode == status, f"pmemarenactl {' '.join(args)}: exit status {done.returncode}, not {status}: {out}{err}"
        return out if status in (0, 4) else err

    def ctl_json(self, *args, **kwargs):
        return json.loads(self.ctl("--json", *args, **kwargs))

    def close(self):
        if self.process and self.process.poll() is None:
            self.kill()
        if self.notify:
            self.notify.close()


# ---- running ----

_tests = []


class Skip(Exception):
    pass


def test(function):
    _tests.append(function)
    return function


def expect(code, function, *args, **kwargs):
    """An admin call that must be refused with this code; returns its message."""
    try:
        function(*args, **kwargs)
    except Refusal as refusal:
        assert refusal.code == code, f"expected code {code}, got {refusal}"
        assert refusal.message
        return refusal.message
    raise AssertionError("it was not refused")


def as_user(uid, function):
    """Run it in a child with this uid; what it asserts counts."""
    if os.getuid() != 0:
        raise Skip("changing the user needs root")
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            os.setgroups([])
            os.setgid(uid)
            os.setuid(uid)
            function()
            status = 0
        except BaseException:
            traceback.print_exc(file=sys.stdout)
            sys.stdout.flush()
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def open_to_all(lab):
    os.chmod(lab.dir, 0o755)
    os.chmod(lab.socket, 0o666)
    os.chmod(lab.admin_socket, 0o666)


def wait_until(condition, timeout=TIMEOUT):
    """For what has no reply to wait for: asks the daemon again and again, and each asking is a round trip."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            return False
    return True


def run_one(function):
    directory = tempfile.mkdtemp(prefix="pmemarena-lab.", dir=ROOM)
    lab = Lab(directory)
    signal.alarm(TEST_TIMEOUT)
    try:
        function(lab)
        print("PASS", function.__name__, flush=True)
        return True
    except Skip as skip:
        print(f"SKIP {function.__name__}: {skip}", flush=True)
        return True
    except Exception as failure:  # every failure of a test is one line and its trace
        print(f"FAIL {function.__name__}: {type(failure).__name__}: {failure}".replace("\n", " | ")[:600], flush=True)
        traceback.print_exc(file=sys.stdout)
        print(lab.log()[-2000:] if os.path.exists(lab.log_path) else "", flush=True)
        return False
    finally:
        signal.alarm(0)
        lab.close()
        if KEEP:
            print(f"KEPT {directory}: the arena, the log and the runtime directory", flush=True)
        else:
            shutil.rmtree(directory, ignore_errors=True)


def too_long(*_):
    raise TimeoutError(f"it took more than {TEST_TIMEOUT} s")


def main():
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, too_long)
    chosen = [t for t in _tests if len(sys.argv) < 2 or t.__name__ in sys.argv[1:]]
    sys.exit(0 if all([run_one(t) for t in chosen]) else 1)
