/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The device tree of the AArch64 `virt` (Devicetree Specification 0.4; bindings
 * of the Linux kernel). Written in one go, from top to bottom; a failure of any
 * step shows at the end. Main thread; a tree that the user gave is checked by
 * libfdt.
 */
#include "util/osdep.h"

#include <libfdt.h>
#include "hw/core/numa.h"
#include "hw/virtio/virtio-mmio.h"
#include "machine.h"
#include "target/arm/cpu.h"
#include "util/bswap.h"

#define FDT_SIZE MIB
#define CLOCK_HZ 24000000u

enum { IRQ_SPI = 0, IRQ_PPI = 1, IRQ_EDGE = 1, IRQ_LEVEL = 4 };
enum { KEY_POWER = 116, GPIO_PIN_POWER = 3 };
/* Handles by which nodes refer to others. */
enum { PHANDLE_CLOCK = 0x8000, PHANDLE_GIC, PHANDLE_MSI, PHANDLE_GPIO, PHANDLE_CPU };

typedef struct Tree {
    void *blob;
    int err;                    /* the first one; 0: none */
} Tree;

static void note(Tree *t, int ret)
{
    t->err = t->err ? t->err : ret;
}

static void begin(Tree *t, const char *name)
{
    note(t, fdt_begin_node(t->blob, name));
}

static void PRINTF_LIKE(2, 3) begin_printf(Tree *t, const char *fmt, ...)
{
    g_autofree char *name = NULL;
    va_list ap;

    va_start(ap, fmt);
    name = g_strdup_vprintf(fmt, ap);
    va_end(ap);
    begin(t, name);
}

static void end(Tree *t)
{
    note(t, fdt_end_node(t->blob));
}

static void put(Tree *t, const char *name, const void *data, size_t len)
{
    note(t, fdt_property(t->blob, name, data, len));
}

static void flag(Tree *t, const char *name)
{
    put(t, name, NULL, 0);
}

static void string(Tree *t, const char *name, const char *text)
{
    put(t, name, text, strlen(text) + 1);
}

/* Several strings: a literal with zero bytes between them. */
#define STRINGS(t, name, literal) put(t, name, literal, sizeof(literal))

static void put_cells(Tree *t, const char *name, const uint32_t *cells, size_t n)
{
    g_autofree uint8_t *data = g_malloc(4 * n);

    for (size_t i = 0; i < n; i++) {
        store_be32(data + 4 * i, cells[i]);
    }
    put(t, name, data, 4 * n);
}
#define CELLS(t, name, ...) \
    put_cells(t, name, (const uint32_t[]){ __VA_ARGS__ }, \
              sizeof((const uint32_t[]){ __VA_ARGS__ }) / sizeof(uint32_t))

/* 64-bit numbers, two cells each. */
static void put_wide(Tree *t, const char *name, const uint64_t *values, size_t n)
{
    g_autofree uint8_t *data = g_malloc(8 * n);

    for (size_t i = 0; i < n; i++) {
        store_be64(data + 8 * i, values[i]);
    }
    put(t, name, data, 8 * n);
}
#define WIDE(t, name, ...) \
    put_wide(t, name, (const uint64_t[]){ __VA_ARGS__ }, \
             sizeof((const uint64_t[]){ __VA_ARGS__ }) / sizeof(uint64_t))

#define HIGH(v) ((uint32_t)((uint64_t)(v) >> 32))
#define LOW(v) ((uint32_t)(v))

/* ---- CPUs ---- */

static void add_psci(Tree *t)
{
    begin(t, "psci");
    STRINGS(t, "compatible", "arm,psci-1.0\0arm,psci-0.2\0arm,psci");
    string(t, "method", "hvc");
    CELLS(t, "cpu_suspend", 0xc4000001);
    CELLS(t, "cpu_off", 0x84000002);
    CELLS(t, "cpu_on", 0xc4000003);
    CELLS(t, "migrate", 0xc4000005);
    end(t);
}

/* Sockets, clusters, cores, and threads where a core has several. */
static void add_cpu_map(Tree *t, const CpuTopology *p)
{
    unsigned n = 0;

    begin(t, "cpu-map");
    for (unsigned s = 0; s < p->sockets && n < p->cpus; s++) {
        begin_printf(t, "socket%u", s);
        for (unsigned c = 0; c < p->clusters && n < p->cpus; c++) {
            begin_printf(t, "cluster%u", c);
            for (unsigned o = 0; o < p->cores && n < p->cpus; o++) {
                begin_printf(t, "core%u", o);
                for (unsigned h = 0; h < p->threads && n < p->cpus; h++, n++) {
                    if (p->threads > 1) {
                        begin_printf(t, "thread%u", h);
                    }
                    CELLS(t, "cpu", PHANDLE_CPU + n);
                    if (p->threads > 1) {
                        end(t);
                    }
                }
                end(t);
            }
            end(t);
        }
        end(t);
    }
    end(t);
}

static void add_cpus(Tree *t, const ArmVirtMachine *v)
{
    bool wide = false;

    CPU_FOREACH(cpu) {
        wide |= HIGH(ARM_CPU(cpu)->mp_affinity) != 0;
    }
    begin(t, "cpus");
    CELLS(t, "#address-cells", wide ? 2 : 1);
    CELLS(t, "#size-cells", 0);
    CPU_FOREACH(cpu) {
        const ArmCpu *c = ARM_CPU(cpu);

        begin_printf(t, "cpu@%d", cpu->index);
        string(t, "device_type", "cpu");
        string(t, "compatible", arm_cpu_compatible(c));
        if (v->machine.smp.cpus > 1) {
            string(t, "enable-method", "psci");
        }
        if (wide) {
            WIDE(t, "reg", c->mp_affinity);
        } else {
            CELLS(t, "reg", c->mp_affinity);
        }
        CELLS(t, "phandle", PHANDLE_CPU + cpu->index);
        if (numa_count(&v->machine)) {
            CELLS(t, "numa-node-id", numa_cpu_node(&v->machine, cpu->index));
        }
        end(t);
    }
    add_cpu_map(t, &v->machine.smp);
    end(t);
}

/* How a PPI is triggered; a GICv2 also says to which CPUs it belongs. */
static uint32_t ppi_flags(const ArmVirtMachine *v)
{
    return IRQ_LEVEL | (v->gic_version == 2 ? ((1u << v->machine.smp.cpus) - 1) << 8 : 0);
}

static void add_timer(Tree *t, const ArmVirtMachine *v)
{
    uint32_t flags = ppi_flags(v);

    begin(t, "timer");
    STRINGS(t, "compatible", "arm,armv8-timer\0arm,armv7-timer");
    flag(t, "always-on");
    CELLS(t, "interrupts", IRQ_PPI, ARM_VIRT_PPI_TIMER_SECURE, flags,
          IRQ_PPI, ARM_VIRT_PPI_TIMER_NONSECURE, flags, IRQ_PPI, ARM_VIRT_PPI_TIMER_VIRT, flags,
          IRQ_PPI, ARM_VIRT_PPI_TIMER_HYP, flags);
    end(t);
    if (ARM_CPU(cpu_first())->has_pmu) {
        begin(t, "pmu");
        string(t, "compatible", "arm,armv8-pmuv3");
        CELLS(t, "interrupts", IRQ_PPI, ARM_VIRT_PPI_PMU, flags);
        end(t);
    }
}

/* ---- interrupt controllers ---- */

static void add_its(Tree *t)
{
    begin_printf(t, "its@%x", ARM_VIRT_GIC_ITS);
    string(t, "compatible", "arm,gic-v3-its");
    flag(t, "msi-controller");
    CELLS(t, "#msi-cells", 1);
    WIDE(t, "reg", ARM_VIRT_GIC_ITS, 0x20000);
    CELLS(t, "phandle", PHANDLE_MSI);
    end(t);
}

static void add_v2m(Tree *t)
{
    begin_printf(t, "v2m@%x", ARM_VIRT_GIC_V2M);
    string(t, "compatible", "arm,gic-v2m-frame");
    flag(t, "msi-controller");
    WIDE(t, "reg", ARM_VIRT_GIC_V2M, 0x1000);
    CELLS(t, "phandle", PHANDLE_MSI);
    end(t);
}

static void add_gic(Tree *t, const ArmVirtMachine *v)
{
    const ArmGicConfig *c = &v->gic->cfg;

    begin_printf(t, "intc@%x", ARM_VIRT_GIC_DIST);
    CELLS(t, "#interrupt-cells", 3);
    flag(t, "interrupt-controller");
    CELLS(t, "#address-cells", 2);
    CELLS(t, "#size-cells", 2);
    flag(t, "ranges");
    CELLS(t, "phandle", PHANDLE_GIC);
    if (c->version == 2) {
        string(t, "compatible", "arm,cortex-a15-gic");
        WIDE(t, "reg", c->dist, 0x10000, c->cpu_interface, 0x10000);
        add_v2m(t);
    } else {
        string(t, "compatible", "arm,gic-v3");
        CELLS(t, "#redistributor-regions", c->redist[1].cpus ? 2 : 1);
        if (c->redist[1].cpus) {
            WIDE(t, "reg", c->dist, 0x10000, c->redist[0].base, ARM_VIRT_GIC_REDIST_SIZE,
                 c->redist[1].base, ARM_VIRT_HIGH_REDIST_SIZE);
        } else {
            WIDE(t, "reg", c->dist, 0x10000, c->redist[0].base, ARM_VIRT_GIC_REDIST_SIZE);
        }
        if (c->its) {
            add_its(t);
        }
    }
    end(t);
}

/* ---- devices ---- */

/* A node is open after this. */
static void primecell(Tree *t, const char *name, uint32_t base, uint32_t spi)
{
    static const char common[] = "arm,primecell";
    g_autofree char *own = g_strdup_printf("arm,%s", name);
    g_autoptr(GString) both = g_string_new_len(own, strlen(own) + 1);

    g_string_append_len(both, common, sizeof(common));
    begin_printf(t, "%s@%x", name, base);
    put(t, "compatible", both->str, both->len);
    WIDE(t, "reg", base, 0x1000);
    CELLS(t, "interrupts", IRQ_SPI, spi, IRQ_LEVEL);
}

static void add_primecells(Tree *t, const ArmVirtMachine *v)
{
    begin(t, "apb-pclk");
    string(t, "compatible", "fixed-clock");
    CELLS(t, "#clock-cells", 0);
    CELLS(t, "clock-frequency", CLOCK_HZ);
    string(t, "clock-output-names", "clk24mhz");
    CELLS(t, "phandle", PHANDLE_CLOCK);
    end(t);

    primecell(t, "pl011", ARM_VIRT_UART, ARM_VIRT_SPI_UART);
    CELLS(t, "clocks", PHANDLE_CLOCK, PHANDLE_CLOCK);
    STRINGS(t, "clock-names", "uartclk\0apb_pclk");
    end(t);

    primecell(t, "pl031", ARM_VIRT_RTC, ARM_VIRT_SPI_RTC);
    CELLS(t, "clocks", PHANDLE_CLOCK);
    string(t, "clock-names", "apb_pclk");
    end(t);

    if (!v->key) {
        return;
    }
    primecell(t, "pl061", ARM_VIRT_GPIO, ARM_VIRT_SPI_GPIO);
    CELLS(t, "#gpio-cells", 2);
    flag(t, "gpio-controller");
    CELLS(t, "clocks", PHANDLE_CLOCK);
    string(t, "clock-names", "apb_pclk");
    CELLS(t, "phandle", PHANDLE_GPIO);
    end(t);
    begin(t, "gpio-keys");
    string(t, "compatible", "gpio-keys");
    begin(t, "poweroff");
    string(t, "label", "GPIO Key Poweroff");
    CELLS(t, "linux,code", KEY_POWER);
    CELLS(t, "gpios", PHANDLE_GPIO, GPIO_PIN_POWER, 0);
    end(t);
    end(t);
}

static void add_flash(Tree *t)
{
    begin_printf(t, "flash@%x", ARM_VIRT_FLASH_BASE);
    string(t, "compatible", "cfi-flash");
    WIDE(t, "reg", ARM_VIRT_FLASH_BASE, ARM_VIRT_FLASH_SIZE,
         ARM_VIRT_FLASH_BASE + ARM_VIRT_FLASH_SIZE, ARM_VIRT_FLASH_SIZE);
    CELLS(t, "bank-width", ARM_VIRT_FLASH_WIDTH);
    end(t);
}

static void add_fw_cfg(Tree *t)
{
    begin_printf(t, "fw-cfg@%x", ARM_VIRT_FW_CFG);
    string(t, "compatible", "qemu,fw-cfg-mmio");
    WIDE(t, "reg", ARM_VIRT_FW_CFG, FW_CFG_MEMORY_SIZE);
    flag(t, "dma-coherent");
    end(t);
}

static void add_virtio(Tree *t)
{
    for (unsigned i = 0; i < ARM_VIRT_VIRTIO_COUNT; i++) {
        uint32_t base = ARM_VIRT_VIRTIO + i * ARM_VIRT_VIRTIO_STRIDE;

        begin_printf(t, "virtio_mmio@%x", base);
        string(t, "compatible", "virtio,mmio");
        WIDE(t, "reg", base, VIRTIO_MMIO_SIZE);
        CELLS(t, "interrupts", IRQ_SPI, ARM_VIRT_SPI_VIRTIO + i, IRQ_EDGE);
        flag(t, "dma-coherent");
        end(t);
    }
}

/* ---- PCI ---- */

/* INTA to INTD of four slots; the others repeat. */
static void add_intx_map(Tree *t)
{
    uint32_t cells[4 * 4 * 10], *p = cells;

    for (uint32_t slot = 0; slot < 4; slot++) {
        for (uint32_t pin = 0; pin < 4; pin++) {
            const uint32_t entry[10] = {
                PCI_DEVFN(slot, 0) << 8, 0, 0, pin + 1,
                PHANDLE_GIC, 0, 0, IRQ_SPI, ARM_VIRT_SPI_INTX + (slot + pin) % 4, IRQ_LEVEL,
            };
            memcpy(p, entry, sizeof(entry));
            p += ARRAY_SIZE(entry);
        }
    }
    put_cells(t, "interrupt-map", cells, ARRAY_SIZE(cells));
    CELLS(t, "interrupt-map-mask", PCI_DEVFN(3, 0) << 8, 0, 0, 7);
}

/* The first cell of a PCI address: what it is. */
enum { PCI_IO_SPACE = 0x01000000, PCI_MEMORY32 = 0x02000000, PCI_MEMORY64 = 0x03000000 };

static void add_pci_ranges(Tree *t, const ArmVirtMachine *v)
{
    const ArmVirtRange *high = &v->layout.high_mmio;
    const uint32_t cells[] = {
        PCI_IO_SPACE, 0, 0, 0, ARM_VIRT_PCIE_PIO, 0, ARM_VIRT_PCIE_PIO_SIZE,
        PCI_MEMORY32, 0, ARM_VIRT_PCIE_MMIO, 0, ARM_VIRT_PCIE_MMIO, 0, ARM_VIRT_PCIE_MMIO_SIZE,
        PCI_MEMORY64, HIGH(high->base), LOW(high->base), HIGH(high->base), LOW(high->base),
        HIGH(high->size), LOW(high->size),
    };

    put_cells(t, "ranges", cells, high->size ? 21 : 14);
}

static void add_pci(Tree *t, const ArmVirtMachine *v)
{
    begin_printf(t, "pcie@%x", ARM_VIRT_PCIE_MMIO);
    string(t, "compatible", "pci-host-ecam-generic");
    string(t, "device_type", "pci");
    CELLS(t, "#address-cells", 3);
    CELLS(t, "#size-cells", 2);
    CELLS(t, "linux,pci-domain", 0);
    CELLS(t, "bus-range", 0, v->ecam.size / PCI_ECAM_BUS_SIZE - 1);
    flag(t, "dma-coherent");
    if (v->gic_version == 2 || v->has_its) {
        CELLS(t, "msi-map", 0, PHANDLE_MSI, 0, 0x10000);
    }
    WIDE(t, "reg", v->ecam.base, v->ecam.size);
    add_pci_ranges(t, v);
    CELLS(t, "#interrupt-cells", 1);
    add_intx_map(t);
    end(t);
}

/* ---- the tree ---- */

static void add_chosen(Tree *t, const ArmVirtMachine *v)
{
    const MachineState *m = &v->machine;
    static const uint8_t seed[32];

    begin(t, "chosen");
    g_autofree char *console = g_strdup_printf("/pl011@%x", ARM_VIRT_UART);
    string(t, "stdout-path", console);
    if (v->dtb_randomness) {
        put(t, "kaslr-seed", seed, 8);
        put(t, "rng-seed", seed, sizeof(seed));
    }
    if (v->boot && m->append) {
        string(t, "bootargs", m->append);
    }
    if (v->boot && v->boot->initrd_addr) {
        WIDE(t, "linux,initrd-start", v->boot->initrd_addr);
        WIDE(t, "linux,initrd-end", v->boot->initrd_addr + v->boot->initrd->size);
    }
    end(t);
}

static void add_range(Tree *t, uint64_t base, uint64_t size, const unsigned *node)
{
    begin_printf(t, "memory@%" PRIx64, base);
    string(t, "device_type", "memory");
    WIDE(t, "reg", base, size);
    if (node) {
        CELLS(t, "numa-node-id", *node);
    }
    end(t);
}

static void add_distances(Tree *t, const NumaState *s)
{
    g_autofree uint32_t *cells = g_new(uint32_t, 3 * s->count * s->count);
    size_t n = 0;

    for (unsigned a = 0; a < s->count; a++) {
        for (unsigned b = 0; b < s->count; b++) {
            cells[n++] = a;
            cells[n++] = b;
            cells[n++] = s->nodes[a].distance[b];
        }
    }
    begin(t, "distance-map");
    string(t, "compatible", "numa-distance-map-v1");
    put_cells(t, "distance-matrix", cells, n);
    end(t);
}

static void add_memory(Tree *t, const MachineState *m)
{
    uint64_t base = ARM_VIRT_RAM;

    if (!numa_count(m)) {
        add_range(t, base, m->ram_size, NULL);
        return;
    }
    for (unsigned i = 0; i < m->numa->count; i++) {
        if (m->numa->nodes[i].size) {
            add_range(t, base, m->numa->nodes[i].size, &i);
            base += m->numa->nodes[i].size;
        }
    }
    if (m->numa->have_distance) {
        add_distances(t, m->numa);
    }
}

static void add_all(Tree *t, const ArmVirtMachine *v)
{
    const char *compatible = v->dt_compatible ? v->dt_compatible : "linux,dummy-virt";

    note(t, fdt_create(t->blob, FDT_SIZE));
    note(t, fdt_finish_reservemap(t->blob));
    begin(t, "");
    string(t, "compatible", compatible);
    string(t, "model", "linux,dummy-virt");
    CELLS(t, "#address-cells", 2);
    CELLS(t, "#size-cells", 2);
    CELLS(t, "interrupt-parent", PHANDLE_GIC);
    add_chosen(t, v);
    add_memory(t, &v->machine);
    add_psci(t);
    add_cpus(t, v);
    add_timer(t, v);
    add_gic(t, v);
    add_flash(t);
    add_fw_cfg(t);
    add_primecells(t, v);
    add_pci(t, v);
    add_virtio(t);
    end(t);
    note(t, fdt_finish(t->blob));
}

/* ---- the user's tree ---- */

static int set_memory(void *fdt, const ArmVirtMachine *v)
{
    g_autofree char *name = g_strdup_printf("memory@%" PRIx64, ARM_VIRT_RAM);
    int node = fdt_node_offset_by_prop_value(fdt, -1, "device_type", "memory", 7), ret;
    uint8_t reg[16];

    if (node < 0) {
        node = fdt_add_subnode(fdt, 0, name);
    }
    if (node < 0) {
        return node;
    }
    store_be64(reg, ARM_VIRT_RAM);
    store_be64(reg + 8, v->machine.ram_size);
    ret = fdt_setprop_string(fdt, node, "device_type", "memory");
    return ret ? ret : fdt_setprop(fdt, node, "reg", reg, sizeof(reg));
}

static int set_chosen(void *fdt, const ArmVirtMachine *v)
{
    const BootPlan *b = v->boot;
    int node = fdt_path_offset(fdt, "/chosen"), ret = 0;

    if (node == -FDT_ERR_NOTFOUND) {
        node = fdt_add_subnode(fdt, 0, "chosen");
    }
    if (node < 0 || !b) {
        return MIN(node, 0);
    }
    if (v->machine.append) {
        ret = fdt_setprop_string(fdt, node, "bootargs", v->machine.append);
    }
    if (!ret && b->initrd_addr) {
        ret = fdt_setprop_u64(fdt, node, "linux,initrd-start", b->initrd_addr);
        ret = ret ? ret : fdt_setprop_u64(fdt, node, "linux,initrd-end",
                                   b->initrd_addr + b->initrd->size);
    }
    return ret;
}

static int load_user_tree(Tree *t, const ArmVirtMachine *v, Error **errp)
{
    g_autoptr(GError) gerr = NULL;
    g_autofree char *data = NULL;
    gsize len;
    int ret;

    if (!g_file_get_contents(v->machine.dtb, &data, &len, &gerr)) {
        error_setg(errp, "could not open device tree file '%s': %s", v->machine.dtb,
                   gerr->message);
        return -1;
    }
    ret = len < sizeof(struct fdt_header) || len > FDT_SIZE / 2 || fdt_totalsize(data) > len
          ? -FDT_ERR_TRUNCATED : fdt_check_full(data, len);
    ret = ret ? ret : fdt_open_into(data, t->blob, FDT_SIZE);
    ret = ret ? ret : set_memory(t->blob, v);
    ret = ret ? ret : set_chosen(t->blob, v);
    ret = ret ? ret : fdt_pack(t->blob);
    if (ret) {
        error_setg(errp, "device tree file '%s': %s", v->machine.dtb, fdt_strerror(ret));
    }
    return ret;
}

void *arm_virt_fdt_build(const ArmVirtMachine *v, size_t *size, Error **errp)
{
    g_autofree void *blob = g_malloc0(FDT_SIZE);
    Tree t = { .blob = blob };

    if (v->machine.dtb) {
        if (load_user_tree(&t, v, errp)) {
            return NULL;
        }
    } else {
        add_all(&t, v);
        if (t.err) {
            error_setg(errp, "the machine's device tree could not be built: %s",
                       fdt_strerror(t.err));
            return NULL;
        }
    }
    *size = fdt_totalsize(blob);
    return g_realloc(g_steal_pointer(&blob), *size);
}

void arm_virt_fdt_randomize(const ArmVirtMachine *v, void *fdt)
{
    static const char *const names[] = { "kaslr-seed", "rng-seed" };
    int node = fdt_path_offset(fdt, "/chosen");

    for (unsigned i = 0; v->dtb_randomness && node >= 0 && i < ARRAY_SIZE(names); i++) {
        int len;
        void *seed = fdt_getprop_w(fdt, node, names[i], &len);

        if (seed && getentropy(seed, MIN(len, 256)) < 0) {
            warn_report("no random numbers for the guest's seed: %s", strerror(errno));
        }
    }
}
