/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The host's side of NVDIMMs in ACPI (ACPI 6.4, sections 5.2.25 and 9.20; Intel's
 * "NVDIMM DSM Interface" for functions 4 to 6, the labels).
 *
 * Main thread and vCPU threads, with the machine lock. The page is the guest's
 * memory: a request is copied out of it before anything is looked at.
 */
#include "util/osdep.h"

#include "hw/acpi/nvdimm.h"
#include "hw/mem/memory-device.h"
#include "trace-hw-acpi.h"
#include "util/bswap.h"

enum { DSM_QUERY = 0, DSM_LABEL_SIZE = 4, DSM_LABEL_READ = 5, DSM_LABEL_WRITE = 6 };
enum { DSM_OK = 0, DSM_NOT_SUPPORTED = 1, DSM_NO_DEVICE = 2, DSM_BAD_PARAMETER = 3 };
#define DSM_FUNCTIONS (1 << DSM_QUERY | 1 << DSM_LABEL_SIZE | 1 << DSM_LABEL_READ | 1 << DSM_LABEL_WRITE)
/* Answers begin with a status; label requests with offset and length. */
#define STATUS_SIZE 4u
#define ANSWER_MAX (ACPI_NVDIMM_PAGE_SIZE - NVDIMM_RESP_DATA - STATUS_SIZE)
#define LABEL_HEAD 8u
#define TRANSFER_MAX (ACPI_NVDIMM_PAGE_SIZE - NVDIMM_REQ_ARGUMENT - LABEL_HEAD)

typedef struct Answer {
    uint8_t data[ACPI_NVDIMM_PAGE_SIZE - NVDIMM_RESP_DATA];
    uint32_t size;
} Answer;

static void put32(Answer *a, uint32_t value)
{
    store_le32(a->data + a->size, value);
    a->size += 4;
}

/* ---- the table ---- */

enum { NFIT_RANGE = 0, NFIT_MAP = 1, NFIT_CONTROL = 4, NFIT_CAPABILITIES = 7 };
enum { RANGE_SIZE = 56, MAP_SIZE = 48, CONTROL_SIZE = 80, CAPABILITIES_SIZE = 16 };
enum { MAP_NOT_ARMED = 1 << 3, RANGE_NODE_VALID = 1 << 1 };
#define MEMORY_WRITE_BACK_NONVOLATILE UINT64_C(0x8008)

/* Persistent memory region, in the byte order of the table. */
static const uint8_t persistent_guid[16] = {
    0x79, 0xd3, 0xf0, 0x66, 0xf3, 0xb4, 0x74, 0x40, 0xac, 0x43, 0x0d, 0x33, 0x18, 0xb7, 0x8c, 0xdb,
};

static uint8_t *begin_structure(GByteArray *t, uint16_t type, uint16_t size)
{
    uint32_t at = t->len;

    g_byte_array_set_size(t, at + size);
    memset(t->data + at, 0, size);
    store_le16(t->data + at, type);
    store_le16(t->data + at + 2, size);
    return t->data + at;
}

static void describe_nvdimm(GByteArray *t, const MemoryDevice *d)
{
    uint16_t index = d->slot + 1;
    uint8_t *p = begin_structure(t, NFIT_RANGE, RANGE_SIZE);

    store_le16(p + 4, index);
    store_le16(p + 6, RANGE_NODE_VALID);
    store_le32(p + 12, d->node);
    memcpy(p + 16, persistent_guid, sizeof(persistent_guid));
    store_le64(p + 32, d->addr);
    store_le64(p + 40, d->size);
    store_le64(p + 48, MEMORY_WRITE_BACK_NONVOLATILE);

    p = begin_structure(t, NFIT_MAP, MAP_SIZE);
    store_le32(p + 4, index);                   /* handle */
    store_le16(p + 8, d->slot);                 /* physical id */
    store_le16(p + 12, index);                  /* its range */
    store_le16(p + 14, index);                  /* its control region */
    store_le64(p + 16, d->size);
    store_le16(p + 42, 1);                      /* not interleaved */
    store_le16(p + 44, nvdimm_is_armed(d) ? 0 : MAP_NOT_ARMED);

    p = begin_structure(t, NFIT_CONTROL, CONTROL_SIZE);
    store_le16(p + 4, index);
    store_le16(p + 6, 0x8086);                  /* vendor, device, revision */
    store_le16(p + 8, 1);
    store_le16(p + 10, 1);
    store_le32(p + 24, 0x123456 + d->slot);     /* serial number */
    store_le16(p + 28, 0x301);                  /* byte-addressable, no block windows */
}

GByteArray *acpi_nvdimm_table(const AcpiNvdimm *s)
{
    GByteArray *t = g_byte_array_new();

    for (const MemoryDevice *d = memory_device_first(); d; d = d->next) {
        if (object_is_a(d->dev, &nvdimm_type)) {
            describe_nvdimm(t, d);
        }
    }
    if (s->persistence) {
        uint8_t *p = begin_structure(t, NFIT_CAPABILITIES, CAPABILITIES_SIZE);

        p[4] = 31 - __builtin_clz(s->persistence);      /* highest bit that says something */
        store_le32(p + 8, s->persistence);
    }
    return t;
}

void acpi_nvdimm_changed(AcpiNvdimm *s)
{
    ged_raise(s->ged, GED_EVENT_NVDIMM);
}

/* ---- requests ---- */

/* From an offset on, as much as fits; nothing is the end. Offset 0 begins anew. */
static void read_table(AcpiNvdimm *s, const uint8_t *req, Answer *a)
{
    uint32_t offset = load_le32(req + NVDIMM_REQ_ARGUMENT), n;

    if (load_le32(req + NVDIMM_REQ_FUNCTION) != NVDIMM_TABLE_READ) {
        put32(a, DSM_NOT_SUPPORTED);
        return;
    }
    if (!offset || !s->table) {
        g_clear_pointer(&s->table, g_byte_array_unref);
        s->table = acpi_nvdimm_table(s);
    }
    if (offset > s->table->len) {
        put32(a, DSM_BAD_PARAMETER);
        return;
    }
    n = MIN(s->table->len - offset, ANSWER_MAX);
    put32(a, DSM_OK);
    if (n) {
        memcpy(a->data + a->size, s->table->data + offset, n);
    }
    a->size += n;
}

static MemoryDevice *find_nvdimm(uint32_t handle)
{
    for (MemoryDevice *d = memory_device_first(); d; d = d->next) {
        if (object_is_a(d->dev, &nvdimm_type) && d->slot + 1 == (int64_t)handle) {
            return d;
        }
    }
    return NULL;
}

static void access_labels(MemoryDevice *d, const uint8_t *req, bool write, Answer *a)
{
    uint64_t size;
    uint8_t *labels = nvdimm_labels(d, &size);
    uint32_t offset = load_le32(req + NVDIMM_REQ_ARGUMENT);
    uint32_t n = load_le32(req + NVDIMM_REQ_ARGUMENT + 4);

    if (offset > size || n > size - offset || n > TRANSFER_MAX || (write && !nvdimm_is_armed(d))) {
        put32(a, DSM_BAD_PARAMETER);
        return;
    }
    put32(a, DSM_OK);
    if (write) {
        memcpy(labels + offset, req + NVDIMM_REQ_ARGUMENT + LABEL_HEAD, n);
        nvdimm_labels_written(d, offset, n);
    } else {
        memcpy(a->data + a->size, labels + offset, n);
        a->size += n;
    }
}

static void serve_nvdimm(MemoryDevice *d, const uint8_t *req, Answer *a)
{
    uint32_t function = load_le32(req + NVDIMM_REQ_FUNCTION);
    uint64_t labels = 0;

    if (!d) {
        put32(a, function == DSM_QUERY ? 0 : DSM_NO_DEVICE);
        return;
    }
    nvdimm_labels(d, &labels);
    if (function == DSM_QUERY) {
        put32(a, labels ? DSM_FUNCTIONS : 0);
    } else if (!labels) {
        put32(a, DSM_NOT_SUPPORTED);
    } else if (function == DSM_LABEL_SIZE) {
        put32(a, DSM_OK);
        put32(a, labels);
        put32(a, TRANSFER_MAX);
    } else if (function == DSM_LABEL_READ || function == DSM_LABEL_WRITE) {
        access_labels(d, req, function == DSM_LABEL_WRITE, a);
    } else {
        put32(a, DSM_NOT_SUPPORTED);
    }
}

static void doorbell_write(void *opaque, GuestAddr addr, uint64_t value, unsigned size)
{
    AcpiNvdimm *s = opaque;
    RamBlock *ram = s->page.ram;
    uint8_t req[ACPI_NVDIMM_PAGE_SIZE];
    Answer a = { .size = 0 };
    uint32_t handle;

    memcpy(req, ram->host, sizeof(req));
    handle = load_le32(req + NVDIMM_REQ_HANDLE);
    trace_acpi_nvdimm_request(handle, load_le32(req + NVDIMM_REQ_FUNCTION));
    if (handle == NVDIMM_HANDLE_TABLE) {
        read_table(s, req, &a);
    } else if (handle == NVDIMM_HANDLE_ROOT) {
        /* The root offers no functions. */
        put32(&a, load_le32(req + NVDIMM_REQ_FUNCTION) == DSM_QUERY ? 0 : DSM_NOT_SUPPORTED);
    } else {
        serve_nvdimm(find_nvdimm(handle), req, &a);
    }
    store_le32(ram->host + NVDIMM_RESP_LENGTH, a.size);
    memcpy(ram->host + NVDIMM_RESP_DATA, a.data, a.size);
    ram_block_set_dirty(ram, 0, ACPI_NVDIMM_PAGE_SIZE);
}

static uint64_t doorbell_read(void *opaque, GuestAddr addr, unsigned size)
{
    return 0;
}

static const MemoryRegionOps doorbell_ops = {
    .read = doorbell_read, .write = doorbell_write, .valid_min = 4, .valid_max = 4,
};

/* ---- life ---- */

static bool nvdimm_acpi_realize(DeviceState *dev, Error **errp)
{
    AcpiNvdimm *s = ACPI_NVDIMM(dev);

    if (!memory_region_init_ram(&s->page, OBJECT(s), "nvdimm-acpi", ACPI_NVDIMM_REGION_SIZE, errp)) {
        return false;
    }
    memory_region_init_io(&s->doorbell, OBJECT(s), &doorbell_ops, s, "nvdimm-doorbell",
                          ACPI_NVDIMM_DOORBELL_SIZE);
    return true;
}

static void nvdimm_acpi_unrealize(DeviceState *dev)
{
    AcpiNvdimm *s = ACPI_NVDIMM(dev);

    memory_region_cleanup(&s->doorbell);
    memory_region_cleanup(&s->page);
    g_clear_pointer(&s->table, g_byte_array_unref);
}

/* The page is memory, and the table can be made again. */
static const DeviceOps nvdimm_acpi_ops = {
    .realize = nvdimm_acpi_realize, .unrealize = nvdimm_acpi_unrealize, .state = &state_table_none,
};

OBJECT_TYPE(acpi_nvdimm_type) = {
    .name = "acpi-nvdimm", .parent = &device_type, .instance_size = sizeof(AcpiNvdimm),
    .description = "NVDIMM firmware interface",
    .impls = TYPE_IMPLS({ &device_type, &nvdimm_acpi_ops }),
};

AcpiNvdimm *acpi_nvdimm_create(Object *parent, GedState *ged, uint32_t persistence, Error **errp)
{
    DeviceState *dev = device_new(&acpi_nvdimm_type);
    AcpiNvdimm *s = ACPI_NVDIMM(dev);

    s->ged = ged;
    s->persistence = persistence;
    object_add_child(parent, "acpi-nvdimm", dev, &error_abort);
    return device_realize_and_unref(dev, NULL, errp) ? s : NULL;
}
