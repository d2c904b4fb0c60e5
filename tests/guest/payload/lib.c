/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Memory, text and time of the payload. */
#include <stdarg.h>

#include "payload.h"

#define UART 0x3f8
#define UART_LSR (UART + 5)
#define LSR_THRE 0x20
#define PM_TIMER_HZ 3579545
#define PM_TIMER_MASK 0xffffff

extern char payload_end[];
extern uint64_t start_info_address;

/* By words where possible: every instruction counts on a software KVM. */

void *memset(void *p, int c, size_t n)
{
    uint64_t word = (uint8_t)c * 0x0101010101010101ull;
    uint8_t *b = p;

    for (; n >= 8; n -= 8, b += 8) {
        *(uint64_t *)b = word;
    }
    while (n--) {
        *b++ = c;
    }
    return p;
}

void *memcpy(void *d, const void *s, size_t n)
{
    uint8_t *db = d;
    const uint8_t *sb = s;

    for (; n >= 8; n -= 8, db += 8, sb += 8) {
        *(uint64_t *)db = *(const uint64_t *)sb;
    }
    while (n--) {
        *db++ = *sb++;
    }
    return d;
}

int memcmp(const void *a, const void *b, size_t n)
{
    const uint8_t *x = a, *y = b;

    while (n >= 8 && *(const uint64_t *)x == *(const uint64_t *)y) {
        n -= 8;
        x += 8;
        y += 8;
    }
    for (; n; n--, x++, y++) {
        if (*x != *y) {
            return *x - *y;
        }
    }
    return 0;
}

size_t strlen(const char *s)
{
    size_t n = 0;

    while (s[n]) {
        n++;
    }
    return n;
}

void *alloc(size_t size, size_t align)
{
    static uintptr_t next;
    void *p;

    if (!next) {
        next = (uintptr_t)payload_end;
    }
    next = (next + align - 1) & ~(align - 1);
    p = (void *)next;
    next += size;
    return memset(p, 0, size);
}

/* ---- text ---- */

void (*print_hook)(const char *text, size_t len);

static void uart_write(const char *s, size_t n)
{
    if (inb(UART_LSR) == 0xff) {
        return;
    }
    while (n--) {
        for (int i = 0; i < 100000 && !(inb(UART_LSR) & LSR_THRE); i++) {
            cpu_pause();
        }
        outb(UART, *s++);
    }
}

typedef struct Text {
    char buf[256];
    size_t len;
} Text;

static void put(Text *t, char c)
{
    if (t->len < sizeof(t->buf)) {
        t->buf[t->len++] = c;
    }
}

static void put_number(Text *t, uint64_t v, unsigned base, int width, char pad)
{
    char digits[24];
    int n = 0;

    do {
        digits[n++] = "0123456789abcdef"[v % base];
        v /= base;
    } while (v);
    for (int i = n; i < width; i++) {
        put(t, pad);
    }
    while (n) {
        put(t, digits[--n]);
    }
}

void print(const char *fmt, ...)
{
    Text t = { .len = 0 };
    va_list ap;

    va_start(ap, fmt);
    for (; *fmt; fmt++) {
        char pad = ' ';
        int width = 0;
        bool is_long = false;

        if (*fmt != '%') {
            put(&t, *fmt);
            continue;
        }
        fmt++;
        if (*fmt == '0') {
            pad = '0';
            fmt++;
        }
        while (*fmt >= '0' && *fmt <= '9') {
            width = width * 10 + *fmt++ - '0';
        }
        while (*fmt == 'l') {
            is_long = true;
            fmt++;
        }
        switch (*fmt) {
        case 's':
            for (const char *s = va_arg(ap, const char *); *s; s++) {
                put(&t, *s);
            }
            break;
        case 'c':
            put(&t, va_arg(ap, int));
            break;
        case 'd': {
            int64_t v = is_long ? va_arg(ap, int64_t) : va_arg(ap, int);

            if (v < 0) {
                put(&t, '-');
                v = -v;
            }
            put_number(&t, v, 10, width, pad);
            break;
        }
        case 'u':
        case 'x':
            put_number(&t, is_long ? va_arg(ap, uint64_t) : va_arg(ap, unsigned), *fmt == 'u' ? 10 : 16, width, pad);
            break;
        case 'p':
            put_number(&t, (uintptr_t)va_arg(ap, void *), 16, width, pad);
            break;
        default:
            put(&t, *fmt);
        }
    }
    va_end(ap);
    uart_write(t.buf, t.len);
    if (print_hook) {
        print_hook(t.buf, t.len);
    }
}

const char *command_line(void)
{
    uintptr_t cmdline = *(uint64_t *)(uintptr_t)(start_info_address + 24);

    return cmdline ? (const char *)cmdline : "";
}

bool option(const char *name, char *out, size_t size)
{
    size_t len = strlen(name);

    for (const char *p = command_line(); *p; p++) {
        if ((p == command_line() || p[-1] == ' ') && !memcmp(p, name, len) && p[len] == '=') {
            size_t n = 0;

            for (p += len + 1; *p && *p != ' ' && n + 1 < size; p++) {
                out[n++] = *p;
            }
            out[n] = 0;
            return true;
        }
    }
    return false;
}

/* ---- time ---- */

void delay_us(uint32_t us)
{
    uint32_t ticks = (uint64_t)us * PM_TIMER_HZ / 1000000, start, seen = 0;

    if (!acpi.pm_timer_port) {
        uint64_t end = rdtsc() + (uint64_t)us * 1000;

        while (rdtsc() < end) {
            cpu_pause();
        }
        return;
    }
    start = inl(acpi.pm_timer_port) & PM_TIMER_MASK;
    while (seen < ticks) {
        cpu_pause();
        seen = ((inl(acpi.pm_timer_port) & PM_TIMER_MASK) - start) & PM_TIMER_MASK;
    }
}

bool wait_change(volatile uint16_t *word, uint16_t old, uint32_t ms)
{
    for (uint32_t i = 0; i < ms * 10; i++) {
        for (int spin = 0; spin < 20; spin++) {
            if (*word != old) {
                return true;
            }
            cpu_pause();
        }
        delay_us(100);
    }
    return *word != old;
}

void power_off(void)
{
    if (acpi.has_s5 && acpi.sleep_port && acpi.hw_reduced) {
        outb(acpi.sleep_port, acpi.sleep_type << 2 | 0x20);
    } else if (acpi.sleep_port) {
        outw(acpi.sleep_port, acpi.sleep_type << 10 | 1 << 13);
    }
    for (;;) {
        __asm__ volatile("cli; hlt");
    }
}

void reboot(void)
{
    if (acpi.reset_port) {
        outb(acpi.reset_port, acpi.reset_value);
    }
    for (;;) {
        __asm__ volatile("cli; hlt");
    }
}
