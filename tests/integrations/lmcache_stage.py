# SPDX-License-Identifier: BSD-3-Clause
"""lmcache_stage: LMCache's own adapters, made by its registry from JSON, and objects for them. Its benchmark has the means to wait
for what an adapter was asked to do."""

import argparse
import hashlib
import json
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
os.environ["LMCACHE_LOG_LEVEL"] = os.environ.get("LMCACHE_LOG_LEVEL", "WARNING")
os.environ["LMCACHE_DISABLE_BANNER"] = "1"
sys.path.insert(0, os.path.join(TOP, "python", "tests"))

import stage                                                                                            # noqa: E402, F401
import torch                                                                                            # noqa: E402
from lmcache.cli.commands.bench.l2_adapter_bench import data, runner                                    # noqa: E402
from lmcache.v1.distributed.api import MemoryLayoutDesc, ObjectKey                                      # noqa: E402
from lmcache.v1.distributed.l2_adapters import create_l2_adapter                                        # noqa: E402
from lmcache.v1.distributed.l2_adapters.config import parse_args_to_l2_adapters_config                  # noqa: E402
from lmcache.v1.memory_management import MemoryFormat, MemoryObjMetadata, TensorMemoryObj                # noqa: E402

LAYOUT = {0: MemoryLayoutDesc(shapes=[], dtypes=[])}
WAIT = 120


def spec(socket, **more):
    """What stands behind --l2-adapter."""
    return {"type": "native_plugin", "module_path": "pmemarena.lmcache", "class_name": "Client",
            "adapter_params": {"socket": socket, "arena": "main", **more}}


def make_adapter(it, l1=None):
    config = parse_args_to_l2_adapters_config(argparse.Namespace(l2_adapter=[json.dumps(it)]))
    return create_l2_adapter(config.adapters[0], l1_memory_desc=l1 and data.create_l1_memory_desc(l1))


def key(i, model="org/model", rank=0, salt=""):
    return ObjectKey(chunk_hash=hashlib.sha256(str(i).encode()).digest(), model_name=model, kv_rank=rank, cache_salt=salt)


def memory_object(tensor, form=MemoryFormat.KV_2LTD):
    """As LMCache's first level makes it: bytes, and what they mean."""
    raw = tensor.contiguous().view(-1).view(torch.uint8)
    return TensorMemoryObj(raw_data=raw, parent_allocator=None, metadata=MemoryObjMetadata(
        shape=tensor.shape, dtype=tensor.dtype, address=0, phy_size=raw.numel(), ref_count=1, fmt=form,
        shapes=[tensor.shape], dtypes=[tensor.dtype]))


def content(i, size):
    """Bytes of which each part tells whose they are."""
    word = torch.frombuffer(bytearray(hashlib.sha256(f"content {i}".encode()).digest()), dtype=torch.uint8)
    return word.repeat(size // 32 + 1)[:size].clone()


class Server:
    """An adapter, and its calls as ones that wait."""

    def __init__(self, it):
        self.adapter = make_adapter(it)

    def store(self, keys, tensors):
        task = self.adapter.submit_store_task(keys, [memory_object(t) for t in tensors])
        done = runner._wait_store_finished(self.adapter, [task], WAIT)
        assert task in done, "a store was not completed"
        return done[task].is_successful()

    def _bits(self, done, task, nr):
        assert task in done, "a task was not completed"
        return [done[task].test(i) for i in range(nr)]

    def look_up(self, keys):
        task = self.adapter.submit_lookup_and_lock_task(keys, LAYOUT)
        found = self._bits(runner._wait_lookup_finished(self.adapter, [task], WAIT), task, len(keys))
        self.adapter.submit_unlock([k for k, there in zip(keys, found) if there])
        return found

    def load(self, keys, likes):
        """A tensor as `likes` has for each that was loaded, else None; what was not loaded was not touched."""
        tensors = [torch.full_like(like, 77) for like in likes]
        task = self.adapter.submit_load_task(keys, [memory_object(t) for t in tensors])
        hits = self._bits(runner._wait_load_finished(self.adapter, [task], WAIT), task, len(keys))
        assert all(hit or bool((t == 77).all()) for t, hit in zip(tensors, hits)), "a miss has changed the memory"
        return [t if hit else None for t, hit in zip(tensors, hits)]

    def check(self, numbers, size):
        """How many of content() are there; each that is there is whole."""
        got = self.load([key(i) for i in numbers], [torch.empty(size, dtype=torch.uint8)] * len(numbers))
        for i, tensor in zip(numbers, got):
            assert tensor is None or torch.equal(tensor, content(i, size)), f"object {i} is torn, or another's"
        return sum(tensor is not None for tensor in got)

    def put(self, numbers, size):
        return self.store([key(i) for i in numbers], [content(i, size) for i in numbers])

    def delete(self, keys):
        self.adapter.delete(keys)

    def close(self):
        self.adapter.close()
