# SPDX-License-Identifier: GPL-2.0-or-later
"""Makes certificates and keys for TLS tests with GnuTLS' certtool."""
import os
import shutil
import subprocess

from lib import runner


def _certtool(*args):
    subprocess.run(['certtool', *args], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


class Authority:
    """A CA in a folder, and credentials that it has signed, each in a folder with the names that
    servers and clients expect."""

    def __init__(self, folder, name='nemu test CA'):
        runner.require(shutil.which('certtool'), 'certtool (gnutls-bin) is missing')
        self.folder = folder
        os.makedirs(folder)
        self.key, self.cert = os.path.join(folder, 'ca-key.pem'), os.path.join(folder, 'ca-cert.pem')
        self._key(self.key)
        template = self._template('ca', ['cn = "%s"' % name, 'ca', 'cert_signing_key', 'expiration_days = 100'])
        _certtool('--generate-self-signed', '--load-privkey', self.key, '--template', template, '--outfile', self.cert)

    @staticmethod
    def _key(path):
        _certtool('--generate-privkey', '--key-type=ecdsa', '--curve=secp256r1', '--outfile', path)

    def _template(self, name, lines):
        path = os.path.join(self.folder, name + '.cfg')
        with open(path, 'w', encoding='ascii') as f:
            f.write('\n'.join(lines) + '\n')
        return path

    def issue(self, name, server, cn, dns=(), days=100):
        """A folder with CA, certificate and key of a server or client."""
        folder = os.path.join(self.folder, name)
        os.makedirs(folder)
        shutil.copy(self.cert, folder)
        kind = 'server' if server else 'client'
        key, cert = (os.path.join(folder, '%s-%s.pem' % (kind, what)) for what in ('key', 'cert'))
        self._key(key)
        lines = ['cn = "%s"' % cn, 'organization = "nemu"', 'signing_key', 'expiration_days = %d' % days,
                 'tls_www_%s' % kind]
        lines += ['dns_name = "%s"' % d for d in dns if not d[0].isdigit()]
        lines += ['ip_address = "%s"' % d for d in dns if d[0].isdigit()]
        _certtool('--generate-certificate', '--load-privkey', key, '--load-ca-privkey', self.key,
                  '--load-ca-certificate', self.cert, '--template', self._template(name, lines), '--outfile', cert)
        return folder


def psk_folder(folder, **keys):
    """A folder with keys.psk: user=hexkey."""
    os.makedirs(folder)
    with open(os.path.join(folder, 'keys.psk'), 'w', encoding='ascii') as f:
        f.write(''.join('%s:%s\n' % item for item in keys.items()))
    return folder
