/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Memory devices: guest memory that comes and goes with a device (DIMMs,
 * NVDIMMs, virtio-mem, virtio-pmem). They share a window of guest physical
 * addresses above the machine's own memory.
 *
 * Thread: main thread with the machine lock.
 */
#ifndef HW_MEM_MEMORY_DEVICE_H
#define HW_MEM_MEMORY_DEVICE_H

#include "backends/memory-backend.h"
#include "hw/core/device.h"
#include "hw/core/machine.h"

typedef struct MemoryDevice MemoryDevice;

/* What a device hands over; filled in before memory_device_plug(). */
struct MemoryDevice {
    DeviceState *dev;           /* whose it is, for messages and queries: what the user added */
    MemoryRegion *region;
    uint64_t addr;              /* 0: anywhere */
    uint64_t size;              /* what it takes of the window */
    uint64_t align;
    int32_t slot;               /* -1: takes none */
    uint32_t node;
    /* Bytes that the guest has of it; NULL: all. */
    uint64_t (*plugged)(const MemoryDevice *d);
    void (*describe)(const MemoryDevice *d, MemoryDeviceInfo *info);
    MemoryDevice *next;         /* by address; private */
};

/* The window of @m: [base, base + size), in system memory. A machine calls it once. */
void memory_devices_init(MachineState *m, uint64_t base, uint64_t size);
/* Choose or check the address, and map the region there. */
bool memory_device_plug(MemoryDevice *d, Error **errp);
/* The region is out of the guest's sight, and nobody looks at it any more, when this returns. */
void memory_device_unplug(MemoryDevice *d);
/* Choose (-1) or check a slot among the machine's. */
bool memory_device_choose_slot(int32_t *slot, Error **errp);
/* In order of address. */
MemoryDevice *memory_device_first(void);
/* How DIMMs and the like are aligned when their back end asks for no more. */
#define MEMORY_DEVICE_ALIGN (2 * MIB)

/* Claims a back end for a device; the message names it. */
bool memory_device_claim(Object *backend, Error **errp);

/* ---- DIMMs ---- */

typedef struct PcDimm {
    DeviceState dev;
    MemoryDevice mem;
    Object *memdev;             /* a MemoryBackend */
    uint64_t addr;
    uint32_t node;
    int32_t slot;
} PcDimm;

extern const TypeInfo pc_dimm_type;     /* "pc-dimm" */
#define PC_DIMM(p) ((PcDimm *)object_cast(p, &pc_dimm_type))

/* For subtypes, which have chosen region and size. */
bool pc_dimm_realize(DeviceState *dev, Error **errp);
void pc_dimm_unrealize(DeviceState *dev);

extern const TypeInfo nvdimm_type;      /* "nvdimm", a pc-dimm */
bool nvdimm_is_armed(const MemoryDevice *d);
/* Its labels; *@size 0 when it has none. The memory stays the device's. */
uint8_t *nvdimm_labels(const MemoryDevice *d, uint64_t *size);
void nvdimm_labels_written(MemoryDevice *d, uint64_t offset, uint64_t len);

extern const TypeInfo virtio_mem_type;  /* "virtio-mem" */
extern const TypeInfo virtio_pmem_type; /* "virtio-pmem" */

#endif
