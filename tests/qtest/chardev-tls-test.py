#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Character devices over TLS: a second QMP monitor, as server and as client, with Python's own TLS at the other end."""
import json
import os
import socket
import ssl
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
from lib import qtest, runner, tls

BIG = 300000


def contexts(d):
    """Folders with credentials, and Python's contexts for both ends."""
    ca = tls.Authority(os.path.join(d, 'ca'))
    server = ca.issue('server', True, 'localhost', ['localhost', '127.0.0.1'])
    client = ca.issue('client', False, 'alice')
    py_client = ssl.create_default_context(cafile=ca.cert)
    py_client.load_cert_chain(os.path.join(client, 'client-cert.pem'), os.path.join(client, 'client-key.pem'))
    py_server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=ca.cert)
    py_server.verify_mode = ssl.CERT_REQUIRED
    py_server.load_cert_chain(os.path.join(server, 'server-cert.pem'), os.path.join(server, 'server-key.pem'))
    return ca, server, client, py_client, py_server


def talk(sock):
    """QMP over @sock, with an answer and a question that are longer than a TLS record."""
    f = sock.makefile('rw')
    assert 'QMP' in json.loads(f.readline())
    for command in ('qmp_capabilities', 'query-qmp-schema'):
        f.write(json.dumps({'execute': command}) + '\n')
        f.flush()
        reply = json.loads(f.readline())
        assert 'return' in reply, reply
    assert len(reply['return']) > 100
    f.write(json.dumps({'execute': 'qom-get', 'arguments': {'path': '/', 'property': 'x' * BIG}}) + '\n')
    f.flush()
    assert 'error' in json.loads(f.readline())


def connect(path, context):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(20)
    s.connect(path)
    return context.wrap_socket(s, server_hostname='localhost') if context else s


def test_server():
    with tempfile.TemporaryDirectory() as d:
        ca, server, _, py_client, _ = contexts(d)
        path = os.path.join(d, 'sock')
        with qtest.Emulator('-machine', 'none', '-nodefaults', '-object', 'tls-creds-x509,id=t,endpoint=server,dir=' + server,
                            '-object', 'authz-simple,id=a,identity=CN=alice,,O=nemu',
                            '-chardev', 'socket,id=c,path=%s,server=on,wait=off,tls-creds=t' % path,
                            '-mon', 'chardev=c,mode=control') as vm:
            for _ in range(2):
                with connect(path, py_client) as s:
                    talk(s)
            # Who cannot do TLS, or has no certificate, does not keep the next one out.
            with connect(path, None) as s:
                s.sendall(b'{"execute": "qmp_capabilities"}\n' * 10)
                try:
                    while s.recv(100):
                        pass
                except ConnectionResetError:
                    pass
            anonymous = ssl.create_default_context(cafile=ca.cert)
            try:
                with connect(path, anonymous) as s:
                    runner.equal(s.recv(100), b'', 'without a certificate')
            except (ssl.SSLError, ConnectionResetError):
                pass
            with connect(path, py_client) as s:
                talk(s)
            # Gone in the middle of the handshake.
            connect(path, None).close()
            runner.equal(vm.qmp.cmd('query-status')['running'], True, 'status')


def test_client():
    with tempfile.TemporaryDirectory() as d:
        _, _, client, _, py_server = contexts(d)
        listener = socket.socket()
        listener.bind(('127.0.0.1', 0))
        listener.listen(1)
        listener.settimeout(20)
        port = listener.getsockname()[1]
        with qtest.Emulator('-machine', 'none', '-nodefaults', '-object', 'tls-creds-x509,id=t,endpoint=client,dir=' + client) as vm:
            vm.qmp.cmd('chardev-add', id='c', backend={'type': 'socket', 'data': {
                'addr': {'type': 'inet', 'data': {'host': '127.0.0.1', 'port': str(port)}}, 'server': False, 'reconnect': 1,
                'tls-creds': 't'}})
            raw, _ = listener.accept()
            raw.settimeout(20)
            with py_server.wrap_socket(raw, server_side=True) as s:
                runner.equal(dict(x[0] for x in s.getpeercert()['subject'])['commonName'], 'alice', 'who it is')
                runner.wait_for(lambda: [c for c in vm.qmp.cmd('query-chardev') if c['label'] == 'c' and
                                         not c['filename'].startswith('disconnected:')], what='connection')
        listener.close()


def test_wrong_credentials():
    with tempfile.TemporaryDirectory() as d:
        _, server, _, _, _ = contexts(d)
        with qtest.Emulator('-machine', 'none', '-nodefaults', '-object', 'tls-creds-x509,id=t,endpoint=server,dir=' + server) as vm:
            backend = {'type': 'socket', 'data': {'addr': {'type': 'unix', 'data': {'path': os.path.join(d, 'none')}},
                                                  'server': False, 'tls-creds': 't'}}
            runner.equal(vm.qmp.cmd_error('chardev-add', id='c', backend=backend),
                         "Failed to add chardev 'c': Expecting TLS credentials with a client endpoint", 'endpoint')
            backend['data']['tls-creds'] = 'none'
            runner.equal(vm.qmp.cmd_error('chardev-add', id='c', backend=backend), "Failed to add chardev 'c': No TLS credentials with id 'none'", 'id')


if __name__ == '__main__':
    runner.main(globals())
