# SPDX-License-Identifier: GPL-2.0-or-later
"""A private libvirtd: Debian's unmodified program in a mount namespace with folders of its own.

    with libvirt.Daemon() as d:
        d.define(xml)
        d.virsh('start', 'guest', '--paused')

It needs root (mount namespaces) and Debian's packages libvirt-daemon-system and
libvirt-clients; no systemd, no message bus, no network. Nothing of the system's
own libvirt is touched: its folders are hidden behind ours.
"""
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import tempfile
import time

from lib import runner

QEMU_CONF = '''user = "root"
group = "root"
dynamic_ownership = 0
remember_owner = 0
security_driver = "none"
cgroup_controllers = []
namespaces = []
stdio_handler = "file"
'''

DAEMON_CONF = '''listen_tls = 0
unix_sock_dir = "{dir}/sock"
auth_unix_rw = "none"
auth_unix_ro = "none"
log_level = 3
log_filters = "1:qemu.qemu_monitor"
log_outputs = "1:file:{dir}/daemon.log"
'''

# What the daemon sees as its own, and where it really is.
FOLDERS = {'run': '/run/libvirt', 'lib': '/var/lib/libvirt', 'cache': '/var/cache/libvirt',
           'log': '/var/log/libvirt', 'etc': '/etc/libvirt'}

SCRIPT = '''set -e
mkdir -p /run/lock
[ -d /var/lock ] || mkdir -p /var/lock
mount --make-rprivate /
{mounts}
exec libvirtd -f "$DIR/daemon.conf" -p "$DIR/daemon.pid"
'''


def require():
    runner.require(shutil.which('virsh'), 'no virsh (Debian package libvirt-clients)')
    runner.require(shutil.which('libvirtd', path='/usr/sbin:/usr/bin'),
                   'no libvirtd (Debian package libvirt-daemon-system)')
    runner.require(os.geteuid() == 0, 'a private libvirtd needs root')
    runner.require(subprocess.run(['unshare', '-m', 'true'], stderr=subprocess.DEVNULL).returncode == 0,
                   'no mount namespaces here')


def is_alive(pid):
    """Running, not only waiting for its parent to notice its end."""
    try:
        with open('/proc/%s/stat' % pid, encoding='ascii', errors='replace') as f:
            return f.read().rsplit(')', 1)[1].split()[0] != 'Z'
    except (FileNotFoundError, ProcessLookupError):
        return False


class VirshError(Exception):
    """virsh failed; the text is what it printed."""


class Daemon:
    def __init__(self):
        require()
        self.dir = tempfile.mkdtemp(prefix='nemu-libvirt-')
        self.proc = None
        self.log_seen = 0
        for name in (*FOLDERS, 'sock', 'img'):
            os.mkdir(self.path(name))
        self._write('etc/qemu.conf', QEMU_CONF)
        self._write('daemon.conf', DAEMON_CONF.format(dir=self.dir))
        self.output = open(self.path('daemon.out'), 'wb')
        self._start()

    def _start(self):
        mounts = ''.join('mkdir -p %s; mount --bind "$DIR/%s" %s\n' % (where, name, where)
                         for name, where in FOLDERS.items())
        env = {'PATH': '/usr/sbin:/usr/bin:/sbin:/bin', 'DIR': self.dir, 'LC_ALL': 'C', 'HOME': self.dir}
        try:
            self.proc = subprocess.Popen(['unshare', '-m', 'sh', '-c', SCRIPT.format(mounts=mounts)],
                                         stdin=subprocess.DEVNULL, stdout=self.output,
                                         stderr=self.output, env=env, start_new_session=True)
            runner.wait_for(self._answers, 60, 'libvirtd', interval=0.1)
        except BaseException:
            self.close()
            raise

    def restart(self):
        """Another daemon; the guests go on, and it finds them."""
        self.proc.terminate()
        self.proc.wait(30)
        self._start()

    def path(self, *names):
        return os.path.join(self.dir, *names)

    def _write(self, name, text):
        with open(self.path(name), 'w', encoding='utf-8') as f:
            f.write(text)

    def _answers(self):
        if self.proc.poll() is not None:
            with open(self.path('daemon.out'), encoding='utf-8', errors='replace') as f:
                raise AssertionError('libvirtd does not start: ' + f.read())
        return os.path.exists(self.path('sock', 'libvirt-sock')) and not self.call('uri')[0]

    # ---- virsh ----

    def argv(self, *args):
        return ['virsh', '-c', 'qemu+unix:///system?socket=' + self.path('sock', 'libvirt-sock'), *args]

    def call(self, *args, timeout=120):
        """(exit status, all output) of a virsh command."""
        p = subprocess.run(self.argv('-q', *args), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, timeout=timeout,
                           env={'PATH': os.environ['PATH'], 'LC_ALL': 'C', 'HOME': self.dir})
        return p.returncode, p.stdout.decode(errors='replace')

    def virsh(self, *args, timeout=120):
        status, text = self.call(*args, timeout=timeout)
        if status:
            raise VirshError('virsh %s: %s' % (' '.join(args), text.strip()))
        return text.strip()

    def define(self, xml):
        self._write('domain.xml', xml)
        return self.virsh('define', self.path('domain.xml'))

    def state(self, name):
        return self.virsh('domstate', name)

    def wait_state(self, name, want, timeout=60):
        runner.wait_for(lambda: self.state(name) == want, timeout, '%s to be "%s"' % (name, want),
                        interval=0.05)

    # ---- what it did ----

    def monitor(self):
        """(sent, received) lines of the monitors, since the last call."""
        with open(self.path('daemon.log'), encoding='utf-8', errors='replace') as f:
            f.seek(self.log_seen)
            text = f.read()
            self.log_seen = f.tell()
        return (re.findall(r'QEMU_MONITOR_SEND_MSG: mon=\S+ msg=(.*)', text),
                re.findall(r'QEMU_MONITOR_RECV_(?:REPLY|EVENT): mon=\S+ (?:reply|event)=(.*)', text))

    def domain_log(self, name):
        try:
            with open(self.path('log', 'qemu', name + '.log'), encoding='utf-8', errors='replace') as f:
                return f.read()
        except FileNotFoundError:
            return ''

    def command_line(self, name):
        """The arguments of the running emulator."""
        with open(self.path('run', 'qemu', name + '.pid'), encoding='ascii') as f:
            pid = int(f.read())
        with open('/proc/%d/cmdline' % pid, 'rb') as f:
            return [a.decode() for a in f.read().split(b'\0')[:-1]]

    # ---- the end ----

    def emulators(self):
        """Process ids of the guests that run."""
        pids = []
        folder = self.path('run', 'qemu')
        for entry in os.listdir(folder) if os.path.isdir(folder) else []:
            if entry.endswith('.pid') and entry != 'driver.pid':
                with open(os.path.join(folder, entry), encoding='ascii') as f:
                    text = f.read().strip()
                if text.isdigit() and is_alive(text):
                    pids.append(int(text))
        return pids

    def close(self):
        for pid in self.emulators():
            os.kill(pid, signal.SIGKILL)
        if self.proc:
            self.proc.terminate()
            try:
                self.proc.wait(30)
            except subprocess.TimeoutExpired:
                self.proc.kill()
                self.proc.wait()
        self.output.close()
        shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, exc_type, exc, tb):
        if exc_type and not issubclass(exc_type, runner.Skip):
            for name in os.listdir(self.path('log', 'qemu')) if os.path.isdir(self.path('log', 'qemu')) else []:
                for line in self.domain_log(name.removesuffix('.log')).splitlines()[-30:]:
                    print('# %s: %s' % (name, line))
        self.close()


class Console:
    """virsh console on a terminal of its own."""

    def __init__(self, daemon, name, *args):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ['LC_ALL'] = 'C'
            os.execvp('virsh', daemon.argv('console', name, *args))
        self.text = ''

    def wait(self, text, timeout=60):
        end = time.monotonic() + timeout
        while text not in self.text:
            left = end - time.monotonic()
            if left < 0:
                raise AssertionError('the console did not show %r but %r' % (text, self.text))
            if select.select([self.fd], [], [], left)[0]:
                try:
                    data = os.read(self.fd, 65536)
                except OSError:
                    data = b''
                if not data:
                    raise AssertionError('virsh console ended: %r' % self.text)
                self.text += data.decode(errors='replace')

    def send(self, text):
        os.write(self.fd, text.encode())

    def close(self):
        """Leaves as a user does: control and a closing bracket."""
        try:
            self.send('\x1d')
        except OSError:
            pass
        end = time.monotonic() + 10
        while time.monotonic() < end and os.waitpid(self.pid, os.WNOHANG)[0] == 0:
            if select.select([self.fd], [], [], 0.05)[0]:
                try:
                    os.read(self.fd, 65536)
                except OSError:
                    pass
        os.close(self.fd)

