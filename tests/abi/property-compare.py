#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Properties of devices and objects beside those of Debian's QEMU: each name
that we list there means the same type; the properties that users set are all
there."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
import reference            # noqa: E402
from lib import runner      # noqa: E402

# Differences that are meant: "TYPE.PROPERTY" or "*.PROPERTY" -> why.
ALLOWED = {
    # Its interrupts and kicks are set as those of every other virtio device.
    'virtio-balloon-pci.vectors': '', 'virtio-balloon-pci.ioeventfd': '',
    'virtio-balloon-pci-non-transitional.vectors': '', 'virtio-balloon-pci-non-transitional.ioeventfd': '',
}
# The reference never answers about these.
SILENT = {'filter-dump'}
# What management layers give, by type; all of it must be known.
WANTED = {
    'virtio-blk-pci': 'drive bootindex iothread num-queues queue-size write-cache serial werror rerror '
                      'logical_block_size physical_block_size share-rw ioeventfd event_idx packed iommu_platform '
                      'ats page-per-vq addr multifunction',
    'virtio-net-pci': 'netdev mac bootindex mq vectors rx_queue_size tx_queue_size host_mtu mrg_rxbuf csum gso any_layout '
                      'guest_csum host_tso4 guest_tso4 ioeventfd event_idx packed iommu_platform ats page-per-vq',
    'virtio-serial-pci': 'max_ports vectors ioeventfd packed iommu_platform',
    'virtserialport': 'nr chardev name', 'virtconsole': 'nr chardev name',
    'virtio-rng-pci': 'rng max-bytes period',
    'virtio-balloon-pci': 'deflate-on-oom free-page-reporting free-page-hint page-poison '
                          'guest-stats-polling-interval iothread',
    'pcie-root-port': 'port chassis slot multifunction hotplug addr bus-reserve io-reserve mem-reserve pref32-reserve '
                      'pref64-reserve',
    'isa-serial': 'chardev index iobase irq', 'pvpanic': 'ioport events',
    'memory-backend-ram': 'size share merge dump prealloc prealloc-threads prealloc-context reserve host-nodes policy '
                          'x-use-canonical-path-for-ramblock-id',
    'memory-backend-file': 'mem-path align discard-data pmem readonly share',
    'memory-backend-memfd': 'hugetlb hugetlbsize seal share',
    'iothread': 'poll-max-ns poll-grow poll-shrink aio-max-batch thread-pool-min thread-pool-max',
    'rng-random': 'filename', 'rng-egd': 'chardev',
}


# Names of one type: which of them the reference uses depends on how old the property is.
SAME_TYPE = {'string': 'str', 'int32_t': 'int32'}


def names(program, kind):
    # CPU models are compared by what they are, elsewhere.
    return sorted(t['name'] for t in reference.result(program, 'qom-list-types', implements=kind)
                  if not t['name'].endswith('-cpu') and t['name'] not in SILENT)


def lists(program, command, types):
    answers = reference.talk(program, [(command, {'typename': t}) for t in types])
    return {t: {p['name']: SAME_TYPE.get(p['type'], p['type']) for p in a['return']} for t, a in zip(types, answers) if 'return' in a}


def compare(command, kind, ours_may_add):
    both = sorted(set(names(reference.OURS, kind)) & set(names(reference.THEIRS, kind)))
    ours, theirs = lists(reference.OURS, command, both), lists(reference.THEIRS, command, both)
    faults, compared = [], 0
    for t in both:
        for name, type_name in ours.get(t, {}).items():
            if '%s.%s' % (t, name) in ALLOWED or '*.' + name in ALLOWED or name not in theirs.get(t, {}):
                if name not in theirs.get(t, {}) and not ours_may_add and not name.startswith('x-nemu-') and \
                        '%s.%s' % (t, name) not in ALLOWED and '*.' + name not in ALLOWED:
                    faults.append('%s.%s is not in the reference' % (t, name))
                continue
            compared += 1
            if theirs[t][name] != type_name:
                faults.append('%s.%s is %s, in the reference %s' % (t, name, type_name, theirs[t][name]))
    for t, wanted in WANTED.items():
        if t in ours:
            faults += ['%s.%s is missing' % (t, name) for name in wanted.split() if name not in ours[t]]
    print('%d types, %d properties compared' % (len(both), compared))
    runner.equal(faults, [], 'differences')
    return both


def test_devices():
    both = compare('device-list-properties', 'device', False)
    assert 'virtio-net-pci' in both, both


def test_objects():
    both = compare('qom-list-properties', 'user-creatable', False)
    assert 'iothread' in both, both


if __name__ == '__main__':
    reference.require()
    runner.main(globals())
