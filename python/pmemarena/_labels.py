# SPDX-License-Identifier: BSD-3-Clause
"""Labels: how a block says whose it is. Its allocation's name is a digest of the key, and its attributes have the key itself and the
block's length, so that a lookup compares the key, and two keys of one digest are two blocks."""

import hashlib
import re
import struct

MAX_ATTRIBUTES = 256
# Version, kind of key, bytes. The key follows.
LABEL = struct.Struct("<BBQ")
LABEL_VERSION = 1
WHOLE, DIGEST = range(2)
NAME_BYTES = 20
NAME_DIGITS = re.compile(f"[0-9a-f]{{{2 * NAME_BYTES}}}")


def as_key(key):
    """The bytes of a key: a str stands for its UTF-8. A lone surrogate is encoded as if it were a letter, so that every str is a
    key, and no two of them are one."""
    if isinstance(key, str):
        return key.encode("utf-8", "surrogatepass")
    if isinstance(key, bytes):
        return key
    raise TypeError(f"a key is bytes or str, not {type(key).__name__}")


def key_name(namespace, key):
    """The name of a key's allocation."""
    return namespace + hashlib.blake2b(key, digest_size=NAME_BYTES).hexdigest()


def is_key_name(namespace, name):
    """Has key_name() made it? With another namespace, or by a program, it is longer, shorter or of other letters."""
    return name.startswith(namespace) and NAME_DIGITS.fullmatch(name, len(namespace)) is not None


def key_label(key):
    """What the attributes have of a key: all of it, or where it is too long a digest, of another kind than the name's."""
    if LABEL.size + len(key) <= MAX_ATTRIBUTES:
        return WHOLE, key
    return DIGEST, hashlib.sha256(key).digest()


def label_pack(label, size):
    kind, text = label
    return LABEL.pack(LABEL_VERSION, kind, size) + text


def label_unpack(attributes):
    """(label, size); None: this is no block."""
    if len(attributes) < LABEL.size or attributes[0] != LABEL_VERSION:
        return None
    _, kind, size = LABEL.unpack_from(attributes)
    return (kind, attributes[LABEL.size:]), size
