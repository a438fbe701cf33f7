# SPDX-License-Identifier: BSD-3-Clause
"""What goes into the guest: the installed tree, the lab's scripts, and its C programs built against that tree."""

import os
import shutil
import subprocess
from pathlib import Path

GUEST_DIR = Path(__file__).resolve().parent.parent
TOP_DIR = GUEST_DIR.parent.parent


class BuildError(Exception):
    """A build step failed; the text has the end of its output."""


def _do(arguments: list[str]):
    done = subprocess.run(arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode != 0:
        raise BuildError(f"{' '.join(map(str, arguments))} failed:\n" + "\n".join(done.stdout.splitlines()[-30:]))


def build_tree(cache: Path, build: Path | None) -> Path:
    """Install below the cache: from @build, which is made already, or from these sources built out of tree."""
    tree = cache / "tree"
    if not build:
        build = cache / "build"
        _do([str(TOP_DIR / ".ci" / "build"), str(build), "all"])
    shutil.rmtree(tree, ignore_errors=True)
    _do(["make", "-s", "-C", str(build), "install", f"DESTDIR={tree}"])
    add_unit_test(build, tree)
    return tree


def add_unit_test(build: Path, tree: Path):
    """The unit test that wants a real device, for the lane `device`; it needs Check on the host."""
    name = "tests/unit/test_device_dax"
    if subprocess.run(["pkg-config", "--exists", "check"], check=False).returncode != 0:
        return
    _do(["make", "-s", "-C", str(build), name])
    into = tree / "usr" / "libexec" / "pmemarena-tests"
    into.mkdir(parents=True)
    shutil.copy(build / name, into)


def _library_dir(tree: Path) -> Path:
    for found in tree.rglob("libpmemarena.so"):
        return found.parent
    raise BuildError(f"{tree} has no libpmemarena.so: is it what `make install DESTDIR=` made?")


def _compile(tree: Path, sources: list[Path], into: Path):
    into.mkdir()
    library = _library_dir(tree)
    header = next(tree.rglob("include/pmemarena.h")).parent
    for source in sources:
        _do([os.environ.get("CC", "cc"), "-std=gnu11", "-D_GNU_SOURCE", "-O2", "-Wall", "-Wextra", "-Wno-unused-parameter",
             f"-I{header}", str(source), "-o", str(into / source.stem), f"-L{library}", f"-Wl,-rpath-link,{library}",
             "-Wl,--as-needed", "-lpmemarena", "-pthread"])


def pack_disk(disk: Path, tree: Path, scratch: Path):
    """An ext4 image with tree/ (copied over the guest's root), inside/, lanes/, bin/ (the lab's programs) and examples/ (the installed ones)."""
    lab = scratch / "lab"
    lab.mkdir()
    shutil.copytree(tree, lab / "tree", symlinks=True)
    shutil.copytree(GUEST_DIR / "inside", lab / "inside")
    shutil.copytree(GUEST_DIR / "lanes", lab / "lanes")
    shutil.copy(TOP_DIR / "README.md", lab)
    _compile(tree, sorted((GUEST_DIR / "inside").glob("*.c")), lab / "bin")
    # The guest has no memkind, and nothing of a heap is about devices.
    _compile(tree, [path for path in sorted(tree.rglob("doc/pmemarena/examples/*.c")) if "pmemarena-heap.h" not in path.read_text()], lab / "examples")
    used = sum(path.lstat().st_size for path in lab.rglob("*"))
    _do(["mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-E", "root_owner=0:0", "-d", str(lab), str(disk),
         f"{used // (1 << 20) * 5 // 4 + 16}M"])
    shutil.rmtree(lab)
