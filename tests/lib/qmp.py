# SPDX-License-Identifier: GPL-2.0-or-later
"""A QMP client: one connection, commands in order, events kept in a list."""
import array
import json
import os
import select
import socket
import time


class QmpError(Exception):
    """The reply to a command was an error."""

    def __init__(self, reply):
        self.reply = reply
        error = reply['error']
        self.error_class = error['class']
        self.desc = error['desc']
        super().__init__('%s: %s' % (self.error_class, self.desc))


class QmpClosed(Exception):
    """The other side closed the connection."""


class QmpClient:
    """Over a connected stream socket. negotiate() comes first."""

    def __init__(self, sock, timeout=30):
        self.sock = sock
        self.timeout = timeout
        self.greeting = None
        self.events = []        # in order of arrival, until taken
        self.pending = b''
        self.replies = {}       # id -> reply, of commands whose reply was not waited for yet
        self.next_id = 1
        sock.setblocking(False)

    @classmethod
    def connect(cls, address, timeout=30, negotiate=True):
        """@address: the path of a unix socket, or (host, port)."""
        family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM)
        end = time.monotonic() + timeout
        while True:
            try:
                sock.connect(address)
                break
            except (FileNotFoundError, ConnectionRefusedError):
                if time.monotonic() > end:
                    raise
                time.sleep(0.01)
        client = cls(sock, timeout)
        if negotiate:
            client.negotiate()
        return client

    def close(self):
        self.sock.close()

    # ---- messages ----

    def recv(self, timeout=None):
        """The next message of any kind."""
        end = time.monotonic() + (self.timeout if timeout is None else timeout)
        while b'\n' not in self.pending:
            left = end - time.monotonic()
            if left < 0 or not select.select([self.sock], [], [], left)[0]:
                raise TimeoutError('no QMP message in time; so far: %r' % self.pending[:200])
            try:
                data = self.sock.recv(65536)
            except ConnectionResetError:
                data = b''
            if not data:
                raise QmpClosed('QMP connection closed; so far: %r' % self.pending[:200])
            self.pending += data
        line, self.pending = self.pending.split(b'\n', 1)
        return json.loads(line)

    def send_bytes(self, data, fds=()):
        """Raw bytes, with file descriptors beside the first one."""
        anc = []
        if fds:
            anc = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', fds).tobytes())]
        view = memoryview(data)
        while view:
            if not select.select([], [self.sock], [], self.timeout)[1]:
                raise TimeoutError('the QMP server does not read')
            sent = self.sock.sendmsg([view], anc)
            view, anc = view[sent:], []

    def send(self, message, fds=()):
        self.send_bytes(json.dumps(message).encode() + b'\r\n', fds)

    def negotiate(self, oob=False):
        self.greeting = self.recv()['QMP']
        args = {'enable': ['oob']} if oob else None
        self.cmd('qmp_capabilities', args)

    # ---- commands ----

    def cmd_send(self, name, args=None, fds=(), oob=False):
        """Sends without waiting; the id to give to cmd_wait()."""
        ident = 't%d' % self.next_id
        self.next_id += 1
        message = {'exec-oob' if oob else 'execute': name, 'id': ident}
        if args:
            message['arguments'] = args
        self.send(message, fds)
        return ident

    def cmd_wait(self, ident, timeout=None):
        """The whole reply of that command. Events that come before are kept."""
        end = time.monotonic() + (self.timeout if timeout is None else timeout)
        while ident not in self.replies:
            message = self.recv(max(0, end - time.monotonic()))
            if 'event' in message:
                self.events.append(message)
            else:
                self.replies[message.get('id')] = message
        return self.replies.pop(ident)

    def cmd_raw(self, name, args=None, fds=(), oob=False, timeout=None):
        return self.cmd_wait(self.cmd_send(name, args, fds, oob), timeout)

    def cmd(self, name, args=None, fds=(), oob=False, timeout=None, **kwargs):
        """The result of a command, or QmpError.

        Arguments as a dict (exact names) or as keywords ('_' means '-').
        """
        args = dict(args or {})
        args.update((k.replace('_', '-'), v) for k, v in kwargs.items())
        reply = self.cmd_raw(name, args, fds, oob, timeout)
        if 'error' in reply:
            raise QmpError(reply)
        return reply['return']

    def cmd_error(self, name, args=None, **kwargs):
        """The description of the error that this command must give."""
        try:
            result = self.cmd(name, args, **kwargs)
        except QmpError as e:
            return e.desc
        raise AssertionError('%s(%r) should have failed, gave %r' % (name, args or kwargs, result))

    def hmp(self, line):
        return self.cmd('human-monitor-command', {'command-line': line})

    # ---- events ----

    def poll_events(self):
        """Takes in what has arrived; gives and forgets all events so far."""
        while b'\n' in self.pending or select.select([self.sock], [], [], 0)[0]:
            message = self.recv()
            if 'event' in message:
                self.events.append(message)
            else:
                self.replies[message.get('id')] = message
        events, self.events = self.events, []
        return events

    def wait_event(self, name, timeout=None, **data):
        """The first event of that name whose data has these members; it and what came before it are forgotten."""
        def fits(e):
            have = e.get('data', {})
            return e['event'] == name and all(have.get(k.replace('_', '-')) == v for k, v in data.items())
        end = time.monotonic() + (self.timeout if timeout is None else timeout)
        seen = 0
        while True:
            while seen < len(self.events):
                seen += 1
                if fits(self.events[seen - 1]):
                    event = self.events[seen - 1]
                    del self.events[:seen]
                    return event
            try:
                message = self.recv(max(0, end - time.monotonic()))
            except TimeoutError:
                names = [e['event'] for e in self.events]
                raise AssertionError('no event %s %r in time; seen: %s' % (name, data, names)) from None
            if 'event' in message:
                self.events.append(message)
            else:
                self.replies[message.get('id')] = message

    def send_fd(self, fd, name):
        """getfd: @fd becomes known as @name over there."""
        self.cmd('getfd', {'fdname': name}, fds=[fd])


def listener(path):
    """A listening unix socket at @path."""
    if os.path.exists(path):
        os.unlink(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.bind(path)
    sock.listen(1)
    return sock
