# SPDX-License-Identifier: BSD-3-Clause
"""image: reads an arena's raw image as doc/FORMAT.md has it, and knows nothing of the daemon: what it says is a third party's word."""

import os
import struct

BASE, SLOT, CHUNK, MASK = 4096, 128, 1024, (1 << 64) - 1
ABROAD, HOSTS = 64, 128
_TABLE = []
for _byte in range(256):
    for _ in range(8):
        _byte = _byte >> 1 ^ (0x82F63B78 if _byte & 1 else 0)
    _TABLE.append(_byte)


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _TABLE[(crc ^ byte) & 255]
    return crc ^ 0xFFFFFFFF


def mix(x):
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 & MASK
    x = (x ^ x >> 27) * 0x94D049BB133111EB & MASK
    return x ^ x >> 31


class Superblock:
    def __init__(self, page):
        self.page = page
        self.is_good = page[:8] == b"PMARENA1" and struct.unpack_from("<I", page, 8)[0] == crc32c(page[12:])
        (self.incompat, self.ro_compat, self.compat) = struct.unpack_from("<3Q", page, 16)
        self.uuid, self.name = page[40:56], page[56:120].split(b"\0")[0]
        (self.seq, self.role, self.order, _, self.meta_size, self.data_off, self.nr_pages, self.nr_slots, _, self.nr_chunks, t0, t1, z0, z1, _, _,
         self.unit, _, self.id_limit) = struct.unpack_from("<QIIQQQQQIIQQQQQQQQQ", page, 120)
        self.table, self.zero = (t0, t1), (z0, z1)
        self.machine_id, self.clean = page[256:272], struct.unpack_from("<I", page, 272)[0]

    def owner(self):
        """(identity, boot id, term, name, successor) of an arena that hosts share."""
        id_, boot, term, name, successor = struct.unpack_from("<16s16sQ24x44s44s", self.page, 384)
        return id_, boot, term, name.split(b"\0")[0].decode(), successor.split(b"\0")[0].decode()

    def heartbeat(self):
        return struct.unpack_from("<I", self.page, 2880)[0]

    def hosts(self):
        """Of the table of hosts: (machine id, boot id, id limit, name) of each entry that is in use."""
        entries = [struct.unpack_from("<16s16sQ12x44s", self.page, 576 + i * 96) for i in range(24)]
        return [(id_, boot, limit, name.split(b"\0")[0].decode()) for id_, boot, limit, name in entries if limit]


class Image:
    """Of the data device @path; @meta: of the file with the metadata, if that is apart."""

    def __init__(self, path, meta=None):
        self.path, self.meta = path, meta or path
        with open(self.meta, "rb") as f:
            self.fd = os.dup(f.fileno())
        copies = [Superblock(os.pread(self.fd, 4096, 0))]
        copies.append(Superblock(os.pread(self.fd, 4096, copies[0].unit if copies[0].is_good else 2 << 20)))
        good = [copy for copy in copies if copy.is_good]
        assert good, "no superblock is good"
        self.copies, self.sb = copies, max(good, key=lambda copy: copy.seq)

    def close(self):
        os.close(self.fd)

    def word(self, slot):
        uuid = self.sb.uuid
        seed = mix(int.from_bytes(uuid[:8], "little")) ^ int.from_bytes(uuid[8:], "little")
        return mix(seed + 0x9E3779B97F4A7C15 * (slot + 1) & MASK)

    def piece(self, n):
        """The live piece in slot @n of the table, or None."""
        copies = [os.pread(self.fd, SLOT, off + n * SLOT) for off in self.sb.table]
        good = [c for c in copies if int.from_bytes(c[:8], "little") == self.word(n) and
                int.from_bytes(c[8:12], "little") == crc32c(self.sb.uuid + struct.pack("<I", n) + c[12:])]
        return good[0] if good else None

    def allocations(self):
        """{id: (name, [(offset, length)])}: whole records, the highest version of each."""
        found = {}
        for n in range(min(self.sb.nr_chunks * CHUNK, self.sb.nr_slots)):
            piece = self.piece(n)
            if piece:
                index, count, id_, version = struct.unpack_from("<HHQI", piece, 12)
                found.setdefault((id_, version, count), {})[index] = piece
        records = {}
        for (id_, version, count), pieces in sorted(found.items()):
            if len(pieces) != count or pieces[0][60] == 2:
                continue
            payload = pieces[0][64:] + b"".join(pieces[i][32:] for i in range(1, count))
            nr, name_len = struct.unpack_from("<I", pieces[0], 56)[0], pieces[0][61]
            at = name_len + -name_len % 8
            extents = [struct.unpack_from("<QQ", payload, at + i * 16) for i in range(nr)]
            records[id_] = (payload[:name_len], [(self.sb.data_off + pfn * BASE, n * BASE) for pfn, n in extents])
        return records

    def zero_pages(self):
        """Offsets of the compound pages that are known to be zero: by both copies."""
        size = BASE << self.sb.order
        maps = [os.pread(self.fd, (self.sb.nr_pages + 7) // 8, off) for off in self.sb.zero]
        return {self.sb.data_off + p * size for p in range(self.sb.nr_pages) if all(m[p // 8] >> p % 8 & 1 for m in maps)}

    def read(self, off, length):
        with open(self.path, "rb") as f:
            return os.pread(f.fileno(), length, off)


def overlap(one, other):
    """Do two lists of (offset, length) share a byte?"""
    return any(a < d + e and d < a + b for a, b in one for d, e in other)
