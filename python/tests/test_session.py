#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Sessions: connecting, closing, a daemon that is not there, goes away, or speaks something else."""

import errno
import os
import pathlib
import pickle
import socket
import threading

from stage import Stage, lab, main, pmemarena


class Impostor(threading.Thread):
    """Listens where a daemon would, and answers each message with these bytes."""

    def __init__(self, path, answer):
        super().__init__(daemon=True)
        self.answer = answer
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.listener.bind(path)
        self.listener.listen()
        self.start()

    def run(self):
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            with peer:
                if peer.recv(65536):
                    peer.send(self.answer)


class TestSession(Stage):
    def test_session_tells_its_arenas(self):
        self.assertEqual([arena.info.name for arena in self.session.arenas()], ["main"])
        for which in (0, "main", self.arena.info.uuid, str(self.arena.info.uuid)):
            self.assertEqual(self.session.arena(which).index, 0)
        self.assertEqual(self.arena.info.page_size, 2 << 20)

    def test_arena_that_is_not_there_is_not_found(self):
        self.refused(FileNotFoundError, self.session.arena, "nowhere")
        self.refused(FileNotFoundError, self.session.arena, 7)
        self.refused(FileNotFoundError, self.session.usage, 7)

    def test_socket_may_be_a_path(self):
        with pmemarena.Session(pathlib.Path(self.lab.socket)) as session:
            self.assertFalse(session.closed)
        self.assertTrue(session.closed)

    def test_no_daemon_is_an_error_with_errno_and_class(self):
        with self.assertRaises(pmemarena.NotFoundError) as caught:
            pmemarena.Session(self.lab.dir + "/nothing")
        self.assertEqual(caught.exception.errno, errno.ENOENT)
        self.assertIsInstance(caught.exception, FileNotFoundError)
        self.assertEqual(caught.exception.symbol, "ENOENT")
        self.lab.kill()
        self.refused(ConnectionError, pmemarena.Session, self.lab.socket)

    def test_error_survives_pickle(self):
        try:
            self.arena.open("nothing")
        except pmemarena.Error as error:
            copy = pickle.loads(pickle.dumps(error))
            self.assertEqual((type(copy), str(copy), copy.filename), (type(error), str(error), "nothing"))

    def test_other_protocol_is_an_error(self):
        welcome = lab.WELCOME.pack(-errno.EPROTONOSUPPORT, 9, 0, 0, 0, b"\0" * 16, 0, 0, 256, 0)
        header = lab.HEADER.pack(lab.MAGIC, lab.VERSION, lab.HELLO | lab.REPLY, 32 + len(welcome), 1, 0, 0)
        for i, answer in enumerate((b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\0" * 96, header + welcome)):
            path = f"{self.lab.dir}/impostor{i}"
            impostor = Impostor(path, answer)
            self.refused(pmemarena.ProtocolError, pmemarena.Session, path, reconnect_ms=0)
            impostor.listener.close()

    def test_closed_session_refuses_everything(self):
        window = self.arena.window()
        allocation = self.arena.create("it", 4096)
        self.session.close()
        self.session.close()
        for function in (lambda: self.arena.create("other", 4096), lambda: list(self.arena.list()), self.arena.usage, allocation.map,
                         allocation.free, allocation.is_valid, self.session.arenas, self.session.fileno, self.session.dispatch,
                         self.arena.window, lambda: self.arena.subscribe(), lambda: window.get("it"), lambda: window.get_many(["it"]),
                         lambda: memoryview(window), lambda: len(window), lambda: window.ranges(2 << 20), self.session.__enter__,
                         allocation.extents, lambda: self.session.device_fd(0), lambda: allocation.set_mode(0o600),
                         lambda: allocation.set_attributes(b"x"), lambda: allocation.set_owner(0)):
            self.assertIn("closed", self.refused(pmemarena.ClosedError, function))
        self.assertTrue(window.closed)

    def test_uninitialised_objects_refuse(self):
        session = pmemarena.Session.__new__(pmemarena.Session)
        self.refused(OSError, session.fileno)
        session.__init__ = None
        mapping = pmemarena.Mapping.__new__(pmemarena.Mapping)
        self.refused(OSError, memoryview, mapping)
        self.refused(OSError, len, mapping)
        mapping.close()
        window = pmemarena.Window.__new__(pmemarena.Window)
        self.refused(OSError, window.get, "it")
        window.close()
        for kind in (pmemarena.Pin, pmemarena.Pins):
            self.assertRaises(TypeError, kind)

    def test_object_is_initialised_once(self):
        self.refused(RuntimeError, self.session.__init__, self.lab.socket)
        window = self.arena.window()
        self.refused(RuntimeError, window.__init__, self.session)
        self.assertIsNone(window.get("it"))

    def test_wrong_types_are_type_errors(self):
        window = self.arena.window()
        for function in (lambda: pmemarena.Session(7), lambda: self.arena.create(7, 4096), lambda: self.arena.create("x", "4096"),
                         lambda: self.arena.create("x", 4096, attributes="text"), lambda: window.get(7), lambda: window.get((1, 2)),
                         lambda: window.get(), lambda: window.get("x", "y"), lambda: window.get("x", remote=True),
                         lambda: window.get_many("x"), lambda: window.get_many(7), lambda: window.get_many([1.5]),
                         lambda: self.session.run_ops([7]), lambda: self.session.run_ops(7), lambda: pmemarena.Mapping(7, (0, 0, 1)),
                         lambda: pmemarena.Window(None), lambda: self.session.usage("main"), lambda: self.session.run_ops([(1,)]),
                         lambda: self.session.is_valid("x"), lambda: self.session.arena_find(7)):
            self.refused(TypeError, function)

    def test_numbers_that_cannot_be_are_overflows(self):
        for function in (lambda: self.arena.create("x", -1), lambda: self.arena.create("x", 1 << 64), lambda: self.session.usage(-1),
                         lambda: self.session.is_valid((1 << 32, 0, 0)), lambda: pmemarena.Session(self.lab.socket, reconnect_ms=-1),
                         lambda: self.session.set_owner((0, 0, 1), uid=1 << 40), lambda: self.arena.window(pins=1 << 40),
                         lambda: self.session.list_page(0, None, -1)):
            self.refused(OverflowError, function)

    def test_names_that_cannot_be_are_value_errors(self):
        window = self.arena.window()
        for function in (lambda: self.arena.create("a\0b", 4096), lambda: self.arena.create("", 4096),
                         lambda: self.arena.create("x" * 256, 4096), lambda: self.arena.open("a\0b"), lambda: window.get("a\0b"),
                         lambda: window.get(""), lambda: window.get("x" * 256), lambda: window.get((7, 0, 1))):
            self.refused(ValueError, function)

    def test_session_goes_on_with_another_daemon(self):
        it = self.arena.create("it", 4096)
        with it.map(write=True) as memory:
            memory.write(0, b"before")
            self.lab.kill()
            self.lab.start()
            self.assertEqual(self.arena.stat("it").handle, it.handle)
            memory.write(0, b"after")
        with it.map() as memory:
            self.assertEqual(bytes(memory)[:6], b"aftere")

    def test_lost_daemon_is_an_error(self):
        with pmemarena.Session(self.lab.socket, reconnect_ms=0) as session:
            arena = session.arena()
            self.lab.kill()
            self.refused(ConnectionError, arena.create, "it", 4096)
            self.refused(ConnectionError, arena.usage)

    def test_close_in_another_thread_waits_for_calls(self):
        """The daemon is stopped, so that a call is under way when the session is closed."""
        results = []

        def work():
            try:
                results.append(self.arena.create("it", 4096))
            except OSError as error:
                results.append(error)

        self.lab.signal(19)
        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        try:
            while not all(threads_wait_in_the_library(threads)):
                pass
            self.session.close()
            self.refused(pmemarena.ClosedError, self.arena.usage)
        finally:
            self.lab.signal(18)
        for thread in threads:
            thread.join()
        # A thread that still waited for the interpreter's lock comes too late.
        kinds = [type(r) for r in results]
        self.assertEqual(len(kinds), 4)
        self.assertLessEqual(kinds.count(pmemarena.Allocation), 1)
        self.assertLessEqual(set(kinds), {pmemarena.Allocation, pmemarena.ExistsError, pmemarena.ClosedError})


def threads_wait_in_the_library(threads):
    for thread in threads:
        with open(f"/proc/self/task/{thread.native_id}/stat", encoding="ascii", errors="replace") as file:
            yield file.read().rsplit(")", 1)[1].split()[0] == "S"


class TestFork(Stage):
    def test_objects_of_the_parent_raise_in_a_child(self):
        it = self.arena.create("it", 4096)
        memory, window = it.map(write=True), self.arena.window()
        pin, pins = window.get("it"), window.get_many(["it"])
        memory.write(0, b"hello")
        view = memoryview(memory)

        def child():
            for function in (self.arena.usage, it.stat, lambda: self.arena.create("x", 4096), it.map, lambda: memoryview(memory),
                             lambda: memory.write(0, b"x"), memory.persist, lambda: window.get("it"), lambda: window.get_many(["it"]),
                             lambda: memoryview(pin), lambda: pin.handle, lambda: memoryview(pins[0]), pin.pieces,
                             lambda: memoryview(window), self.session.fileno, self.session.dispatch):
                self.assertIn("fork", self.refused(PermissionError, function))
            self.assertEqual(bytes(view[:5]), b"hello")
            # What the child has ends, and ends nothing of the parent's.
            view.release()
            pin.put()
            pins.put()
            memory.close()
            window.close()
            self.session.close()
            with pmemarena.Session(self.lab.socket) as session:
                self.assertEqual(session.arena().stat("it").len, 4096)

        self.in_child(child)
        self.assertEqual(bytes(view[:5]), b"hello")
        self.assertEqual(bytes(memoryview(pin)[:5]), b"hello")
        self.assertEqual(len(pins), 1)
        self.arena.usage()
        view.release()

    def test_child_that_drops_its_copies_leaves_the_pin_of_the_parent(self):
        it = self.arena.create("it", 2 << 20)
        with it.map(write=True) as memory:
            memory.fill(7)
        it.close()
        window = self.arena.window()
        pin = window.get("it")

        def child():
            nonlocal pin, window
            del pin, window
            os._exit(0)

        pid = os.fork()
        if pid == 0:
            child()
        os.waitpid(pid, 0)
        self.arena.free("it")
        self.arena.create_many([(f"more{i}", 2 << 20) for i in range(40)])
        self.assertEqual(set(bytes(memoryview(pin))), {7})


if __name__ == "__main__":
    main()
