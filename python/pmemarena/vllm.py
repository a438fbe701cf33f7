# SPDX-License-Identifier: BSD-3-Clause
"""vLLM: chunks of its KV cache in an arena, as a secondary tier of TieringOffloadingSpec. In kv_connector_extra_config:

    "spec_name": "TieringOffloadingSpec",
    "secondary_tiers": [{"type": "PmemarenaTier", "module_path": "pmemarena.vllm", "arena": "main"}]

vLLM calls a tier on the thread of its scheduler, which must never wait. So a lookup asks shared memory alone, and whoever stores or
loads only leaves work to threads. Without vLLM this module has the same classes, which do the same."""

import dataclasses
import enum
import hashlib
import json
import logging
import select
import time

from pmemarena._blocks import check_pins
from pmemarena.lmcache import Client

try:
    from vllm.v1.kv_offload.base import Locality, LookupResult, Medium, RequestOffloadingContext
    from vllm.v1.kv_offload.tiering.base import JobResult, SecondaryTierManager
except ImportError:
    class LookupResult(enum.Enum):
        """As in vLLM."""
        MISS = enum.auto()
        HIT = enum.auto()
        HIT_PENDING = enum.auto()
        RETRY = enum.auto()

    class Medium(enum.Enum):
        """As in vLLM."""
        CPU = "CPU"
        STORAGE = "STORAGE"

    class Locality(enum.Enum):
        """As in vLLM."""
        LOCAL = "LOCAL"
        REMOTE = "REMOTE"

    @dataclasses.dataclass
    class RequestOffloadingContext:
        """As in vLLM."""

    @dataclasses.dataclass
    class JobResult:
        """As in vLLM."""
        job_id: int
        success: bool
        successful_keys: object = None
        transfer_time: float | None = None
        transfer_bytes: int | None = None

    class SecondaryTierManager:
        """As in vLLM."""

        def __init__(self, offloading_spec, primary_kv_view, tier_type, backpressure_detector=None):
            self._offloading_spec, self._primary_kv_view, self.tier_type = offloading_spec, primary_kv_view, tier_type
            self.bp_detector = backpressure_detector

# Below vLLM's logger, which is the one that is set up.
log = logging.getLogger("vllm.pmemarena")

COUNTERS = {
    "lookups": "Chunks looked up in the arena.",
    "hits": "Chunks looked up in the arena and found.",
    "stored_chunks": "Chunks stored, those included that were there already.",
    "loaded_chunks": "Chunks loaded.",
    "missed_chunks": "Chunks found and gone, or unreadable, when they were to be loaded.",
    "failed_stores": "Jobs of storing that failed.",
}


def metric_name(counter):
    return f"vllm:kv_offload_pmemarena_{counter}"


def layout_of(offloading_spec, chunk_bytes):
    """A digest of all that makes the bytes of a chunk what they are, besides its key: engines in which it differs share nothing. How
    many workers there are counts only where the bytes depend on it."""
    config = offloading_spec.config
    parallel = config.parallel
    is_agnostic = parallel.is_parallelism_agnostic or getattr(config, "replicated_layout", False)
    told = {
        "chunk_bytes": chunk_bytes,
        "model": config.model.name,
        "dtype": str(config.model.dtype),
        "tokens_per_hash": config.cache.tokens_per_hash,
        "blocks_per_chunk": config.cache.blocks_per_chunk,
        "groups": [(group.tokens_per_block, list(group.layer_names)) for group in config.groups],
        "parallel": None if is_agnostic else [parallel.tp_size, parallel.pp_size, parallel.pcp_size, parallel.dcp_size],
        "replicated": getattr(config, "replicated_layout", False),
        "canonical": getattr(config, "canonical_layout", False),
        "kv_cache_layout": getattr(config, "kv_cache_layout", None),
        "storage_format": getattr(offloading_spec, "storage_format", None),
    }
    return hashlib.blake2b(json.dumps(told, sort_keys=True).encode(), digest_size=8).hexdigest()


def _flat(view):
    """(the same bytes in one dimension, the bytes of a chunk)"""
    if view.ndim != 2 or view.itemsize != 1 or not view.c_contiguous or view.readonly:
        raise ValueError(f"the primary tier's memory has {view.ndim} dimensions of {view.itemsize} bytes, "
                         f"{'without' if view.c_contiguous else 'with'} gaps, and is {'read-only' if view.readonly else 'writable'}: "
                         "a tier needs writable rows of bytes, a chunk each, without gaps")
    return view.cast("B"), view.strides[0]


@dataclasses.dataclass
class _Job:
    """A job under way."""
    id: int
    keys: list
    is_load: bool
    begin: float


class PmemarenaTier(SecondaryTierManager):
    """PmemarenaTier(offloading_spec, primary_kv_view, tier_type, backpressure_detector=None, *, socket=None, arena=0,
    namespace="vllm", workers=4, mode=0, pins=4096, hold_seconds=30, reconnect_ms=5000, locality="LOCAL")

    The first four are vLLM's, the others come from its configuration. socket: of the daemon; None: $PMEMARENA_SOCKET, else the usual
    place. arena: its number, name or UUID. namespace: engines of the same one, with the same model and layout, share chunks.
    workers: threads that load, and as many that store. mode: who else may read chunks, as of a file ("0640"); 0: this user alone.
    pins: how many chunks may be in use at a time. hold_seconds: what was looked up stays so long, unless it is loaded earlier.
    reconnect_ms: how long a store waits for a daemon that was restarted.

    ValueError: memory or jobs of a wrong size; FileNotFoundError, ConnectionError: there is no daemon; and what Session() and
    Session.arena() raise."""

    medium = Medium.STORAGE

    def __init__(self, offloading_spec, primary_kv_view, tier_type="PmemarenaTier", backpressure_detector=None, *, socket=None, arena=0,
                 namespace="vllm", workers=4, mode=0, pins=4096, hold_seconds=30, reconnect_ms=5000, locality="LOCAL"):
        super().__init__(offloading_spec, primary_kv_view, tier_type, backpressure_detector)
        self.locality = Locality(locality)
        check_pins(pins, 2 * workers)
        self._memory, self._chunk = _flat(primary_kv_view)
        self._client = Client(socket=socket, arena=arena, namespace=f"{namespace}/{layout_of(offloading_spec, self._chunk)}",
                              workers=workers, mode=mode, pins=pins, lock_seconds=hold_seconds, reconnect_ms=reconnect_ms)
        try:
            self._client.check_size(self._chunk)
        except ValueError:
            self._client.close()
            raise
        self._poll = select.poll()
        self._poll.register(self._client.event_fd(), select.POLLIN)
        self._jobs = {}                 # number of the batch: its job
        self._finished = []             # of drain_jobs(), for get_finished_jobs()
        self._counters = dict.fromkeys(COUNTERS, 0)
        self._is_shut_down = False

    # ---- what the scheduler calls ----

    def on_new_request(self, req_context):
        """Nothing is wanted of a request."""
        return RequestOffloadingContext()

    def lookup(self, key, req_context):
        """HIT: it is there, and stays until it is loaded, at most hold_seconds. MISS: it is not there, or not known to be."""
        counters = self._counters
        counters["lookups"] += 1
        if not self._client.look(key, self._chunk):
            return LookupResult.MISS
        counters["hits"] += 1
        return LookupResult.HIT

    def submit_store(self, job_metadata):
        """Begin to store chunks of the primary tier."""
        self._submit(job_metadata, False)

    def submit_load(self, job_metadata):
        """Begin to fill chunks of the primary tier."""
        self._submit(job_metadata, True)

    def get_finished_jobs(self):
        """A list of JobResult: what ended since the last call."""
        finished, self._finished = self._finished, []
        return finished + self._drain()

    def drain_jobs(self):
        """Return when all jobs have ended. get_finished_jobs() has their results."""
        while self._jobs:
            self._poll.poll()
            self._finished += self._drain()

    def shutdown(self):
        """Finish what was begun, and end. Twice is fine."""
        if self._is_shut_down:
            return
        self._is_shut_down = True
        self._client.close()
        self._memory.release()

    # ---- figures ----

    @classmethod
    def build_metric_definitions(cls, extra_config):
        """The definitions of vLLM's metrics; none without vLLM."""
        try:
            from vllm.v1.kv_offload.base import OffloadingCounterMetadata
        except ImportError:
            return {}
        return {metric_name(name): OffloadingCounterMetadata(documentation=text) for name, text in COUNTERS.items()}

    def take_counters(self):
        """A dict of what was counted since the last call; COUNTERS says what."""
        taken, self._counters = self._counters, dict.fromkeys(COUNTERS, 0)
        return taken

    def get_stats(self):
        """What take_counters() has, as vLLM takes it; None: there is none, or no vLLM."""
        try:
            from vllm.distributed.kv_transfer.kv_connector.v1.offloading.metrics import OffloadingConnectorStats
        except ImportError:
            return None
        stats = OffloadingConnectorStats()
        for name, value in self.take_counters().items():
            if value:
                stats.increase_counter(metric_name(name), value)
        return None if stats.is_empty() else stats

    # ---- jobs ----

    def _buffers(self, keys, chunks):
        if len(keys) != len(chunks):
            raise ValueError(f"a job has {len(keys)} keys and {len(chunks)} chunks: each key needs one")
        nr = len(self._memory) // self._chunk
        if chunks and not 0 <= min(chunks) <= max(chunks) < nr:
            raise ValueError(f"a job has chunks {min(chunks)} to {max(chunks)}: the primary tier has {nr}, from 0")
        return [self._memory[i * self._chunk:(i + 1) * self._chunk] for i in chunks]

    def _submit(self, job, is_load):
        keys = list(job.keys)
        buffers = self._buffers(keys, [int(i) for i in job.chunk_ids])
        begin = time.monotonic()
        number = (self._client.submit_batch_get if is_load else self._client.submit_batch_set)(keys, buffers)
        self._jobs[number] = _Job(job.job_id, keys, is_load, begin)

    def _drain(self):
        return [self._end(self._jobs.pop(number), ok, error, there) for number, ok, error, there in self._client.drain_completions()]

    def _end(self, job, ok, error, there):
        if error:
            log.warning("%s: job %s could not %s all of %d chunks: %s", self.tier_type, job.id, "load" if job.is_load else "store",
                        len(job.keys), error)
        loaded = None
        if job.is_load:
            loaded = [key for key, is_there in zip(job.keys, there) if is_there]
            ok = len(loaded) == len(job.keys)
            self._counters["loaded_chunks"] += len(loaded)
            self._counters["missed_chunks"] += len(job.keys) - len(loaded)
        elif ok:
            self._counters["stored_chunks"] += len(job.keys)
        else:
            self._counters["failed_stores"] += 1
        done = len(job.keys) if ok else len(loaded or ())
        return JobResult(job.id, ok, successful_keys=loaded or None if not ok else None, transfer_time=time.monotonic() - job.begin,
                         transfer_bytes=done * self._chunk)
