/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * NOR flash: Common Flash Interface (JESD68.01), Intel's command set (JEP137
 * id 1): read array, id, status and query; word program, buffered program,
 * block erase, block lock. Chips side by side get each command at once and
 * answer side by side.
 *
 * In read-array mode the guest reads memory directly; every write leaves it.
 * vCPU threads with the machine lock. What was written goes to the image soon
 * after, on the main thread, and at the latest when the machine stops.
 * Commands, addresses and data are the guest's.
 */
#include "util/osdep.h"

#include <sys/stat.h>
#include "hw/block/pflash.h"
#include "system/runstate.h"
#include "trace-hw-block.h"
#include "util/cutils.h"

enum {
    CMD_READ_ARRAY = 0xff, CMD_READ_ARRAY_AMD = 0xf0, CMD_PROGRAM = 0x40, CMD_PROGRAM_ALT = 0x10,
    CMD_ERASE = 0x20, CMD_CLEAR_STATUS = 0x50, CMD_LOCK_SETUP = 0x60, CMD_READ_STATUS = 0x70,
    CMD_READ_ID = 0x90, CMD_QUERY = 0x98, CMD_CONFIRM = 0xd0, CMD_BUFFER = 0xe8,
    CMD_LOCK = 0x01, CMD_LOCK_DOWN = 0x2f,
};
enum {
    STATUS_READY = 0x80, STATUS_ERASE_ERROR = 0x20, STATUS_PROGRAM_ERROR = 0x10,
    STATUS_PROTECTED = 0x02,
};
#define MANUFACTURER 0x89u      /* Intel */
#define CHIP_ID 0x18u
#define QUERY_SIZE 0x52
/* Bytes of a chip's write buffer, as a power of two. */
#define BUFFER_LOG2_NARROW 8
#define BUFFER_LOG2_WIDE 11
#define BUFFER_MAX 8192u
#define PAGE 4096u              /* what is written to the image at a time */

/* What the next write means. */
typedef enum PflashStep {
    STEP_COMMAND, STEP_PROGRAM, STEP_ERASE, STEP_LOCK, STEP_BUFFER_COUNT, STEP_BUFFER_DATA,
    STEP_BUFFER_CONFIRM,
} PflashStep;

struct Pflash {
    DeviceState dev;
    MemoryRegion mem;
    PflashConfig cfg;
    BlockBackend *blk;
    bool readonly;
    uint8_t query[QUERY_SIZE];
    /* The state machine. */
    uint8_t mode;               /* CMD_READ_ARRAY, _ID, _STATUS or _QUERY: what reads give */
    uint8_t step, status;
    uint32_t count;             /* data that the buffer still waits for */
    uint64_t buffer_base;       /* of the part of the flash that it is for */
    uint8_t buffer[BUFFER_MAX];
    uint8_t buffer_used[BUFFER_MAX / 8];        /* a bit a byte */
    uint32_t locks_size;
    uint8_t *locks;             /* a byte each sector */
    /* Towards the image. */
    uint8_t *dirty;             /* a byte each page */
    bool flush_pending, write_failed;
    struct RunStateNotifier *run_notifier;
};

static unsigned chips(const Pflash *s)
{
    return s->cfg.width / s->cfg.chip_width;
}

static uint8_t *storage(Pflash *s)
{
    return s->mem.ram->host;
}

static unsigned buffer_size(const Pflash *s)
{
    return (1u << s->query[0x2a]) * chips(s);
}

/* ---- the image ---- */

/* Pages of one run of dirty ones at a time. False leaves them dirty. */
static bool write_pages(Pflash *s, uint64_t first, uint64_t count)
{
    int64_t len = blk_length(s->blk);
    uint64_t at = first * PAGE, size = MIN(count * PAGE, (uint64_t)MAX(len, 0) - at);
    int ret;

    /* The guest may go on while this waits: what it changes then is dirty again. */
    memset(s->dirty + first, 0, count);
    ret = blk_pwrite(s->blk, at, size, storage(s) + at, 0);
    if (ret < 0) {
        memset(s->dirty + first, 1, count);
        if (!s->write_failed) {
            error_report("flash '%s': writing its image failed: %s", s->dev.obj.name,
                         strerror(-ret));
        }
        s->write_failed = true;
        return false;
    }
    s->write_failed = false;
    return true;
}

static void write_image(Pflash *s)
{
    uint64_t pages = s->cfg.size / PAGE, i = 0;

    s->flush_pending = false;
    while (i < pages) {
        uint64_t start = i;

        while (i < pages && s->dirty[i]) {
            i++;
        }
        if (i > start && !write_pages(s, start, i - start)) {
            return;
        }
        i += i == start;
    }
}

static void write_soon(void *opaque)
{
    Pflash *s = opaque;

    if (s->flush_pending) {
        write_image(s);
    }
    object_unref(s);
}

static void schedule_write(Pflash *s)
{
    if (s->blk && !s->flush_pending) {
        s->flush_pending = true;
        object_ref(s);
        event_loop_run_soon(event_loop_main(), write_soon, s);
    }
}

static void changed(Pflash *s, uint64_t offset, uint64_t len)
{
    ram_block_set_dirty(s->mem.ram, offset, len);
    memset(s->dirty + offset / PAGE, 1, (offset + len - 1) / PAGE - offset / PAGE + 1);
    schedule_write(s);
}

/* Before the block layer flushes its caches, which happens after all devices. */
static void vm_state_changed(void *opaque, bool running, RunState state)
{
    if (!running) {
        write_image(opaque);
    }
}

/* ---- commands ---- */

static void set_mode(Pflash *s, uint8_t mode)
{
    s->mode = mode;
    s->step = STEP_COMMAND;
    if (s->mem.rom_read_mode != (mode == CMD_READ_ARRAY)) {
        memory_region_set_rom_read_mode(&s->mem, mode == CMD_READ_ARRAY);
    }
}

/* The sector may be changed; false notes why not in the status. */
static bool may_change(Pflash *s, uint64_t offset, uint8_t error)
{
    if (s->readonly || s->write_failed) {
        /* What the host could not store is tried again; until then nothing is added to it. */
        schedule_write(s);
        s->status |= error;
        return false;
    }
    if (s->locks[offset / s->cfg.sector]) {
        s->status |= error | STATUS_PROTECTED;
        return false;
    }
    return true;
}

/* Programming only clears bits. */
static void program_byte(Pflash *s, uint64_t offset, uint8_t value)
{
    storage(s)[offset] &= value;
}

static void program(Pflash *s, uint64_t offset, uint64_t value, unsigned size)
{
    if (may_change(s, offset, STATUS_PROGRAM_ERROR)) {
        for (unsigned i = 0; i < size; i++) {
            program_byte(s, offset + i, value >> (8 * i));
        }
        changed(s, offset, size);
    }
    s->status |= STATUS_READY;
    set_mode(s, CMD_READ_STATUS);
}

static void erase(Pflash *s, uint64_t offset)
{
    uint64_t start = ROUND_DOWN(offset, s->cfg.sector);

    trace_pflash_erase(start, s->cfg.sector);
    if (may_change(s, start, STATUS_ERASE_ERROR)) {
        memset(storage(s) + start, 0xff, s->cfg.sector);
        changed(s, start, s->cfg.sector);
    }
    s->status |= STATUS_READY;
    set_mode(s, CMD_READ_STATUS);
}

static void start_buffer(Pflash *s, uint64_t offset, uint32_t words)
{
    if (words * s->cfg.width > buffer_size(s)) {
        s->status |= STATUS_READY | STATUS_PROGRAM_ERROR | STATUS_ERASE_ERROR;
        set_mode(s, CMD_READ_STATUS);
        return;
    }
    s->count = words;
    s->buffer_base = ROUND_DOWN(offset, buffer_size(s));
    memset(s->buffer_used, 0, sizeof(s->buffer_used));
    s->step = STEP_BUFFER_DATA;
}

static void fill_buffer(Pflash *s, uint64_t offset, uint64_t value, unsigned size)
{
    uint64_t at = offset - s->buffer_base;

    if (offset < s->buffer_base || at >= buffer_size(s) || size > buffer_size(s) - at) {
        /* Not the part that the buffer was opened for. */
        s->status |= STATUS_READY | STATUS_PROGRAM_ERROR;
        set_mode(s, CMD_READ_STATUS);
        return;
    }
    for (unsigned i = 0; i < size; i++) {
        s->buffer[at + i] = value >> (8 * i);
        s->buffer_used[(at + i) / 8] |= 1 << (at + i) % 8;
    }
    s->count--;
    if (!s->count) {
        s->step = STEP_BUFFER_CONFIRM;
    }
}

static void program_buffer(Pflash *s)
{
    unsigned size = buffer_size(s);

    if (may_change(s, s->buffer_base, STATUS_PROGRAM_ERROR)) {
        for (unsigned i = 0; i < size; i++) {
            if (s->buffer_used[i / 8] >> i % 8 & 1) {
                program_byte(s, s->buffer_base + i, s->buffer[i]);
            }
        }
        changed(s, s->buffer_base, size);
    }
    s->status |= STATUS_READY;
    set_mode(s, CMD_READ_STATUS);
}

static void lock_sector(Pflash *s, uint64_t offset, uint8_t command)
{
    uint8_t *lock = &s->locks[offset / s->cfg.sector];

    switch (command) {
    case CMD_CONFIRM:
        *lock = 0;
        break;
    case CMD_LOCK:
    case CMD_LOCK_DOWN:
        *lock = 1;
        break;
    default:
        s->status |= STATUS_PROGRAM_ERROR | STATUS_ERASE_ERROR;
        break;
    }
    s->status |= STATUS_READY;
    set_mode(s, command == CMD_READ_ARRAY ? CMD_READ_ARRAY : CMD_READ_STATUS);
}

static void first_write(Pflash *s, uint8_t command)
{
    switch (command) {
    case CMD_PROGRAM:
    case CMD_PROGRAM_ALT:
        set_mode(s, CMD_READ_STATUS);
        s->step = STEP_PROGRAM;
        break;
    case CMD_ERASE:
        set_mode(s, CMD_READ_STATUS);
        s->step = STEP_ERASE;
        break;
    case CMD_BUFFER:
        set_mode(s, CMD_READ_STATUS);
        s->status |= STATUS_READY;      /* the buffer is free */
        s->step = STEP_BUFFER_COUNT;
        break;
    case CMD_LOCK_SETUP:
        set_mode(s, CMD_READ_STATUS);
        s->step = STEP_LOCK;
        break;
    case CMD_CLEAR_STATUS:
        s->status = 0;          /* ready, too, until something was done: OVMF knows flash by that */
        set_mode(s, s->mode == CMD_READ_ARRAY ? CMD_READ_STATUS : s->mode);
        break;
    case CMD_READ_STATUS:
    case CMD_READ_ID:
    case CMD_QUERY:
        set_mode(s, command);
        break;
    default:
        set_mode(s, CMD_READ_ARRAY);
        break;
    }
}

static void pflash_write(void *opaque, GuestAddr offset, uint64_t value, unsigned size)
{
    Pflash *s = opaque;
    uint8_t command = value;

    trace_pflash_write(offset, value, size, s->step);
    switch (s->step) {
    case STEP_COMMAND:
        first_write(s, command);
        break;
    case STEP_PROGRAM:
        program(s, offset, value, size);
        break;
    case STEP_ERASE:
        if (command == CMD_CONFIRM) {
            erase(s, offset);
        } else {
            s->status |= STATUS_READY | STATUS_PROGRAM_ERROR | STATUS_ERASE_ERROR;
            set_mode(s, command == CMD_READ_ARRAY ? CMD_READ_ARRAY : CMD_READ_STATUS);
        }
        break;
    case STEP_LOCK:
        lock_sector(s, offset, command);
        break;
    case STEP_BUFFER_COUNT:
        /* Of words, less one; each chip is told the same. */
        start_buffer(s, offset, (value & (s->cfg.chip_width == 1 ? 0xff : 0xffff)) + 1);
        break;
    case STEP_BUFFER_DATA:
        fill_buffer(s, offset, value, size);
        break;
    case STEP_BUFFER_CONFIRM:
        if (command == CMD_CONFIRM) {
            program_buffer(s);
        } else {
            s->status |= STATUS_READY | STATUS_PROGRAM_ERROR;
            set_mode(s, CMD_READ_STATUS);
        }
        break;
    }
}

/* ---- reading registers ---- */

/* @value in the place of every chip. */
static uint32_t side_by_side(const Pflash *s, uint32_t value)
{
    uint32_t all = 0;

    for (unsigned i = 0; i < chips(s); i++) {
        all |= value << (8 * s->cfg.chip_width * i);
    }
    return all;
}

/* What the chips answer at their own word address @word. */
static uint32_t chip_register(const Pflash *s, uint64_t offset, uint64_t word)
{
    switch (s->mode) {
    case CMD_READ_ID:
        return word % 0x100 == 0 ? MANUFACTURER : word % 0x100 == 1 ? CHIP_ID :
               word % 0x100 == 2 ? s->locks[offset / s->cfg.sector] : 0;
    case CMD_QUERY:
        return word % 0x100 < QUERY_SIZE ? s->query[word % 0x100] : 0;
    default:
        return s->status;
    }
}

static uint64_t pflash_read(void *opaque, GuestAddr offset, unsigned size)
{
    Pflash *s = opaque;
    uint64_t value = 0;

    for (unsigned i = 0; i < size; i++) {
        uint64_t at = offset + i;
        uint32_t word = side_by_side(s, chip_register(s, at, at / s->cfg.width));

        value |= (uint64_t)(word >> (8 * (at % s->cfg.width)) & 0xff) << (8 * i);
    }
    return value;
}

static const MemoryRegionOps pflash_region_ops = {
    .read = pflash_read, .write = pflash_write, .valid_min = 1, .valid_max = 8,
    .impl_min = 1, .impl_max = 4,
};

/* ---- life ---- */

static void put16(uint8_t *p, uint32_t v)
{
    p[0] = v;
    p[1] = v >> 8;
}

/* JESD68.01, tables 1 to 4, and Intel's extended table. Of one chip. */
static void build_query(Pflash *s)
{
    static const uint8_t head[] = {
        'Q', 'R', 'Y', 0x01, 0x00, 0x31, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x45, 0x55, 0x00, 0x00,         /* 1b: supply voltages */
        0x07, 0x07, 0x0a, 0x00,         /* 1f: typical times: word, buffer, erase, whole chip */
        0x04, 0x04, 0x04, 0x00,         /* 23: the longest, as multiples of those */
    };
    static const uint8_t extended[] = {
        'P', 'R', 'I', '1', '0',
        0x20, 0x00, 0x00, 0x00,         /* 36: features: instant block lock */
        0x00, 0x01, 0x00,               /* 3a: lock status in bit 0 */
        0x00, 0x00,                     /* 3d: voltages */
    };
    uint64_t chip = s->cfg.size / chips(s);
    uint32_t sector = s->cfg.sector / chips(s);
    uint8_t *q = s->query;

    memcpy(q + 0x10, head, sizeof(head));
    q[0x27] = 64 - __builtin_clzll(chip - 1);
    put16(q + 0x28, s->cfg.chip_width == 1 ? 0 : 1);
    put16(q + 0x2a, s->cfg.width == 1 ? BUFFER_LOG2_NARROW : BUFFER_LOG2_WIDE);
    q[0x2c] = 1;                        /* one region of equal sectors */
    put16(q + 0x2d, chip / sector - 1);
    put16(q + 0x2f, sector / 256);
    memcpy(q + 0x31, extended, sizeof(extended));
}

static bool take_image(Pflash *s, Error **errp)
{
    uint64_t perm = BLOCK_PERM_CONSISTENT_READ;
    int64_t len;
    int ret;

    if (!blk_node(s->blk)) {
        error_setg(errp, "flash '%s': its drive is empty", s->dev.obj.name);
        return false;
    }
    s->readonly = blk_node(s->blk)->read_only;
    perm |= s->readonly ? 0 : BLOCK_PERM_WRITE;
    if (!blk_attach_device(s->blk, OBJECT(s), NULL, NULL, errp)) {
        return false;
    }
    if (!blk_set_perm(s->blk, perm, BLOCK_PERM_CONSISTENT_READ | BLOCK_PERM_WRITE_UNCHANGED, errp)) {
        goto undo;
    }
    len = blk_length(s->blk);
    if (len < 0) {
        error_setg_errno(errp, -len, "flash '%s': the size of its image", s->dev.obj.name);
        goto undo;
    }
    if ((uint64_t)len != s->cfg.size) {
        error_setg(errp, "device requires %" PRIu64 " bytes, block backend provides %" PRId64
                   " bytes", s->cfg.size, len);
        goto undo;
    }
    ret = blk_pread(s->blk, 0, len, storage(s), 0);
    if (ret < 0) {
        error_setg_errno(errp, -ret, "flash '%s': reading its image failed", s->dev.obj.name);
        goto undo;
    }
    return true;

undo:
    blk_detach_device(s->blk);
    return false;
}

/* A bank that is as large as its image. */
static bool size_by_image(Pflash *s, Error **errp)
{
    int64_t len = s->blk && blk_node(s->blk) ? blk_length(s->blk) : 0;

    if (len <= 0 || len % s->cfg.sector) {
        error_setg(errp, "system firmware block device %s has invalid size %" PRId64,
                   s->dev.obj.name, len);
        error_append_hint(errp, "its size must be a non-zero multiple of 0x%x\n", s->cfg.sector);
        return false;
    }
    if ((uint64_t)len > s->cfg.max_size) {
        error_setg(errp, "combined size of system firmware exceeds %" PRIu64 " bytes", s->cfg.max_size);
        return false;
    }
    s->cfg.size = len;
    return true;
}

static bool pflash_realize(DeviceState *dev, Error **errp)
{
    Pflash *s = PFLASH(dev);

    if (!s->cfg.size && !size_by_image(s, errp)) {
        return false;
    }
    build_query(s);
    s->status = STATUS_READY;
    s->mode = CMD_READ_ARRAY;
    s->locks_size = s->cfg.size / s->cfg.sector;
    s->locks = g_malloc0(s->locks_size);
    s->dirty = g_malloc0(s->cfg.size / PAGE);
    if (!memory_region_init_rom_device(&s->mem, OBJECT(s), &pflash_region_ops, s, dev->obj.name,
                                       s->cfg.size, errp)) {
        return false;
    }
    if (s->blk && !take_image(s, errp)) {
        memory_region_cleanup(&s->mem);
        return false;
    }
    if (s->blk) {
        s->run_notifier = run_state_notify(vm_state_changed, s, 0);
    }
    return true;
}

static void pflash_unrealize(DeviceState *dev)
{
    Pflash *s = PFLASH(dev);

    if (s->blk) {
        write_image(s);
        /* Nothing is left for what may be scheduled. */
        s->flush_pending = false;
        run_state_unnotify(s->run_notifier);
        blk_detach_device(s->blk);
    }
    memory_region_cleanup(&s->mem);
}

static void pflash_finalize(Object *obj)
{
    Pflash *s = (Pflash *)obj;

    g_free(s->locks);
    g_free(s->dirty);
}

/* Contents stay; sectors are unlocked, as chips that keep no lock over power-off have it. */
static void pflash_reset(DeviceState *dev)
{
    Pflash *s = PFLASH(dev);

    s->status = STATUS_READY;
    memset(s->locks, 0, s->locks_size);
    set_mode(s, CMD_READ_ARRAY);
}

static bool pflash_post_load(void *opaque, int version)
{
    Pflash *s = opaque;
    uint8_t step = s->step;

    if (s->locks_size != s->cfg.size / s->cfg.sector || s->step > STEP_BUFFER_CONFIRM ||
        s->buffer_base > s->cfg.size - buffer_size(s) || s->buffer_base % buffer_size(s) ||
        (s->step == STEP_BUFFER_DATA && !s->count)) {
        return false;
    }
    set_mode(s, s->mode);
    s->step = step;
    /* The contents came with the memory; the image may be another machine's. */
    if (!s->readonly) {
        changed(s, 0, s->cfg.size);
    }
    return true;
}

static const StateField pflash_fields[] = {
    STATE_F_UINT8(Pflash, mode),
    STATE_F_UINT8(Pflash, step),
    STATE_F_UINT8(Pflash, status),
    STATE_F_UINT32(Pflash, count),
    STATE_F_UINT64(Pflash, buffer_base),
    STATE_F_BYTES(Pflash, buffer),
    STATE_F_BYTES(Pflash, buffer_used),
    { .name = "locks", .kind = STATE_BUFFER, .offset = offsetof(Pflash, locks), .count = 1,
      .count_offset = offsetof(Pflash, locks_size), .max = MIB },
    STATE_F_END
};

static const StateTable pflash_state = {
    .name = "cfi.pflash01", .version = 1, .minimum_version = 1, .fields = pflash_fields,
    .post_load = pflash_post_load,
};

static const ObjectProperty pflash_properties[] = {
    PROP_DRIVE("drive", Pflash, blk, "Node name or ID of a block device to use as a backend"),
    PROP_END
};

static const DeviceOps pflash_ops = {
    .realize = pflash_realize, .unrealize = pflash_unrealize, .reset = pflash_reset,
    .state = &pflash_state, .category = DEVICE_CATEGORY_STORAGE,
};

OBJECT_TYPE(pflash_type) = {
    .name = "cfi.pflash01",
    .parent = &device_type,
    .description = "NOR flash",
    .instance_size = sizeof(Pflash),
    .instance_finalize = pflash_finalize,
    .properties = pflash_properties,
    .impls = TYPE_IMPLS({ &device_type, &pflash_ops }),
};

Pflash *pflash_create(Object *parent, const char *name, const PflashConfig *cfg, const char *node,
                      unsigned unit, Error **errp)
{
    DeviceState *dev = device_new(&pflash_type);
    const char *drive = drive_find_pflash(unit);

    g_assert(cfg->size % cfg->sector == 0 && cfg->sector % PAGE == 0);
    PFLASH(dev)->cfg = *cfg;
    object_add_child(parent, name, dev, &error_abort);
    if (node && drive) {
        error_setg(errp, "flash '%s' has an image already: use either the machine's property or"
                   " -drive if=pflash", name);
        object_unref(dev);
        return NULL;
    }
    node = node ? node : drive;
    if (node && !object_property_set_string(dev, "drive", node, errp)) {
        object_unref(dev);
        return NULL;
    }
    return device_realize_and_unref(dev, NULL, errp) ? PFLASH(dev) : NULL;
}

MemoryRegion *pflash_region(Pflash *s)
{
    return &s->mem;
}

BlockBackend *pflash_image(Pflash *s)
{
    return s->blk;
}

bool pflash_load(Pflash *s, const char *path, Error **errp)
{
    int fd = open_cloexec(path, O_RDONLY);
    uint64_t done = 0;
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0) {
        error_setg_errno(errp, errno, "Could not open firmware image '%s'", path);
        goto fail;
    }
    if ((uint64_t)st.st_size > s->cfg.size) {
        error_setg(errp, "firmware image '%s' has %" PRIu64 " bytes, the flash only %" PRIu64, path,
                   (uint64_t)st.st_size, s->cfg.size);
        goto fail;
    }
    while (done < (uint64_t)st.st_size) {
        ssize_t n = pread(fd, storage(s) + done, st.st_size - done, done);

        if (n <= 0 && errno != EINTR) {
            error_setg_errno(errp, n < 0 ? errno : EIO, "reading firmware image '%s'", path);
            goto fail;
        }
        done += MAX(n, 0);
    }
    close(fd);
    return true;

fail:
    if (fd >= 0) {
        close(fd);
    }
    return false;
}
