# SPDX-License-Identifier: GPL-2.0-or-later
"""A small NBD client and server for tests: what the protocol forbids, and what breaks in the middle."""
import socket
import struct

OPT_EXPORT_NAME, OPT_ABORT, OPT_LIST, OPT_STARTTLS, OPT_INFO, OPT_GO = 1, 2, 3, 5, 6, 7
OPT_STRUCTURED_REPLY, OPT_LIST_META_CONTEXT, OPT_SET_META_CONTEXT = 8, 9, 10
REP_ACK, REP_SERVER, REP_INFO, REP_META_CONTEXT = 1, 2, 3, 4
ERR_UNSUP, ERR_POLICY, ERR_INVALID, ERR_TLS_REQD, ERR_UNKNOWN, ERR_TOO_BIG = (
    (1 << 31) | n for n in (1, 2, 3, 5, 6, 9))
CMD_READ, CMD_WRITE, CMD_DISC, CMD_FLUSH, CMD_TRIM, CMD_CACHE, CMD_WRITE_ZEROES, CMD_BLOCK_STATUS = range(8)


class Closed(Exception):
    """The other side hung up."""


class Stream:
    def __init__(self, sock):
        self.sock = sock
        sock.settimeout(20)

    def read(self, n):
        data = b''
        while len(data) < n:
            try:
                piece = self.sock.recv(n - len(data))
            except ConnectionResetError:
                piece = b''
            if not piece:
                raise Closed()
            data += piece
        return data

    def send(self, data):
        try:
            self.sock.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            raise Closed() from None

    def unpack(self, fmt):
        return struct.unpack(fmt, self.read(struct.calcsize(fmt)))

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()


class Client(Stream):
    """Connected, handshake flags exchanged."""

    def __init__(self, path, flags=3):
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(path)
        super().__init__(sock)
        self.hello = self.unpack('>8s8sH')
        self.send(struct.pack('>I', flags))

    def option(self, number, data=b''):
        """Sends an option; the list of (reply type, data) up to the acknowledgement or error."""
        self.send(struct.pack('>8sII', b'IHAVEOPT', number, len(data)) + data)
        replies = []
        while True:
            magic, opt, kind, length = self.unpack('>QIII')
            assert magic == 0x3e889045565a9 and opt == number
            replies.append((kind, self.read(length)))
            if kind == REP_ACK or kind >> 31:
                return replies

    def go(self, name=b''):
        return self.option(OPT_GO, struct.pack('>I', len(name)) + name + struct.pack('>H', 0))

    def request(self, command, offset=0, length=0, flags=0, payload=b'', cookie=7):
        self.send(struct.pack('>IHHQQI', 0x25609513, flags, command, cookie, offset, length) + payload)

    def simple(self):
        """The (error, cookie) of a simple reply."""
        magic, error, cookie = self.unpack('>IIQ')
        assert magic == 0x67446698, hex(magic)
        return error, cookie

    def chunk(self):
        """(flags, type, cookie, payload) of a structured reply."""
        magic, flags, kind, cookie, length = self.unpack('>IHHQI')
        assert magic == 0x668e33ef, hex(magic)
        return flags, kind, cookie, self.read(length)

    def ended(self):
        try:
            self.sock.settimeout(20)
            return self.sock.recv(1) == b''
        except ConnectionResetError:
            return True
