# SPDX-License-Identifier: GPL-2.0-or-later
"""A small NBD client and server for tests: what the protocol forbids, and what breaks in the middle."""
import os
import socket
import struct
import threading

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


class FakeServer:
    """Serves one export of @size zero bytes (or @data) on a unix socket, each connection by
    @behave(stream, request number, request) -> bytes to send, or None for the right answer, or False to hang up."""

    FLAGS = 1 | 4 | 8 | 0x20 | 0x40

    def __init__(self, path, size=1 << 20, data=None, structured=True, behave=None, info=()):
        self.path, self.behave, self.structured, self.info = path, behave, structured, info
        self.data = bytearray(data if data is not None else size)
        self.connections = self.requests = 0
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(5)
        self.stop = False
        self.streams = []
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def close(self):
        """Gone, with all connections; the socket file too."""
        self.stop = True
        os.unlink(self.path)
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for s in self.streams:
            try:
                s.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def _run(self):
        while not self.stop:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            stream = Stream(sock)
            self.streams.append(stream)
            threading.Thread(target=self._serve, args=(stream,), daemon=True).start()

    def _serve(self, s):
        try:
            self._negotiate(s)
            while self._request(s):
                pass
        except (Closed, OSError):
            pass
        s.close()

    def _negotiate(self, s):
        s.structured = s.context = False
        s.send(struct.pack('>8s8sH', b'NBDMAGIC', b'IHAVEOPT', 3))
        s.read(4)
        while True:
            _, opt, length = s.unpack('>8sII')
            data = s.read(length)

            def reply(kind, body=b'', opt=opt):
                s.send(struct.pack('>QIII', 0x3e889045565a9, opt, kind, len(body)) + body)
            if opt == OPT_STRUCTURED_REPLY and self.structured:
                s.structured = True
                reply(REP_ACK)
            elif opt == OPT_SET_META_CONTEXT and s.structured and data.endswith(b'base:allocation'):
                s.context = True
                reply(REP_META_CONTEXT, struct.pack('>I', 5) + b'base:allocation')
                reply(REP_ACK)
            elif opt == OPT_GO:
                for body in self.info:
                    reply(REP_INFO, body)
                reply(REP_INFO, struct.pack('>HQH', 0, len(self.data), self.FLAGS))
                reply(REP_ACK)
                return
            else:
                reply(ERR_UNSUP)

    def _request(self, s):
        _, flags, command, cookie, offset, length = s.unpack('>IHHQQI')
        payload = s.read(length) if command == CMD_WRITE else b''
        self.requests += 1
        request = (flags, command, cookie, offset, length)
        answer = self.behave(s, self.requests, request) if self.behave else None
        if answer is False or command == CMD_DISC:
            return False
        s.send(self.answer(s, request, payload) if answer is None else answer)
        return True

    def answer(self, s, request, payload=b''):
        _, command, cookie, offset, length = request
        if command == CMD_WRITE:
            self.data[offset:offset + length] = payload
        if command == CMD_BLOCK_STATUS:
            return chunk(cookie, 5, struct.pack('>III', 5, length, 0))
        body = bytes(self.data[offset:offset + length]) if command == CMD_READ else b''
        if command == CMD_READ and s.structured:
            return chunk(cookie, 1, struct.pack('>Q', offset) + body)
        return struct.pack('>IIQ', 0x67446698, 0, cookie) + body


def chunk(cookie, kind, payload=b'', flags=1):
    return struct.pack('>IHHQI', 0x668e33ef, flags, kind, cookie, len(payload)) + payload
