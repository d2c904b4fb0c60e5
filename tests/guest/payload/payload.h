/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The bare-metal payload: a guest program without a kernel, integer code only,
 * that exercises a machine from the inside and reports in TAP form on its
 * console (16550 at 0x3F8) and on virtio-console.
 *
 * It runs on any PC-like machine that enters a PVH ELF and describes itself by
 * ACPI, so that another emulator can vouch for the payload itself.
 */
#ifndef PAYLOAD_H
#define PAYLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- CPU ---- */

static inline void outb(uint16_t port, uint8_t v) { __asm__ volatile("outb %0, %1" : : "a"(v), "Nd"(port)); }
static inline void outw(uint16_t port, uint16_t v) { __asm__ volatile("outw %0, %1" : : "a"(v), "Nd"(port)); }
static inline void outl(uint16_t port, uint32_t v) { __asm__ volatile("outl %0, %1" : : "a"(v), "Nd"(port)); }
static inline uint8_t inb(uint16_t port) { uint8_t v; __asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port)); return v; }
static inline uint16_t inw(uint16_t port) { uint16_t v; __asm__ volatile("inw %1, %0" : "=a"(v) : "Nd"(port)); return v; }
static inline uint32_t inl(uint16_t port) { uint32_t v; __asm__ volatile("inl %1, %0" : "=a"(v) : "Nd"(port)); return v; }
static inline uint64_t rdtsc(void)
{
    uint32_t lo, hi;
    __asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
    return (uint64_t)hi << 32 | lo;
}
static inline void cpu_pause(void) { __asm__ volatile("pause" : : : "memory"); }
static inline void irq_enable(void) { __asm__ volatile("sti" : : : "memory"); }
static inline void irq_disable(void) { __asm__ volatile("cli" : : : "memory"); }
/* Sleep until an interrupt; they are off again afterwards. */
static inline void wait_irq(void) { __asm__ volatile("sti; hlt; cli" : : : "memory"); }
#define barrier() __asm__ volatile("" : : : "memory")
#define mb() __sync_synchronize()

/* Device registers and memory shared with devices. */
static inline uint8_t read8(uintptr_t a) { return *(volatile uint8_t *)a; }
static inline uint16_t read16(uintptr_t a) { return *(volatile uint16_t *)a; }
static inline uint32_t read32(uintptr_t a) { return *(volatile uint32_t *)a; }
static inline void write8(uintptr_t a, uint8_t v) { *(volatile uint8_t *)a = v; }
static inline void write16(uintptr_t a, uint16_t v) { *(volatile uint16_t *)a = v; }
static inline void write32(uintptr_t a, uint32_t v) { *(volatile uint32_t *)a = v; }

/* ---- library (lib.c) ---- */

void *memset(void *p, int c, size_t n);
void *memcpy(void *d, const void *s, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *s);
/* %s %c %d %u %x %lx %lu %p, with width and 0. */
void print(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Zeroed; never freed. */
void *alloc(size_t size, size_t align);
const char *command_line(void);
/* The value of "NAME=" on the command line, up to a blank; false when absent. */
bool option(const char *name, char *out, size_t size);
/* A second place for the output, when there is one. */
extern void (*print_hook)(const char *text, size_t len);
/* Spin for about @us microseconds by the ACPI PM timer (TSC when there is none). */
void delay_us(uint32_t us);
/* Wait until *@word differs from @old, at most about @ms. */
bool wait_change(volatile uint16_t *word, uint16_t old, uint32_t ms);
void power_off(void);
void reboot(void);

/* ---- ACPI (acpi.c) ---- */

typedef struct Acpi {
    unsigned cpus;
    uint8_t apic_ids[16];
    uint64_t ecam;
    uint32_t ioapic;
    bool hw_reduced;
    bool reset_supported;
    uint16_t sleep_port, reset_port, pm_timer_port;
    uint8_t reset_value, sleep_type;
    bool has_s5;
    const uint8_t *dsdt;
    uint32_t dsdt_len;
    unsigned tables, bad_checksums;
} Acpi;
extern Acpi acpi;
bool acpi_init(uint64_t rsdp);

/* ---- interrupts and CPUs (cpu.c) ---- */

#define IRQ_VECTOR_BASE 0x40
extern volatile uint32_t irq_counts[128];
extern volatile uint32_t irq_cpu[128];          /* APIC id that took the last one, plus 1 */
void irq_init(void);
uint8_t cpu_apic_id(void);
/* Start CPU number @n of the MADT running @fn; false when it does not come up. */
bool cpu_start(unsigned n, void (*fn)(void));
void ipi_send(uint8_t apic_id, uint8_t vector);
void apic_timer_once(uint32_t count, uint8_t vector);
/* GSI @gsi to @vector on this CPU. */
void ioapic_route(unsigned gsi, uint8_t vector, bool level);
/* Sleep until @vector has fired beyond @seen; gives up after about @ms. */
#define NMI_VECTOR 2
bool wait_vector(uint8_t vector, uint32_t seen, uint32_t ms);

/* ---- a test of its own (cpuid.c) ---- */

bool test_cpuid(void);

/* ---- PCI (pci.c) ---- */

typedef struct PciFunction {
    uint8_t bus, devfn;
    uint16_t vendor, device;
    uint32_t class_rev;
    uint64_t bar[6];
    uint32_t bar_size[6];
    uint8_t msix_cap;
    uint16_t msix_vectors;
    uintptr_t msix_table;
} PciFunction;
extern PciFunction pci_functions[64];
extern unsigned pci_count;
void pci_scan(void);
uint32_t pci_read32(const PciFunction *f, unsigned reg);
void pci_write32(const PciFunction *f, unsigned reg, uint32_t v);
uint16_t pci_read16(const PciFunction *f, unsigned reg);
void pci_write16(const PciFunction *f, unsigned reg, uint16_t v);
uint8_t pci_read8(const PciFunction *f, unsigned reg);
uint32_t pci_read32_ports(const PciFunction *f, unsigned reg);
/* Map BARs, enable memory decoding and bus mastering. */
void pci_enable(PciFunction *f);
void pci_msix_set(PciFunction *f, unsigned entry, uint8_t apic_id, uint8_t vector);
void pci_msix_enable(PciFunction *f, bool on);
void pci_msix_mask(PciFunction *f, unsigned entry, bool masked);

/* ---- virtio (virtio.c) ---- */

#define VIRTIO_F_INDIRECT (1ull << 28)
#define VIRTIO_F_EVENT_IDX (1ull << 29)
#define VIRTIO_F_VERSION_1 (1ull << 32)
#define VIRTIO_F_PACKED (1ull << 34)
#define VIRTIO_F_RING_RESET (1ull << 40)

#define STATUS_NEEDS_RESET 0x40

typedef struct Virtio Virtio;

typedef struct Ring {
    Virtio *dev;
    uint16_t index, size;
    bool packed, event_idx, indirect;
    uintptr_t desc, driver, device, notify;
    uint16_t avail, used;       /* free-running (split) or slot numbers (packed) */
    bool avail_wrap, used_wrap;
    uint16_t free_id;
    uintptr_t indirect_table;
} Ring;

struct Virtio {
    PciFunction *pci;
    uint16_t type;
    uintptr_t common, notify, isr, config;
    uint32_t notify_multiplier;
    uint64_t offered, features;
    Ring rings[8];
};

typedef struct Buffer {
    void *addr;
    uint32_t len;
    bool write;                 /* by the device */
} Buffer;

/* The @nth device of type @type, reset and acknowledged; false when there is none. */
bool virtio_find(Virtio *v, uint16_t type, unsigned nth);
void virtio_reset(Virtio *v);
/* Accept @wanted out of what is offered; false when FEATURES_OK does not stick. */
bool virtio_negotiate(Virtio *v, uint64_t wanted);
/* Queue @index; with MSI-X entry @msix (0xffff: none). */
bool virtio_ring_setup(Virtio *v, uint16_t index, uint16_t max_size, uint16_t msix);
void virtio_driver_ok(Virtio *v);
uint8_t virtio_status(Virtio *v);
/* Hand over a chain; kick when the device wants it (or always, with @force). */
void ring_add(Ring *r, const Buffer *bufs, unsigned n);
void ring_kick(Ring *r);
bool ring_has_used(Ring *r);
/* Wait by polling, at most about @ms; the written length in @len. */
bool ring_wait(Ring *r, uint32_t *len, uint32_t ms);
/* Add, kick, wait. */
bool ring_do(Ring *r, const Buffer *bufs, unsigned n, uint32_t *len);
/* Ask for (or not) an interrupt at the next used buffer. */
void ring_want_irq(Ring *r, bool want);
bool virtio_ring_reset(Virtio *v, uint16_t index);

/* ---- tests ---- */

#define CHECK(cond)                                                         \
    do {                                                                    \
        if (!(cond)) {                                                      \
            print("# %s:%d: %s\n", __FILE__, __LINE__, #cond);              \
            return false;                                                   \
        }                                                                   \
    } while (0)

#endif
