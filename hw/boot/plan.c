/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Plans of direct boot: image files, pieces of guest memory, and putting them
 * there. Main thread. Trusts neither the image files nor what the guest left in
 * memory.
 */
#include "util/osdep.h"

#include <elf.h>
#include <sys/stat.h>
#include "hw/boot/plan.h"
#include "internal.h"
#include "system/memory.h"
#include "util/cutils.h"

/* ---- image files ---- */

BootFile *boot_file_open(const char *path, const char *what, Error **errp)
{
    int fd = open_cloexec(path, O_RDONLY);
    if (fd < 0) {
        error_setg_errno(errp, errno, "could not open %s '%s'", what, path);
        return NULL;
    }
    struct stat st;
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        error_setg(errp, "%s '%s' is not a regular file", what, path);
        close(fd);
        return NULL;
    }
    BootFile *f = g_new0(BootFile, 1);
    f->path = g_strdup(path);
    f->what = what;
    f->fd = fd;
    f->size = st.st_size;
    return f;
}

void boot_file_close(BootFile *f)
{
    if (f) {
        close(f->fd);
        g_free(f->path);
        g_free(f);
    }
}

bool boot_file_read(const BootFile *f, uint64_t offset, void *buf, uint64_t len, Error **errp)
{
    if (offset > f->size || len > f->size - offset) {
        error_setg(errp, "%s '%s' is truncated: %" PRIu64 " bytes at offset %" PRIu64
                   " lie beyond its end (%" PRIu64 ")", f->what, f->path, len, offset, f->size);
        return false;
    }
    uint8_t *p = buf;
    while (len) {
        ssize_t n = pread(f->fd, p, MIN(len, GIB), offset);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            error_setg_errno(errp, errno, "could not read %s '%s'", f->what, f->path);
            return false;
        }
        if (n == 0) {
            error_setg(errp, "%s '%s' has become shorter", f->what, f->path);
            return false;
        }
        p += n;
        offset += n;
        len -= n;
    }
    return true;
}

/* ---- pieces ---- */

bool boot_plan_check_ram(const BootPlan *p, const BootFile *f, uint64_t addr, uint64_t size,
                         Error **errp)
{
    if (memmap_is_ram(p->memmap, addr, size)) {
        return true;
    }
    error_setg(errp, "%s '%s' does not fit: it wants %" PRIu64 " bytes at 0x%" PRIx64
               ", which is not all RAM", f->what, f->path, size, addr);
    error_append_hint(errp, "Give the guest more memory (-m), or check the image.\n");
    return false;
}

void boot_plan_add_file(BootPlan *p, const BootFile *f, uint64_t offset, uint64_t addr,
                        uint64_t len)
{
    if (len) {
        BootPiece piece = { .file = f, .file_offset = offset, .addr = addr, .len = len };
        g_array_append_val(p->pieces, piece);
    }
}

void boot_plan_take_data(BootPlan *p, uint8_t *data, uint64_t addr, uint64_t len)
{
    BootPiece piece = { .data = data, .addr = addr, .len = len };
    g_array_append_val(p->pieces, piece);
}

void boot_plan_add_zeros(BootPlan *p, uint64_t addr, uint64_t len)
{
    if (len) {
        BootPiece piece = { .addr = addr, .len = len };
        g_array_append_val(p->pieces, piece);
    }
}

uint64_t boot_plan_add_table(BootPlan *p, const void *data, size_t len, unsigned align,
                             Error **errp)
{
    uint64_t addr = ROUND_UP(p->scratch, align);
    if (len > BOOT_SCRATCH_END || addr + len > BOOT_SCRATCH_END ||
        !memmap_is_ram(p->memmap, addr, len)) {
        error_setg(errp, "%s '%s': no room below 640 KiB for %zu bytes of boot information"
                   " (is the command line too long?)", p->kernel->what, p->kernel->path, len);
        return 0;
    }
    boot_plan_take_data(p, g_memdup2(data, len), addr, len);
    p->scratch = addr + len;
    return addr;
}

void boot_plan_claim(BootPlan *p, uint64_t start, uint64_t end)
{
    if (p->kernel_end == 0) {
        p->kernel_start = start;
        p->kernel_end = end;
    } else {
        p->kernel_start = MIN(p->kernel_start, start);
        p->kernel_end = MAX(p->kernel_end, end);
    }
}

bool boot_plan_place_initrd(BootPlan *p, uint64_t limit, Error **errp)
{
    const BootFile *f = p->initrd;
    if (!f || f->size == 0) {
        return true;
    }
    uint64_t end = MIN(limit, memmap_ram_end(p->memmap, MIB));
    uint64_t addr = f->size < end ? ROUND_DOWN(end - f->size, BOOT_PAGE) : 0;
    if (p->kernel_start < addr + f->size && p->kernel_end > addr) {
        /* The kernel lies at the top: go below it. */
        addr = f->size < p->kernel_start
               ? ROUND_DOWN(p->kernel_start - f->size, BOOT_PAGE) : 0;
    }
    if (addr < MIB) {
        error_setg(errp, "initrd '%s' (%" PRIu64 " bytes) does not fit beside the kernel below"
                   " 0x%" PRIx64, f->path, f->size, end);
        error_append_hint(errp, "Give the guest more memory (-m).\n");
        return false;
    }
    p->initrd_addr = addr;
    boot_plan_add_file(p, f, 0, addr, f->size);
    return true;
}

/* Our tables and what the image loads must not share memory. */
static bool check_scratch(const BootPlan *p, Error **errp)
{
    for (guint i = 0; i < p->pieces->len; i++) {
        const BootPiece *piece = &g_array_index(p->pieces, BootPiece, i);
        if (!piece->data && piece->addr < p->scratch) {
            error_setg(errp, "%s '%s' loads at 0x%" PRIx64 ", where boot information lies"
                       " (0x%x to 0x%" PRIx64 ")", p->kernel->what, p->kernel->path, piece->addr,
                       BOOT_SCRATCH_START, p->scratch);
            return false;
        }
    }
    return true;
}

/* ---- making a plan ---- */

static bool plan_elf(BootPlan *p, Error **errp)
{
    g_autofree ElfImage *elf = g_new0(ElfImage, 1);
    if (!elf_parse(p->kernel, elf, errp)) {
        return false;
    }
    if (elf->machine == EM_AARCH64) {
        error_setg(errp, "%s '%s' is an ELF file, but not for x86", p->kernel->what, p->kernel->path);
        return false;
    }
    if (!elf->has_pvh) {
        error_setg(errp, "%s '%s' is an ELF file without a PVH entry note and without a"
                   " Multiboot header", p->kernel->what, p->kernel->path);
        return false;
    }
    return elf_plan(p, elf, errp) && pvh_plan(p, elf, errp);
}

static bool plan_kernel(BootPlan *p, const char *initrd, Error **errp)
{
    g_autofree uint8_t *head = g_malloc0(BOOT_PROBE_SIZE);
    size_t len = MIN(p->kernel->size, BOOT_PROBE_SIZE);
    if (!boot_file_read(p->kernel, 0, head, len, errp)) {
        return false;
    }
    int multiboot = -1;
    bool bzimage = bzimage_recognise(head, len);
    if (!bzimage) {
        multiboot = multiboot_recognise(head, len);
    }
    if (multiboot >= 0) {
        return multiboot_plan(p, head, multiboot, initrd, errp);
    }
    if (initrd) {
        p->initrd = boot_file_open(initrd, "initrd", errp);
        if (!p->initrd) {
            return false;
        }
    }
    if (bzimage) {
        return bzimage_plan(p, head, len, errp);
    }
    if (elf_recognise(head, len)) {
        return plan_elf(p, errp);
    }
    error_setg(errp, "kernel image '%s' has no known format (ELF with a PVH note, Linux bzImage,"
               " Multiboot)", p->kernel->path);
    return false;
}

BootPlan *boot_plan_open(const BootSpec *spec, Error **errp)
{
    g_autoptr(BootPlan) p = g_new0(BootPlan, 1);
    p->memmap = spec->memmap;
    p->rsdp = spec->rsdp;
    p->cmdline = g_strdup(spec->cmdline ? spec->cmdline : "");
    p->scratch = BOOT_SCRATCH_START;
    p->pieces = g_array_new(false, false, sizeof(BootPiece));
    p->modules = g_ptr_array_new_with_free_func((GDestroyNotify)boot_file_close);
    p->kernel = boot_file_open(spec->kernel, "kernel image", errp);
    return p->kernel ? g_steal_pointer(&p) : NULL;
}

BootPlan *boot_plan_new(const BootSpec *spec, Error **errp)
{
    g_autoptr(BootPlan) p = boot_plan_open(spec, errp);
    if (!p || !plan_kernel(p, spec->initrd, errp) || !check_scratch(p, errp)) {
        return NULL;
    }
    return g_steal_pointer(&p);
}

void boot_plan_free(BootPlan *p)
{
    if (!p) {
        return;
    }
    for (guint i = 0; i < p->pieces->len; i++) {
        g_free(g_array_index(p->pieces, BootPiece, i).data);
    }
    g_array_unref(p->pieces);
    g_ptr_array_unref(p->modules);
    boot_file_close(p->kernel);
    boot_file_close(p->initrd);
    g_free(p->cmdline);
    g_free(p);
}

/* ---- carrying it out ---- */

static bool fill(const BootPiece *piece, uint64_t done, void *host, uint64_t len, Error **errp)
{
    if (piece->file) {
        return boot_file_read(piece->file, piece->file_offset + done, host, len, errp);
    }
    if (piece->data) {
        memcpy(host, piece->data + done, len);
    } else {
        memset(host, 0, len);
    }
    return true;
}

static bool apply_piece(const BootPiece *piece, AddressSpace *as, Error **errp)
{
    for (uint64_t done = 0; done < piece->len; ) {
        uint64_t len = piece->len - done;
        void *host = guest_map(as, piece->addr + done, &len, true);
        if (!host) {
            error_setg(errp, "boot image: no RAM at 0x%" PRIx64, piece->addr + done);
            return false;
        }
        bool ok = fill(piece, done, host, len, errp);
        guest_unmap(as, host, len, true, len);
        if (!ok) {
            return false;
        }
        done += len;
    }
    return true;
}

bool boot_plan_apply(const BootPlan *p, AddressSpace *as, bool fresh, Error **errp)
{
    for (guint i = 0; i < p->pieces->len; i++) {
        const BootPiece *piece = &g_array_index(p->pieces, BootPiece, i);
        bool zeros = !piece->file && !piece->data;
        if (!(zeros && fresh) && !apply_piece(piece, as, errp)) {
            return false;
        }
    }
    return true;
}
