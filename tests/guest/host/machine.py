# SPDX-License-Identifier: BSD-3-Clause
"""One QEMU guest: started on an image directory, listened to line by line over a virtio port, killed or waited for."""

import os
import signal
import socket
import subprocess
import time
from pathlib import Path

LEFT_BY_ITSELF = 3          # isa-debug-exit: (1 << 1) | 1; a power-off and a panic are 0
CXL_LABELS_MIB = 1
SO_SNDBUFFORCE = 32         # the socket module has no name for it


class GuestError(Exception):
    """The guest did not do what it was started for; the text says what was seen instead."""


class Machine:
    """A guest with root file system and lab disk, and, as asked for, images of an NVDIMM and of CXL memory, and RAM as a dax region."""

    def __init__(self, image: Path, disk: Path, scratch: Path, cmdline: str, *, nvdimm: Path | None = None,
                 cxl: Path | None = None, hmem_mib: int = 0, memory_mib: int = 1024, echo: bool = False):
        self.console = scratch / "console.log"
        self.echo = echo
        self.started = time.monotonic()
        self._pending = b""
        self._transcript = open(scratch / "transcript.log", "a", encoding="utf-8")
        self._port, theirs = socket.socketpair()
        # Never full: QEMU would take what the guest says and keep it.
        theirs.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, 64 << 20)
        arguments = self._arguments(image, disk, scratch, cmdline, nvdimm, cxl, hmem_mib, memory_mib,
                                    theirs.fileno(), self.console)
        with open(scratch / "qemu.log", "ab") as log:
            self._process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                             pass_fds=[theirs.fileno()], env={**os.environ, "TMPDIR": str(scratch)})
        theirs.close()

    @staticmethod
    def _arguments(image, disk, scratch, cmdline, nvdimm, cxl, hmem_mib, memory_mib, port_fd, console):
        kernel = image / "vmlinux"
        if not kernel.exists():
            kernel = image / "vmlinuz"
        # Below 4 GiB a q35 machine has 2 GiB of its RAM when it has more; the dax region is all that lies above.
        if hmem_mib:
            memory_mib = 2048 + hmem_mib
            cmdline += f" memmap={hmem_mib}M%4G-1+0xefffffff"
        arguments = [
            # A guest never outlives the lab, however that ends.
            "setpriv", "--pdeathsig", "KILL", "qemu-system-x86_64", "-machine", "q35,nvdimm=on,nvdimm-persistence=mem-ctrl",
            "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "1",
            "-m", f"{memory_mib}M,slots=4,maxmem=64G", "-display", "none", "-nodefaults", "-no-reboot",
            "-serial", f"file:{console}", "-device", "isa-debug-exit,iobase=0xf4,iosize=0x4",
            "-kernel", str(kernel),
            "-append", "console=ttyS0 quiet panic=-1 root=/dev/nvme0n1 rw rootfstype=ext4 init=/sbin/lab-init "
                       f"mitigations=off random.trust_cpu=on {cmdline}",
            "-drive", f"if=none,id=root,file={image / 'root.ext4'},format=raw,snapshot=on",
            "-device", "nvme,drive=root,serial=root",
            # Not NVMe as well: two disks of a kind are numbered in the order in which they happen to be found.
            "-drive", f"if=none,id=lab,file={disk},format=raw,readonly=on", "-device", "virtio-blk-pci,drive=lab",
            # Without ioeventfd a line is with the host when the guest's kick is over: a power cut must not lose what was said.
            "-device", "virtio-serial-pci,ioeventfd=off", "-chardev", f"socket,id=lab,fd={port_fd}",
            "-device", "virtserialport,chardev=lab,name=lab",
        ]
        if nvdimm:
            arguments += ["-object", f"memory-backend-file,id=nv0,share=on,mem-path={nvdimm},size={nvdimm.stat().st_size}",
                          "-device", "nvdimm,id=dimm0,memdev=nv0,label-size=2M"]
        return arguments + (cxl_arguments(cxl) if cxl else [])

    def lines(self, timeout_s: float):
        """Yield what the guest says until it ends; GuestError when nothing was heard for @timeout_s."""
        while True:
            while b"\n" in self._pending:
                line, self._pending = self._pending.split(b"\n", 1)
                text = line.decode(errors="replace")
                self._transcript.write(f"{time.monotonic() - self.started:.3f} {text}\n")
                if self.echo:
                    print(f"  [guest {time.monotonic() - self.started:6.1f}] {text}", flush=True)
                yield text
            self._port.settimeout(timeout_s)
            try:
                more = self._port.recv(65536)
            except TimeoutError:
                raise GuestError(f"nothing was heard from the guest for {timeout_s:.0f} s{self.console_tail()}") from None
            except ConnectionResetError:
                more = b""
            if not more:
                return
            self._pending += more

    def say(self, text: str):
        self._port.sendall(text.encode() + b"\n")

    @staticmethod
    def pause(seconds: float):
        """Let the guest go on for a while: a power cut comes at a moment that nothing in the guest has chosen."""
        time.sleep(seconds)

    def cut_power(self):
        """SIGKILL: nothing in the guest or in QEMU gets to do anything more."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def wait(self, timeout_s: float = 20):
        """The guest's end; GuestError unless it came to it by itself."""
        try:
            status = self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise GuestError(f"the guest did not end{self.console_tail()}") from None
        if status != LEFT_BY_ITSELF:
            raise GuestError(f"QEMU exited with {status}{self.console_tail()}")

    def close(self):
        if self._process.poll() is None:
            self.cut_power()
        self._port.close()
        self._transcript.close()

    def has_crashed(self) -> bool:
        return "Kernel panic" in self.console.read_text(errors="replace")

    def console_tail(self) -> str:
        lines = self.console.read_text(errors="replace").splitlines()[-15:]
        return "; the console's end:\n" + "\n".join(f"    {line}" for line in lines) if lines else "; the console is empty"


def cxl_arguments(image: Path) -> list[str]:
    """One persistent CXL memory device on a root port of its own, in a window of 4 GiB; its labels lie beside @image."""
    labels = image.with_suffix(".labels")
    with open(labels, "ab") as file:
        file.truncate(CXL_LABELS_MIB << 20)
    return ["-machine", "cxl=on",
            # A guest that sees a hypervisor makes no region: its kernel does not trust a cache flush that is emulated.
            "-cpu", "max,hypervisor=off",
            "-object", f"memory-backend-file,id=cxl0,share=on,mem-path={image},size={image.stat().st_size}",
            "-object", f"memory-backend-file,id=cxllsa0,share=on,mem-path={labels},size={CXL_LABELS_MIB}M",
            "-device", "pxb-cxl,bus_nr=12,bus=pcie.0,id=cxl.1",
            "-device", "cxl-rp,port=0,bus=cxl.1,id=cxlrp0,chassis=0,slot=2",
            # The serial number gives the region its identity: newer kernels make none of a device whose number is 0.
            "-device", "cxl-type3,bus=cxlrp0,memdev=cxl0,lsa=cxllsa0,id=cxlpmem0,sn=0xc0ffee",
            "-machine", "cxl-fmw.0.targets.0=cxl.1,cxl-fmw.0.size=4G"]


def new_cxl(path: Path, size_mib: int) -> Path:
    """A sparse image; QEMU refuses a size that is no multiple of 256 MiB."""
    with open(path, "wb") as file:
        file.truncate(size_mib << 20)
    return path


def new_nvdimm(path: Path, size_mib: int) -> Path:
    """A sparse image, 2 MiB larger than asked for: QEMU keeps the labels there and the rest stays aligned."""
    with open(path, "wb") as file:
        file.truncate((size_mib + 2) << 20)
    return path
