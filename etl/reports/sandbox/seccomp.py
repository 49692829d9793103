"""A seccomp filter: no thread of this process can write a file, connect or start a process.

It refuses with EPERM: sockets, processes, opening a file for writing, changes to files, names,
mounts and limits, and the calls that would bypass the filter (io_uring, openat2). It allows all
other calls. Call numbers: asm/unistd_64.h and asm-generic/unistd.h of Linux. The program is classic
BPF, see https://docs.kernel.org/userspace-api/seccomp_filter.html
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct

_X86, _ARM = "x86_64", "aarch64"
_AUDIT_ARCH = {_X86: 0xC000003E, _ARM: 0xC00000B7}
_SECCOMP = {_X86: 317, _ARM: 277}
_MODE_FILTER, _ALL_THREADS, _ACTION_AVAILABLE = 1, 1, 2

_ALIKE = (424, 425, 428, 429, 430, 432, 434, 437, 438, 442, 452)
"""pidfd_send_signal, io_uring_setup, open_tree, move_mount, fsopen, fsmount, pidfd_open, openat2,
pidfd_getfd, mount_setattr, fchmodat2: newer calls have the same number on every machine."""
_REFUSED = {
    _X86: (
        *(41, 42, 43, 44, 46, 49, 50, 53, 288, 307),  # socket to accept4, sendmmsg
        *(56 + 1, 58, 59, 322, 62, 200, 129, 297),  # fork, vfork, execve(at), kill, queued signals
        *(101, 310, 311, 312, 29, 68, 240, 319),  # ptrace, others' memory, shared memory, queues
        *(85, 82, 264, 316, 83, 258, 84, 87, 263),  # creat, rename*, mkdir*, rmdir, unlink*
        *(86, 265, 88, 266, 133, 259, 76, 77, 285),  # link*, symlink*, mknod*, truncate, fallocate
        *(90, 91, 268, 92, 93, 94, 260),  # chmod*, chown*
        *(188, 189, 190, 197, 198, 199, 132, 235, 261, 280),  # extended attributes, times
        *(155, 161, 165, 166, 272, 304, 308),  # mounts, roots, namespaces, file handles
        *(160, 175, 246, 248, 249, 250, 298, 313, 321, 323),  # setrlimit, modules, keys, bpf, ...
    ),
    _ARM: (
        *(198, 199, 200, 201, 202, 203, 206, 211, 242, 269),
        *(221, 281, 129, 130, 138, 240),
        *(117, 270, 271, 272, 180, 186, 194, 279),
        *(38, 276, 34, 35, 36, 37, 33, 45, 46, 47),
        *(52, 53, 54, 55, 5, 6, 7, 14, 15, 16, 88),
        *(39, 40, 41, 51, 97, 265, 268),
        *(104, 105, 164, 217, 218, 219, 241, 273, 280, 282),
    ),
}
# Calls with arguments: the call's number, the argument's index, and the bits that are refused.
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_ANY_BIT = 0xFFFFFFFF
_REFUSED_BITS = {
    _X86: ((2, 1, _WRITING), (257, 2, _WRITING), (302, 2, _ANY_BIT)),  # open, openat, prlimit64
    _ARM: ((56, 2, _WRITING), (261, 2, _ANY_BIT)),
}
_CLONE = {_X86: 56, _ARM: 220}
_CLONE3 = 435
_CLONE_THREAD = 0x00010000
_X32_BIT = 0x40000000

_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_LOAD, _EQUAL, _AT_LEAST, _ANY_OF, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def is_available() -> bool:
    """Return whether the kernel has such filters and this module has the processor's numbers."""
    number = _SECCOMP.get(platform.machine())
    if number is None:
        return False
    action = ctypes.c_uint32(_ERRNO)
    return int(_libc.syscall(number, _ACTION_AVAILABLE, 0, ctypes.byref(action))) == 0


def refuse_changes() -> None:
    """Apply the filter to every thread; it cannot be undone. Raises OSError.

    The process must have set no_new_privs.
    """
    machine = platform.machine()
    content = b"".join(_instructions(machine))
    program = _Program(len(content) // 8, content)
    call = (_SECCOMP[machine], _MODE_FILTER, _ALL_THREADS, ctypes.byref(program))
    result = int(_libc.syscall(*call))
    if result != 0:
        error = ctypes.get_errno() if result < 0 else errno.ESRCH
        raise OSError(error, f"seccomp: {os.strerror(error)}")


def _instructions(machine: str) -> list[bytes]:
    refuse = _step(_RETURN, _ERRNO | errno.EPERM)
    allow = _step(_RETURN, _ALLOW)
    # The last numbers of a comparison: instructions to skip if it is true, and if it is false.
    program = [
        _step(_LOAD, 4),
        _step(_EQUAL, _AUDIT_ARCH[machine], 1, 0),
        _step(_RETURN, _KILL),
        _step(_LOAD, 0),
        _step(_AT_LEAST, _X32_BIT, 0, 1),
        _step(_RETURN, _KILL),
        # The C library falls back to `clone`, whose flags a filter can read.
        _step(_EQUAL, _CLONE3, 0, 1),
        _step(_RETURN, _ERRNO | errno.ENOSYS),
    ]
    for number in (*_REFUSED[machine], *_ALIKE):
        program += [_step(_EQUAL, number, 0, 1), refuse]
    # Refuse if a bit is set in the argument's low half or, for _ANY_BIT, in its high half.
    for number, argument, bits in _REFUSED_BITS[machine]:
        high = _high(argument) if bits == _ANY_BIT else _low(argument)
        checks = [_low(argument), _step(_ANY_OF, bits, 2, 0), high, _step(_ANY_OF, bits, 0, 1)]
        program += [_step(_EQUAL, number, 0, 6), *checks, refuse, allow]
    thread = [_low(0), _step(_ANY_OF, _CLONE_THREAD, 1, 0), refuse, allow]
    return [*program, _step(_EQUAL, _CLONE[machine], 0, 4), *thread, allow]


def _step(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)


def _low(argument: int) -> bytes:
    return _step(_LOAD, 16 + 8 * argument)


def _high(argument: int) -> bytes:
    return _step(_LOAD, 20 + 8 * argument)
