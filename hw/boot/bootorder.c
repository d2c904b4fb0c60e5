/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Boot order: paths as in IEEE 1275 with the PCI binding (2.1, section 2.2.1.3),
 * which OVMF's boot manager matches with its own device paths. Main thread with
 * the machine lock; names and addresses are management's.
 */
#include "util/osdep.h"

#include "hw/boot/bootorder.h"
#include "hw/core/machine.h"
#include "hw/pci/pci.h"
#include "util/bswap.h"

#define ORDER_FILE "bootorder"

static struct {
    bool menu, strict;
    int splash_time, reboot_timeout;
} boot = { .splash_time = -1, .reboot_timeout = -1 };

typedef struct Candidate {
    int64_t index;
    DeviceState *dev;
    const char *node;
} Candidate;

/* Devices that can be booted from: the last part of their path. */
static const struct {
    const char *type, *node;
} bootable[] = {
    { "virtio-blk-device", "disk@0,0" },
    { "virtio-net-device", "ethernet-phy@0" },
};

void boot_order_configure(bool menu, bool strict, int splash_time_ms, int reboot_timeout_ms)
{
    boot.menu = menu;
    boot.strict = strict;
    boot.splash_time = splash_time_ms;
    boot.reboot_timeout = reboot_timeout_ms;
}

/* ---- paths ---- */

static void append_pci_node(GString *path, const PciDevice *pci)
{
    static const struct {
        uint16_t class_id;
        const char *name;
    } names[] = {
        { PCI_CLASS_STORAGE_SCSI, "scsi" }, { PCI_CLASS_NETWORK_ETHERNET, "ethernet" },
        { PCI_CLASS_BRIDGE_PCI, "pci-bridge" },
    };
    uint16_t class_id = pci_get_word(pci->config + PCI_CLASS_DEVICE);
    unsigned i = 0;

    while (i < ARRAY_SIZE(names) && names[i].class_id != class_id) {
        i++;
    }
    if (i < ARRAY_SIZE(names)) {
        g_string_append_printf(path, "/%s@%x", names[i].name, PCI_SLOT(pci->devfn));
    } else {
        g_string_append_printf(path, "/pci%04x,%04x@%x", pci_get_word(pci->config + PCI_VENDOR_ID),
                               pci_get_word(pci->config + PCI_DEVICE_ID), PCI_SLOT(pci->devfn));
    }
    if (PCI_FUNC(pci->devfn)) {
        g_string_append_printf(path, ",%x", PCI_FUNC(pci->devfn));
    }
}

/* The path of @dev itself, when it is a part of one. */
static void append_path(GString *path, DeviceState *dev)
{
    const DeviceOps *ops = object_ops(dev, &device_type);

    if (object_is_a(dev, &pci_device_type)) {
        const PciDevice *pci = PCI_DEVICE(dev);

        if (pci->bus->parent) {
            append_path(path, DEVICE(pci->bus->parent));
        } else {
            g_string_append(path, "/pci@i0cf8");
        }
        append_pci_node(path, pci);
    } else if (ops->firmware_node) {
        g_autofree char *node = ops->firmware_node(dev);

        g_string_append_printf(path, "/%s", node);
    } else if (dev->bus && dev->bus->parent) {
        append_path(path, dev->bus->parent);
    }
}

/* ---- the order ---- */

static int collect(Object *obj, void *opaque)
{
    GArray *found = opaque;

    for (unsigned i = 0; i < ARRAY_SIZE(bootable); i++) {
        if (!strcmp(obj->type->name, bootable[i].type)) {
            g_autoptr(JsonValue) index = object_property_get(obj, "bootindex", &error_abort);
            Candidate c = { .dev = DEVICE(obj), .node = bootable[i].node };

            if (json_get_int(index, &c.index) && c.index >= 0 && c.dev->realized) {
                g_array_append_val(found, c);
            }
        }
    }
    return 0;
}

static int compare(const void *a, const void *b)
{
    int64_t x = ((const Candidate *)a)->index, y = ((const Candidate *)b)->index;

    return x < y ? -1 : x > y;
}

static GArray *candidates(void)
{
    GArray *found = g_array_new(false, false, sizeof(Candidate));

    object_foreach_child_recursive(machine_current(), collect, found);
    g_array_sort(found, compare);
    return found;
}

void boot_order_update(FwCfgState *f)
{
    g_autoptr(GArray) found = candidates();
    g_autoptr(GString) text = g_string_new(NULL);

    for (guint i = 0; i < found->len; i++) {
        const Candidate *c = &g_array_index(found, Candidate, i);

        g_string_append(text, i ? "\n" : "");
        append_path(text, c->dev);
        g_string_append_printf(text, "/%s", c->node);
    }
    if (found->len && boot.strict) {
        g_string_append(text, "\nHALT");
    }
    fw_cfg_replace_file(f, ORDER_FILE, text->str, found->len ? text->len + 1 : 0);
}

static bool add_number(FwCfgState *f, const char *name, int value, unsigned size, Error **errp)
{
    uint8_t b[4];

    store_le32(b, value);
    return fw_cfg_add_file(f, name, b, size, errp);
}

bool boot_order_add(FwCfgState *f, Error **errp)
{
    g_autoptr(GArray) found = candidates();

    for (guint i = 1; i < found->len; i++) {
        int64_t index = g_array_index(found, Candidate, i).index;

        if (index == g_array_index(found, Candidate, i - 1).index) {
            error_setg(errp, "The bootindex %" PRId64 " has already been used", index);
            return false;
        }
    }
    fw_cfg_set_u16(f, FW_CFG_BOOT_MENU, boot.menu);
    if (!fw_cfg_add_file(f, ORDER_FILE, "", 0, errp) ||
        !add_number(f, "etc/boot-fail-wait", boot.reboot_timeout, 4, errp) ||
        (boot.splash_time >= 0 && !add_number(f, "etc/boot-menu-wait", boot.splash_time, 2, errp))) {
        return false;
    }
    boot_order_update(f);
    return true;
}
