#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Events: by dispatch(), and as an asynchronous iterator."""

import asyncio
import select

from stage import Stage, lab, main, pmemarena
from pmemarena import EventKind


class TestEvents(Stage):
    def wait(self, nr):
        """Events until there are so many."""
        found = []
        while len(found) < nr:
            ready, _, _ = select.select([self.session], [], [], lab.TIMEOUT)
            self.assertTrue(ready, f"no more than {found}")
            found += self.session.dispatch()
        return found

    def test_dispatch_tells_what_happened(self):
        self.assertEqual(self.session.dispatch(), [])
        self.arena.subscribe("kv/")
        with pmemarena.Session(self.lab.socket) as other:
            it = other.arena().create("kv/it", 8192, mode=0o640)
            other.arena().create("other", 4096)
            it.rename("kv/that")
            it.free()
        events = self.wait(3)
        self.assertEqual([event.what for event in events], [EventKind.PUBLISHED, EventKind.RENAMED, EventKind.FREED])
        self.assertEqual((events[0].name, events[0].handle, events[0].len, events[0].mode), ("kv/it", it.handle, 8192, 0o640))
        self.arena.unsubscribe()
        self.arena.create("kv/more", 4096)
        self.assertEqual(self.session.dispatch(), [])

    def test_restart_is_told_as_lost(self):
        self.arena.subscribe()
        self.lab.kill()
        self.lab.start()
        self.arena.usage()
        self.assertIn(EventKind.LOST, [event.kind for event in self.wait(1)])
        self.arena.create("it", 4096)
        self.assertIn("it", [event.name for event in self.wait(1)])

    def test_eviction_is_told(self):
        self.arena.put("kept", b"1")
        self.arena.put("may go", b"1", evictable=True)
        self.assertEqual([info.is_evictable for info in self.arena.stat_many(["kept", "may go"])], [False, True])
        self.arena.create("made so", 30 << 20, evictable=True).close()
        with self.arena.reserve("published so", 4096) as it:
            it.publish(evictable=True)
        self.assertTrue(self.arena.stat("published so").is_evictable)
        self.arena.subscribe()
        self.arena.reserve(None, 40 << 20).abort()
        self.assertIn((EventKind.EVICTED, "made so"), [(event.what, event.name) for event in self.wait(1)])
        self.assertEqual(self.arena.exists_many(["kept", "made so"]), [True, False])

    def test_subscribing_can_fail(self):
        self.refused(FileNotFoundError, self.session.subscribe, 7)
        self.refused(ValueError, self.session.subscribe, 0, "x" * 300)
        self.refused(TypeError, self.session.subscribe, 0, 7)
        self.refused(TypeError, self.session.subscribe, "main")

    def test_asynchronous_iterator(self):
        async def read():
            names = []
            async with self.session.events(0, "kv/") as events:
                other = pmemarena.Session(self.lab.socket)
                await asyncio.get_running_loop().run_in_executor(
                    None, lambda: other.arena().create_many([(f"kv/{i}", 4096) for i in range(50)]))
                other.close()
                async for event in events:
                    names.append(event.name)
                    if len(names) == 50:
                        break
            return names

        self.assertEqual(asyncio.run(asyncio.wait_for(read(), lab.TIMEOUT)), [f"kv/{i}" for i in range(50)])

    def test_two_readers_and_the_end_of_the_session(self):
        found = [[], []]

        async def read(names, stream):
            async for event in stream:
                names.append(event.name)

        async def both():
            tasks = [asyncio.create_task(read(names, self.session.events())) for names in found]
            self.arena.create("it", 4096)
            while not all(found):
                await asyncio.sleep(0.001)
            self.session.close()
            await asyncio.gather(*tasks)

        asyncio.run(asyncio.wait_for(both(), lab.TIMEOUT))
        self.assertEqual(found, [["it"], ["it"]])

    def test_another_thread_may_dispatch(self):
        async def read():
            async with self.session.events() as events:
                # The loop does not watch any more: only the other thread's dispatch can wake it.
                asyncio.get_running_loop().remove_reader(self.session.fileno())
                asyncio.get_running_loop().run_in_executor(None, self.dispatch_one)
                async for event in events:
                    return event.name

        self.assertEqual(asyncio.run(asyncio.wait_for(read(), lab.TIMEOUT)), "it")

    def dispatch_one(self):
        self.arena.create("it", 4096)
        self.wait(1)

    def test_iterator_needs_a_loop(self):
        self.refused(RuntimeError, self.session.events)
        self.assertEqual(self.session._streams, [])


if __name__ == "__main__":
    main()
