# SPDX-License-Identifier: BSD-3-Clause
"""python -m pmemarena: looks into an arena, puts files into it and gets them out."""

import argparse
import signal
import sys

import pmemarena

# A file is not as long as the pages that hold it: its length is in the attributes.
LENGTH = b"pmemarena-length="


def with_unit(number):
    """'4.0 MiB'."""
    units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"]
    size = float(number)
    while size >= 1024 and len(units) > 1:
        size /= 1024
        units.pop(0)
    return f"{number} B" if units[0] == "B" else f"{size:.1f} {units[0]}"


def charge_of(what, charge, show):
    return f"{what} {show(charge.used)}" + (f" of at most {show(charge.limit)}" if charge.limit else "")


def do_usage(session, args):
    for arena in [session.arena(args.arena)] if args.arena is not None else session.arenas():
        usage = arena.usage()
        print(f"{arena.index} {arena.info.name}  {with_unit(usage.size)}, {with_unit(usage.free)} free "
              f"(largest extent {with_unit(usage.largest_free)}), pages of {with_unit(arena.info.page_size)}")
        print(f"  all users: reserved {with_unit(usage.reserved)}, taken ahead {with_unit(usage.leased)}, "
              f"freed and perhaps in use {with_unit(usage.quarantined)}")
        print("  you:", ", ".join([charge_of("bytes", usage.bytes, with_unit), charge_of("allocations", usage.allocations, str),
                                   charge_of("taken ahead", usage.leased_bytes, with_unit)]))


def arena_of(session, args):
    return session.arena(0 if args.arena is None else args.arena)


def printable(name):
    """Whatever bytes a name has, they do not reach the terminal as they are."""
    return name if name.isprintable() else repr(name)


def do_list(session, args):
    for info in arena_of(session, args).list(args.prefix):
        print(f"{info.len:>16} {info.mode:04o} {info.uid:>6} {info.gid:>6} {printable(info.name) or '-'}")


def length_of(info):
    attributes = info.attributes
    text = attributes[len(LENGTH):] if attributes.startswith(LENGTH) else b""
    return min(int(text), info.len) if text.isdigit() else info.len


def do_get(session, args):
    with arena_of(session, args).open(args.name, read_only=True) as allocation:
        with allocation.map() as memory, memoryview(memory) as view, view[:length_of(allocation.info)] as data:
            if args.file is None or args.file == "-":
                sys.stdout.buffer.write(data)
                sys.stdout.buffer.flush()
            else:
                with open(args.file, "wb") as file:
                    file.write(data)


def do_put(session, args):
    if args.file is None or args.file == "-":
        data = sys.stdin.buffer.read()
    else:
        with open(args.file, "rb") as file:
            data = file.read()
    if not data:
        raise ValueError(f"{args.file or 'the input'} is empty: an allocation has at least one byte")
    arena_of(session, args).put(args.name, data, replace=args.replace, mode=args.mode, attributes=LENGTH + b"%d" % len(data))


def do_rm(session, args):
    arena_of(session, args).free(args.name)


def parser():
    top = argparse.ArgumentParser(prog="python -m pmemarena", description="Looks into an arena of pmemarenad, puts files into it and gets "
                                  "them out.")
    top.add_argument("--socket", help="where the daemon listens (default: $PMEMARENA_SOCKET, else /run/pmemarena/pmemarena.sock)")
    top.add_argument("--arena", help="its name or UUID (default: the first)")
    version = f"pmemarena {pmemarena.__version__}, libpmemarena {pmemarena.library_version()}"
    top.add_argument("--version", action="version", version=version)
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name, run, help):
        it = commands.add_parser(name, help=help, description=help)
        it.set_defaults(run=run)
        return it

    command("usage", do_usage, "how full the arenas are, and what is yours")
    it = command("list", do_list, "the allocations: length, mode, uid, gid, name")
    it.add_argument("prefix", nargs="?", help="only names that begin so, in their order")
    it = command("get", do_get, "write an allocation to a file, or to the output")
    it.add_argument("name")
    it.add_argument("file", nargs="?")
    it = command("put", do_put, "make an allocation of a file, or of the input; nobody sees it before it is complete")
    it.add_argument("name")
    it.add_argument("file", nargs="?")
    it.add_argument("--replace", action="store_true", help="in the place of what has the name")
    it.add_argument("--mode", type=lambda text: int(text, 8), default=0, help="who else may open it, as of chmod (default: 600)")
    it = command("rm", do_rm, "free an allocation")
    it.add_argument("name")
    return top


def main():
    args = parser().parse_args()
    # As other programs at the head of a pipe.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        with pmemarena.Session(args.socket) as session:
            args.run(session, args)
    except (OSError, ValueError) as error:
        print(f"pmemarena: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
