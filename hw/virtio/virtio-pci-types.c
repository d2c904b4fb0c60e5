/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The PCI types of virtio devices: one line each makes "NAME-pci" and
 * "NAME-pci-non-transitional" (the same thing: there is no transitional form).
 * Properties of the device show on its PCI type.
 */
#include "util/osdep.h"
#include "qapi-types.h"
#include "virtio-pci.h"

static const ObjectProperty plain_properties[] = {
    PROP_ON_OFF_AUTO("disable-legacy", VirtioPci, disable_legacy, ON_OFF_AUTO_AUTO,
                     "for compatibility: there is no legacy interface"),
    PROP_BOOL("disable-modern", VirtioPci, disable_modern, false,
              "for compatibility: must be off"),
    PROP_END
};

static const ObjectProperty non_transitional_properties[] = { PROP_END };

#define VIRTIO_PCI_TYPE_(ident, type_name, props, inner_type, ops, text)    \
    OBJECT_TYPE_STATIC(ident) = {                                           \
        .name = type_name,                                                  \
        .parent = &virtio_pci_type,                                         \
        .description = text,                                                \
        .properties = props##_properties,                                   \
        .inner = &inner_type,                                               \
        .inner_offset = offsetof(VirtioPci, vdev),                          \
        .impls = TYPE_IMPLS({ &device_type, &ops }),                        \
    }

#define VIRTIO_PCI_TYPE(ident, device_name, inner_type, cat, text)          \
    extern const TypeInfo inner_type;                                       \
    static const DeviceOps ident##_ops = {                                  \
        PCI_DEVICE_OPS,                                                     \
        .state = &virtio_pci_state,                                         \
        .category = DEVICE_CATEGORY_##cat,                                  \
        .user_creatable = true,                                             \
        .hotpluggable = true,                                               \
    };                                                                      \
    VIRTIO_PCI_TYPE_(ident##_pci, device_name "-pci", plain, inner_type,    \
                     ident##_ops, text);                                    \
    VIRTIO_PCI_TYPE_(ident##_pci_modern, device_name "-pci-non-transitional", \
                     non_transitional, inner_type, ident##_ops, text)

VIRTIO_PCI_TYPE(virtio_balloon, "virtio-balloon", virtio_balloon_type, MISC, "memory balloon");
VIRTIO_PCI_TYPE(virtio_blk, "virtio-blk", virtio_blk_type, STORAGE, "disk");
VIRTIO_PCI_TYPE(virtio_net, "virtio-net", virtio_net_type, NETWORK, "network card");
VIRTIO_PCI_TYPE(virtio_rng, "virtio-rng", virtio_rng_type, MISC, "entropy source");
VIRTIO_PCI_TYPE(virtio_serial, "virtio-serial", virtio_serial_type, INPUT, "console and serial ports");
