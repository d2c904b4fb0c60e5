/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dump-guest-memory: guest RAM and CPU registers as an ELF core file (System V
 * ABI, chapter 5) that crash and gdb read. Commands on the main thread with the
 * machine lock; with detach a worker writes while the guest stays stopped.
 */
#include "util/osdep.h"

#include <elf.h>
#include "hw/misc/vmcoreinfo.h"
#include "monitor/monitor.h"
#include "qapi-commands.h"
#include "qapi-events.h"
#include "system/cpus.h"
#include "system/dump.h"
#include "system/memory.h"
#include "system/runstate.h"
#include "system/target.h"
#include "util/cutils.h"
#include "util/event-loop.h"
#include "util/fdset.h"
#include "util/thread.h"

#define CHUNK (MIB)             /* written at a time, between looks at progress */

typedef struct DumpPiece {
    uint64_t addr, size;
    const uint8_t *host;
    RamBlock *ram;              /* reference */
} DumpPiece;

typedef struct Dump {
    int fd;
    bool resume;
    GArray *pieces;             /* DumpPiece */
    GByteArray *notes;
} Dump;

/* The last one, or the one that is running. @done: atomic. */
static struct {
    DumpStatus status;
    uint64_t total, done;
} last;

/* ---- what is to be written ---- */

typedef struct Collector {
    MemoryListener listener;
    GArray *pieces;
    uint64_t begin, end;
} Collector;

static void collect_section(MemoryListener *l, const MemorySection *s)
{
    Collector *c = l->opaque;
    uint64_t start = MAX(s->addr, c->begin), end = MIN(s->addr + s->size, c->end);

    if (s->host && s->mr->ram && start < end) {
        DumpPiece p = { start, end - start, s->host + (start - s->addr), s->mr->ram };

        ram_block_ref(p.ram);
        g_array_append_val(c->pieces, p);
    }
}

static void free_piece(void *p)
{
    ram_block_unref(((DumpPiece *)p)->ram);
}

static int by_address(const void *a, const void *b)
{
    uint64_t x = ((const DumpPiece *)a)->addr, y = ((const DumpPiece *)b)->addr;

    return x < y ? -1 : x > y;
}

static GArray *collect_pieces(uint64_t begin, uint64_t end)
{
    Collector c = {
        .listener = { .name = "dump", .region_add = collect_section },
        .pieces = g_array_new(false, false, sizeof(DumpPiece)), .begin = begin, .end = end,
    };

    c.listener.opaque = &c;
    g_array_set_clear_func(c.pieces, free_piece);
    memory_listener_register(&c.listener, &address_space_memory);
    memory_listener_unregister(&c.listener);
    g_array_sort(c.pieces, by_address);
    return c.pieces;
}

static GByteArray *collect_notes(void)
{
    GByteArray *out = g_byte_array_new();

    CPU_FOREACH(cpu) {
        const CpuOps *ops = object_ops(cpu, &cpu_type);

        cpu_state_load(cpu);
        if (ops->dump_notes) {
            ops->dump_notes(cpu, out);
        }
    }
    vmcoreinfo_append_note(out);
    return out;
}

/* ---- writing ---- */

static int write_all(int fd, const void *buf, size_t len)
{
    return write_full(fd, buf, len) ? 0 : -(errno ?: EIO);
}

static int write_headers(const Dump *d)
{
    uint64_t offset = sizeof(Elf64_Ehdr) + (1 + d->pieces->len) * sizeof(Elf64_Phdr);
    const Elf64_Ehdr e = {
        .e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
        .e_type = ET_CORE, .e_machine = system_target.arch == SYS_EMU_TARGET_AARCH64 ? EM_AARCH64 : EM_X86_64,
        .e_version = EV_CURRENT, .e_phoff = sizeof(e), .e_ehsize = sizeof(e),
        .e_phentsize = sizeof(Elf64_Phdr), .e_phnum = 1 + d->pieces->len,
    };
    const Elf64_Phdr note = {
        .p_type = PT_NOTE, .p_offset = offset, .p_filesz = d->notes->len, .p_memsz = d->notes->len,
    };
    g_autoptr(GByteArray) out = g_byte_array_new();

    g_byte_array_append(out, (const uint8_t *)&e, sizeof(e));
    g_byte_array_append(out, (const uint8_t *)&note, sizeof(note));
    offset += d->notes->len;
    for (guint i = 0; i < d->pieces->len; i++) {
        const DumpPiece *p = &g_array_index(d->pieces, DumpPiece, i);
        const Elf64_Phdr load = {
            .p_type = PT_LOAD, .p_offset = offset, .p_paddr = p->addr, .p_filesz = p->size, .p_memsz = p->size,
        };

        g_byte_array_append(out, (const uint8_t *)&load, sizeof(load));
        offset += p->size;
    }
    g_byte_array_append(out, d->notes->data, d->notes->len);
    return write_all(d->fd, out->data, out->len);
}

/* Any thread: touches memory that the pieces keep, and the file. */
static int write_dump(void *arg)
{
    const Dump *d = arg;
    int ret = write_headers(d);

    for (guint i = 0; !ret && i < d->pieces->len; i++) {
        const DumpPiece *p = &g_array_index(d->pieces, DumpPiece, i);

        for (uint64_t at = 0; !ret && at < p->size; at += CHUNK) {
            uint64_t n = MIN(CHUNK, p->size - at);

            ret = write_all(d->fd, p->host + at, n);
            __atomic_fetch_add(&last.done, n, __ATOMIC_RELAXED);
        }
    }
    return ret;
}

static void finish(void *opaque, int ret)
{
    Dump *d = opaque;
    g_autoptr(DumpQueryResult) result = NULL;

    if (close(d->fd) < 0 && !ret) {
        ret = -errno;
    }
    last.status = ret ? DUMP_STATUS_FAILED : DUMP_STATUS_COMPLETED;
    result = qmp_query_dump(NULL);
    g_autofree char *error = ret ? g_strdup_printf("dump: failed to save memory: %s", strerror(-ret)) : NULL;
    qapi_event_send_DUMP_COMPLETED(result, error);
    if (d->resume && run_state_is(RUN_STATE_SAVE_VM)) {
        vm_start();
    }
    g_array_unref(d->pieces);
    g_byte_array_unref(d->notes);
    g_free(d);
}

/* ---- commands ---- */

static int open_target(const char *protocol, Error **errp)
{
    int fd = -1;

    if (g_str_has_prefix(protocol, "fd:")) {
        return monitor_take_fd(monitor_current(), protocol + 3, errp);
    }
    if (!g_str_has_prefix(protocol, "file:")) {
        error_setg(errp, "Invalid parameter 'protocol'");
        return -1;
    }
    protocol += 5;
    fd = g_str_has_prefix(protocol, FDSET_PREFIX) ? fdset_open(protocol, O_WRONLY)
         : open(protocol, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, S_IRUSR);
    if (fd < 0) {
        error_setg_errno(errp, errno, "Could not open '%s'", protocol);
    }
    return fd;
}

static bool check_arguments(const QmpDumpGuestMemoryArgs *a, Error **errp)
{
    if (last.status == DUMP_STATUS_ACTIVE) {
        error_setg(errp, "There is a dump in process, please wait.");
    } else if (a->has_format && a->format != DUMP_GUEST_MEMORY_FORMAT_ELF) {
        error_setg(errp, "dump format '%s' is not supported; only 'elf' is",
                   DumpGuestMemoryFormat_str(a->format));
    } else if (a->paging) {
        error_setg(errp, "dumps by virtual address (paging) are not supported");
    } else if (a->has_begin && !a->has_length) {
        error_setg(errp, "Parameter 'length' is missing");
    } else if (!a->has_begin && a->has_length) {
        error_setg(errp, "Parameter 'begin' is missing");
    } else if (a->has_begin && (a->begin < 0 || a->length <= 0 || a->length > INT64_MAX - a->begin)) {
        error_setg(errp, "Parameter 'length' expects a range of guest memory");
    } else {
        return true;
    }
    return false;
}

bool qmp_dump_guest_memory(const QmpDumpGuestMemoryArgs *a, Error **errp)
{
    Dump *d;
    int fd;

    if (!check_arguments(a, errp)) {
        return false;
    }
    fd = open_target(a->protocol, errp);
    if (fd < 0) {
        return false;
    }
    d = g_new0(Dump, 1);
    *d = (Dump){
        .fd = fd, .resume = run_state_is(RUN_STATE_RUNNING),
        .pieces = collect_pieces(a->has_begin ? a->begin : 0, a->has_begin ? a->begin + a->length : UINT64_MAX),
    };
    last.total = last.done = 0;
    if (!d->pieces->len || d->pieces->len > PN_XNUM - 2) {
        error_setg(errp, d->pieces->len ? "dump: guest memory has too many pieces" : "dump: no guest memory to dump");
        last.status = DUMP_STATUS_FAILED;
        g_array_unref(d->pieces);
        g_free(d);
        close(fd);
        return false;
    }
    for (guint i = 0; i < d->pieces->len; i++) {
        last.total += g_array_index(d->pieces, DumpPiece, i).size;
    }
    if (d->resume) {
        vm_stop(RUN_STATE_SAVE_VM);
    }
    d->notes = collect_notes();
    last.status = DUMP_STATUS_ACTIVE;
    if (a->has_detach && a->detach) {
        thread_pool_run(write_dump, d, finish, d);
        return true;
    }
    int ret = write_dump(d);
    finish(d, ret);
    if (ret) {
        error_setg_errno(errp, -ret, "dump: failed to save memory");
    }
    return !ret;
}

DumpQueryResult *qmp_query_dump(Error **errp)
{
    DumpQueryResult *r = g_new0(DumpQueryResult, 1);

    r->status = last.status;
    r->completed = (int64_t)__atomic_load_n(&last.done, __ATOMIC_RELAXED);
    r->total = (int64_t)last.total;
    return r;
}

DumpGuestMemoryCapability *qmp_query_dump_guest_memory_capability(Error **errp)
{
    DumpGuestMemoryCapability *c = g_new0(DumpGuestMemoryCapability, 1);

    c->formats = g_new0(DumpGuestMemoryFormatList, 1);
    c->formats->value = DUMP_GUEST_MEMORY_FORMAT_ELF;
    return c;
}
