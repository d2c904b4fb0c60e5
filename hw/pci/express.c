/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The PCI Express capability (PCIe Base 4.0, 7.5.3), version 2, of endpoints and
 * of root ports but for their slot registers (root-port.c).
 *
 * Thread: main thread with the machine lock, at realize.
 */
#include "util/osdep.h"

#include "internal.h"

#define CAP_SIZE 0x3c           /* version 2, all registers */
#define DEVCTL_WRITABLE                                                     \
    (PCI_EXP_DEVCTL_CERE | PCI_EXP_DEVCTL_NFERE | PCI_EXP_DEVCTL_FERE | PCI_EXP_DEVCTL_URRE)

bool pcie_cap_init(PciDevice *pci, uint8_t port_type, Error **errp)
{
    uint16_t devctl = DEVCTL_WRITABLE;
    uint32_t devcap = PCI_EXP_DEVCAP_RBER;
    uint8_t *cap, *wmask;

    if (pci->bus->conventional) {
        if (port_type != PCI_EXP_TYPE_ENDPOINT) {
            error_setg(errp, "Device '%s' can't go on PCI bus", pci->dev.obj.type->name);
        }
        return port_type == PCI_EXP_TYPE_ENDPOINT;
    }
    if (port_type == PCI_EXP_TYPE_ENDPOINT && pci->bus->is_root) {
        port_type = PCI_EXP_TYPE_RC_END;
    }
    pci->cap_exp = pci_add_capability(pci, PCI_CAP_ID_EXP, 0, CAP_SIZE, errp);
    if (!pci->cap_exp) {
        return false;
    }
    cap = pci->config + pci->cap_exp;
    wmask = pci->wmask + pci->cap_exp;
    if (port_type == PCI_EXP_TYPE_ENDPOINT || port_type == PCI_EXP_TYPE_RC_END) {
        devcap |= PCI_EXP_DEVCAP_FLR;
        devctl |= PCI_EXP_DEVCTL_BCR_FLR;
    }
    pci_set_word(cap + PCI_EXP_FLAGS, 2 | port_type << 4);
    memset(pci->cmask + pci->cap_exp + PCI_EXP_FLAGS, 0xff, 2);
    pci_set_long(cap + PCI_EXP_DEVCAP, devcap);
    pci_set_word(wmask + PCI_EXP_DEVCTL, devctl);
    if (port_type != PCI_EXP_TYPE_RC_END) {
        pci_set_long(cap + PCI_EXP_LNKCAP, PCI_EXP_LNKCAP_SLS_2_5GB | PCI_EXP_LNKSTA_NLW_X1);
        pci_set_word(cap + PCI_EXP_LNKSTA, PCI_EXP_LNKSTA_CLS_2_5GB | PCI_EXP_LNKSTA_NLW_X1);
        pci_set_long(cap + PCI_EXP_LNKCAP2, PCI_EXP_LNKCAP2_SLS_2_5GB);
        pci_set_word(cap + PCI_EXP_LNKCTL2, PCI_EXP_LNKCTL2_TLS_2_5GT);
    }
    return true;
}
