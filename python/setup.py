# SPDX-License-Identifier: BSD-3-Clause
"""Builds the extension against an installed libpmemarena (pkg-config), or against that of the source tree around this folder:
PMEMARENA_BUILD is the folder in which it was built; by default _build/main or build, where quickstart and README.md build."""

import glob
import os
import subprocess

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(HERE)
LIMITED_API = "0x030b0000"


def pkg_config(what):
    done = subprocess.run(["pkg-config", what, "libpmemarena"], capture_output=True, text=True, check=False)
    return done.stdout.split() if done.returncode == 0 else None


def headers_of(build):
    """Where the headers of a build are: its Makefile knows the source."""
    source = TOP
    try:
        with open(os.path.join(build, "Makefile"), encoding="utf-8") as file:
            source = next((line.split("=", 1)[1].strip() for line in file if line.startswith("abs_top_srcdir =")), TOP)
    except OSError:
        pass
    return os.path.join(source, "include")


def tree():
    """The folder of the tree's library, or None."""
    named = os.environ.get("PMEMARENA_BUILD")
    for folder in [named] if named else [os.path.join(TOP, "_build", "main"), os.path.join(TOP, "build"), TOP]:
        libraries = os.path.join(folder, ".libs")
        if os.path.exists(os.path.join(libraries, "libpmemarena.so")):
            return os.path.abspath(libraries)
    if named:
        raise SystemExit(f"PMEMARENA_BUILD={named}: no .libs/libpmemarena.so is there: build it first (.ci/build)")
    return None


def where():
    """How to compile and link."""
    libraries = tree() if os.environ.get("PMEMARENA_BUILD") else None
    if not libraries:
        try:
            cflags, libs = pkg_config("--cflags"), pkg_config("--libs")
        except FileNotFoundError:
            cflags = libs = None
        if libs is not None:
            return {"extra_compile_args": cflags, "extra_link_args": libs}
        libraries = tree()
    if not libraries:
        raise SystemExit("libpmemarena was not found: install it (pkg-config libpmemarena must know it), or build the tree and say "
                         "where with PMEMARENA_BUILD=FOLDER")
    return {"include_dirs": [headers_of(os.path.dirname(libraries))], "library_dirs": [libraries], "runtime_library_dirs": [libraries],
            "libraries": ["pmemarena"]}


class BuildExtension(build_ext):
    """Asks where the library is when there is something to build: an sdist can be made without it."""

    def build_extension(self, ext):
        for name, values in where().items():
            setattr(ext, name, getattr(ext, name) + values)
        super().build_extension(ext)


def extension():
    sources = sorted(os.path.relpath(path, HERE) for path in glob.glob(os.path.join(HERE, "src", "*.c")))
    headers = sorted(os.path.relpath(path, HERE) for path in glob.glob(os.path.join(HERE, "src", "*.h")))
    return Extension("_pmemarena", sources, depends=headers, py_limited_api=True, extra_compile_args=["-std=gnu11", "-fvisibility=hidden"],
                     define_macros=[("Py_LIMITED_API", LIMITED_API), ("_GNU_SOURCE", "1")])


setup(ext_modules=[extension()], cmdclass={"build_ext": BuildExtension}, options={"bdist_wheel": {"py_limited_api": "cp311"}})
