#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Builds and runs the test suites, and counts.

The plain build runs every suite; the sanitized one (ASan, UBSan) runs those
that need no guest code. The last line is "N passed, N failed, N skipped"; the
exit status is 0 only when nothing failed. With NEMU_TESTS_REQUIRE=all a skipped
test is a failure.
"""

import argparse
import collections
import json
import os
import subprocess
import sys

SANITIZED_SUITES = ['unit', 'qtest', 'block', 'fuzz']
SLOW_SUITE = 'slow'


def run_suites(build, suites, slow):
    """Build, then run; returns a list of (name, result, output)."""
    subprocess.run(['ninja', '-C', build], check=True)
    log = os.path.join(build, 'meson-logs', 'testlog.json')
    if os.path.exists(log):
        os.unlink(log)
    command = ['meson', 'test', '-C', build, '--no-rebuild', '--print-errorlogs',
               '--num-processes', '2']
    for suite in suites:
        command += ['--suite', suite]
    if not slow:
        command += ['--no-suite', SLOW_SUITE]
    status = subprocess.run(command, check=False).returncode
    results = []
    if os.path.exists(log):
        with open(log, encoding='utf-8') as lines:
            for line in lines:
                test = json.loads(line)
                results.append((test['name'], test['result'], test.get('stdout', '')))
    if not results and status != 0:
        sys.exit(f'check: meson test failed in {build} before any test ran')
    return results


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n', maxsplit=1)[0])
    parser.add_argument('--build', default='build')
    parser.add_argument('--sanitized', default='build-sanitized')
    parser.add_argument('--suite', action='append', default=[])
    parser.add_argument('--slow', action='store_true', help='the slow matrix too')
    args = parser.parse_args()
    require_all = os.environ.get('NEMU_TESTS_REQUIRE') == 'all'

    results = run_suites(args.build, args.suite, args.slow)
    sanitized = [s for s in SANITIZED_SUITES if not args.suite or s in args.suite]
    if sanitized:
        results += [(f'{name} (sanitized)', result, output)
                    for name, result, output in run_suites(args.sanitized, sanitized, args.slow)]

    count = collections.Counter()
    for name, result, output in results:
        if result in ('OK', 'EXPECTEDFAIL'):
            count['passed'] += 1
        elif result == 'SKIP' and not require_all:
            count['skipped'] += 1
            reason = output.strip().splitlines()[-1] if output.strip() else 'no reason given'
            print(f'skipped: {name}: {reason}')
        else:
            count['failed'] += 1
            print(f'failed: {name}: {result}')
    sys.stdout.flush()
    print(f"{count['passed']} passed, {count['failed']} failed, {count['skipped']} skipped")
    sys.exit(1 if count['failed'] or not count['passed'] else 0)


if __name__ == '__main__':
    main()
