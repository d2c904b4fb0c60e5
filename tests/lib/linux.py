# SPDX-License-Identifier: GPL-2.0-or-later
"""What tests of stock Linux guests share: the steps of tests/nested/guest-init.sh, and what they are given."""
import functools
import hashlib
import http.server
import os
import re
import threading

from lib import runner


def step(g, name, timeout=240):
    """Waits for the result of a step; returns what follows "ok"."""
    def result():
        found = re.search(r'^STEP %s (ok|failed)\b ?(.*?)\r?\n' % name, g.console(), re.M)
        if not found:
            g.check_untroubled()
            g.watch_host()
        if not found and g.proc.poll() is not None:
            raise AssertionError('the emulator ended during step ' + name)
        return found
    found = runner.wait_for(result, timeout, 'step ' + name, interval=0.05)
    runner.equal(found.group(1), 'ok', 'step %s (%s)' % (name, found.group(2)))
    return found.group(2)


def serve(folder, address='127.0.0.1'):
    """An HTTP server on a free port."""
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass
    server = http.server.ThreadingHTTPServer((address, 0), functools.partial(Quiet, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]


def random_file(path, size):
    data = os.urandom(size)
    with open(path, 'wb') as f:
        f.write(data)
    return hashlib.sha256(data).hexdigest()
