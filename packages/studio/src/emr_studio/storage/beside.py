"""Small processes beside the store, which end with it."""

from __future__ import annotations

import ctypes
import os
import signal

_PR_SET_PDEATHSIG = 1


def fork_beside() -> bool:
    """Fork; True in the new process, which is to execute a program of its own.

    It ends with the present process, which is to become the store.
    """
    store = os.getpid()
    if os.fork():
        return False
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != store:
        os._exit(1)
    return True
