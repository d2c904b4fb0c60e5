# SPDX-License-Identifier: GPL-2.0-or-later
"""ACPI tables as a guest finds them."""
import struct


def checksum(data):
    return sum(data) & 0xff


def find_rsdp(read):
    """The address of the RSDP, looked for as the specification says; read(addr, size) gives memory."""
    area = read(0xe0000, 0x20000)
    for at in range(0, len(area), 16):
        if area[at:at + 8] == b'RSD PTR ' and checksum(area[at:at + 20]) == 0:
            return 0xe0000 + at
    return None


def tables(read, rsdp):
    """signature -> table, DSDT included; every checksum is checked."""
    head = read(rsdp, 36)
    assert head[:8] == b'RSD PTR ' and checksum(head) == 0 and checksum(head[:20]) == 0, 'RSDP'

    def load(addr):
        size = struct.unpack('<I', read(addr + 4, 4))[0]
        table = read(addr, size)
        assert checksum(table) == 0, 'checksum of %r' % table[:4]
        return table

    xsdt = load(struct.unpack_from('<Q', head, 24)[0])
    assert xsdt[:4] == b'XSDT', 'XSDT'
    found = {}
    for (addr,) in struct.iter_unpack('<Q', xsdt[36:]):
        table = load(addr)
        found[table[:4].decode()] = table
    found['DSDT'] = load(struct.unpack_from('<Q', found['FACP'], 140)[0])
    return found
