#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""WebSocket character devices (RFC 6455): a QMP monitor behind one, with our own client, hostile ones and python3-websockets."""
import contextlib
import json
import os
import random
import socket
import ssl
import struct
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
from lib import qtest, runner, tls

CONTINUE, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
# The example of RFC 6455, section 1.3.
KEY, ACCEPT = 'dGhlIHNhbXBsZSBub25jZQ==', 's3pPLMBiTxaQ9kYGzzhZRbK+xOo='
CAPABILITIES = b'{"execute": "qmp_capabilities"}'


def request(path='/', method='GET', version='HTTP/1.1', **headers):
    fields = {'Host': 'x', 'Connection': 'keep-alive, Upgrade', 'Upgrade': 'websocket', 'Sec-WebSocket-Version': '13',
              'Sec-WebSocket-Key': KEY, 'Sec-WebSocket-Protocol': 'chat, binary'}
    fields.update((k.replace('_', '-'), v) for k, v in headers.items())
    lines = ['%s %s %s' % (method, path, version)] + ['%s: %s' % f for f in fields.items() if f[1] is not None]
    return ('\r\n'.join(lines) + '\r\n\r\n').encode()


def frame(opcode, data=b'', fin=True, mask=b'\x9a\x01\xff\x7c', rsv=0, length=None):
    n = len(data) if length is None else length
    head = bytes([fin << 7 | rsv << 4 | opcode])
    bit = 0x80 if mask else 0
    if n < 126:
        head += bytes([bit | n])
    elif n < 65536:
        head += struct.pack('>BH', bit | 126, n)
    else:
        head += struct.pack('>BQ', bit | 127, n)
    return head + (mask + bytes(b ^ mask[i % 4] for i, b in enumerate(data)) if mask else data)


class Client:
    def __init__(self, path, context=None, hello=None, extra=b''):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(60)
        self.sock.connect(path)
        if context:
            self.sock = context.wrap_socket(self.sock, server_hostname='localhost')
        self.sock.sendall((request() if hello is None else hello) + extra)
        self.buf = b''
        while b'\r\n\r\n' not in self.buf:
            self.more()
        head, self.buf = self.buf.split(b'\r\n\r\n', 1)
        lines = head.decode().split('\r\n')
        self.status = lines[0]
        self.headers = dict(line.split(': ', 1) for line in lines[1:])

    def more(self):
        data = self.sock.recv(65536)
        if not data:
            raise EOFError
        self.buf += data

    def take(self, n):
        while len(self.buf) < n:
            self.more()
        data, self.buf = self.buf[:n], self.buf[n:]
        return data

    def frame(self):
        first, n = self.take(2)
        runner.equal(first & 0xf0, 0x80, 'a whole frame without extensions')
        assert n < 127, 'unmasked, of moderate size'
        if n == 126:
            n, = struct.unpack('>H', self.take(2))
        return first & 0xf, self.take(n)

    def messages(self, buffered=b''):
        """JSON lines; a line may come in several frames."""
        while True:
            opcode, data = self.frame()
            runner.equal(opcode, BINARY, 'opcode')
            buffered += data
            while b'\n' in buffered:
                line, buffered = buffered.split(b'\n', 1)
                yield json.loads(line)

    def send(self, *frames):
        self.sock.sendall(b''.join(frames))

    def until_closed(self):
        """Status and reason of the close frame that must come, after which the stream ends."""
        while True:
            opcode, data = self.frame()
            if opcode == CLOSE:
                break
        try:
            self.more()
        except (EOFError, ConnectionResetError):
            return struct.unpack('>H', data[:2])[0], data[2:].decode()
        raise AssertionError('bytes after the close frame')

    def close(self):
        self.sock.close()


@contextlib.contextmanager
def emulator(*args, tls_args=''):
    with tempfile.TemporaryDirectory() as d:
        path = os.path.join(d, 'sock')
        with qtest.Emulator('-machine', 'none', '-nodefaults', *args, '-chardev',
                            'socket,id=c,path=%s,server=on,wait=off,websocket=on%s' % (path, tls_args),
                            '-mon', 'chardev=c,mode=control') as vm:
            yield vm, path


def talk(client):
    messages = client.messages()
    assert 'QMP' in next(messages)
    client.send(frame(BINARY, CAPABILITIES))
    runner.equal(next(messages), {'return': {}}, 'capabilities')
    client.send(frame(BINARY, b'{"execute": "query-qmp-schema"}'))
    assert len(next(messages)['return']) > 100
    return messages


def test_conversation():
    with emulator() as (vm, path):
        for _ in range(2):
            c = Client(path)
            runner.equal(c.status, 'HTTP/1.1 101 Switching Protocols', 'status')
            runner.equal(c.headers['Sec-WebSocket-Accept'], ACCEPT, 'accept')
            runner.equal(c.headers['Sec-WebSocket-Protocol'], 'binary', 'protocol')
            messages = talk(c)
            big = json.dumps({'execute': 'qom-get', 'arguments': {'path': '/', 'property': 'x' * 100000}}).encode()
            c.send(frame(BINARY, big))
            assert 'error' in next(messages)
            # Byte by byte, in fragments, of which some are empty, with a ping between them.
            for b in frame(BINARY, b'{"execute":', False):
                c.send(bytes([b]))
            c.send(frame(CONTINUE, b'', False), frame(PING, b'here?'), frame(PONG, b'unasked'))
            runner.equal(c.frame(), (PONG, b'here?'), 'pong')
            c.send(frame(CONTINUE, b'"query-name"}', mask=b'\0\0\0\0'))
            runner.equal(next(messages), {'return': {}}, 'answer')
            c.send(frame(CLOSE, struct.pack('>H', 1001) + b'bye'))
            runner.equal(c.until_closed(), (1000, 'peer requested close'), 'close')
            c.close()
        # What follows the request in the same packet.
        c = Client(path, extra=frame(BINARY, CAPABILITIES) + frame(PING))
        runner.equal(sorted([c.frame()[0] for _ in range(3)]), [BINARY, BINARY, PONG], 'frames')
        c.close()
        runner.equal([x['filename'] for x in vm.qmp.cmd('query-chardev') if x['label'] == 'c'][0].replace('disconnected:', ''),
                     'unix:%s,server=on' % path, 'filename')


def test_refused_requests():
    with emulator() as (vm, path):
        for status, hello in (
                ('400 Bad Request', request(version='HTTP/1.0')), ('400 Bad Request', request(method='POST')),
                ('400 Bad Request', request(Host=None)), ('400 Bad Request', request(Sec_WebSocket_Version='8')),
                ('400 Bad Request', request(Sec_WebSocket_Key='short')), ('400 Bad Request', request(Upgrade='h2c')),
                ('400 Bad Request', request(Connection='close')), ('400 Bad Request', request(Sec_WebSocket_Protocol='base64')),
                ('400 Bad Request', b'\0\xff\r\n\r\n'), ('404 Not Found', request(path='/x')),
                ('403 Request Entity Too Large', b'x' * 4096), ('101 Switching Protocols', request(Sec_WebSocket_Protocol=None))):
            c = Client(path, hello=hello)
            runner.equal(c.status, 'HTTP/1.1 ' + status, 'answer to %r' % hello[:40])
            if status[0] == '4':
                runner.equal(c.sock.recv(10), b'', 'end')
            c.close()
        talk(Client(path))


def test_breaches():
    """Each ends the connection with its status, and the next client is served."""
    with emulator() as (vm, path):
        for status, bad in ((1002, frame(BINARY, b'x' * 8, mask=None)), (1002, frame(BINARY, b'x', rsv=4)),
                            (1003, frame(TEXT, b'x')), (1003, frame(11, b'x')), (1008, frame(PING, b'x', fin=False)),
                            (1002, frame(PING, b'x' * 126)), (1002, frame(CONTINUE, b'x')),
                            (1002, frame(BINARY, b'{', fin=False) + frame(BINARY, b'}')),
                            (1002, frame(BINARY, b'', length=1 << 63))):
            c = Client(path)
            c.send(bad)
            runner.equal(c.until_closed()[0], status, 'status after %r' % bad[:12])
            c.close()
        rng = random.Random(6455)
        for _ in range(60):
            c = Client(path)
            with contextlib.suppress(ConnectionError):
                for _ in range(rng.randrange(1, 20)):
                    c.send(frame(rng.choice((CONTINUE, BINARY, CLOSE, PING, PONG, rng.randrange(16))), rng.randbytes(rng.randrange(200)),
                                 fin=rng.random() < .7, rsv=rng.random() < .05, mask=rng.choice((b'abcd', b'abcd', b'abcd', None))))
                c.send(rng.randbytes(rng.randrange(100)))
            c.close()
        # A flood of pings that nobody reads the answers of does not keep the emulator from its work.
        c = Client(path)
        c.sock.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            for _ in range(2000):
                c.sock.sendall(frame(PING, b'x' * 125) * 100)
        runner.equal(vm.qmp.cmd('query-status')['running'], True, 'status')
        c.close()
        talk(Client(path))


def test_over_tls():
    with tempfile.TemporaryDirectory() as d:
        ca = tls.Authority(os.path.join(d, 'ca'))
        server = ca.issue('server', True, 'localhost', ['localhost'])
        context = ssl.create_default_context(cafile=ca.cert)
        with emulator('-object', 'tls-creds-x509,id=t,endpoint=server,verify-peer=off,dir=' + server,
                      tls_args=',tls-creds=t') as (_, path):
            for _ in range(2):
                c = Client(path, context)
                talk(c)
                c.close()


FOREIGN = """
import asyncio, json, sys, websockets

async def conversation():
    async with websockets.unix_connect(sys.argv[1], 'ws://localhost/', subprotocols=['binary'], compression=None) as ws:
        assert b'QMP' in await ws.recv()
        await ws.send([b'{"execute": ', b'"qmp_capabilities"}'])        # two fragments
        assert json.loads(await ws.recv()) == {'return': {}}
        await asyncio.wait_for(await ws.ping(b'x'), 60)

asyncio.run(conversation())
"""


def test_foreign_client():
    # The distribution's package belongs to the distribution's Python.
    python = [p for p in (sys.executable, '/usr/bin/python3')
              if not subprocess.run([p, '-c', 'import websockets'], stderr=subprocess.DEVNULL, check=False).returncode]
    runner.require(python, 'python3-websockets is not installed')
    with emulator() as (_, path):
        for _ in range(2):
            subprocess.run([python[0], '-c', FOREIGN, path], check=True, timeout=120)


def test_options():
    with tempfile.TemporaryDirectory() as d, qtest.Emulator('-machine', 'none', '-nodefaults') as vm:
        def add(**data):
            data['addr'] = {'type': 'unix', 'data': {'path': os.path.join(d, 'sock')}}
            return vm.qmp.cmd_error('chardev-add', id='c', backend={'type': 'socket', 'data': data})
        assert 'Websocket client is not implemented' in add(websocket=True, server=False)
        assert "'tn3270' is not available" in add(tn3270=True)
        vm.qmp.cmd('chardev-add', id='w', backend={'type': 'socket', 'data': {
            'addr': {'type': 'inet', 'data': {'host': '127.0.0.1', 'port': '0'}}, 'wait': False, 'websocket': True}})
        name = [c['filename'] for c in vm.qmp.cmd('query-chardev') if c['label'] == 'w'][0]
        assert name.startswith('disconnected:websocket:127.0.0.1:') and name.endswith(',server=on'), name


if __name__ == '__main__':
    runner.main(globals())
