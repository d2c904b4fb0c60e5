/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ACPI tables of the AArch64 `virt`: MADT, SRAT and PPTT (ACPI 6.4,
 * 5.2.12, 5.2.16 and 5.2.30), GTDT (5.2.25), SPCR and DBG2 (Microsoft), IORT (ARM DEN 0049).
 */
#include "util/osdep.h"

#include "acpi-tables.h"

#define UART_SIZE 0x1000u
#define GSI_PPI(n) (ARM_GIC_PPI_FIRST + (n))
#define ABSENT_BLOCK UINT64_MAX         /* a counter frame that is not there */

static const AcpiAddress uart = {
    .space = 0, .bits = 32, .access = 3, .address = ARM_VIRT_UART,
};

/* ---- MADT ---- */

enum { MADT_GICC = 0xb, MADT_GICD, MADT_MSI_FRAME, MADT_GICR, MADT_ITS };

static void entry(AcpiTables *t, uint8_t type, uint8_t len)
{
    acpi_put(t, type, 1);
    acpi_put(t, len, 1);
    acpi_put(t, 0, 2);
}

static void build_gicc(AcpiTables *t, const ArmVirtAcpiConfig *c, unsigned cpu)
{
    entry(t, MADT_GICC, 80);
    acpi_put(t, cpu, 4);                        /* interface number */
    acpi_put(t, cpu, 4);                        /* _UID */
    acpi_put(t, 1, 4);                          /* enabled */
    acpi_put(t, 0, 4);                          /* parking protocol version */
    acpi_put(t, c->pmu ? GSI_PPI(ARM_VIRT_PPI_PMU) : 0, 4);
    acpi_put(t, 0, 8);                          /* parked address */
    acpi_put(t, c->gic_version == 2 ? ARM_VIRT_GIC_CPU : 0, 8);
    acpi_put(t, 0, 8);                          /* GICV */
    acpi_put(t, 0, 8);                          /* GICH */
    acpi_put(t, 0, 4);                          /* maintenance interrupt: no virtualization */
    acpi_put(t, 0, 8);                          /* GICR: told region by region */
    acpi_put(t, c->mpidr[cpu], 8);
    acpi_put(t, 0, 4);                          /* efficiency class, reserved, SPE interrupt */
}

static void build_gicd(AcpiTables *t, const ArmVirtAcpiConfig *c)
{
    entry(t, MADT_GICD, 24);
    acpi_put(t, 0, 4);
    acpi_put(t, ARM_VIRT_GIC_DIST, 8);
    acpi_put(t, 0, 4);
    acpi_put(t, c->gic_version, 1);
    acpi_put_zeros(t, 3);
}

static void build_msi_frame(AcpiTables *t)
{
    entry(t, MADT_MSI_FRAME, 24);
    acpi_put(t, 0, 4);
    acpi_put(t, ARM_VIRT_GIC_V2M, 8);
    acpi_put(t, 1, 4);                          /* count and base are these */
    acpi_put(t, ARM_VIRT_V2M_SPIS, 2);
    acpi_put(t, ARM_GIC_SPI_FIRST + ARM_VIRT_SPI_V2M, 2);
}

void arm_acpi_build_madt(AcpiTables *t, const ArmVirtAcpiConfig *c)
{
    acpi_madt_begin(t, 0, false);
    build_gicd(t, c);
    for (unsigned i = 0; i < c->cpus; i++) {
        build_gicc(t, c, i);
    }
    if (c->gic_version == 2) {
        build_msi_frame(t);
    }
    for (unsigned i = 0; c->gic_version == 3 && i < ARRAY_SIZE(c->redist); i++) {
        if (c->redist[i].size) {
            entry(t, MADT_GICR, 16);
            acpi_put(t, c->redist[i].base, 8);
            acpi_put(t, c->redist[i].size, 4);
        }
    }
    if (c->its) {
        entry(t, MADT_ITS, 20);
        acpi_put(t, 0, 4);                      /* its id: what the IORT names */
        acpi_put(t, ARM_VIRT_GIC_ITS, 8);
        acpi_put(t, 0, 4);
    }
    acpi_table_end(t);
}

/* ---- PPTT ---- */

enum { PPTT_PACKAGE = 1 << 0, PPTT_ID_VALID = 1 << 1, PPTT_THREAD = 1 << 2, PPTT_LEAF = 1 << 3 };

/* A node of the hierarchy; its offset in the table, by which children name it. */
static uint32_t build_node(AcpiTables *t, uint32_t table, uint32_t flags, uint32_t parent,
                           uint32_t id)
{
    uint32_t offset = t->blob->len - table;

    acpi_put(t, 0, 1);
    acpi_put(t, 20, 1);
    acpi_put(t, 0, 2);
    acpi_put(t, flags, 4);
    acpi_put(t, parent, 4);
    acpi_put(t, id, 4);
    acpi_put(t, 0, 4);                          /* no caches of its own are told */
    return offset;
}

static void build_core(AcpiTables *t, const ArmVirtAcpiConfig *c, uint32_t table, uint32_t cluster,
                       uint32_t core_id, unsigned *cpu)
{
    uint32_t core;

    if (c->topology.threads <= 1) {
        build_node(t, table, PPTT_ID_VALID | PPTT_LEAF, cluster, (*cpu)++);
        return;
    }
    core = build_node(t, table, 0, cluster, core_id);
    for (unsigned h = 0; h < c->topology.threads && *cpu < c->cpus; h++) {
        build_node(t, table, PPTT_ID_VALID | PPTT_THREAD | PPTT_LEAF, core, (*cpu)++);
    }
}

void arm_acpi_build_pptt(AcpiTables *t, const ArmVirtAcpiConfig *c)
{
    const CpuTopology *p = &c->topology;
    unsigned cpu = 0;
    uint32_t table;

    acpi_table_begin(t, "PPTT", 2);
    table = t->blob->len - ACPI_HEADER_SIZE;
    for (unsigned s = 0; s < p->sockets && cpu < c->cpus; s++) {
        uint32_t socket = build_node(t, table, PPTT_PACKAGE, 0, s);

        for (unsigned k = 0; k < p->clusters && cpu < c->cpus; k++) {
            uint32_t cluster = p->clusters > 1 ? build_node(t, table, 0, socket, k) : socket;

            for (unsigned o = 0; o < p->cores && cpu < c->cpus; o++) {
                build_core(t, c, table, cluster, o, &cpu);
            }
        }
    }
    acpi_table_end(t);
}

/* ---- NUMA ---- */

void arm_acpi_build_srat(AcpiTables *t, const ArmVirtAcpiConfig *c)
{
    const AcpiRange ram = { ARM_VIRT_RAM, c->ram_size };

    acpi_srat_begin(t);
    for (unsigned i = 0; i < c->cpus; i++) {
        acpi_srat_gicc(t, c->numa->cpu_node[i], i);
    }
    acpi_srat_ram(t, c->numa, &ram, 1);
    if (c->device_memory.size) {
        /* A device's own description says where it really is. */
        acpi_srat_memory(t, c->numa->count - 1, c->device_memory.base, c->device_memory.size,
                         ACPI_SRAT_ENABLED | ACPI_SRAT_HOTPLUGGABLE);
    }
    acpi_table_end(t);
}

/* ---- timers ---- */

void arm_acpi_build_gtdt(AcpiTables *t)
{
    enum { LEVEL_HIGH = 0, ALWAYS_ON = 1 << 2 };

    acpi_table_begin(t, "GTDT", 2);
    acpi_put(t, ABSENT_BLOCK, 8);
    acpi_put(t, 0, 4);
    acpi_put(t, GSI_PPI(ARM_VIRT_PPI_TIMER_SECURE), 4);
    acpi_put(t, LEVEL_HIGH, 4);
    acpi_put(t, GSI_PPI(ARM_VIRT_PPI_TIMER_NONSECURE), 4);
    acpi_put(t, LEVEL_HIGH | ALWAYS_ON, 4);
    acpi_put(t, GSI_PPI(ARM_VIRT_PPI_TIMER_VIRT), 4);
    acpi_put(t, LEVEL_HIGH, 4);
    acpi_put(t, GSI_PPI(ARM_VIRT_PPI_TIMER_HYP), 4);
    acpi_put(t, LEVEL_HIGH, 4);
    acpi_put(t, ABSENT_BLOCK, 8);
    acpi_put(t, 0, 4);                          /* no timers beside those of the CPUs */
    acpi_put(t, 0, 4);
    acpi_table_end(t);
}

/* ---- serial port ---- */

enum { SERIAL_PL011 = 3 };

void arm_acpi_build_spcr(AcpiTables *t)
{
    acpi_table_begin(t, "SPCR", 2);
    acpi_put(t, SERIAL_PL011, 1);
    acpi_put_zeros(t, 3);
    acpi_put_address(t, &uart);
    acpi_put(t, 1 << 3, 1);                     /* interrupts through the GIC */
    acpi_put(t, 0, 1);
    acpi_put(t, ARM_GIC_SPI_FIRST + ARM_VIRT_SPI_UART, 4);
    acpi_put(t, 3, 1);                          /* 9600 baud, as every UART says */
    acpi_put(t, 0, 1);                          /* no parity */
    acpi_put(t, 1, 1);                          /* one stop bit */
    acpi_put(t, 1 << 1, 1);                     /* RTS/CTS */
    acpi_put(t, 0, 1);                          /* VT100 */
    acpi_put(t, 0, 1);
    acpi_put(t, 0xffff, 2);                     /* not on PCI */
    acpi_put(t, 0xffff, 2);
    acpi_put_zeros(t, 3 + 4 + 1 + 4);
    acpi_table_end(t);
}

void arm_acpi_build_dbg2(AcpiTables *t)
{
    static const char name[] = "COM0";
    enum { INFO_SIZE = 22, ADDRESS_SIZE = 12, SIZE_SIZE = 4 };

    acpi_table_begin(t, "DBG2", 0);
    acpi_put(t, ACPI_HEADER_SIZE + 8, 4);       /* where the first device is */
    acpi_put(t, 1, 4);
    acpi_put(t, 0, 1);
    acpi_put(t, INFO_SIZE + ADDRESS_SIZE + SIZE_SIZE + sizeof(name), 2);
    acpi_put(t, 1, 1);                          /* one block of registers */
    acpi_put(t, sizeof(name), 2);
    acpi_put(t, INFO_SIZE + ADDRESS_SIZE + SIZE_SIZE, 2);
    acpi_put(t, 0, 2);
    acpi_put(t, 0, 2);                          /* no vendor data */
    acpi_put(t, 0x8000, 2);                     /* serial */
    acpi_put(t, SERIAL_PL011, 2);
    acpi_put(t, 0, 2);
    acpi_put(t, INFO_SIZE, 2);
    acpi_put(t, INFO_SIZE + ADDRESS_SIZE, 2);
    acpi_put_address(t, &uart);
    acpi_put(t, UART_SIZE, 4);
    g_byte_array_append(t->blob, (const guint8 *)name, sizeof(name));
    acpi_table_end(t);
}

/* ---- IORT ---- */

enum { IORT_ITS_GROUP = 0, IORT_ROOT_COMPLEX = 2 };
enum { IORT_ITS_SIZE = 24, IORT_ROOT_SIZE = 36, IORT_MAPPING_SIZE = 20 };

static void build_iort_node(AcpiTables *t, uint8_t type, uint16_t size, uint8_t revision,
                            uint32_t id, uint32_t mappings, uint32_t mapping_at)
{
    acpi_put(t, type, 1);
    acpi_put(t, size, 2);
    acpi_put(t, revision, 1);
    acpi_put(t, id, 4);
    acpi_put(t, mappings, 4);
    acpi_put(t, mapping_at, 4);
}

void arm_acpi_build_iort(AcpiTables *t)
{
    enum { FIRST_NODE = ACPI_HEADER_SIZE + 12 };

    acpi_table_begin(t, "IORT", 0);
    acpi_put(t, 2, 4);
    acpi_put(t, FIRST_NODE, 4);
    acpi_put(t, 0, 4);
    build_iort_node(t, IORT_ITS_GROUP, IORT_ITS_SIZE, 0, 0, 0, 0);
    acpi_put(t, 1, 4);
    acpi_put(t, 0, 4);                          /* the MADT's ITS 0 */

    build_iort_node(t, IORT_ROOT_COMPLEX, IORT_ROOT_SIZE + IORT_MAPPING_SIZE, 1, 0, 1,
                    IORT_ROOT_SIZE);
    acpi_put(t, 1, 4);                          /* cache coherent */
    acpi_put(t, 0, 1);
    acpi_put(t, 0, 2);
    acpi_put(t, 3, 1);                          /* coherent path, attributes as the devices say */
    acpi_put(t, 0, 4);                          /* no ATS */
    acpi_put(t, 0, 4);                          /* segment */
    acpi_put(t, 64, 1);                         /* address bits of devices */
    acpi_put(t, 0, 3);
    acpi_put(t, 0, 4);                          /* requester ids from 0 on, */
    acpi_put(t, 0xffff, 4);                     /* all of them, */
    acpi_put(t, 0, 4);                          /* unchanged, */
    acpi_put(t, FIRST_NODE, 4);                 /* to the ITS group */
    acpi_put(t, 0, 4);
    acpi_table_end(t);
}
