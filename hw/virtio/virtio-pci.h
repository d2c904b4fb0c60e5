/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The PCI transport (virtio 1.2, 4.1), shared by virtio-pci.c (registers) and
 * virtio-pci-types.c (one type for each virtio device).
 */
#ifndef HW_VIRTIO_VIRTIO_PCI_H
#define HW_VIRTIO_VIRTIO_PCI_H

#include "hw/pci/pci.h"
#include "hw/virtio/virtio.h"

#define VECTORS_UNSPECIFIED UINT32_MAX

typedef struct VirtioPci {
    PciDevice pci;
    VirtioDevice *vdev;         /* child "virtio-backend", made with us */
    BusState bus;
    MemoryRegion bar, regs, notify, msix_bar;
    /* Properties. */
    uint32_t vectors;
    int disable_legacy;
    bool disable_modern, ioeventfd, page_per_vq, ats, modern_pio_notify;
    /* Registers of our own. */
    uint32_t device_feature_select, driver_feature_select;
    uint16_t queue_select;

    uint32_t notify_multiplier;
    uint8_t cfg_cap;            /* the configuration access capability */
    BottomHalf *intx_bh;        /* moves the INTx level from other threads */
    struct VirtioPciIrq *irqs;  /* one a queue, for queues with a loop of their own */
    bool running;
} VirtioPci;

extern const TypeInfo virtio_pci_type;  /* "virtio-pci", abstract */
extern const StateTable virtio_pci_state;

#define VIRTIO_PCI(p) ((VirtioPci *)object_cast(p, &virtio_pci_type))

#endif
