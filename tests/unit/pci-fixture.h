/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the PCI unit test and the PCI fuzz target stand on: a host bridge with
 * ports and windows over the real device core and memory tree, a device with
 * every kind of BAR, an accelerator that only records.
 */
#ifndef TESTS_UNIT_PCI_FIXTURE_H
#define TESTS_UNIT_PCI_FIXTURE_H

#include "accel/accel.h"
#include "hw/pci/host.h"
#include "migration/stream.h"

#define ECAM UINT64_C(0x80000000)
#define WINDOW UINT64_C(0x90000000)
#define WINDOW64 UINT64_C(0x1000000000)
#define VECTORS 4
/* The test device's MSI-X BAR: pending bits. */
#define MSIX_PBA 0x800
#define RESERVED_SLOT 30

typedef struct FakeAccel {
    bool have_irqfd;
    MsiMessage last;
    unsigned sent;
    unsigned routes;            /* alive */
    MsiMessage routed[64];
    unsigned attached;          /* irqfds */
} FakeAccel;

/* "test-pci". BAR 0: 4 KiB of memory, 1: MSI-X, 2: 16 KiB of 64-bit memory, 4: 32 ports. */
typedef struct TestDevice {
    PciDevice pci;
    MemoryRegion mem, mem64, io;
    uint64_t written;
    unsigned resets;
} TestDevice;

extern FakeAccel fake_accel;
extern PciHost *fixture_host;
extern int fixture_wires[4];

/* 16 MiB of RAM at 0, the host bridge, the machine lock held. */
void fixture_init(void);
/* -device. */
DeviceState *fixture_add(const char *options, Error **errp);

/* One access, as a CPU makes it. */
uint64_t bus_load(AddressSpace *as, uint64_t addr, unsigned size);
void bus_store(AddressSpace *as, uint64_t addr, uint64_t value, unsigned size);
/* Configuration access of a function through ECAM, at the bus number it has now. */
uint32_t cfg_read(PciDevice *pci, unsigned reg, unsigned size);
void cfg_write(PciDevice *pci, unsigned reg, uint32_t value, unsigned size);

/* What a writer holds, which ends here; caller frees. */
uint8_t *state_take_bytes(StateStream *writer, size_t *len);

#endif
