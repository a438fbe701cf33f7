#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What type checkers are told is what there is: each public name, method and argument, in both directions; and everything public
says what it does."""

import ast
import inspect
import os
import unittest

import stage
import _pmemarena
import pmemarena

FOLDER = os.path.join(stage.TOP, "python")
# An extension's class has these of its base; what is built in has no signature.
UNSIGNED = ("__len__", "__getitem__", "__buffer__", "__enter__", "__exit__", "__iter__", "__init__")


def public(names):
    return {name for name in names if not name.startswith("_")}


def classes_of(path):
    """Of each class of a stub: its functions, and the names of its members."""
    with open(os.path.join(FOLDER, path), encoding="utf-8") as file:
        tree = ast.parse(file.read())
    classes = {}
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            functions = {f.name: f for f in node.body if isinstance(f, (ast.FunctionDef, ast.AsyncFunctionDef))}
            members = {a.target.id for a in node.body if isinstance(a, ast.AnnAssign)}
            members |= {t.id for a in node.body if isinstance(a, ast.Assign) for t in a.targets}
            classes[node.name] = functions, members
    return classes


def is_property(function):
    return any(isinstance(d, ast.Name) and d.id == "property" for d in function.decorator_list)


def arguments(function):
    a = function.args
    return [arg.arg for arg in (*a.posonlyargs, *a.args, *a.kwonlyargs) if arg.arg not in ("self", "cls")]


class TestTypes(unittest.TestCase):
    def check_class(self, module, name, functions, members):
        real = getattr(module, name)
        told = public([*functions, *members])
        base = public(dir(real.__base__)) if real.__base__ is not None else set()
        self.assertLessEqual(told, public(dir(real)) | set(getattr(real, "__slots__", ())), name)
        own = {n for n in public(vars(real)) if n not in base or n in told}
        self.assertLessEqual(own, told, f"{name}: the stub lacks {own - told}")
        for function in functions.values():
            if is_property(function) or function.name in UNSIGNED:
                continue
            signature = inspect.signature(getattr(real, function.name))
            had = [p.name for p in signature.parameters.values() if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD) and p.name != "self"]
            self.assertEqual(arguments(function), had, f"{name}.{function.name}")

    def check(self, module, path, but=()):
        classes = classes_of(path)
        for name, (functions, members) in classes.items():
            if name not in but:
                with self.subTest(name=name):
                    self.check_class(module, name, functions, members)
        return classes

    def test_stub_of_the_extension_is_true(self):
        classes = self.check(_pmemarena, "pmemarena/_native.pyi", but=("HasHandle",))
        self.assertEqual(public(n for n, v in vars(_pmemarena).items() if isinstance(v, type)), set(classes) - {"HasHandle"})

    def test_stub_of_the_package_is_true(self):
        classes = self.check(pmemarena, "pmemarena/__init__.pyi")
        made_here = {name for name in pmemarena.__all__ if isinstance(getattr(pmemarena, name), type)}
        self.assertEqual(made_here - set(classes), {"Mapping", "Pin", "Pins", "Window"})
        self.assertEqual(set(pmemarena.__all__), {name for name in vars(pmemarena) if not name.startswith("_")})

    def test_everything_public_says_what_it_does(self):
        """But for what its name says, which is as in os or in the class that it is a method of."""
        silent = []
        for name in pmemarena.__all__:
            it = getattr(pmemarena, name)
            if isinstance(it, type) and it.__module__.split(".")[0] in ("pmemarena", "_pmemarena"):
                silent += [name] if not it.__doc__ or it.__doc__.startswith(f"{name}(") and len(it.__doc__) < 80 else []
        self.assertEqual(silent, ["EventKind"])
        for kind in (pmemarena.Session, pmemarena.Mapping, pmemarena.Window, pmemarena.Pin, pmemarena.Pins, pmemarena.Arena):
            for name in public(vars(kind)):
                self.assertTrue(inspect.getdoc(getattr(kind, name)) or name in ("index", "info", "session", "close", "exists", "unsubscribe"),
                                f"{kind.__name__}.{name} says nothing")


if __name__ == "__main__":
    stage.main()
