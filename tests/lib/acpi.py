# SPDX-License-Identifier: GPL-2.0-or-later
"""ACPI tables as a guest finds them."""
import os
import struct
import subprocess


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
    """signature -> table, DSDT included; every checksum is checked. A second SSDT is 'SSDT2'."""
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
        name, n = table[:4].decode(), 2
        while name in found:
            name, n = table[:4].decode() + str(n), n + 1
        found[name] = table
    found['DSDT'] = load(struct.unpack_from('<Q', found['FACP'], 140)[0])
    return found


class Loaded:
    """The files that fw_cfg has for firmware, put to addresses as the loader's script says."""

    TABLES, RSDP = 'etc/acpi/tables', 'etc/acpi/rsdp'
    BASE = {TABLES: 0x7f000000, RSDP: 0x7effff00}
    OTHERS = 0x7e000000         # where files go that only some machines have

    def __init__(self, fw_cfg):
        self.fw_cfg = fw_cfg
        self.files, self.base = {}, {}
        script = fw_cfg.file('etc/table-loader')
        assert len(script) % 128 == 0, 'size of the script'
        for at in range(0, len(script), 128):
            self.run(script[at:at + 128])

    @staticmethod
    def name(data):
        return data.split(b'\0')[0].decode()

    def run(self, entry):
        command, = struct.unpack_from('<I', entry)
        if command == 1:
            name = self.name(entry[4:60])
            self.files[name] = bytearray(self.fw_cfg.file(name))
            self.base[name] = self.BASE.get(name, self.OTHERS + 0x10000 * len(self.files))
        elif command == 2:
            dest, src = self.name(entry[4:60]), self.name(entry[60:116])
            offset, size = struct.unpack_from('<IB', entry, 116)
            field = int.from_bytes(self.files[dest][offset:offset + size], 'little') + self.base[src]
            self.files[dest][offset:offset + size] = field.to_bytes(size, 'little')
        elif command == 3:
            data = self.files[self.name(entry[4:60])]
            at, start, length = struct.unpack_from('<III', entry, 60)
            data[at] = -sum(data[start:start + length]) & 0xff

    def read(self, addr, size):
        for name, base in self.base.items():
            if base <= addr < base + len(self.files[name]):
                return bytes(self.files[name][addr - base:addr - base + size])
        raise AssertionError('a pointer to 0x%x' % addr)

    def tables(self):
        """Every checksum is checked on the way."""
        return tables(self.read, self.BASE[self.RSDP])


# ---- iasl ----

def _iasl(folder, *args):
    done = subprocess.run(['iasl', *args], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    return done.stdout.decode(errors='replace')


def disassemble(folder, found):
    """signature -> text, without what tells of the program and the day. Files of @folder are made."""
    texts = {}
    for name, table in found.items():
        with open(os.path.join(folder, name + '.dat'), 'wb') as f:
            f.write(table)
    for name in found:
        # What other tables declare is known when a secondary one is read.
        known = ['-e', 'DSDT.dat'] if name.startswith('SSDT') else []
        out = _iasl(folder, *known, '-d', name + '.dat')
        assert 'rror' not in out and 'arning' not in out, (name, out)
        with open(os.path.join(folder, name + '.dsl'), encoding='utf-8') as f:
            text = f.read()
        text = text[text.index('*/') + 2:].split('Raw Table Data')[0]
        texts[name] = '\n'.join(line.rstrip() for line in text.strip().splitlines()) + '\n'
    return texts


def recompile(folder, name):
    """The text that disassemble() left compiles without errors or warnings."""
    out = _iasl(folder, '-p', name + '-again', name + '.dsl')
    assert '0 Errors, 0 Warnings' in out, (name, out)
