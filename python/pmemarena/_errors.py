# SPDX-License-Identifier: BSD-3-Clause
"""Errors: an errno, the sentence of the daemon or the library, and the name that it is about."""

import errno


class Error(OSError):
    """A call failed. strerror says what was found and what to do; filename is the allocation that it is about, or None."""

    @property
    def symbol(self):
        """'ENOENT' and the like."""
        return errno.errorcode.get(self.errno, str(self.errno))

    def __str__(self):
        about = "" if self.filename is None or str(self.filename) in (self.strerror or "") else f"{self.filename}: "
        return f"{about}{self.strerror} ({self.symbol})"


class NotFoundError(Error, FileNotFoundError):
    """There is no such allocation, arena or socket."""


class ExistsError(Error, FileExistsError):
    """A published allocation has the name."""


class DeniedError(Error, PermissionError):
    """This user may not, or this process is a child of the one whose session it is."""


class BusyError(Error):
    """It is reserved and not published, or still mapped."""


class FullError(Error):
    """The arena has no room."""


class QuotaError(Error):
    """This user has as much as it may have."""


class LostError(Error, ConnectionError):
    """There is no daemon, or it went away and did not come back in time."""


class StaleError(Error):
    """The session was lost, and there is a new one: look, and ask again."""


class ProtocolError(Error):
    """The other end does not speak this protocol, or no version of it that this library knows."""


class ClosedError(Error, ValueError):
    """It was closed or put before."""


class InvalidError(Error, ValueError):
    """An argument cannot be."""


_CLASSES = {
    errno.ENOENT: NotFoundError,
    errno.EEXIST: ExistsError,
    errno.EACCES: DeniedError,
    errno.EPERM: DeniedError,
    errno.EBUSY: BusyError,
    errno.ENOSPC: FullError,
    errno.EDQUOT: QuotaError,
    errno.ENOTCONN: LostError,
    errno.ECONNREFUSED: LostError,
    errno.ECONNRESET: LostError,
    errno.EPIPE: LostError,
    errno.ESTALE: StaleError,
    errno.EPROTO: ProtocolError,
    errno.EPROTONOSUPPORT: ProtocolError,
    errno.EBADF: ClosedError,
    errno.EINVAL: InvalidError,
}


def make_error(code, sentence, name=None):
    """The exception of an errno. The extension calls it."""
    return _CLASSES.get(code, Error)(code, sentence, name)
