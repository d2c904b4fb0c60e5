# SPDX-License-Identifier: GPL-2.0-or-later
"""A program asked over QMP what it can do, as management tools do: no guest, no qtest."""
import os
import shutil
import tempfile

from lib import qmp as qmplib
from lib import qtest


class Prober(qtest.Process):
    """A process with a QMP connection.

        with Prober(qtest.binary(), '-machine', 'none,accel=kvm') as p:
            p.cmd('query-kvm')
    """

    def __init__(self, program, *args):
        self.dir = tempfile.mkdtemp(prefix='nemu-probe-')
        self.qmp = None
        path = os.path.join(self.dir, 'qmp.sock')
        listener = qmplib.listener(path)
        try:
            super().__init__([program, '-nodefaults', '-no-user-config', '-display', 'none', '-S', *args,
                              '-chardev', 'socket,id=m,path=' + path, '-mon', 'chardev=m,mode=control'])
            self.qmp = qmplib.QmpClient(self.accept(listener))
            self.qmp.negotiate()
        except BaseException:
            if self.qmp is None and hasattr(self, 'proc'):
                self.kill()
                self.dump()
            shutil.rmtree(self.dir, ignore_errors=True)
            raise
        finally:
            listener.close()

    def cmd(self, name, **args):
        return self.qmp.cmd(name, **args)

    def error(self, name, **args):
        """(class, desc) of the error that it must give."""
        try:
            result = self.qmp.cmd(name, args)
        except qmplib.QmpError as e:
            return (e.error_class, e.desc)
        raise AssertionError('%s %r should have failed, gave %r' % (name, args, result))

    def __enter__(self):
        return self

    def __exit__(self, exc_type, exc, tb):
        self.qmp.close()
        self.kill()
        if exc_type:
            self.dump()
        shutil.rmtree(self.dir, ignore_errors=True)
