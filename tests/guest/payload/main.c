/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The payload's tests, in TAP form. Options on the kernel command line:
 *   only=NAME   run one test
 *   end=off|reset|debug|halt  how to finish (default off: power off through ACPI)
 *   hold        before the end, wait for a line "go" on the port named test.0
 */
#include "payload.h"

#define PVH_MAGIC 0x336ec578
#define E820_RAM 1
#define DEBUG_EXIT_PORT 0x501
#define BOOT_TIMER_PORT 0x508

extern uint64_t start_info_address;
void payload_main(uint64_t start_info);

/* ---- the platform ---- */

static bool test_start_info(void)
{
    uintptr_t s = start_info_address;
    uintptr_t map;
    uint32_t entries;
    uint64_t ram = 0;

    CHECK(read32(s) == PVH_MAGIC);
    CHECK(read32(s + 4) >= 1);
    map = *(uint64_t *)(s + 40);
    entries = read32(s + 48);
    CHECK(map && entries);
    for (uint32_t i = 0; i < entries; i++) {
        if (read32(map + 24 * i + 16) == E820_RAM) {
            ram += *(uint64_t *)(map + 24 * i + 8);
        }
    }
    print("# %lu KiB of RAM in %u entries, command line \"%s\"\n", ram / 1024, entries, command_line());
    CHECK(ram > 16 << 20);
    return true;
}

static bool test_acpi(void)
{
    print("# %u tables, %u CPUs, ECAM at %lx, reduced %d\n", acpi.tables, acpi.cpus, acpi.ecam, acpi.hw_reduced);
    CHECK(acpi.dsdt);
    CHECK(acpi.bad_checksums == 0);
    CHECK(acpi.cpus >= 1);
    CHECK(acpi.ecam);
    CHECK(acpi.ioapic);
    CHECK(acpi.has_s5);
    CHECK(acpi.reset_supported && acpi.reset_port);
    CHECK(acpi.pm_timer_port);
    return true;
}

static bool test_pm_timer(void)
{
    uint32_t last = inl(acpi.pm_timer_port) & 0xffffff, turns = 0;

    for (int i = 0; i < 200; i++) {
        uint32_t now = inl(acpi.pm_timer_port) & 0xffffff;

        turns += now < last;
        last = now;
    }
    CHECK(turns <= 1);
    return true;
}

static bool test_apic_timer(void)
{
    uint32_t seen = irq_counts[IRQ_VECTOR_BASE];

    apic_timer_once(1000000, IRQ_VECTOR_BASE);
    CHECK(wait_vector(IRQ_VECTOR_BASE, seen, 2000));
    CHECK(irq_counts[IRQ_VECTOR_BASE] == seen + 1);
    return true;
}

/* Sleeps in HLT until the timer wakes it, ten times. */
static bool test_halt(void)
{
    for (int i = 0; i < 10; i++) {
        uint32_t seen = irq_counts[IRQ_VECTOR_BASE];

        apic_timer_once(2000000, IRQ_VECTOR_BASE);
        while (irq_counts[IRQ_VECTOR_BASE] == seen) {
            wait_irq();
        }
    }
    return true;
}

static bool test_pci(void)
{
    bool bridge = false;

    for (unsigned i = 0; i < pci_count; i++) {
        PciFunction *f = &pci_functions[i];

        print("# %02x.%x %04x:%04x class %06x\n", f->devfn >> 3, f->devfn & 7, f->vendor, f->device,
              f->class_rev >> 8);
        bridge |= f->class_rev >> 16 == 0x0600;
        for (unsigned reg = 0; reg < 256; reg += 4) {
            /* The status words of a running device may change in between; identity may not. */
            if (reg < 0x40 && reg != 4) {
                CHECK(pci_read32(f, reg) == pci_read32_ports(f, reg));
            }
        }
    }
    CHECK(bridge);
    CHECK(pci_read32(&(PciFunction){ .devfn = 0x1f << 3 | 7 }, 0) == 0xffffffff);
    return true;
}

/* ---- virtio ---- */

#define VIRTIO_NET 1
#define VIRTIO_BLK 2
#define VIRTIO_CONSOLE 3
#define VIRTIO_RNG 4

static const uint64_t ring_features[] = {
    0, VIRTIO_F_INDIRECT, VIRTIO_F_EVENT_IDX | VIRTIO_F_INDIRECT,
    VIRTIO_F_PACKED, VIRTIO_F_PACKED | VIRTIO_F_INDIRECT | VIRTIO_F_EVENT_IDX,
};
#define RING_KINDS (sizeof(ring_features) / sizeof(ring_features[0]))

static bool offered_all(Virtio *v, uint64_t features)
{
    return (v->offered & features) == features;
}

static bool rng_run(uint64_t features)
{
    static uint8_t data[2][64];
    Virtio v;
    uint32_t len;
    unsigned zeroes = 0;

    CHECK(virtio_find(&v, VIRTIO_RNG, 0));
    CHECK(virtio_negotiate(&v, features));
    if (!offered_all(&v, features)) {
        print("# feature %lx is not offered\n", features);
        return true;
    }
    CHECK(virtio_ring_setup(&v, 0, 8, 0xffff));
    virtio_driver_ok(&v);
    /* More rounds than the ring has entries, so that it wraps. */
    for (int round = 0; round < 20; round++) {
        memset(data, 0, sizeof(data));
        CHECK(ring_do(&v.rings[0], &(Buffer){ data[round & 1], 64, true }, 1, &len));
        CHECK(len >= 1 && len <= 64);
        zeroes = 0;
        for (uint32_t i = 0; i < len; i++) {
            zeroes += data[round & 1][i] == 0;
        }
        CHECK(zeroes < len);
    }
    CHECK(!(virtio_status(&v) & STATUS_NEEDS_RESET));
    virtio_reset(&v);
    return true;
}

static bool test_rng(void)
{
    for (unsigned i = 0; i < RING_KINDS; i++) {
        CHECK(rng_run(ring_features[i]));
    }
    return true;
}

typedef struct __attribute__((packed)) BlkHeader { uint32_t type, reserved; uint64_t sector; } BlkHeader;
enum { BLK_IN = 0, BLK_OUT = 1, BLK_FLUSH = 4, BLK_GET_ID = 8, BLK_DISCARD = 11, BLK_WRITE_ZEROES = 13 };
#define BLK_F_FLUSH (1 << 9)
#define BLK_F_DISCARD (1 << 13)
#define BLK_F_WRITE_ZEROES (1 << 14)

static uint8_t blk_status(Ring *r, uint32_t type, uint64_t sector, void *data, uint32_t len, bool to_guest)
{
    static BlkHeader header;
    static uint8_t status;
    Buffer bufs[3] = { { &header, sizeof(header), false }, { data, len, to_guest }, { &status, 1, true } };
    uint32_t written;

    header = (BlkHeader){ .type = type, .sector = sector };
    status = 0xff;
    if (!len) {
        bufs[1] = bufs[2];
    }
    if (!ring_do(r, bufs, len ? 3 : 2, &written)) {
        print("# request of type %u timed out, status %x\n", type, virtio_status(r->dev));
        return 0xfe;
    }
    return status;
}

#define BLK_LEN 1024
#define BLK_SECTORS (BLK_LEN / 512)

static void fill(uint64_t *p, size_t n, uint64_t seed)
{
    for (size_t i = 0; i < n / 8; i++) {
        p[i] = seed = seed * 6364136223846793005ull + 1442695040888963407ull;
    }
}

static bool blk_run(uint64_t features)
{
    static uint64_t out[BLK_LEN / 8] __attribute__((aligned(512))), in[BLK_LEN / 8] __attribute__((aligned(512)));
    Virtio v;
    Ring *r = &v.rings[0];
    uint64_t sectors;
    char id[20];

    CHECK(virtio_find(&v, VIRTIO_BLK, 0));
    CHECK(virtio_negotiate(&v, features | BLK_F_FLUSH | BLK_F_DISCARD | BLK_F_WRITE_ZEROES));
    if (!offered_all(&v, features)) {
        print("# feature %lx is not offered\n", features);
        return true;
    }
    sectors = read32(v.config) | (uint64_t)read32(v.config + 4) << 32;
    CHECK(sectors >= 2048);
    CHECK(virtio_ring_setup(&v, 0, 16, 0xffff));
    virtio_driver_ok(&v);
    for (uint32_t i = 0; i < 20; i++) {
        uint64_t sector = 64 + BLK_SECTORS * i;

        fill(out, sizeof(out), i + features);
        memset(in, 0, sizeof(in));
        CHECK(blk_status(r, BLK_OUT, sector, out, sizeof(out), false) == 0);
        CHECK(blk_status(r, BLK_IN, sector, in, sizeof(in), true) == 0);
        CHECK(!memcmp(in, out, sizeof(in)));
    }
    CHECK(blk_status(r, BLK_FLUSH, 0, NULL, 0, false) == 0);
    CHECK(blk_status(r, BLK_GET_ID, 0, id, sizeof(id), true) == 0);
    /* Beyond the end is an error, and nothing else happens. */
    CHECK(blk_status(r, BLK_IN, sectors, in, 512, true) == 1);
    CHECK(blk_status(r, 0x7777, 0, in, 512, true) == 2);
    if (v.features & BLK_F_WRITE_ZEROES) {
        struct __attribute__((packed)) { uint64_t sector; uint32_t count, flags; } range = { 64, BLK_SECTORS, 0 };

        CHECK(blk_status(r, BLK_WRITE_ZEROES, 0, &range, sizeof(range), false) == 0);
        CHECK(blk_status(r, BLK_IN, 64, in, sizeof(in), true) == 0);
        for (size_t i = 0; i < BLK_LEN / 8; i++) {
            CHECK(in[i] == 0);
        }
    }
    if (v.features & BLK_F_DISCARD) {
        struct __attribute__((packed)) { uint64_t sector; uint32_t count, flags; } range = { 72, BLK_SECTORS, 0 };

        CHECK(blk_status(r, BLK_DISCARD, 0, &range, sizeof(range), false) == 0);
    }
    CHECK(!(virtio_status(&v) & STATUS_NEEDS_RESET));
    virtio_reset(&v);
    return true;
}

static bool test_blk(void)
{
    for (unsigned i = 0; i < RING_KINDS; i++) {
        CHECK(blk_run(ring_features[i]));
    }
    return true;
}

/* For the benchmarks: as soon as possible, one sector. */
static bool test_first_read(void)
{
    static uint8_t sector[512] __attribute__((aligned(512)));
    Virtio v;

    CHECK(virtio_find(&v, VIRTIO_BLK, 0));
    CHECK(virtio_negotiate(&v, 0));
    CHECK(virtio_ring_setup(&v, 0, 16, 0xffff));
    virtio_driver_ok(&v);
    CHECK(blk_status(&v.rings[0], BLK_IN, 0, sector, sizeof(sector), true) == 0);
    virtio_reset(&v);
    return true;
}

/* A known pattern that the host checks: sector n holds n in every 32-bit word. */
static bool test_blk_pattern(void)
{
    static uint32_t sector[128] __attribute__((aligned(512)));
    Virtio v;

    CHECK(virtio_find(&v, VIRTIO_BLK, 0));
    CHECK(virtio_negotiate(&v, BLK_F_FLUSH));
    CHECK(virtio_ring_setup(&v, 0, 16, 0xffff));
    virtio_driver_ok(&v);
    for (uint32_t n = 1024; n < 1024 + 32; n++) {
        for (unsigned i = 0; i < 128; i++) {
            sector[i] = n;
        }
        CHECK(blk_status(&v.rings[0], BLK_OUT, n, sector, sizeof(sector), false) == 0);
    }
    CHECK(blk_status(&v.rings[0], BLK_FLUSH, 0, NULL, 0, false) == 0);
    virtio_reset(&v);
    return true;
}

static bool test_msix(void)
{
    static uint8_t data[64];
    Virtio v;
    Ring *r = &v.rings[0];
    uint8_t vector = IRQ_VECTOR_BASE + 1;
    uint32_t seen, len;

    CHECK(virtio_find(&v, VIRTIO_RNG, 0));
    CHECK(v.pci->msix_cap && v.pci->msix_vectors >= 2);
    CHECK(virtio_negotiate(&v, 0));
    pci_msix_set(v.pci, 1, cpu_apic_id(), vector);
    pci_msix_enable(v.pci, true);
    CHECK(virtio_ring_setup(&v, 0, 8, 1));
    virtio_driver_ok(&v);
    for (int i = 0; i < 5; i++) {
        seen = irq_counts[vector];
        ring_add(r, &(Buffer){ data, sizeof(data), true }, 1);
        ring_kick(r);
        CHECK(wait_vector(vector, seen, 5000));
        CHECK(ring_wait(r, &len, 1));
    }
    /* Masked: the interrupt waits; unmasked: it comes. */
    pci_msix_mask(v.pci, 1, true);
    seen = irq_counts[vector];
    ring_add(r, &(Buffer){ data, sizeof(data), true }, 1);
    ring_kick(r);
    CHECK(ring_wait(r, &len, 5000));
    CHECK(!wait_vector(vector, seen, 5));
    pci_msix_mask(v.pci, 1, false);
    CHECK(wait_vector(vector, seen, 1000));
    /* Not wanted: it does not come. */
    ring_want_irq(r, false);
    seen = irq_counts[vector];
    ring_add(r, &(Buffer){ data, sizeof(data), true }, 1);
    ring_kick(r);
    CHECK(ring_wait(r, &len, 5000));
    CHECK(!wait_vector(vector, seen, 5));
    pci_msix_enable(v.pci, false);
    virtio_reset(&v);
    return true;
}

static volatile uint32_t ap_alive, ap_stop;

static void ap_loop(void)
{
    ap_alive = cpu_apic_id() + 1;
    irq_enable();
    while (!ap_stop) {
        cpu_pause();
    }
    for (;;) {
        __asm__ volatile("cli; hlt");
    }
}

/* Another CPU starts, takes an IPI, and takes a device's interrupt. */
static bool test_smp(void)
{
    static uint8_t data[64];
    uint8_t ipi = IRQ_VECTOR_BASE + 2, vector = IRQ_VECTOR_BASE + 3, other;
    Virtio v;
    uint32_t len;

    if (acpi.cpus < 2) {
        print("# one CPU only\n");
        return true;
    }
    other = acpi.apic_ids[1];
    CHECK(cpu_start(1, ap_loop));
    for (int i = 0; i < 1000 && !ap_alive; i++) {
        delay_us(100);
    }
    CHECK(ap_alive == other + 1u);
    ipi_send(other, ipi);
    for (int i = 0; i < 10000 && !irq_counts[ipi]; i++) {
        delay_us(100);
    }
    print("# IPI taken %u times, last by CPU %u\n", irq_counts[ipi], irq_cpu[ipi] - 1);
    CHECK(irq_counts[ipi] == 1 && irq_cpu[ipi] == other + 1u);

    CHECK(virtio_find(&v, VIRTIO_RNG, 0));
    CHECK(virtio_negotiate(&v, 0));
    pci_msix_set(v.pci, 1, other, vector);
    pci_msix_enable(v.pci, true);
    CHECK(virtio_ring_setup(&v, 0, 8, 1));
    virtio_driver_ok(&v);
    ring_add(&v.rings[0], &(Buffer){ data, sizeof(data), true }, 1);
    ring_kick(&v.rings[0]);
    for (int i = 0; i < 10000 && !irq_counts[vector]; i++) {
        delay_us(100);
    }
    CHECK(irq_counts[vector] && irq_cpu[vector] == other + 1u);
    CHECK(ring_wait(&v.rings[0], &len, 1000));
    pci_msix_enable(v.pci, false);
    virtio_reset(&v);
    ap_stop = 1;
    return true;
}

#define NET_F_MAC (1 << 5)
#define NET_F_MRG_RXBUF (1 << 15)
#define NET_HEADER 12

/* An ARP request for the router; its answer arrives. */
static bool net_run(uint64_t features)
{
    static uint8_t tx[NET_HEADER + 60], rx[2048];
    static const uint8_t arp_head[] = { 0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, 1 };
    static const uint8_t self[] = { 10, 0, 2, 15 }, router[] = { 10, 0, 2, 2 };
    uint8_t mac[6];
    Virtio v;
    uint32_t len;
    bool answered = false;

    CHECK(virtio_find(&v, VIRTIO_NET, 0));
    CHECK(virtio_negotiate(&v, features | NET_F_MAC | NET_F_MRG_RXBUF));
    if (!offered_all(&v, features)) {
        return true;
    }
    for (unsigned i = 0; i < 6; i++) {
        mac[i] = read8(v.config + i);
    }
    CHECK(virtio_ring_setup(&v, 0, 16, 0xffff));
    CHECK(virtio_ring_setup(&v, 1, 16, 0xffff));
    virtio_driver_ok(&v);
    ring_add(&v.rings[0], &(Buffer){ rx, sizeof(rx), true }, 1);
    ring_kick(&v.rings[0]);

    memset(tx, 0, sizeof(tx));
    memset(tx + NET_HEADER, 0xff, 6);
    memcpy(tx + NET_HEADER + 6, mac, 6);
    memcpy(tx + NET_HEADER + 12, arp_head, sizeof(arp_head));
    memcpy(tx + NET_HEADER + 22, mac, 6);
    memcpy(tx + NET_HEADER + 28, self, 4);
    memcpy(tx + NET_HEADER + 38, router, 4);
    CHECK(ring_do(&v.rings[1], &(Buffer){ tx, sizeof(tx), false }, 1, &len));
    for (int i = 0; i < 8 && !answered; i++) {
        if (!ring_wait(&v.rings[0], &len, 1000)) {
            /* Frames may be lost, for instance when the machine moves to another process. */
            CHECK(ring_do(&v.rings[1], &(Buffer){ tx, sizeof(tx), false }, 1, &len));
            continue;
        }
        CHECK(len > NET_HEADER && len <= sizeof(rx));
        CHECK(rx[10] == 1 && rx[11] == 0);      /* num_buffers */
        answered = rx[NET_HEADER + 12] == 0x08 && rx[NET_HEADER + 13] == 0x06 && rx[NET_HEADER + 21] == 2 &&
                   !memcmp(rx + NET_HEADER + 28, router, 4);
        ring_add(&v.rings[0], &(Buffer){ rx, sizeof(rx), true }, 1);
        ring_kick(&v.rings[0]);
    }
    CHECK(answered);
    CHECK(!(virtio_status(&v) & STATUS_NEEDS_RESET));
    virtio_reset(&v);
    return true;
}

static bool test_net(void)
{
    for (unsigned i = 0; i < RING_KINDS; i++) {
        CHECK(net_run(ring_features[i]));
    }
    return true;
}

/* ---- console and port ---- */

#define CONSOLE_F_MULTIPORT (1 << 1)
enum { PORT_READY = 3, PORT_CONSOLE = 4, PORT_OPEN = 6, PORT_NAME = 7, DEVICE_READY = 0, DEVICE_ADD = 1 };
typedef struct __attribute__((packed)) Control { uint32_t id; uint16_t event, value; } Control;

static Virtio console;
static bool console_up;
static int32_t console_port = -1, named_port = -1;

/* Receive and transmit queue of port @id (5.3.2). */
static unsigned port_rx(unsigned id)
{
    return id ? 2 * id + 2 : 0;
}

static bool control_send(uint32_t id, uint16_t event, uint16_t value)
{
    static Control c;
    uint32_t len;

    c = (Control){ id, event, value };
    return ring_do(&console.rings[3], &(Buffer){ &c, sizeof(c), false }, 1, &len);
}

static void console_hook(const char *text, size_t n)
{
    static char copy[256];
    uint32_t len;

    if (n <= sizeof(copy)) {
        memcpy(copy, text, n);
        ring_do(&console.rings[port_rx(console_port) + 1], &(Buffer){ copy, n, false }, 1, &len);
    }
}

/* Set up to three ports and read what the device says about them. */
static bool test_console(void)
{
    /* The device drops messages that find no buffer. */
    static struct { Control c; char name[56]; } in[8];
    char wanted[32] = "test.0";
    uint32_t len;

    option("port", wanted, sizeof(wanted));
    CHECK(virtio_find(&console, VIRTIO_CONSOLE, 0));
    CHECK(virtio_negotiate(&console, CONSOLE_F_MULTIPORT));
    CHECK(console.features & CONSOLE_F_MULTIPORT);
    for (unsigned i = 0; i < 8; i++) {
        CHECK(virtio_ring_setup(&console, i, 16, 0xffff));
    }
    virtio_driver_ok(&console);
    for (unsigned i = 0; i < 8; i++) {
        ring_add(&console.rings[2], &(Buffer){ &in[i], sizeof(in[i]) - 1, true }, 1);
    }
    ring_kick(&console.rings[2]);
    CHECK(control_send(0, DEVICE_READY, 1));
    for (unsigned i = 0; ring_wait(&console.rings[2], &len, 300); i = (i + 1) % 8) {
        uint32_t id = in[i].c.id;

        CHECK(len >= sizeof(Control));
        if (in[i].c.event == DEVICE_ADD && id < 3) {
            CHECK(control_send(id, PORT_READY, 1));
        } else if (in[i].c.event == PORT_CONSOLE && console_port < 0) {
            console_port = id;
            CHECK(control_send(id, PORT_OPEN, 1));
        } else if (in[i].c.event == PORT_NAME) {
            print("# port %u is \"%s\"\n", id, in[i].name);
            if (!memcmp(in[i].name, wanted, strlen(wanted))) {
                named_port = id;
                CHECK(control_send(id, PORT_OPEN, 1));
            }
        }
        memset(&in[i], 0, sizeof(in[i]));
        ring_add(&console.rings[2], &(Buffer){ &in[i], sizeof(in[i]) - 1, true }, 1);
        ring_kick(&console.rings[2]);
    }
    CHECK(console_port >= 0 || named_port >= 0);
    console_up = true;
    if (console_port >= 0) {
        print_hook = console_hook;
        print("# hello from virtio-console\n");
    }
    return true;
}

/* A line from the host comes back in capitals. */
static bool test_port(void)
{
    static char line[64];
    uint32_t len;

    CHECK(console_up || test_console());
    if (named_port < 0) {
        print("# no port named test.0\n");
        return true;
    }
    CHECK(ring_do(&console.rings[port_rx(named_port) + 1], &(Buffer){ (char *)"ready\n", 6, false }, 1, &len));
    ring_add(&console.rings[port_rx(named_port)], &(Buffer){ line, sizeof(line), true }, 1);
    ring_kick(&console.rings[port_rx(named_port)]);
    CHECK(ring_wait(&console.rings[port_rx(named_port)], &len, 10000));
    for (uint32_t i = 0; i < len; i++) {
        line[i] -= line[i] >= 'a' && line[i] <= 'z' ? 32 : 0;
    }
    CHECK(ring_do(&console.rings[port_rx(named_port) + 1], &(Buffer){ line, len, false }, 1, &len));
    return true;
}

/* ---- what a wrong driver gets ---- */

static bool test_broken_ring(void)
{
    static uint8_t data[64];
    Virtio v;

    CHECK(virtio_find(&v, VIRTIO_RNG, 0));
    CHECK(virtio_negotiate(&v, 0));
    CHECK(virtio_ring_setup(&v, 0, 8, 0xffff));
    virtio_driver_ok(&v);
    /* A device that looks without a kick (as after a move to another process) may be faster than the bad entry. */
    for (unsigned try = 0; try < 8 && !(virtio_status(&v) & STATUS_NEEDS_RESET); try++) {
        ring_add(&v.rings[0], &(Buffer){ data, sizeof(data), true }, 1);
        /* The chain's head is beyond the ring. */
        write16(v.rings[0].driver + 4 + 2 * try, 0x7fff);
        ring_kick(&v.rings[0]);
        for (int i = 0; i < 1000 && !(virtio_status(&v) & STATUS_NEEDS_RESET); i++) {
            delay_us(100);
        }
    }
    CHECK(virtio_status(&v) & STATUS_NEEDS_RESET);
    return rng_run(0);
}

static bool test_ring_reset(void)
{
    static uint8_t data[64];
    Virtio v;
    uint32_t len;

    CHECK(virtio_find(&v, VIRTIO_RNG, 0));
    CHECK(virtio_negotiate(&v, VIRTIO_F_RING_RESET));
    if (!(v.features & VIRTIO_F_RING_RESET)) {
        print("# ring reset is not offered\n");
        return true;
    }
    CHECK(virtio_ring_setup(&v, 0, 8, 0xffff));
    virtio_driver_ok(&v);
    for (int i = 0; i < 3; i++) {
        CHECK(ring_do(&v.rings[0], &(Buffer){ data, sizeof(data), true }, 1, &len));
        CHECK(virtio_ring_reset(&v, 0));
        CHECK(virtio_ring_setup(&v, 0, 8, 0xffff));
    }
    CHECK(ring_do(&v.rings[0], &(Buffer){ data, sizeof(data), true }, 1, &len));
    virtio_reset(&v);
    return true;
}

/* ---- what management does ---- */

static bool test_nmi(void)
{
    print("# waiting for an NMI\n");
    CHECK(wait_vector(NMI_VECTOR, 0, 120000));
    CHECK(irq_counts[NMI_VECTOR] == 1);
    return true;
}

/* ---- main ---- */

typedef struct Test {
    const char *name;
    bool (*run)(void);
    uint16_t device;            /* virtio type that it needs; 0: none */
} Test;

static const Test tests[] = {
    { "start-info", test_start_info, 0 },
    { "acpi", test_acpi, 0 },
    { "cpuid", test_cpuid, 0 },
    { "pm-timer", test_pm_timer, 0 },
    { "apic-timer", test_apic_timer, 0 },
    { "halt", test_halt, 0 },
    { "pci", test_pci, 0 },
    { "console", test_console, VIRTIO_CONSOLE },
    { "port", test_port, VIRTIO_CONSOLE },
    { "rng", test_rng, VIRTIO_RNG },
    { "msix", test_msix, VIRTIO_RNG },
    { "smp", test_smp, VIRTIO_RNG },
    { "blk", test_blk, VIRTIO_BLK },
    { "first-read", test_first_read, VIRTIO_BLK },
    { "blk-pattern", test_blk_pattern, VIRTIO_BLK },
    { "net", test_net, VIRTIO_NET },
    { "broken-ring", test_broken_ring, VIRTIO_RNG },
    { "ring-reset", test_ring_reset, VIRTIO_RNG },
    { "nmi", test_nmi, 0 },
};

static bool have_device(uint16_t type)
{
    for (unsigned i = 0; i < pci_count; i++) {
        if (!type || (pci_functions[i].vendor == 0x1af4 && pci_functions[i].device == 0x1040 + type)) {
            return true;
        }
    }
    return type == 0;
}

/* @status is what the emulator exits with, through isa-debug-exit: status * 2 + 1. */
static void finish(uint8_t status)
{
    char end[16] = "off";

    option("end", end, sizeof(end));
    if (!memcmp(end, "debug", 5)) {
        outb(DEBUG_EXIT_PORT, status);
    } else if (!memcmp(end, "reset", 5)) {
        reboot();
    } else if (!memcmp(end, "halt", 4)) {
        for (;;) {
            __asm__ volatile("cli; hlt");
        }
    }
    power_off();
}

void payload_main(uint64_t start_info)
{
    char only[32];
    bool has_only = option("only", only, sizeof(only));
    /* Apart from what emulators exit with by themselves; odd: something failed or could not run. */
    uint8_t status = 0x10;
    unsigned n = 0;

    outb(BOOT_TIMER_PORT, 1);
    irq_init();
    acpi_init(*(uint64_t *)(uintptr_t)(start_info + 32));
    pci_scan();
    print("TAP version 13\n");
    for (unsigned i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
        const Test *t = &tests[i];

        /* It needs someone who sends the interrupt. */
        if (t->run == test_nmi && !has_only) {
            continue;
        }
        if (has_only && (strlen(t->name) != strlen(only) || memcmp(t->name, only, strlen(only)))) {
            continue;
        }
        n++;
        if (!have_device(t->device)) {
            print("ok %u - %s # SKIP no device\n", n, t->name);
            status |= 1;
        } else {
            bool ok = t->run();

            print("%s %u - %s\n", ok ? "ok" : "not ok", n, t->name);
            status |= !ok;
        }
    }
    print("1..%u\n", n);
    finish(status);
}
