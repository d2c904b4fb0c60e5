# SPDX-License-Identifier: GPL-2.0-or-later
"""What the Python tests share: starting an emulator, QMP, qtest, PCI.

Standard library only. See docs/devel/testing.md for how a test is written.
"""
