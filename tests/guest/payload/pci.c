/* SPDX-License-Identifier: GPL-2.0-or-later */
/* PCI enumeration, BAR placement and MSI-X of the payload. */
#include "payload.h"

#define BAR_WINDOW 0xe0000000u          /* inside the 32-bit window of every machine that we run on */
#define COMMAND 4
#define COMMAND_MEMORY 2
#define COMMAND_MASTER 4
#define CAP_POINTER 0x34
#define CAP_MSIX 0x11
#define HEADER_TYPE 0x0e
#define BUS_NUMBERS 0x18
#define MEMORY_WINDOW 0x20
#define BRIDGE_WINDOW 0xd0000000u
#define BRIDGE_WINDOW_SIZE 0x00400000u
#define MAX_BUSES 16

PciFunction pci_functions[64];
unsigned pci_count;
static unsigned buses;
static uint32_t bus_next[MAX_BUSES];    /* where the next BAR goes */

static uintptr_t address(const PciFunction *f, unsigned reg)
{
    return acpi.ecam + ((uintptr_t)f->bus << 20 | (uintptr_t)f->devfn << 12 | reg);
}

static uint32_t config_address(const PciFunction *f, unsigned reg)
{
    return 0x80000000u | (uint32_t)f->bus << 16 | (uint32_t)f->devfn << 8 | (reg & 0xfc);
}

uint32_t pci_read32_ports(const PciFunction *f, unsigned reg)
{
    outl(0xcf8, config_address(f, reg));
    return inl(0xcfc);
}

uint32_t pci_read32(const PciFunction *f, unsigned reg)
{
    return acpi.ecam ? read32(address(f, reg)) : pci_read32_ports(f, reg);
}

void pci_write32(const PciFunction *f, unsigned reg, uint32_t v)
{
    if (acpi.ecam) {
        write32(address(f, reg), v);
        return;
    }
    outl(0xcf8, config_address(f, reg));
    outl(0xcfc, v);
}

uint16_t pci_read16(const PciFunction *f, unsigned reg)
{
    return pci_read32(f, reg & ~3u) >> (reg & 2) * 8;
}

uint8_t pci_read8(const PciFunction *f, unsigned reg)
{
    return pci_read32(f, reg & ~3u) >> (reg & 3) * 8;
}

void pci_write16(const PciFunction *f, unsigned reg, uint16_t v)
{
    if (acpi.ecam) {
        write16(address(f, reg), v);
        return;
    }
    outl(0xcf8, config_address(f, reg));
    outw(0xcfc + (reg & 2), v);
}

/* Nobody has numbered buses or opened windows before us: each bridge gets one of both. */
static uint8_t bridge_open(const PciFunction *f)
{
    uint8_t bus;
    uint32_t base;

    if (buses == MAX_BUSES) {
        return 0;
    }
    bus = buses++;
    base = bus_next[bus] = BRIDGE_WINDOW + (bus - 1) * BRIDGE_WINDOW_SIZE;
    pci_write32(f, BUS_NUMBERS, f->bus | bus << 8 | bus << 16);
    pci_write32(f, MEMORY_WINDOW, base >> 16 | ((base + BRIDGE_WINDOW_SIZE - 1) & 0xfff00000));
    pci_write16(f, COMMAND, COMMAND_MEMORY | COMMAND_MASTER);
    return bus;
}

static void scan_bus(uint8_t bus)
{
    for (unsigned devfn = 0; devfn < 256 && pci_count < 64; devfn++) {
        PciFunction *f = &pci_functions[pci_count];
        uint32_t id;

        *f = (PciFunction){ .bus = bus, .devfn = devfn };
        id = pci_read32(f, 0);
        if (id == 0xffffffff || id == 0) {
            devfn |= devfn & 7 ? 0 : 7;
            continue;
        }
        f->vendor = id;
        f->device = id >> 16;
        f->class_rev = pci_read32(f, 8);
        pci_count++;
        if ((pci_read8(f, HEADER_TYPE) & 0x7f) == 1) {
            uint8_t behind = bridge_open(f);
            if (behind) {
                scan_bus(behind);
            }
        }
        if (!(devfn & 7) && !(pci_read8(f, HEADER_TYPE) & 0x80)) {
            devfn |= 7;
        }
    }
}

void pci_scan(void)
{
    pci_count = 0;
    buses = 1;
    bus_next[0] = BAR_WINDOW;
    scan_bus(0);
}

static void place_bars(PciFunction *f)
{
    uint32_t next = bus_next[f->bus];

    for (unsigned i = 0; i < 6; i++) {
        unsigned reg = 0x10 + 4 * i;
        uint32_t old = pci_read32(f, reg), mask;

        if (old & 1) {
            continue;
        }
        pci_write32(f, reg, 0xffffffff);
        mask = pci_read32(f, reg) & ~0xfu;
        if (!mask) {
            pci_write32(f, reg, old);
            continue;
        }
        f->bar_size[i] = ~mask + 1;
        next = (next + f->bar_size[i] - 1) & mask;
        f->bar[i] = next;
        pci_write32(f, reg, next);
        next += f->bar_size[i];
        if ((old & 6) == 4) {
            pci_write32(f, reg + 4, 0);
            i++;
        }
    }
    bus_next[f->bus] = next;
}

void pci_enable(PciFunction *f)
{
    uint16_t command = pci_read16(f, COMMAND);

    if (!f->bar_size[0] && !f->bar_size[1] && !f->bar_size[4]) {
        pci_write16(f, COMMAND, command & ~(COMMAND_MEMORY | COMMAND_MASTER));
        place_bars(f);
    }
    pci_write16(f, COMMAND, command | COMMAND_MEMORY | COMMAND_MASTER);
    for (uint8_t cap = pci_read8(f, CAP_POINTER); cap; cap = pci_read8(f, cap + 1)) {
        if (pci_read8(f, cap) == CAP_MSIX) {
            uint32_t table = pci_read32(f, cap + 4);

            f->msix_cap = cap;
            f->msix_vectors = (pci_read16(f, cap + 2) & 0x7ff) + 1;
            f->msix_table = f->bar[table & 7] + (table & ~7u);
        }
    }
}

void pci_msix_set(PciFunction *f, unsigned entry, uint8_t apic_id, uint8_t vector)
{
    uintptr_t e = f->msix_table + 16 * entry;

    write32(e, 0xfee00000u | (uint32_t)apic_id << 12);
    write32(e + 4, 0);
    write32(e + 8, vector);
    write32(e + 12, 0);
}

void pci_msix_mask(PciFunction *f, unsigned entry, bool masked)
{
    write32(f->msix_table + 16 * entry + 12, masked);
}

void pci_msix_enable(PciFunction *f, bool on)
{
    uint16_t control = pci_read16(f, f->msix_cap + 2);

    pci_write16(f, f->msix_cap + 2, on ? control | 0x8000 : control & ~0x8000);
}
