/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Finds what the payload needs in the ACPI tables (ACPI 6.4, section 5.2), checking every table's sum. */
#include "payload.h"

#define FADT_HW_REDUCED (1u << 20)
#define FADT_RESET_REG_SUP (1u << 10)
#define SPACE_IO 1

typedef struct __attribute__((packed)) Header {
    char signature[4];
    uint32_t length;
    uint8_t revision, checksum;
    char oem[28 - 2];
} Header;
_Static_assert(sizeof(Header) == 36, "ACPI table header");

Acpi acpi;

static bool sum_is_zero(const void *p, uint32_t len)
{
    const uint8_t *b = p;
    uint8_t sum = 0;

    while (len--) {
        sum += *b++;
    }
    return sum == 0;
}

static uint32_t get32(const void *p) { uint32_t v; memcpy(&v, p, 4); return v; }
static uint64_t get64(const void *p) { uint64_t v; memcpy(&v, p, 8); return v; }

/* A generic address structure at @p: the port, or 0. */
static uint16_t gas_port(const uint8_t *p)
{
    return p[0] == SPACE_IO ? get64(p + 4) : 0;
}

/* NameOp "_S5_" PackageOp length count element. */
static void find_s5(void)
{
    for (uint32_t i = sizeof(Header); i + 12 < acpi.dsdt_len; i++) {
        const uint8_t *p = acpi.dsdt + i;

        if (memcmp(p, "_S5_\x12", 5)) {
            continue;
        }
        p += 5;
        p += 1 + (*p >> 6);             /* package length */
        p++;                            /* elements */
        acpi.sleep_type = *p == 0x0a ? p[1] : *p == 0x01 ? 1 : 0;
        acpi.has_s5 = true;
        return;
    }
}

static void parse_fadt(const uint8_t *t, uint32_t len)
{
    uint32_t flags = get32(t + 112);
    uint64_t dsdt = len >= 148 ? get64(t + 140) : 0;

    acpi.hw_reduced = flags & FADT_HW_REDUCED;
    acpi.reset_supported = flags & FADT_RESET_REG_SUP;
    acpi.reset_port = gas_port(t + 116);
    acpi.reset_value = t[128];
    if (len >= 268) {
        acpi.sleep_port = gas_port(t + 244);
    }
    acpi.pm_timer_port = len >= 220 && gas_port(t + 208) ? gas_port(t + 208) : get32(t + 76);
    if (!acpi.hw_reduced) {
        acpi.sleep_port = get32(t + 64);        /* PM1a control block */
    }
    if (!dsdt) {
        dsdt = get32(t + 40);
    }
    acpi.dsdt = (const uint8_t *)(uintptr_t)dsdt;
    acpi.dsdt_len = ((const Header *)acpi.dsdt)->length;
    acpi.tables++;
    if (!sum_is_zero(acpi.dsdt, acpi.dsdt_len) || memcmp(acpi.dsdt, "DSDT", 4)) {
        acpi.bad_checksums++;
    }
    find_s5();
}

static void parse_madt(const uint8_t *t, uint32_t len)
{
    for (uint32_t i = 44; i + 2 <= len && t[i + 1] >= 2; i += t[i + 1]) {
        if (t[i] == 0 && get32(t + i + 4) & 1 && acpi.cpus < 16) {
            acpi.apic_ids[acpi.cpus++] = t[i + 3];
        } else if (t[i] == 9 && get32(t + i + 8) & 1 && acpi.cpus < 16) {
            acpi.apic_ids[acpi.cpus++] = get32(t + i + 4);
        } else if (t[i] == 1 && !acpi.ioapic) {
            acpi.ioapic = get32(t + i + 4);
        }
    }
}

static void parse_table(const uint8_t *t)
{
    uint32_t len = ((const Header *)t)->length;

    acpi.tables++;
    if (!sum_is_zero(t, len)) {
        acpi.bad_checksums++;
    }
    if (!memcmp(t, "FACP", 4)) {
        parse_fadt(t, len);
    } else if (!memcmp(t, "APIC", 4)) {
        parse_madt(t, len);
    } else if (!memcmp(t, "MCFG", 4) && len >= 60) {
        acpi.ecam = get64(t + 44);
    }
}

bool acpi_init(uint64_t rsdp_addr)
{
    const uint8_t *rsdp = (const uint8_t *)(uintptr_t)rsdp_addr;
    const uint8_t *root;
    unsigned size;

    if (!rsdp_addr || memcmp(rsdp, "RSD PTR ", 8) || !sum_is_zero(rsdp, 20)) {
        return false;
    }
    size = rsdp[15] >= 2 && get64(rsdp + 24) ? 8 : 4;
    if (size == 8 && !sum_is_zero(rsdp, 36)) {
        return false;
    }
    root = (const uint8_t *)(uintptr_t)(size == 8 ? get64(rsdp + 24) : get32(rsdp + 16));
    if (memcmp(root, size == 8 ? "XSDT" : "RSDT", 4) || !sum_is_zero(root, ((const Header *)root)->length)) {
        return false;
    }
    for (uint32_t i = sizeof(Header); i + size <= ((const Header *)root)->length; i += size) {
        parse_table((const uint8_t *)(uintptr_t)(size == 8 ? get64(root + i) : get32(root + i)));
    }
    return acpi.dsdt != NULL;
}
