# SPDX-License-Identifier: BSD-3-Clause
"""stage: a daemon that serves three arenas, and one attempt after the other with it, in each of which calls fail. What is asked
while they do is a case; afterwards there is as much of everything as before. For test_failing_served and test_failing_admin."""

import errno
import json
import os
import random
import re
import select
import struct

from lab import *
from failing import STRIDE, Sweep, flaw_of_words, grown_log, is_served, three_arenas

# So long a client waits while calls fail: what an answer needs may fail for good.
PATIENCE = 0.2
PAGE = {0: 2 * MiB, 1: 4096}


def is_readable(sock, timeout):
    return bool(select.select([sock], [], [], timeout)[0])


class Stage:
    """One attempt: sessions and connections that are made before calls fail, and what is asked while they do."""

    def __init__(self, lab, sweep, arena=0):
        self.lab, self.sweep, self.arena, self.page = lab, sweep, arena, PAGE[arena]
        self.clients = []
        self.client = self.join()
        self.log_at = os.path.getsize(lab.log_path)

    def join(self, **kwargs):
        client = self.lab.client(**kwargs)
        self.clients.append(client)
        return client

    def begin(self):
        self.sweep.begin()

    def wait(self, sock):
        """Until there is something to read, also when only the end of the failures brings it."""
        if not is_readable(sock, PATIENCE):
            self.sweep.end()

    def ask(self, opcode, *items, client=None):
        """The reply while calls fail; None: the daemon hung up."""
        client = client or self.client
        self.begin()
        tag = client.send(opcode, *items)
        while True:
            self.wait(client.sock)
            message = client.receive()
            if message is None or message.opcode != EVENT:
                break
        self.sweep.end()
        assert message is None or (message.tag, message.opcode) == (tag, opcode | REPLY), "a reply to something else"
        return message

    def one(self, opcode, **fields):
        message = self.ask(opcode, pack_request(arena=self.arena, **fields))
        return message.results[0] if message else None

    def ask_of(self, opcode, **fields):
        """About a handle, which has the arena."""
        message = self.ask(opcode, pack_request(**fields))
        return message.results[0] if message else None

    def create(self, name=b"case", len_=None, **fields):
        return self.client.create(name, len_ or self.page, arena=self.arena, **fields).handle()

    def flaw_of(self, result):
        """Of a result, or of None: an end of the connection."""
        if result is None:
            return self.flaw_of_end()
        if result.result >= 0:
            return None
        if not result.message:
            return f"it was refused ({errno.errorcode.get(-result.result)}) without a word"
        flaw = flaw_of_words(result.message, self.sweep.failing.error) if self.sweep.failing.struck else "nothing failed"
        # It would have waited; that it cannot is no lie about why there is no room.
        if "still being scrubbed" in result.message or "reserved and not published" in result.message:
            return None
        return f"refused ({errno.errorcode.get(-result.result)}): {flaw}" if flaw else None

    def flaw_of_end(self):
        """The log says why, or counts that it did not: it has a few lines a minute and user of what clients can cause."""
        self.sweep.end()
        if not self.sweep.failing.struck:
            return "the connection ended, and nothing failed"
        self.lab.admin("ping")
        text = "".join(line + "\n" for line in grown_log(self.lab, self.log_at).splitlines() if "more lines about" not in line)
        if not text:
            self.sweep.unsaid += 1
            return None
        flaw = flaw_of_words(text, self.sweep.failing.error)
        return f"the connection ended; its log: {flaw}" if flaw else None

    def is_there(self, name=b"case"):
        return self.lab.client().one(STAT, name=name, arena=self.arena).result == 0

    def close(self):
        for client in self.clients:
            client.close()


# ---- cases ----

CASES = {}


def case(function):
    CASES[function.__name__] = function
    return function


# ---- before and after ----

GOOD = "[daemon]\nlog-level = info\ngrace = 9\n[quota default]\nsessions = 40\n[quota nobody]\nbytes = 1G\n"


def write_config(lab, text):
    with open(lab.config, "w") as f:
        f.write(text)


def drain(sock):
    while is_readable(sock, 0):
        sock.recv(4096)


def ask_again(lab):
    """Over a connection that stays: one that is just ending would be counted now and then."""
    for _ in range(2):
        try:
            if not lab.kept:
                lab.kept = lab.admin_connect()
            lab.kept[0].sendall(b'{"jsonrpc": "2.0", "id": 1, "method": "stats"}\n')
            return json.loads(lab.kept[1].readline())["result"]
        except (OSError, ValueError):
            lab.kept = None
    raise AssertionError("the admin socket does not answer")


def state(lab):
    """What there is, from inside and outside."""
    stats = ask_again(lab)
    now = {"sessions": stats["sessions"]["now"]}
    for arena in stats["arenas"]:
        for key in ("used", "reserved", "leased", "quarantined", "free", "published_allocations", "reserved_allocations", "freeing_allocations",
                    "slots_used", "holders", "holds", "ended_sessions", "state"):
            now[f"{arena['name']}.{key}"] = arena[key]
        # Free is also what the scrubber still writes to: if that fails now, it shows in what is asked next, where nothing failed.
        now[f"{arena['name']}.to be scrubbed"] = arena["free"] - arena["known_zero"]
    now.update(descriptors(lab.process.pid))
    return now


def descriptors(pid):
    """How many of what. The memmap makes files in memory when it needs them."""
    kinds = {}
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            kind = re.sub(r":?\[\d+\]$", "", os.readlink(f"/proc/{pid}/fd/{fd}"))
        except FileNotFoundError:
            continue
        if not kind.startswith("/memfd:"):
            kinds["open " + kind] = kinds.get("open " + kind, 0) + 1
    return kinds


def difference(lab, before):
    now = {}

    def is_as_before():
        now.update(state(lab))
        return now == before
    if wait_until(is_as_before, 3):
        return None
    return "left behind: " + ", ".join(f"{k} {before.get(k)} -> {now.get(k)}" for k in {**before, **now} if before.get(k) != now.get(k))


def clean_up(lab):
    client = lab.client()
    for arena in range(3):
        cursor = 0
        while True:
            message = client.call(LIST, pack_request(arena=arena, name=b"case", arg=cursor))
            for result in message.results:
                client.one(FREE, flags=UNMAPPED, **result.handle())
            cursor = message.results[-1].cursor if message.results else 0
            if not cursor:
                break
    client.close()


def has_scrubbed(lab):
    """An arena whose scrubber could not write goes offline then, and not before."""
    return all(a["free"] == a["known_zero"] or a["state"] != "online" for a in ask_again(lab)["arenas"])


def begin_service(lab):
    """What the daemon makes for administrators once is there from the beginning; what an attempt left behind before is not."""
    lab.kept = None
    lab.start(env=lab.env)
    clean_up(lab)
    for arena in ("main", "small", "whole"):
        assert wait_until(lambda: all(a["largest_free"] > 0 for a in lab.admin("stats")["arenas"]))
        lab.admin("create", name="first", size="4K", arena=arena)
        lab.admin("rm", name="first", arena=arena)
    # Sessions of a daemon that was killed are over when the grace time is.
    def is_over():
        return ask_again(lab)["sessions"]["awaited"] == 0 and all(a["holders"] == 1 for a in ask_again(lab)["arenas"])
    assert wait_until(is_over), "sessions of the daemon before stay"
    assert wait_until(lambda: has_scrubbed(lab)), "what is free is not scrubbed"
    if not lab.first:
        lab.first = state(lab)
    flaw = difference(lab, lab.first)
    assert not flaw, f"after a restart {flaw}"
    return lab.first


def attempt(lab, sweep, run, arena, before):
    """One failure; returns the flaw, and the state before the next one."""
    # The daemon waits for a service manager that does not read.
    drain(lab.notify)
    stage = None
    try:
        stage = Stage(lab, sweep, arena)
        flaw = run(stage)
    except (OSError, AssertionError, Refusal, struct.error, ValueError) as failure:
        flaw = f"{type(failure).__name__} {failure}"
    sweep.end()
    if stage:
        stage.close()
    log_at = stage.log_at if stage else 0
    try:
        if lab.process.poll() is not None:
            return f"the daemon ended ({lab.process.returncode}): {grown_log(lab, log_at)[-300:]}", begin_service(lab)
        clean_up(lab)
        wait_until(lambda: has_scrubbed(lab), 3)
        is_offline = any(lab.admin("status")["arenas"][i]["state"] != "online" for i in range(3))
        if is_offline:
            # A device that cannot be written is no longer served; that it could not has to be true.
            said = wait_until(lambda: "is offline" in grown_log(lab, log_at), 3)
            text = grown_log(lab, log_at)
            is_true = said and sweep.failing.error == errno.EIO and not flaw_of_words(text, errno.EIO)
            flaw = flaw or (None if is_true else f"an arena went offline: {text[-300:]}")
            lab.stop()
            return flaw, begin_service(lab)
        flaw = flaw or difference(lab, before) or is_served(lab, may_refuse=False) or difference(lab, before)
        lab.is_sound()
    except (OSError, AssertionError, Refusal) as failure:
        flaw = flaw or f"afterwards: {type(failure).__name__} {failure}"
    if flaw:
        if lab.process.poll() is None:
            lab.kill()
        return f"{flaw}; log: {grown_log(lab, log_at)[-300:]}", begin_service(lab)
    return None, before


def serve(lab):
    three_arenas(lab)
    lab.config = os.path.join(lab.dir, "config")
    write_config(lab, GOOD)
    lab.options.append("grace=0")
    lab.options.append("metrics-listen=" + os.path.join(lab.dir, "metrics"))
    sweep = Sweep(lab, 2)
    sweep.unsaid, lab.first = 0, None
    lab.env = sweep.failing.env
    return sweep, begin_service(lab)


def sweep_cases(lab, names):
    sweep, before = serve(lab)
    chosen = [n for n in names if not ONLY or any(o in n for o in ONLY)]
    for name in chosen:
        arenas = (0,) if name.startswith(("admin", "reload", "metrics", "hello")) else (0, 1) if STRIDE else (random.randrange(2),)
        for arena in arenas:
            box = [before]

            def once():
                flaw, box[0] = attempt(lab, sweep, CASES[name], arena, box[0])
                return flaw
            sweep.run(once, f"{name} {arena}")
            before = box[0]
    lab.stop()
    counted = sum(int(n) for n in re.findall(r"(\d+) more lines about", lab.log()))
    # A daemon that had to be killed took its count with it.
    assert sweep.flaws or counted >= sweep.unsaid, f"{sweep.unsaid} connections ended without a word, and {counted} are counted"
    sweep.verdict()


# For one who looks for a flaw: FAILING_ONLY="free admin_list"
ONLY = os.environ.get("FAILING_ONLY", "").split()
