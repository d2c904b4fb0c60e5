/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Interrupts (IDT, local APIC, I/O APIC) and the other CPUs of the payload. */
#include "payload.h"

#define APIC_BASE 0xfee00000u
#define APIC_ID 0x20
#define APIC_EOI 0xb0
#define APIC_SPURIOUS 0xf0
#define APIC_ICR_LOW 0x300
#define APIC_ICR_HIGH 0x310
#define APIC_LVT_TIMER 0x320
#define APIC_TIMER_COUNT 0x380
#define APIC_TIMER_DIVIDE 0x3e0
#define ICR_INIT 0x4500
#define ICR_STARTUP 0x4600
#define ICR_PENDING (1u << 12)
#define TRAMPOLINE 0x8000u
#define VECTORS 128
#define SPURIOUS_VECTOR 0x7f

typedef struct __attribute__((packed)) Gate {
    uint16_t low, selector;
    uint8_t ist, type;
    uint16_t mid;
    uint32_t high, zero;
} Gate;

extern const char interrupt_stubs[];
extern const char ap_trampoline[], ap_trampoline_end[];
void interrupt(uint64_t vector, uint64_t code, uint64_t rip);
void ap_main(void);

volatile uint32_t irq_counts[VECTORS];
volatile uint32_t irq_cpu[VECTORS];
static Gate idt[VECTORS] __attribute__((aligned(16)));
static void (*volatile ap_function)(void);
static volatile uint32_t ap_running;

void interrupt(uint64_t vector, uint64_t code, uint64_t rip)
{
    if (vector == NMI_VECTOR) {
        irq_counts[vector]++;
        return;
    }
    if (vector < 32) {
        print("# exception %lu code %lx at %lx\nnot ok - exception\nBail out!\n", vector, code, rip);
        power_off();
    }
    irq_cpu[vector] = cpu_apic_id() + 1;
    irq_counts[vector]++;
    if (vector != SPURIOUS_VECTOR) {
        write32(APIC_BASE + APIC_EOI, 0);
    }
}

static void cpu_init(void)
{
    struct __attribute__((packed)) { uint16_t limit; uint64_t base; } pointer = { sizeof(idt) - 1, (uintptr_t)idt };

    __asm__ volatile("lidt %0" : : "m"(pointer));
    write32(APIC_BASE + APIC_SPURIOUS, 0x100 | SPURIOUS_VECTOR);
}

void irq_init(void)
{
    for (unsigned i = 0; i < VECTORS; i++) {
        uintptr_t entry = (uintptr_t)interrupt_stubs + 16 * i;

        idt[i] = (Gate){ .low = entry, .selector = 0x08, .type = 0x8e, .mid = entry >> 16, .high = entry >> 32 };
    }
    /* A machine with the old interrupt controllers must leave us alone. */
    outb(0x21, 0xff);
    outb(0xa1, 0xff);
    cpu_init();
}

uint8_t cpu_apic_id(void)
{
    return read32(APIC_BASE + APIC_ID) >> 24;
}

static void icr_write(uint8_t apic_id, uint32_t low)
{
    write32(APIC_BASE + APIC_ICR_HIGH, (uint32_t)apic_id << 24);
    write32(APIC_BASE + APIC_ICR_LOW, low);
    for (int i = 0; i < 100000 && read32(APIC_BASE + APIC_ICR_LOW) & ICR_PENDING; i++) {
        cpu_pause();
    }
}

void ipi_send(uint8_t apic_id, uint8_t vector)
{
    icr_write(apic_id, 0x4000 | vector);
}

void ap_main(void)
{
    cpu_init();
    ap_running = 1;
    ap_function();
}

bool cpu_start(unsigned n, void (*fn)(void))
{
    uint8_t id = acpi.apic_ids[n];

    memcpy((void *)(uintptr_t)TRAMPOLINE, ap_trampoline, ap_trampoline_end - ap_trampoline);
    ap_function = fn;
    ap_running = 0;
    icr_write(id, ICR_INIT);
    delay_us(10000);
    for (int attempt = 0; attempt < 2 && !ap_running; attempt++) {
        icr_write(id, ICR_STARTUP | TRAMPOLINE >> 12);
        for (int i = 0; i < 2000 && !ap_running; i++) {
            delay_us(100);
        }
    }
    return ap_running;
}

void apic_timer_once(uint32_t count, uint8_t vector)
{
    write32(APIC_BASE + APIC_TIMER_DIVIDE, 0xb);        /* by 1 */
    write32(APIC_BASE + APIC_LVT_TIMER, vector);
    write32(APIC_BASE + APIC_TIMER_COUNT, count);
}

void ioapic_route(unsigned gsi, uint8_t vector, bool level)
{
    write32(acpi.ioapic, 0x10 + 2 * gsi + 1);
    write32(acpi.ioapic + 0x10, (uint32_t)cpu_apic_id() << 24);
    write32(acpi.ioapic, 0x10 + 2 * gsi);
    write32(acpi.ioapic + 0x10, vector | (level ? 1u << 15 : 0));
}

bool wait_vector(uint8_t vector, uint32_t seen, uint32_t ms)
{
    uint32_t i;

    irq_enable();
    for (i = 0; i < ms * 10 && irq_counts[vector] == seen; i++) {
        delay_us(100);
    }
    irq_disable();
    return irq_counts[vector] != seen;
}
