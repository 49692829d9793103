"""Landlock: restrict this thread and the threads that it starts to reading some paths.

They cannot write, create, remove or execute a file; from ABI 4 (Linux 6.7) on they cannot connect
or bind a TCP socket, from ABI 6 (6.12) on they cannot signal another process. It cannot be undone.
Threads that already run are not confined: call it before a library starts its threads. Source of
the protocol: https://docs.kernel.org/userspace-api/landlock.html
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Sequence
from pathlib import Path

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_GIVE_VERSION = 1
_RULE_PATH_BENEATH = 1
_READ_FILE, _READ_DIR = 1 << 2, 1 << 3
_FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
"""ABI -> number of rights on files, from bit 0 on; a later ABI has as many as ABI 5."""
_TCP_ABI, _TCP_RIGHTS = 4, 0b11
_SCOPE_ABI, _SCOPES = 6, 0b11

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


def abi() -> int:
    """Return the ABI version of this kernel's Landlock; 0 if it has none."""
    return max(0, int(_libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _GIVE_VERSION)))


def restrict_to_reading(paths: Sequence[Path]) -> None:
    """Confine this thread to reading these files and folders. Raises OSError.

    The process must have set no_new_privs. A path that does not exist is left out.
    """
    version = abi()
    rights = (1 << _FILE_RIGHTS.get(version, _FILE_RIGHTS[5])) - 1
    words = [rights]
    if version >= _TCP_ABI:
        words.append(_TCP_RIGHTS)
    if version >= _SCOPE_ABI:
        words.append(_SCOPES)
    content = struct.pack(f"{len(words)}Q", *words)
    ruleset = _call(_CREATE_RULESET, content, ctypes.c_size_t(len(content)), 0)
    try:
        for path in paths:
            if path.exists():
                _allow_reading(ruleset, path)
        _call(_RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)


def _allow_reading(ruleset: int, path: Path) -> None:
    handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        rights = _READ_FILE | (_READ_DIR if path.is_dir() else 0)
        rule = struct.pack("=Qi", rights, handle)
        _call(_ADD_RULE, ruleset, _RULE_PATH_BENEATH, rule, 0)
    finally:
        os.close(handle)


def _call(number: int, *arguments: object) -> int:
    result = int(_libc.syscall(number, *arguments))
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"landlock: {os.strerror(error)}")
    return result
