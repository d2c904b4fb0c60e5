/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A hostile guest against a whole machine: the input becomes accesses to
 * configuration space, BARs, ports and guest memory, virtio drivers that are
 * nearly right, time that passes, frames that arrive. Nothing may crash, hang
 * or stay broken over a reset; the sanitizers tell.
 *
 * The program is the emulator with its command line (accelerator qtest, so that
 * no CPU runs); only the main loop is replaced, by the linker (--wrap), with the
 * one below. It runs a fixed set of generated inputs, or the files named in
 * $FUZZ_INPUTS (separated by ':'). -netdev socket,fd=77 is connected to us.
 */
#include "util/osdep.h"
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <sys/socket.h>
#include "hw/i386/virt.h"
#include "hw/pci/pci_regs.h"
#include "system/memory.h"
#include "system/runstate.h"
#include "util/bswap.h"
#include "util/event-loop.h"

#define CABLE_FD 77
#define INPUTS 400
#define INPUT_SIZE 4096
#define WINDOW_32 UINT64_C(0xa0000000)
#define WINDOW_64 UINT64_C(0x400000000)
/* Guest memory: rings of a queue each 16 KiB, then buffers. */
#define RINGS UINT64_C(0x200000)
#define RING_STEP UINT64_C(0x4000)
#define RING_DRIVER UINT64_C(0x2000)
#define RING_DEVICE UINT64_C(0x3000)
#define QUEUES 8
#define BUFFERS (RINGS + QUEUES * RING_STEP)
#define BUFFERS_SIZE UINT64_C(0x10000)
/* The layout of a virtio function's BAR 4, and its common configuration. */
#define VIRTIO_BAR 4
#define VIRTIO_NOTIFY 0x3000
enum { C_FEATURE_SELECT = 0, C_FEATURE = 4, C_DRIVER_SELECT = 8, C_DRIVER = 12, C_STATUS = 20, C_SELECT = 22,
       C_SIZE = 24, C_VECTOR = 26, C_ENABLE = 28, C_DESC = 32, C_DRIVER_AREA = 40, C_DEVICE_AREA = 48, C_RESET = 58 };

int __wrap_main_loop_run(void);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct Function {
    uint64_t config;
    bool virtio;
    struct { uint64_t base, size; } bars[6];
} Function;

typedef struct Queue {
    uint16_t size, next;
    bool wrap;
} Queue;

static struct { const uint8_t *data; size_t left; } input;
static Function functions[16];
static unsigned function_count;
static uint64_t next_32, next_64;
static bool packed;
static Queue queues[QUEUES];
static int cable;

static void __attribute__((constructor)) make_cable(void)
{
    int fds[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == 0 && dup2(fds[0], CABLE_FD) == CABLE_FD) {
        close(fds[0]);
        cable = fds[1];
    }
}

/* ---- input ---- */

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
    switch (take(1) % 4) {
    case 0:
        return take(1);
    case 1:
        return UINT64_MAX - take(1);
    case 2:
        return UINT64_C(1) << take(1) % 64;
    default:
        return take(width);
    }
}

/* ---- accesses ---- */

static uint64_t rd(uint64_t addr, unsigned width)
{
    uint64_t value = 0;

    guest_access_read(&address_space_memory, addr, width, &value);
    return value;
}

static void wr(uint64_t addr, unsigned width, uint64_t value)
{
    guest_access_write(&address_space_memory, addr, width, value);
}

static void put(uint64_t addr, const void *data, size_t len)
{
    guest_write(&address_space_memory, addr, data, len);
}

/* ---- enumeration ---- */

static void map_bar(Function *f, unsigned n)
{
    uint64_t reg = f->config + PCI_BASE_ADDRESS_0 + 4 * n;
    uint32_t mask, high = 0;
    uint64_t size, *next;

    wr(reg, 4, UINT32_MAX);
    mask = rd(reg, 4);
    if (!mask || mask & PCI_BASE_ADDRESS_SPACE_IO) {
        return;
    }
    size = (uint64_t)(uint32_t)~(mask & ~UINT32_C(15)) + 1;
    next = mask & PCI_BASE_ADDRESS_MEM_PREFETCH ? &next_64 : &next_32;
    *next = ROUND_UP(*next, size);
    f->bars[n].base = *next;
    f->bars[n].size = size;
    *next += size;
    wr(reg, 4, f->bars[n].base);
    high = f->bars[n].base >> 32;
    if (mask & PCI_BASE_ADDRESS_MEM_TYPE_64) {
        wr(reg + 4, 4, high);
    }
}

static void open_bridge(const Function *f)
{
    wr(f->config + PCI_PRIMARY_BUS, 4, 0x00010100);
    wr(f->config + PCI_MEMORY_BASE, 4, (uint32_t)(WINDOW_32 >> 16) | 0xaff00000);
    wr(f->config + PCI_PREF_MEMORY_BASE, 4, 0xfff00000);
    wr(f->config + PCI_PREF_BASE_UPPER32, 4, WINDOW_64 >> 32);
    wr(f->config + PCI_PREF_LIMIT_UPPER32, 4, WINDOW_64 >> 32);
}

static void enumerate(unsigned bus)
{
    for (unsigned slot = 0; slot < 32 && function_count < ARRAY_SIZE(functions); slot++) {
        Function *f = &functions[function_count];

        *f = (Function) { .config = VIRT_ECAM_BASE + (bus << 20) + (slot << 15) };
        if (rd(f->config, 2) == 0xffff) {
            continue;
        }
        function_count++;
        f->virtio = rd(f->config, 2) == 0x1af4;
        if ((rd(f->config + PCI_HEADER_TYPE, 1) & 0x7f) == PCI_HEADER_TYPE_BRIDGE) {
            open_bridge(f);
            enumerate(1);
        } else {
            for (unsigned n = 0; n < 6; n++) {
                map_bar(f, n);
                n += f->bars[n].base >= WINDOW_64;
            }
        }
        wr(f->config + PCI_COMMAND, 2, PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    }
}

static void power_on(void)
{
    static const uint8_t zero[0x10000];

    system_reset_request(SHUTDOWN_CAUSE_HOST_QMP_SYSTEM_RESET);
    system_process_requests();
    if (!run_state_running()) {
        vm_start();
    }
    for (uint64_t a = RINGS; a < BUFFERS + BUFFERS_SIZE; a += sizeof(zero)) {
        put(a, zero, sizeof(zero));
    }
    memset(queues, 0, sizeof(queues));
    function_count = 0;
    next_32 = WINDOW_32;
    next_64 = WINDOW_64;
    enumerate(0);
}

/* ---- what a guest does ---- */

/* A register of any kind; false: there is none. Ports give @io. */
static bool take_place(uint64_t *addr, bool *io)
{
    static const uint16_t ports[] = {
        0x2f8, 0x3b0, 0x3c0, 0x3d0, 0x3e0, 0x3f8, 0x505, 0x508, 0x510, 0x514, 0xa00, 0xa08, 0xa10, 0xa18,
        0xae00, 0xae08, 0xae10, 0xcd8, 0xcdc, 0xcf8, 0xcfc, 0xb000,
    };
    Function *f = function_count ? &functions[take(1) % function_count] : NULL;
    unsigned kind = take(1) % 8;

    *io = kind == 0 || !f;
    if (*io) {
        *addr = ports[take(1) % ARRAY_SIZE(ports)] + take(1) % 9;
    } else if (kind == 7 && take(1) % 4 == 0) {
        *addr = VIRT_NVDIMM_PAGE + take(1) % 16 * 4;
    } else if (kind < 3) {
        *addr = f->config + (kind == 1 ? take(1) : take(2) % 4096);
    } else {
        unsigned n = take(1) % 6;

        if (!f->bars[n].size) {
            return false;
        }
        *addr = f->bars[n].base + (kind < 6 ? (take(1) % 8 << 12) + take(1) % 96 : take(2)) % f->bars[n].size;
    }
    return true;
}

static void touch_register(bool write)
{
    unsigned width;
    uint64_t addr, value = 0;
    bool io;

    if (!take_place(&addr, &io)) {
        return;
    }
    width = 1 << take(1) % (io ? 3 : 4);
    if (write) {
        guest_access_write(io ? &address_space_io : &address_space_memory, addr, width, take_value(width));
    } else {
        guest_access_read(io ? &address_space_io : &address_space_memory, addr, width, &value);
    }
}

static Function *take_virtio(void)
{
    unsigned first = take(1);

    for (unsigned i = 0; i < function_count; i++) {
        Function *f = &functions[(first + i) % function_count];

        if (f->virtio && f->bars[VIRTIO_BAR].size) {
            return f;
        }
    }
    return NULL;
}

static void start_driver(void)
{
    Function *f = take_virtio();
    uint64_t c, features = 0;
    unsigned count = 1 + take(1) % QUEUES;

    if (!f) {
        return;
    }
    c = f->bars[VIRTIO_BAR].base;
    wr(c + C_STATUS, 1, 0);
    wr(c + C_STATUS, 1, 3);
    for (unsigned half = 0; half < 2; half++) {
        wr(c + C_FEATURE_SELECT, 4, half);
        features |= rd(c + C_FEATURE, 4) << 32 * half;
    }
    features &= take(1) % 4 ? UINT64_MAX : take(8);
    features |= UINT64_C(1) << VIRTIO_F_VERSION_1;
    packed = features >> VIRTIO_F_RING_PACKED & 1;
    for (unsigned half = 0; half < 2; half++) {
        wr(c + C_DRIVER_SELECT, 4, half);
        wr(c + C_DRIVER, 4, features >> 32 * half);
    }
    wr(c + C_STATUS, 1, 11);
    for (unsigned n = 0; n < count; n++) {
        uint64_t ring = RINGS + n * RING_STEP;
        static const uint8_t zero[RING_STEP];

        put(ring, zero, sizeof(zero));
        queues[n] = (Queue) { .size = 4 << take(1) % 5, .wrap = true };
        wr(c + C_SELECT, 2, n);
        wr(c + C_SIZE, 2, queues[n].size);
        wr(c + C_VECTOR, 2, take(1) % 4);
        wr(c + C_DESC, 8, ring);
        wr(c + C_DRIVER_AREA, 8, ring + RING_DRIVER);
        wr(c + C_DEVICE_AREA, 8, ring + RING_DEVICE);
        wr(c + C_ENABLE, 2, 1);
    }
    wr(c + C_STATUS, 1, 15);
}

static void write_desc(uint64_t at, uint64_t addr, uint32_t len, uint16_t third, uint16_t fourth)
{
    uint8_t d[16];

    store_le64(d, addr);
    store_le32(d + 8, len);
    store_le16(d + 12, third);
    store_le16(d + 14, fourth);
    put(at, d, sizeof(d));
}

/* A chain as a driver would write it, mostly; not published in a split ring yet. */
static void add_chain(unsigned n, Queue *q)
{
    /* Many devices have receive queues at even and transmit queues at odd places. */
    unsigned parts = 1 + take(1) % 4, out = take(1) % 2 ? take(1) % (parts + 1) : n & 1 ? parts : 0;
    uint64_t ring = RINGS + n * RING_STEP;
    uint16_t head = q->next;
    uint8_t le[2];

    for (unsigned i = 0; i < parts; i++) {
        uint64_t addr = take(1) % 32 ? BUFFERS + take(2) % BUFFERS_SIZE : take_value(8);
        uint32_t len = take(1) % 16 ? 1 + take(1) * (take(1) % 8 + 1) : take_value(4);
        uint16_t flags = (i >= out ? VRING_DESC_F_WRITE : 0) | (i + 1 < parts ? VRING_DESC_F_NEXT : 0);

        if (take(1) % 32 == 0) {
            flags ^= take(1);
        }
        if (packed) {
            flags |= 1u << (q->wrap ? VRING_PACKED_DESC_F_AVAIL : VRING_PACKED_DESC_F_USED);
        }
        write_desc(ring + 16 * q->next, addr, len, packed ? head : flags, packed ? flags : (q->next + 1) % q->size);
        if (++q->next == q->size) {
            q->next = 0;
            q->wrap = !q->wrap;
        }
    }
    if (!packed) {
        uint16_t idx = rd(ring + RING_DRIVER + 2, 2);

        store_le16(le, head);
        put(ring + RING_DRIVER + 4 + 2 * (idx % q->size), le, 2);
        store_le16(le, idx + 1);
        put(ring + RING_DRIVER + 2, le, 2);
    }
}

static void use_queue(void)
{
    unsigned n = take(1) % QUEUES, chains = 1 + take(1) % 4;
    Function *f = take_virtio();

    if (!f || !queues[n].size) {
        return;
    }
    while (chains--) {
        add_chain(n, &queues[n]);
    }
    wr(f->bars[VIRTIO_BAR].base + VIRTIO_NOTIFY + 4 * n, 2, n);
}

static void write_memory(void)
{
    uint8_t data[64];
    unsigned len = 1 + take(1) % sizeof(data);

    for (unsigned i = 0; i < len; i++) {
        data[i] = take(1) % 4 ? take(1) : 0;
    }
    /* Mostly what buffers hold, sometimes the rings. */
    put(take(1) % 4 ? BUFFERS + take(2) % BUFFERS_SIZE : RINGS + take(2) % (QUEUES * RING_STEP), data, len);
}

static void reset_queue(void)
{
    Function *f = take_virtio();

    if (f) {
        wr(f->bars[VIRTIO_BAR].base + C_SELECT, 2, take(1) % QUEUES);
        wr(f->bars[VIRTIO_BAR].base + C_RESET, 2, 1);
    }
}

static void use_cable(void)
{
    uint8_t frame[4 + 2048];
    unsigned len = 14 + take(2) % 2000;

    memset(frame, 0x5a, sizeof(frame));
    store_be32(frame, len);
    for (unsigned i = 0; i < 18; i++) {
        frame[4 + i] = take(1);
    }
    while (read(cable, frame + 22, sizeof(frame) - 22) > 0) {
    }
    if (write(cable, frame, 4 + len) < 0) {
        return;
    }
}

static void settle(void)
{
    main_loop_poll(false);
    system_process_requests();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    input.data = data;
    input.left = size;
    power_on();
    start_driver();
    while (input.left) {
        switch (take(1) % 16) {
        case 0 ... 3:
            touch_register(true);
            break;
        case 4:
            touch_register(false);
            break;
        case 5:
            start_driver();
            break;
        case 6 ... 10:
            use_queue();
            break;
        case 11 ... 12:
            write_memory();
            break;
        case 13:
            reset_queue();
            break;
        case 14:
            use_cable();
            break;
        default:
            clock_virtual_warp(clock_now_ns(CLOCK_TYPE_VIRTUAL) + (INT64_C(1) << take(1) % 32));
            break;
        }
        settle();
    }
    return 0;
}

/* ---- instead of the main loop ---- */

static void run_generated(unsigned seed)
{
    g_autoptr(GRand) rand = g_rand_new_with_seed(seed);
    uint8_t buf[INPUT_SIZE];

    for (size_t i = 0; i < sizeof(buf); i++) {
        buf[i] = g_rand_int(rand);
    }
    LLVMFuzzerTestOneInput(buf, sizeof(buf));
}

static bool run_file(const char *path)
{
    g_autofree char *data = NULL;
    gsize len;

    if (!g_file_get_contents(path, &data, &len, NULL)) {
        fprintf(stderr, "fuzz-machine: cannot read '%s'\n", path);
        return false;
    }
    LLVMFuzzerTestOneInput((uint8_t *)data, len);
    return true;
}

int __wrap_main_loop_run(void)
{
    const char *files = getenv("FUZZ_INPUTS");
    g_auto(GStrv) paths = g_strsplit(files ? files : "", ":", -1);

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
    g_assert_true(run_state_running());
    g_assert_cmpuint(function_count, >, 0);
    return EXIT_SUCCESS;
}
