/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * "pcie-pci-bridge": from PCI Express to a conventional bus with 32 slots (PCI Express
 * to PCI/PCI-X Bridge 1.0). Devices on it have no Express capability and 256 bytes
 * of configuration space. They are there from the start: a conventional slot has
 * no hot-plug controller.
 *
 * Thread: main thread or a vCPU thread, with the machine lock.
 * Trust: its registers are those of any bridge (bridge.c).
 */
#include "util/osdep.h"

#include "internal.h"
#include "qapi-types.h"

typedef struct PciePciBridge {
    PciBridge bridge;
    int msi;                    /* OnOffAuto; nothing here would send a message */
} PciePciBridge;

static PciBridge *bridge_of(PciDevice *pci)
{
    return &container_of(pci, PciePciBridge, bridge.pci)->bridge;
}

static bool realize(PciDevice *pci, Error **errp)
{
    if (!pcie_cap_init(pci, PCI_EXP_TYPE_PCI_BRIDGE, errp) || !pci_pm_init(pci, errp)) {
        return false;
    }
    pci_bridge_init(bridge_of(pci));
    bridge_of(pci)->sec.conventional = true;
    return true;
}

static void unrealize(PciDevice *pci)
{
    pci_bridge_cleanup(bridge_of(pci));
}

static void reset(PciDevice *pci)
{
    bridge_of(pci)->in_reset = false;
}

static bool post_load(void *opaque, int version)
{
    PciBridge *b = &((PciePciBridge *)opaque)->bridge;

    b->in_reset = pci_get_word(b->pci.config + PCI_BRIDGE_CONTROL) & PCI_BRIDGE_CTL_BUS_RESET;
    return true;
}

/* Loads before what is behind it, after what is in front of it. */
static const StateTable bridge_state = {
    .name = "pcie-pci-bridge", .version = 1, .minimum_version = 1, .post_load = post_load, .priority = 9,
    .fields = (const StateField[]) {
        { .name = "pci", .kind = STATE_STRUCT, .offset = offsetof(PciePciBridge, bridge.pci), .count = 1,
          .size = sizeof(PciDevice), .table = &pci_device_state },
        STATE_F_END
    },
};

static const ObjectProperty bridge_properties[] = {
    PROP_ON_OFF_AUTO("msi", PciePciBridge, msi, ON_OFF_AUTO_AUTO, "accepted; the bridge has nothing to signal"),
    PROP_END
};

static const PciDeviceOps bridge_pci_ops = {
    .realize = realize, .unrealize = unrealize, .reset = reset,
    .vendor_id = PCI_VENDOR_ID_VIRTUAL, .device_id = PCI_DEVICE_ID_VIRTUAL_PCIE_PCI_BRIDGE,
    .class_id = PCI_CLASS_BRIDGE_PCI, .is_bridge = true,
};

static const DeviceOps bridge_ops = {
    PCI_DEVICE_OPS,
    .state = &bridge_state, .category = DEVICE_CATEGORY_BRIDGE, .user_creatable = true,
};

OBJECT_TYPE_STATIC(pcie_pci_bridge_type) = {
    .name = "pcie-pci-bridge", .parent = &pci_device_type, .instance_size = sizeof(PciePciBridge),
    .description = "PCI Express bridge to a conventional PCI bus", .properties = bridge_properties,
    .impls = TYPE_IMPLS({ &device_type, &bridge_ops }, { &pci_device_type, &bridge_pci_ops }),
};
