# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs the test functions of one script; requirements and skips.

A test script ends with

    if __name__ == '__main__':
        runner.main(globals())

Each function test_*() is a case. The output is TAP-like; the exit status is 0
(all passed), 1 (a case failed) or 77 (every case was skipped).
Usage: SCRIPT [-l] [-x] [NAME...]   list, stop at the first failure, only cases
whose name contains NAME.
"""
import os
import sys
import time
import traceback


class Skip(SystemExit):
    """This test cannot run here. Outside a case it ends the script with 77."""

    def __init__(self, reason):
        super().__init__(77)
        self.reason = reason


def skip(reason):
    """Leaves the case (or the script) as skipped; a failure in CI."""
    if os.environ.get('NEMU_TESTS_REQUIRE') == 'all':
        raise AssertionError('required here (NEMU_TESTS_REQUIRE=all): ' + reason)
    print('# skip: ' + reason, flush=True)
    raise Skip(reason)


def require(cond, reason):
    """What a case cannot do without; @reason says what is missing."""
    if not cond:
        skip(reason)


def equal(got, want, what=''):
    """got == want, or a failure that shows both."""
    if got != want:
        def show(v):
            return hex(v) if isinstance(v, int) and not isinstance(v, bool) else repr(v)
        raise AssertionError('%s: got %s, expected %s' % (what or 'value', show(got), show(want)))


def wait_for(cond, timeout=10, what='condition', step=None, interval=0.002):
    """Polls until cond() is true and returns what it gave."""
    end = time.monotonic() + timeout
    while True:
        value = cond()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError('timed out after %g s waiting for %s' % (timeout, what))
        if step:
            step()
        else:
            time.sleep(interval)


def main(namespace, argv=None):
    args = list(sys.argv[1:] if argv is None else argv)
    listing = '-l' in args
    stop = '-x' in args
    wanted = [a for a in args if not a.startswith('-')]
    cases = [(n, f) for n, f in namespace.items() if n.startswith('test_') and callable(f)]
    if wanted:
        cases = [c for c in cases if any(w in c[0] for w in wanted)]
    if listing:
        print('\n'.join(n for n, _ in cases))
        sys.exit(0)
    if not cases:
        print('no such case')
        sys.exit(1)
    failed = skipped = 0
    print('1..%d' % len(cases), flush=True)
    for i, (name, func) in enumerate(cases, 1):
        start = time.monotonic()
        try:
            func()
            print('ok %d %s (%.2f s)' % (i, name, time.monotonic() - start), flush=True)
        except Skip as e:
            skipped += 1
            print('ok %d %s # SKIP %s' % (i, name, e.reason), flush=True)
        except BaseException as e:      # whatever a case throws must not hide the others
            failed += 1
            print('not ok %d %s' % (i, name))
            print(''.join('# ' + line + '\n' for line in traceback.format_exc().splitlines()),
                  end='', flush=True)
            if stop or isinstance(e, KeyboardInterrupt):
                break
    if failed:
        sys.exit(1)
    sys.exit(77 if skipped == len(cases) else 0)
