/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * MSI (PCI Local Bus 3.0, 6.8.1): up to 32 messages that differ in the low bits
 * of their data. Everything is in the capability's registers.
 *
 * Thread: main thread or a vCPU thread, with the machine lock.
 */
#include "util/osdep.h"

#include "internal.h"
#include "trace-hw-pci.h"

static uint16_t flags(const PciDevice *pci)
{
    return pci_get_word(pci->config + pci->cap_msi + PCI_MSI_FLAGS);
}

/* Registers that lie at other offsets when the address has 64 bits. */
static uint8_t *data_reg(PciDevice *pci)
{
    return pci->config + pci->cap_msi +
           (flags(pci) & PCI_MSI_FLAGS_64BIT ? PCI_MSI_DATA_64 : PCI_MSI_DATA_32);
}

static uint8_t *mask_reg(PciDevice *pci)
{
    return pci->config + pci->cap_msi +
           (flags(pci) & PCI_MSI_FLAGS_64BIT ? PCI_MSI_MASK_64 : PCI_MSI_MASK_32);
}

static uint8_t *pending_reg(PciDevice *pci)
{
    return mask_reg(pci) + 4;
}

/* How many the driver has been given, as far as there are that many. */
static unsigned vectors_in_use(const PciDevice *pci)
{
    unsigned capable = (flags(pci) & PCI_MSI_FLAGS_QMASK) >> 1;
    unsigned given = (flags(pci) & PCI_MSI_FLAGS_QSIZE) >> 4;

    return 1u << MIN(given, capable);
}

bool msi_enabled(const PciDevice *pci)
{
    return pci->cap_msi && (flags(pci) & PCI_MSI_FLAGS_ENABLE);
}

static void send(PciDevice *pci, unsigned vector)
{
    const uint8_t *cap = pci->config + pci->cap_msi;
    MsiMessage msg = {
        .address = pci_get_long(cap + PCI_MSI_ADDRESS_LO),
        .data = (pci_get_word(data_reg(pci)) & ~(vectors_in_use(pci) - 1)) | vector,
    };

    if (flags(pci) & PCI_MSI_FLAGS_64BIT) {
        msg.address |= (uint64_t)pci_get_long(cap + PCI_MSI_ADDRESS_HI) << 32;
    }
    trace_pci_msi_notify(pci->dev.obj.type->name, vector);
    accel_send_msi(msg, pci_requester_id(pci));
}

void msi_notify(PciDevice *pci, unsigned vector)
{
    if (!msi_enabled(pci) || !pci->bus_master) {
        return;
    }
    vector %= vectors_in_use(pci);
    if ((flags(pci) & PCI_MSI_FLAGS_MASKBIT) && (pci_get_long(mask_reg(pci)) & BIT(vector))) {
        pci_set_long(pending_reg(pci), pci_get_long(pending_reg(pci)) | BIT(vector));
    } else {
        send(pci, vector);
    }
}

/* Send what is pending and no longer masked. */
void msi_update(PciDevice *pci)
{
    uint32_t ready;

    if (!msi_enabled(pci) || !(flags(pci) & PCI_MSI_FLAGS_MASKBIT) || !pci->bus_master) {
        return;
    }
    ready = pci_get_long(pending_reg(pci)) & ~pci_get_long(mask_reg(pci));
    pci_set_long(pending_reg(pci), pci_get_long(pending_reg(pci)) & ~ready);
    for (unsigned n = 0; n < vectors_in_use(pci); n++) {
        if (ready & BIT(n)) {
            send(pci, n);
        }
    }
}

bool msi_init(PciDevice *pci, unsigned vectors, bool address64, bool mask, Error **errp)
{
    uint8_t size = (address64 ? 14 : 10) + (mask ? 10 : 0);
    uint8_t *cap, *wmask;

    assert(IS_POWER_OF_2(vectors) && vectors <= 32);
    pci->cap_msi = pci_add_capability(pci, PCI_CAP_ID_MSI, 0, size, errp);
    if (!pci->cap_msi) {
        return false;
    }
    cap = pci->config + pci->cap_msi;
    wmask = pci->wmask + pci->cap_msi;
    pci_set_word(cap + PCI_MSI_FLAGS, __builtin_ctz(vectors) << 1 |
                 (address64 ? PCI_MSI_FLAGS_64BIT : 0) | (mask ? PCI_MSI_FLAGS_MASKBIT : 0));
    memset(pci->cmask + pci->cap_msi + PCI_MSI_FLAGS, 0xff, 2);
    pci_set_word(wmask + PCI_MSI_FLAGS, PCI_MSI_FLAGS_ENABLE | PCI_MSI_FLAGS_QSIZE);
    pci_set_long(wmask + PCI_MSI_ADDRESS_LO, ~UINT32_C(3));
    if (address64) {
        pci_set_long(wmask + PCI_MSI_ADDRESS_HI, UINT32_MAX);
    }
    pci_set_word(wmask + (data_reg(pci) - cap), UINT16_MAX);
    if (mask) {
        pci_set_long(wmask + (mask_reg(pci) - cap), UINT32_MAX >> (32 - vectors));
    }
    return true;
}
