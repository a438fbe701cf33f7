# SPDX-License-Identifier: BSD-3-Clause
"""house: the daemon of a storm, its arenas, and a service manager that keeps its sockets and connections, or does not."""

import array
import errno
import fcntl
import json
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import threading
import time

from lab import ATTACH, CTL, DAEMON, LIST, READ_ONLY, MiB, Lab, pack_request

GiB = 1 << 30
FIRST_UID, NR_UIDS = 60001, 4   # beside root; tests/storm/stormer.h has the same
UIDS = range(FIRST_UID, FIRST_UID + NR_UIDS)
NOBODY = "65534"
# What ATTACH says to write and to read.
RIGHTS = {"user": (0, 0), "reader": (-errno.EACCES, 0), "none": (-errno.ENOENT, -errno.ENOENT)}
MENDABLE = re.compile("1 of the two superblocks is bad|copy . is bad, the other is good|of the zero map: the copies differ")
START_S = 30    # many processes share few processors
GDB_S = 120


def where_it_is(pid):
    """Where a process that does not go on is: its stack where gdb can tell it, else the system call that it is in."""
    try:
        done = subprocess.run(["gdb", "-p", str(pid), "-batch", "-ex", "thread apply all bt 12"], capture_output=True, text=True, timeout=GDB_S,
                              stdin=subprocess.DEVNULL, check=False)
        return "\n".join(line for line in done.stdout.splitlines() if line.startswith(("#", "Thread")))
    except (OSError, subprocess.TimeoutExpired) as e:
        why = e
    try:
        with open(f"/proc/{pid}/syscall") as f:
            return f"gdb does not tell ({why}); system call {f.read().strip()}"
    except OSError as e:
        return f"gdb does not tell ({why}), and the kernel does not: {e}"


def whom_it_hears(pid):
    """At the other end of each of its connections: who has it open. A descriptor store has it, and no daemon? Then nobody will ever answer."""
    try:
        lines = subprocess.run(["ss", "-xpH"], capture_output=True, text=True, timeout=GDB_S, check=False).stdout.splitlines()
    except (OSError, subprocess.TimeoutExpired) as e:
        return f"ss does not tell: {e}"
    rows = [line.split(None, 8) for line in lines]
    holders = {row[5]: row[8] if len(row) > 8 else "nobody" for row in rows if len(row) > 7}
    return "\n".join(f"its socket {row[5]}, {row[2]} bytes unread: the other end, {row[7]}, is held by {holders.get(row[7], 'nobody')}"
                     for row in rows if len(row) > 8 and f"pid={pid}," in row[8])


class Wrong(Exception):
    """What must not be."""


class Keeper:
    """What systemd does for READY=1, FDSTORE=1 and FDSTOREREMOVE=1, in a thread of its own."""

    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(path)
        os.chmod(path, 0o777)
        self.store, self.lock = {}, threading.Lock()
        self.ready = threading.Event()
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        while True:
            select.select([self.sock], [], [])
            with self.lock:
                self.hear()

    def hear(self):
        """All that was said so far."""
        while True:
            fds = array.array("i")
            try:
                data, control, _, _ = self.sock.recvmsg(4096, socket.CMSG_SPACE(64), socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            for level, kind, payload in control:
                if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                    fds.frombytes(payload[:len(payload) - len(payload) % 4])
            self.take(dict(line.split("=", 1) for line in data.decode().splitlines() if "=" in line), fds)

    def take(self, lines, fds):
        if lines.get("READY") == "1":
            self.ready.set()
        name = lines.get("FDNAME")
        if lines.get("FDSTORE") == "1" and len(fds):
            self.store.setdefault(name, []).extend(fds)
        else:
            for fd in fds:
                os.close(fd)
        if lines.get("FDSTOREREMOVE") == "1":
            self.drop(name)

    def drop(self, name):
        for fd in self.store.pop(name, []):
            os.close(fd)

    def held(self):
        """Connections whose other end is there; the rest is forgotten, as systemd does. And as systemd, it hears what a daemon said before it hears that
        the daemon is dead: what is taken from it later would be a connection that no daemon has, and whose client waits for ever."""
        with self.lock:
            self.hear()
            poll = select.poll()
            for fds in self.store.values():
                for fd in fds:
                    poll.register(fd, select.POLLRDHUP)
            gone = {fd for fd, what in poll.poll(0) if what & (select.POLLHUP | select.POLLRDHUP | select.POLLERR)}
            for name in [name for name, fds in self.store.items() if gone & set(fds)]:
                self.drop(name)
            return [(name, os.dup(fd)) for name, fds in self.store.items() for fd in fds]

    def forget(self):
        with self.lock:
            for name in list(self.store):
                self.drop(name)


class House:
    def __init__(self, directory, rng, big, faults=None):
        self.lab = lab = Lab(directory)
        os.chmod(directory, 0o755)
        self.rng, self.faults = rng, faults
        self.is_divided = os.getuid() == 0      # else all are one user
        self.keeper = Keeper(os.path.join(directory, "notify"))
        self.process, self.kills, self.stops, self.checks, self.refused_starts = None, 0, 0, 0, 0
        self.env = {**os.environ, "NOTIFY_SOCKET": os.path.join(directory, "notify")}
        if rng.random() < 0.5:
            self.env["PMEM2_FORCE_GRANULARITY"] = "CACHE_LINE"
        self.listeners = self.listen() if rng.random() < 0.5 else []
        lab.options = ["runtime-directory=" + lab.run]
        self.arenas = {}
        self.add("m2", "256M", page_size="2M")
        self.add("k4", "192M", page_size="4K")
        self.add("d2", "320M", page_size="2M", metadata="device")
        if big:
            self.add("g1", "3G", page_size="1G")
        # The last one: tests/storm/tenant.c counts on that.
        self.add("tn", "128M", page_size="2M")
        lab.config = os.path.join(directory, "conf")
        self.rights = {}
        self.configure()

    def add(self, name, size, **keys):
        device = os.path.join(self.lab.dir, name)
        self.arenas[name] = device
        self.lab.arena(name, device=device, size=size, **keys)

    def configure(self):
        """What may change while it runs."""
        with open(self.lab.config, "w") as f:
            f.write(f"[daemon]\nlog-level = {self.rng.choice(['info', 'notice', 'warning'])}\n"
                    f"scrub-rate = {self.rng.choice(['0', '0', '512M'])}\nverify-interval = {self.rng.choice(['1', '5', '300'])}\n")
            f.write("".join(f"[arena {name}]\n" for name in self.arenas) + (self.draw_rights() if self.is_divided else ""))

    def draw_rights(self):
        """Who may use the arena of tenants from now on: each user by uid or by group, as a reader, or not at all."""
        lists = {"users": [], "groups": [], "readers": []}
        for uid in UIDS:
            self.rights[uid] = self.rng.choice(("user", "user", "reader", "none"))
            if self.rights[uid] == "user":
                lists[self.rng.choice(("users", "groups"))].append(str(uid))
            elif self.rights[uid] == "reader":
                lists["readers"].append(self.rng.choice(("", "@")) + str(uid))
        return "".join(f"{key} = {', '.join(names) or NOBODY}\n" for key, names in lists.items())

    def unite(self):
        """Everybody may use everything, so that everybody can clear up."""
        self.is_divided = False
        self.configure()

    # -- its life --

    def listen(self):
        os.makedirs(self.lab.run, mode=0o755, exist_ok=True)
        sockets = []
        for kind, path in ((socket.SOCK_SEQPACKET, self.lab.socket), (socket.SOCK_STREAM, self.lab.admin_socket)):
            sock = socket.socket(socket.AF_UNIX, kind)
            sock.bind(path)
            sock.listen(128)
            os.chmod(path, 0o666)
            sockets.append(sock)
        return sockets

    def spawn(self):
        passed = [(name, os.dup(sock.fileno())) for name, sock in zip(("client", "admin"), self.listeners)] + self.keeper.held()

        def child():
            # All of them above what they are to become.
            high = [fcntl.fcntl(fd, fcntl.F_DUPFD, 500) for _, fd in passed]
            for i, fd in enumerate(high):
                os.dup2(fd, 3 + i, inheritable=True)
            os.closerange(3 + len(high), 1500)

        env = {**self.env, "PMEMARENA_FDSTORE": "1"}
        if passed:
            env |= {"LISTEN_FDS": str(len(passed)), "LISTEN_FDNAMES": ":".join(name for name, _ in passed)}
        preload = self.faults.preload() if self.faults else ""
        script = f"export LISTEN_PID=$$ {preload}; exec \"$@\""
        self.keeper.ready.clear()
        with open(self.lab.log_path, "ab") as log:
            self.process = subprocess.Popen(["sh", "-c", script, "sh", *self.lab.command()], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env=env, close_fds=False, preexec_fn=child)
        for _, fd in passed:
            os.close(fd)

    def is_up(self):
        """Waits until it is ready, or has ended."""
        deadline = time.monotonic() + START_S
        while not self.keeper.ready.wait(0.02):
            if self.process.poll() is not None:
                return False
            if time.monotonic() > deadline:
                raise Wrong(f"the daemon was not ready after {START_S} s")
        if not self.listeners:
            os.chmod(self.lab.socket, 0o666)
            os.chmod(self.lab.admin_socket, 0o666)
        return True

    def start(self, is_calm=False):
        at = self.log_size()
        self.spawn()
        if self.is_up():
            return
        if not self.faults or is_calm:
            raise Wrong(f"the daemon did not start, exit status {self.process.returncode}")
        self.ended(at)
        self.refused_starts += 1
        self.faults.calm()
        self.spawn()
        if not self.is_up():
            raise Wrong(f"the daemon does not start when nothing fails any more, exit status {self.process.returncode}")
        self.faults.blow()

    def ended(self, at):
        """By itself: only where calls fail, not by a signal, and with a sentence."""
        status = self.process.returncode
        with open(self.lab.log_path, errors="replace") as log:
            log.seek(at)
            said = log.read()
        if not self.faults or status < 0 or status == 0:
            raise Wrong(f"the daemon ended by itself, exit status {status}")
        if "pmemarenad" not in said and "<3>" not in said:
            raise Wrong(f"the daemon ended with exit status {status} and without a word: {said[-500:]}")

    def log_size(self):
        return os.path.getsize(self.lab.log_path) if os.path.exists(self.lab.log_path) else 0

    def look(self):
        """It lives, or ended for a reason and is started again."""
        if self.process.poll() is not None:
            self.ended(max(0, self.log_size() - 4000))
            self.start()

    def kill(self):
        self.look()
        self.process.kill()
        self.process.wait()
        self.kills += 1

    def stop(self):
        at = self.log_size()
        self.process.terminate()
        status = self.process.wait(START_S)
        self.stops += 1
        if self.faults and status != 0:
            self.ended(at)
        elif status != 0:
            raise Wrong(f"the daemon ended with exit status {status} after SIGTERM")

    def wants_store(self):
        if self.rng.random() < 0.5:
            self.keeper.forget()

    def reload(self):
        self.configure()
        self.process.send_signal(signal.SIGHUP)

    def check_rights(self):
        """The configuration is read again, and each user has what it says: no more, and no less."""
        self.configure()
        done = self.ctl("--json", "reload")
        if done.returncode != 0:
            raise Wrong(f"reload: {done.stderr}")
        tenants = len(self.arenas) - 1
        for uid, right in self.rights.items():
            client = self.connect_as(uid)
            listed = client.call(LIST, pack_request(arena=tenants)).results
            is_seen = not listed or listed[0].result == 0
            codes = {}
            for flags in (0, READ_ONLY):
                message = client.call(ATTACH, pack_request(arena=tenants, flags=flags))
                codes[flags] = message.arenas[0][0]
                for fd in message.fds:
                    os.close(fd)
            client.close()
            if is_seen != (right != "none") or codes[0] != RIGHTS[right][0] or codes[READ_ONLY] != RIGHTS[right][1]:
                raise Wrong(f"uid {uid} is a {right} of the arena of tenants: list {listed and listed[0].result}, attach {codes}")

    def connect_as(self, uid):
        os.setegid(uid)
        os.seteuid(uid)
        try:
            return self.lab.client()
        finally:
            os.seteuid(0)
            os.setegid(0)

    # -- is it sound? --

    def check_online(self):
        # Where calls fail it may be refused, and the daemon may be gone: but what it finds counts.
        expected = (0, 1, 3, -signal.SIGKILL) if self.faults else (0,)
        for name in self.arenas:
            for method in ("check", "check-memmap"):
                done = self.ctl("--json", method, "--arena", name)
                # A read that was made to fail is a bad copy for that once.
                if done.returncode not in expected and self.is_found(done) and self.faults:
                    done = self.ctl("--json", method, "--arena", name)
                if done.returncode not in expected and self.is_found(done):
                    raise Wrong(f"{method} of {name} while it is served: {done.stdout}{done.stderr}")
        self.checks += 1

    def is_found(self, done):
        """Of an arena that is offline nothing can be said."""
        return not self.faults or json.loads(done.stdout).get("findings")

    def is_mendable(self, done):
        """Who is killed in the middle of a write leaves one of two copies behind, and the next start makes it good again."""
        return done.returncode == 4 and all(MENDABLE.search(text) for text in json.loads(done.stdout)["findings"])

    def check_offline(self, killed=False):
        for name, device in self.arenas.items():
            done = self.ctl("--json", "check", device, asks_daemon=False)
            if done.returncode != 0 and not (killed and self.is_mendable(done)):
                raise Wrong(f"check of {name} at rest: {done.stdout}{done.stderr}")
        self.checks += 1

    def ctl(self, *args, asks_daemon=True):
        env = {**os.environ, "PMEMARENA_ADMIN_SOCKET": self.lab.admin_socket, "PMEMARENA_SOCKET": self.lab.socket, "PMEMARENAD": DAEMON}
        process = subprocess.Popen([CTL, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL, env=env)
        deadline = time.monotonic() + START_S
        while True:
            try:
                out, err = process.communicate(timeout=0.5)
                return subprocess.CompletedProcess(args, process.returncode, out, err)
            except subprocess.TimeoutExpired:
                # With a socket that outlives the daemon nobody would ever answer.
                if asks_daemon and self.process.poll() is not None:
                    process.kill()
                elif time.monotonic() > deadline:
                    process.kill()
                    process.communicate()
                    raise Wrong(f"pmemarenactl {' '.join(args)} was not answered in {START_S} s") from None

    def look_around(self):
        """What an operator asks; it is answered, or the daemon is just away."""
        for args in (("stats",), ("sessions",), ("list", "--arena", self.rng.choice(list(self.arenas)))):
            done = self.ctl("--json", *args)
            if done.returncode not in ((0, 1, 3, -signal.SIGKILL) if self.faults else (0, 3)):
                raise Wrong(f"pmemarenactl {' '.join(args)}: exit status {done.returncode}: {done.stderr}")

    def is_empty(self):
        """Everything was freed and nobody is left: all space is free again."""
        deadline = time.monotonic() + START_S
        while True:
            stats = json.loads(self.ctl("--json", "stats").stdout)["arenas"]
            left = {a["name"]: {k: a[k] for k in ("used", "reserved", "leased", "quarantined") if a[k]} for a in stats}
            if not any(left.values()):
                return
            if time.monotonic() > deadline:
                there = self.ctl("--json", "list").stdout
                raise Wrong(f"nobody is left, and space is not free: {left}\n{there[:2000]}")
            time.sleep(0.1)

    def story(self):
        """What failed in the daemon, and where it is."""
        if self.faults and self.process:
            yield f"the last calls that failed in the daemon (pid {self.process.pid}):"
            yield from self.faults.story(self.process.pid)
        if self.process and self.process.poll() is None:
            yield "the daemon is at"
            yield where_it_is(self.process.pid)

    def close(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for sock in self.listeners:
            sock.close()
        self.keeper.forget()
        shutil.rmtree(self.lab.dir, ignore_errors=True)


def has_room_for_gigabytes(directory):
    room = os.statvfs(directory)
    return room.f_bavail * room.f_frsize > 8 * GiB and room.f_bavail * room.f_frsize // MiB > 8192
