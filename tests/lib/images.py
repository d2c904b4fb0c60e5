# SPDX-License-Identifier: GPL-2.0-or-later
"""Kernel images made for tests: no code that makes sense, only headers and known bytes."""
import struct

MIB = 1 << 20


def pvh_elf(load=2 * MIB, payload=b'\x90' * 64, bss=4096, entry=None):
    """ELF64 with one segment at @load and a PVH note."""
    entry = load if entry is None else entry
    note = struct.pack('<III4sQ', 4, 8, 18, b'Xen\0', entry)
    note_at, data_at = 0x200, 0x1000
    head = struct.pack('<16sHHIQQQIHHHHHH', b'\x7fELF\x02\x01\x01', 2, 62, 1, entry, 64, 0, 0,
                       64, 56, 2, 0, 0, 0)
    head += struct.pack('<IIQQQQQQ', 1, 7, data_at, load, load, len(payload), len(payload) + bss, 4096)
    head += struct.pack('<IIQQQQQQ', 4, 4, note_at, 0, 0, len(note), len(note), 4)
    return (head.ljust(note_at, b'\0') + note).ljust(data_at, b'\0') + payload


def multiboot(load=MIB, payload=b'\x90' * 64, flags=3):
    """A flat image with addresses in its header."""
    flags |= 0x10000
    magic = 0x1badb002
    header = struct.pack('<IIIIIIII', magic, flags, -(magic + flags) & 0xffffffff, load, load, 0, 0,
                         load + 32)
    return header + payload


def bzimage(payload=b'\x90' * 4096, pref=16 * MIB, init_size=4 * MIB):
    """Protocol 2.15, two setup sectors."""
    h = bytearray(3 * 512)
    h[0x1f1] = 2
    struct.pack_into('<I', h, 0x1f4, (len(payload) + 15) // 16)
    struct.pack_into('<H', h, 0x1fe, 0xaa55)
    h[0x200:0x206] = b'\xeb\x6aHdrS'
    struct.pack_into('<H', h, 0x206, 0x20f)
    h[0x211] = 1
    struct.pack_into('<III', h, 0x22c, 0x7fffffff, 2 * MIB, 1)
    struct.pack_into('<HI', h, 0x236, 0x3f, 2047)
    struct.pack_into('<QI', h, 0x258, pref, init_size)
    return bytes(h) + payload
