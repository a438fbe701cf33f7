# SPDX-License-Identifier: BSD-3-Clause
"""SGLang: pages of HiCache in an arena, as a dynamic storage backend. In the server's configuration:

    --hicache-storage-backend dynamic --hicache-storage-backend-extra-config
    '{"backend_name": "pmemarena", "module_path": "pmemarena.sglang", "class_name": "HiCache", "interface_v1": 1,
      "pmemarena": {"arena": "main"}}'

A page is one block, whatever places of the host's memory it lies in: it is there whole or not at all. SGLang calls from threads of
its own, which do the copying; none of them ends by an exception of this class, since SGLang would not start it again. Without
SGLang this module has the same class, which does the same."""

import ctypes
import hashlib
import inspect
import json
import logging
import threading

from pmemarena._blocks import Blocks, check_pins
from pmemarena._buffers import Pieces
from pmemarena._errors import Error

try:
    from sglang.srt.mem_cache.hicache_storage import HiCacheStorage
except ImportError:
    class HiCacheStorage:
        """As in SGLang."""

        def register_mem_pool_host(self, mem_pool_host):
            """As in SGLang."""
            self.mem_pool_host = mem_pool_host

log = logging.getLogger(__name__)

# How often what needs it is tended, in seconds: a daemon that was restarted, pages that were looked up and not got.
TEND = 0.5
# How many threads of SGLang may call at a time, as far as pins go: one gets, one sets, others look up.
THREADS = 3
PyBUF_READ, PyBUF_WRITE = 0x100, 0x200
_view_of_memory = ctypes.pythonapi.PyMemoryView_FromMemory
_view_of_memory.restype = ctypes.py_object
_view_of_memory.argtypes = (ctypes.c_void_p, ctypes.c_ssize_t, ctypes.c_int)


def _view_at(address, size):
    """A view of memory that is SGLang's. Types of ctypes would be made for each size, and never go."""
    return _view_of_memory(address, size, PyBUF_WRITE)


def _view(tensor):
    """The bytes of a tensor, of any type of numbers, or of what has a buffer."""
    if not hasattr(tensor, "data_ptr"):
        return memoryview(tensor).cast("B")
    if str(tensor.device) != "cpu":
        raise ValueError(f"a page lies in memory of {tensor.device}: only pages of the host are stored")
    if not tensor.is_contiguous():
        raise ValueError("a page has gaps: give a contiguous tensor")
    return _view_at(tensor.data_ptr(), tensor.numel() * tensor.element_size())


def _rank(config):
    """What tells one server's part of a page from another's. Servers whose model has one cache for all (MLA) have all the same part."""
    names = ["model_name", "is_mla_model", "pp_rank", "pp_size", "attn_cp_rank", "attn_cp_size", "dcp_rank", "dcp_size"]
    if not config.is_mla_model:
        names += ["tp_rank", "tp_size"]
    return {name: getattr(config, name, None) for name in names}


def _digest(told):
    return hashlib.blake2b(json.dumps(told, sort_keys=True).encode(), digest_size=8).hexdigest()


def _options(config):
    """What the configuration has for us."""
    options = dict((config.extra_config or {}).get("pmemarena") or {})
    known = {name: it.default for name, it in inspect.signature(Blocks).parameters.items()}
    for name in options:
        if name not in known:
            raise ValueError(f"HiCache's configuration of pmemarena has \"{name}\", which is none of {', '.join(known)}")
    check_pins(options.get("pins", known["pins"]), THREADS)
    mode = options.get("mode", 0)
    return {"namespace": "sglang", **options, "mode": int(mode, 8) if isinstance(mode, str) else mode}


class HiCache(HiCacheStorage):
    """HiCache(storage_config, kwargs=None): as SGLang's factory makes it.

    storage_config.extra_config["pmemarena"] may have: socket: of the daemon, else $PMEMARENA_SOCKET or the usual place; arena: its
    number, name or UUID; namespace: servers of the same one, with the same model, ranks and layout, share pages; mode: who else may
    read them, as of a file ("0640"); pins: how many pages may be in use at a time; hold_seconds: what was looked up stays so long,
    unless it is got earlier; reconnect_ms: how long a set waits for a daemon that was restarted.

    ValueError: an unknown word in the configuration; FileNotFoundError, ConnectionError: there is no daemon; and what Session() and
    Session.arena() raise."""

    def __init__(self, storage_config, kwargs=None):
        options = _options(storage_config)
        self._rank = _rank(storage_config)
        self._base = options["namespace"]
        self._blocks = Blocks(**options)
        self._stats = {"got_pages": 0, "missed_pages": 0, "set_pages": 0, "failed_pages": 0}
        self._lock = threading.Lock()   # of _stats
        self._use_layout(None)
        self._end = threading.Event()
        self._tender = threading.Thread(target=self._tend, name="pmemarena-tend", daemon=True)
        self._tender.start()

    def _use_layout(self, pool):
        """Pages of another layout are other pages: the same numbers lie in another order."""
        layout = {name: str(getattr(pool, name, None)) for name in ("layout", "dtype", "page_size")}
        self._blocks.namespace = f"{self._base}/{_digest({**self._rank, **layout})}/"

    def _tend(self):
        while not self._end.wait(TEND):
            try:
                self._blocks.tend()
            except Error as error:
                log.debug("tending: %s", error)

    def register_mem_pool_host(self, mem_pool_host):
        """The host's memory that v1 calls mean. To be called before all others."""
        super().register_mem_pool_host(mem_pool_host)
        self._use_layout(mem_pool_host)

    def close(self):
        """End. Twice is fine."""
        if not self._end.is_set():
            self._end.set()
            self._tender.join()
            self._blocks.close()

    def clear(self):
        """Free all pages of this model, rank and layout, also those of other servers: True if that went well."""
        return self._attempt("clear", [], False, lambda: self._blocks.clear() >= 0)

    def get_stats(self):
        """None: SGLang has a class of its own for figures, and measures itself. take_counters() has ours."""
        return None

    def take_counters(self):
        """A dict of pages got, missed, set and failed since the last call."""
        with self._lock:
            taken, self._stats = self._stats, dict.fromkeys(self._stats, 0)
            return taken

    # ---- what each call has in common ----

    def _attempt(self, what, keys, failed, function):
        """function(), or `failed` and a line in the log. An exception would end SGLang's thread, and with it all of its storage."""
        try:
            return function()
        except (Error, ValueError, TypeError) as error:
            log.warning("pmemarena: %s of %d pages: %s", what, len(keys), error)
            return failed

    def _count(self, results, good, bad):
        with self._lock:
            done = sum(results)
            self._stats[good] += done
            self._stats[bad] += len(results) - done
        return results

    @staticmethod
    def _bytes(keys):
        return [key.encode() for key in keys]

    def _get(self, keys, buffers):
        return self._blocks.get(self._bytes(keys), buffers)

    def _set(self, keys, buffers):
        errors = self._blocks.put(self._bytes(keys), buffers)
        first = next((it for it in errors if it is not None), None)
        if first is not None:
            log.warning("pmemarena: set of %d pages: %s", len(keys), first)
        return [it is None for it in errors]

    # ---- pages in the host's memory ----

    def _places(self, keys, host_indices):
        """The memory of each page: Pieces of as many parts as the layout has of it."""
        pool = self.mem_pool_host
        if len(host_indices) != len(keys) * pool.page_size:
            raise ValueError(f"{len(keys)} pages of {pool.page_size} tokens and {len(host_indices)} indices: each token needs one")
        meta = pool.get_page_buffer_meta(host_indices) if keys else ((), ())
        if meta is None or len(meta[0]) != len(meta[1]) or (keys and (not meta[0] or len(meta[0]) % len(keys))):
            raise ValueError(f"the host's memory of layout {getattr(pool, 'layout', 'unknown')} does not say where its pages are")
        views = [_view_at(address, size) for address, size in zip(*meta)]
        parts = len(views) // max(1, len(keys))
        return [Pieces(views[i * parts:(i + 1) * parts]) for i in range(len(keys))]

    def batch_get_v1(self, keys, host_indices, extra_info=None):
        """Fill pages of the host's memory: a list of bool."""
        results = self._attempt("get", keys, [False] * len(keys), lambda: self._get(keys, self._places(keys, host_indices)))
        return self._count(results, "got_pages", "missed_pages")

    def batch_set_v1(self, keys, host_indices, extra_info=None):
        """Store pages of the host's memory: a list of bool. What is there already is True."""
        results = self._attempt("set", keys, [False] * len(keys), lambda: self._set(keys, self._places(keys, host_indices)))
        return self._count(results, "set_pages", "failed_pages")

    def batch_exists(self, keys, extra_info=None):
        """How many from the first on are there, without a gap. Those stay until they are got, or for hold_seconds."""
        there = self._attempt("exists", keys, [], lambda: self._blocks.exists(self._bytes(keys), hold=True))
        return next((i for i, it in enumerate(there) if not it), len(there))

    def exists(self, key):
        """Is it there?"""
        return self.batch_exists([key]) == 1

    # ---- pages in tensors ----

    def batch_get(self, keys, target_locations=None, target_sizes=None):
        """Fill tensors: a list of each, or None where there is no page of its size."""
        targets = list(target_locations or ())

        def get():
            if len(targets) != len(keys):
                raise ValueError(f"{len(keys)} pages and {len(targets)} tensors: each page needs one to be filled")
            return self._get(keys, [_view(target) for target in targets])
        results = self._count(self._attempt("get", keys, [False] * len(keys), get), "got_pages", "missed_pages")
        return [target if it else None for target, it in zip(targets or [None] * len(keys), results)]

    def get(self, key, target_location=None, target_sizes=None):
        """The tensor, filled; or None."""
        return self.batch_get([key], None if target_location is None else [target_location])[0]

    def batch_set(self, keys, values=None, target_locations=None, target_sizes=None):
        """Store tensors: True if all are there."""
        values = list(values or ())

        def put():
            if len(values) != len(keys):
                raise ValueError(f"{len(keys)} pages and {len(values)} tensors: each page needs one")
            whole = [value.contiguous() if hasattr(value, "data_ptr") else value for value in values]
            return self._set(keys, [_view(value) for value in whole])
        return all(self._count(self._attempt("set", keys, [False] * len(keys), put), "set_pages", "failed_pages"))

    def set(self, key, value=None, target_location=None, target_sizes=None):
        """Store a tensor: True if it is there."""
        return self.batch_set([key], None if value is None else [value])
