/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A hostile guest against the fixed devices of the AArch64 machine: accesses of
 * every width to every register block, interrupt lines that change, time that
 * passes, virtio drivers behind memory-mapped transports that are nearly right.
 * Nothing may crash, hang or stay broken over a reset; the sanitizers tell.
 *
 * As fuzz-machine.c: the emulator itself with accelerator qtest, its main loop
 * replaced by the linker. It runs a fixed set of generated inputs, or the files
 * named in $FUZZ_INPUTS (separated by ':').
 */
#include "util/osdep.h"
#include <linux/virtio_mmio.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include "hw/arm/virt.h"
#include "hw/core/device.h"
#include "system/memory.h"
#include "system/runstate.h"
#include "util/bswap.h"
#include "util/event-loop.h"

#define INPUTS 300
#define INPUT_SIZE 4096
#define RINGS (ARM_VIRT_RAM + UINT64_C(0x800000))
#define RING_SIZE 8u
#define BUFFERS (RINGS + UINT64_C(0x10000))
#define TRANSPORT(n) (ARM_VIRT_VIRTIO + (n) * ARM_VIRT_VIRTIO_STRIDE)
#define USED_TRANSPORTS 4u

int __wrap_main_loop_run(void);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct { const uint8_t *data; size_t left; } input;

/* Where registers are, and how many bytes of them do something. */
static const struct {
    uint64_t base;
    uint32_t size;
} blocks[] = {
    { ARM_VIRT_UART, 0x50 }, { ARM_VIRT_RTC, 0x20 }, { ARM_VIRT_GPIO + 0x3f8, 0x30 }, { ARM_VIRT_FW_CFG, 0x18 },
    { ARM_VIRT_GED, 8 }, { ARM_VIRT_GIC_DIST, 0x1000 }, { ARM_VIRT_GIC_CPU, 0x110 }, { ARM_VIRT_GIC_V2M, 0x50 },
    { ARM_VIRT_GIC_DIST + 0x6000, 0x1000 }, { ARM_VIRT_GIC_REDIST, 0x100 }, { ARM_VIRT_GIC_REDIST + 0x10000, 0xd00 },
    { ARM_VIRT_GIC_REDIST + 0x20000, 0x20000 }, { ARM_VIRT_FLASH_BASE, 0x1000 },
    { ARM_VIRT_FLASH_BASE + ARM_VIRT_FLASH_SIZE, 0x1000 }, { ARM_VIRT_PCIE_ECAM, 0x1000 },
    { TRANSPORT(ARM_VIRT_VIRTIO_COUNT - 1), 0x120 }, { TRANSPORT(0), 0x120 },
};

static uint64_t take(unsigned bytes)
{
    uint64_t value = 0;

    while (bytes--) {
        value = value << 8 | (input.left ? *input.data : 0);
        input.data += input.left != 0;
        input.left -= input.left != 0;
    }
    return value;
}

static uint64_t take_value(unsigned width)
{
    /* Commands of the flash among them. */
    static const uint32_t commands[] = {
        0x00ff00ff, 0x00700070, 0x00e800e8, 0x00d000d0, 0x00200020, 0x00600060, 0x00400040, 0x00980098, 0x00900090,
        0x00010001, 0x000f000f,
    };

    switch (take(1) % 4) {
    case 0:
        return take(1);
    case 1:
        return commands[take(1) % ARRAY_SIZE(commands)];
    case 2:
        return UINT64_C(1) << take(1) % 64;
    default:
        return take(width);
    }
}

static void wr(uint64_t addr, unsigned width, uint64_t value)
{
    guest_access_write(&address_space_memory, addr, width, value);
}

static void touch_register(bool write)
{
    unsigned n = take(1) % ARRAY_SIZE(blocks), width = 1 << take(1) % 4;
    uint64_t addr = blocks[n].base + take(2) % blocks[n].size, value;

    if (take(1) % 4) {
        addr = ROUND_DOWN(addr, width);
    }
    if (write) {
        wr(addr, width, take_value(width));
    } else {
        guest_access_read(&address_space_memory, addr, width, &value);
    }
}

static void change_line(void)
{
    static const char *const paths[] = { "/machine/gic", "/machine/gpio" };
    unsigned n = take(1) % ARRAY_SIZE(paths);
    Object *obj = object_resolve(paths[n], NULL);

    if (obj) {
        irq_set(device_gpio_in(DEVICE(obj), NULL, take(2) % (n ? 8 : 320)), take(1) % 2);
    }
}

/* ---- virtio ---- */

static uint64_t take_transport(void)
{
    return TRANSPORT(ARM_VIRT_VIRTIO_COUNT - 1 - take(1) % USED_TRANSPORTS);
}

static void start_driver(void)
{
    uint64_t t = take_transport();

    wr(t + VIRTIO_MMIO_STATUS, 4, 0);
    wr(t + VIRTIO_MMIO_STATUS, 4, 3);
    wr(t + VIRTIO_MMIO_DRIVER_FEATURES_SEL, 4, 1);
    wr(t + VIRTIO_MMIO_DRIVER_FEATURES, 4, 1 | (take(1) % 4 ? 0 : take(4)));
    wr(t + VIRTIO_MMIO_STATUS, 4, 11);
    for (unsigned n = 0; n < 1 + take(1) % 3; n++) {
        uint64_t ring = RINGS + n * 0x1000;

        wr(t + VIRTIO_MMIO_QUEUE_SEL, 4, n);
        wr(t + VIRTIO_MMIO_QUEUE_NUM, 4, take(1) % 8 ? RING_SIZE : take_value(4));
        wr(t + VIRTIO_MMIO_QUEUE_DESC_LOW, 4, ring);
        wr(t + VIRTIO_MMIO_QUEUE_DESC_HIGH, 4, ring >> 32);
        wr(t + VIRTIO_MMIO_QUEUE_AVAIL_LOW, 4, ring + 0x400);
        wr(t + VIRTIO_MMIO_QUEUE_USED_LOW, 4, ring + 0x800);
        wr(t + VIRTIO_MMIO_QUEUE_READY, 4, 1);
    }
    wr(t + VIRTIO_MMIO_STATUS, 4, 15);
}

/* A buffer of one or two descriptors, mostly as a driver would write it. */
static void use_queue(void)
{
    unsigned n = take(1) % 3, slot = take(1) % RING_SIZE;
    uint64_t ring = RINGS + n * 0x1000, idx = 0;

    for (unsigned i = 0; i < 2; i++) {
        uint64_t d = ring + 16 * ((slot + i) % RING_SIZE);

        wr(d, 8, take(1) % 16 ? BUFFERS + take(2) : take_value(8));
        wr(d + 8, 4, take(1) % 16 ? take(1) * 8 : take_value(4));
        wr(d + 12, 2, (i ? 0 : VRING_DESC_F_NEXT) | (take(1) % 2 ? VRING_DESC_F_WRITE : 0));
        wr(d + 14, 2, (slot + 1) % RING_SIZE);
    }
    guest_access_read(&address_space_memory, ring + 0x402, 2, &idx);
    wr(ring + 0x404 + 2 * (idx % RING_SIZE), 2, slot);
    wr(ring + 0x402, 2, idx + 1);
    wr(take_transport() + VIRTIO_MMIO_QUEUE_NOTIFY, 4, take(1) % 8 ? n : take_value(4));
}

/* ---- runs ---- */

static void power_on(void)
{
    system_reset_request(SHUTDOWN_CAUSE_HOST_QMP_SYSTEM_RESET);
    system_process_requests();
    if (!run_state_running()) {
        vm_start();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    input.data = data;
    input.left = size;
    power_on();
    while (input.left) {
        switch (take(1) % 16) {
        case 0 ... 6:
            touch_register(true);
            break;
        case 7 ... 8:
            touch_register(false);
            break;
        case 9:
            start_driver();
            break;
        case 10 ... 12:
            use_queue();
            break;
        case 13 ... 14:
            change_line();
            break;
        default:
            clock_virtual_warp(clock_now_ns(CLOCK_TYPE_VIRTUAL) + (INT64_C(1) << take(1) % 32));
            break;
        }
        main_loop_poll(false);
        system_process_requests();
    }
    return 0;
}

static bool run_file(const char *path)
{
    g_autofree char *data = NULL;
    gsize len;

    if (!g_file_get_contents(path, &data, &len, NULL)) {
        fprintf(stderr, "fuzz-arm-machine: cannot read '%s'\n", path);
        return false;
    }
    LLVMFuzzerTestOneInput((uint8_t *)data, len);
    return true;
}

static void run_generated(unsigned seed)
{
    g_autoptr(GRand) rand = g_rand_new_with_seed(seed);
    uint8_t buf[INPUT_SIZE];

    for (size_t i = 0; i < sizeof(buf); i++) {
        buf[i] = g_rand_int(rand);
    }
    LLVMFuzzerTestOneInput(buf, sizeof(buf));
}

int __wrap_main_loop_run(void)
{
    const char *files = getenv("FUZZ_INPUTS");
    g_auto(GStrv) paths = g_strsplit(files ? files : "", ":", -1);
    uint64_t value = 0;

    for (unsigned i = 0; paths[i]; i++) {
        if (!run_file(paths[i])) {
            return EXIT_FAILURE;
        }
    }
    for (unsigned seed = 0; !files && seed < INPUTS; seed++) {
        run_generated(seed);
    }
    /* After all that, a reset gives a machine that can be used. */
    power_on();
    guest_access_read(&address_space_memory, ARM_VIRT_UART + 0x30, 4, &value);
    g_assert_cmphex(value, ==, 0x300);
    guest_access_read(&address_space_memory, TRANSPORT(0), 4, &value);
    g_assert_cmphex(value, ==, 0x74726976);
    return EXIT_SUCCESS;
}
