/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The PCI types of virtio devices: one line each makes "NAME-pci" and, where
 * users know that name, "NAME-pci-non-transitional" (the same thing: there is
 * no transitional form).
 * Properties of the device show on its PCI type.
 */
#include "util/osdep.h"
#include "qapi-types.h"
#include "virtio-pci.h"

#define KICK_PROPERTIES                                                     \
    PROP_UINT32("vectors", VirtioPci, vectors, VECTORS_UNSPECIFIED,         \
                "MSI-X vectors (0: no MSI-X); by default what the device can use"), \
    PROP_BOOL("ioeventfd", VirtioPci, ioeventfd, true, "take queue kicks through eventfds")
#define GENERATION_PROPERTIES                                               \
    PROP_ON_OFF_AUTO("disable-legacy", VirtioPci, disable_legacy, ON_OFF_AUTO_AUTO, \
                     "for compatibility: there is no legacy interface"),    \
    PROP_BOOL("disable-modern", VirtioPci, disable_modern, false, "for compatibility: must be off")

static const ObjectProperty plain_properties[] = { GENERATION_PROPERTIES, KICK_PROPERTIES, PROP_END };
static const ObjectProperty non_transitional_properties[] = { KICK_PROPERTIES, PROP_END };
/* Devices whose one queue is not worth tuning. */
static const ObjectProperty fixed_properties[] = { GENERATION_PROPERTIES, PROP_END };

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

#define VIRTIO_PCI_TYPE_ONE(ident, device_name, props, inner_type, cat, text, ...) \
    extern const TypeInfo inner_type;                                       \
    static const DeviceOps ident##_ops = {                                  \
        PCI_DEVICE_OPS,                                                     \
        .state = &virtio_pci_state,                                         \
        .category = DEVICE_CATEGORY_##cat,                                  \
        .user_creatable = true,                                             \
        .hotpluggable = true,                                               \
        __VA_ARGS__                                                         \
    };                                                                      \
    VIRTIO_PCI_TYPE_(ident##_pci, device_name "-pci", props, inner_type,    \
                     ident##_ops, text)

#define VIRTIO_PCI_TYPE(ident, device_name, inner_type, cat, text)          \
    VIRTIO_PCI_TYPE_ONE(ident, device_name, plain, inner_type, cat, text);  \
    VIRTIO_PCI_TYPE_(ident##_pci_modern, device_name "-pci-non-transitional", \
                     non_transitional, inner_type, ident##_ops, text)

VIRTIO_PCI_TYPE(virtio_balloon, "virtio-balloon", virtio_balloon_type, MISC, "memory balloon");
VIRTIO_PCI_TYPE(virtio_blk, "virtio-blk", virtio_blk_type, STORAGE, "disk");
VIRTIO_PCI_TYPE(virtio_net, "virtio-net", virtio_net_type, NETWORK, "network card");
VIRTIO_PCI_TYPE(virtio_rng, "virtio-rng", virtio_rng_type, MISC, "entropy source");
VIRTIO_PCI_TYPE(virtio_serial, "virtio-serial", virtio_serial_type, INPUT, "console and serial ports");

/* Memory may go only when the guest uses none of it, which no driver says. */
#define STAYS .stays = "virtio based memory devices cannot be unplugged."
VIRTIO_PCI_TYPE_ONE(virtio_mem, "virtio-mem", fixed, virtio_mem_type, MISC, "memory that changes its size", STAYS);
VIRTIO_PCI_TYPE_ONE(virtio_pmem, "virtio-pmem", fixed, virtio_pmem_type, MISC, "persistent memory", STAYS);
