/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Register names of PCI configuration space (Linux UAPI), and the ids that are ours. */
#ifndef HW_PCI_PCI_REGS_H
#define HW_PCI_PCI_REGS_H

#include <linux/pci_regs.h>

#define PCI_VENDOR_ID_VIRTIO 0x1af4     /* also the default subsystem vendor */
#define PCI_SUBSYSTEM_ID_DEFAULT 0x1100
#define PCI_VENDOR_ID_INTEL 0x8086
#define PCI_DEVICE_ID_INTEL_Q35 0x29c0  /* 3 Series chipset, host bridge */
#define PCI_VENDOR_ID_VIRTUAL 0x1b36    /* generic virtual devices */
#define PCI_DEVICE_ID_VIRTUAL_HOST 0x0008
#define PCI_DEVICE_ID_VIRTUAL_ROOT_PORT 0x000c
#define PCI_DEVICE_ID_VIRTUAL_PCIE_PCI_BRIDGE 0x000e

#define PCI_CLASS_STORAGE_SCSI 0x0100
#define PCI_CLASS_NETWORK_ETHERNET 0x0200
#define PCI_CLASS_BRIDGE_HOST 0x0600
#define PCI_CLASS_BRIDGE_PCI 0x0604
#define PCI_CLASS_COMMUNICATION_OTHER 0x0780
#define PCI_CLASS_OTHERS 0x00ff

#endif
