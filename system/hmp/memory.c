/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Human monitor commands on guest memory, ports and registers. Main thread with
 * the machine lock. Addresses are the user's; memory is read through the
 * checked door only.
 */
#include "util/osdep.h"
#include "hmp-text.h"
#include "qapi-commands.h"
#include "system/cpus.h"
#include "system/memory.h"
#include "util/bswap.h"
#include "util/cutils.h"

#define LINE_SIZE 16

static CpuState *monitor_cpu(Hmp *hmp, Error **errp)
{
    CpuState *cpu = cpu_by_index(hmp_cpu_index(hmp));

    if (!cpu) {
        error_setg(errp, "No CPU available");
        return NULL;
    }
    cpu_state_load(cpu);
    return cpu;
}

static const CpuOps *ops_of(CpuState *cpu)
{
    return object_ops(cpu, &cpu_type);
}

/* Linked in with these commands: what "$name" means in their arguments. */
static bool lookup_register(int index, const char *name, int64_t *value)
{
    CpuState *cpu = cpu_by_index(index);

    if (!cpu || !ops_of(cpu)->get_register) {
        return false;
    }
    cpu_state_load(cpu);
    return ops_of(cpu)->get_register(cpu, name, value);
}

void hmp_memory_init(void)
{
    hmp_set_register_lookup(lookup_register);
}

/* ---- x, xp ---- */

/* @cpu NULL: physical. Through at most one page at a time, as neighbours may be anywhere. */
static bool read_memory(CpuState *cpu, uint64_t addr, uint8_t *buf, size_t len)
{
    while (len) {
        size_t n = MIN(len, 4096 - (addr & 4095));
        uint64_t physical = addr;

        if (cpu && ops_of(cpu)->translate && !ops_of(cpu)->translate(cpu, addr, &physical)) {
            return false;
        }
        if (guest_read(&address_space_memory, physical, buf, n) == GUEST_UNASSIGNED) {
            return false;
        }
        buf += n;
        addr += n;
        len -= n;
    }
    return true;
}

static uint64_t load(const uint8_t *p, int size)
{
    return load_le(p, size);
}

static void print_character(Hmp *hmp, uint8_t c)
{
    const char *special = strchr("\nn\rr\\\\\'\'", c);

    if (c && special && (special - "\nn\rr\\\\\'\'") % 2 == 0) {
        hmp_printf(hmp, "'\\%c'", special[1]);
    } else if (c >= 32 && c < 127) {
        hmp_printf(hmp, "'%c'", c);
    } else {
        hmp_printf(hmp, "'\\x%02x'", c);
    }
}

static void print_value(Hmp *hmp, const HmpFormat *f, uint64_t v)
{
    static const uint8_t octal[] = { [1] = 3, [2] = 6, [4] = 11, [8] = 22 };
    static const uint8_t decimal[] = { [1] = 3, [2] = 5, [4] = 10, [8] = 20 };
    unsigned unused = 64 - 8 * f->size;

    hmp_puts(hmp, " ");
    switch (f->format) {
    case 'o':
        hmp_printf(hmp, "%#*" PRIo64, octal[f->size], v);
        break;
    case 'u':
        hmp_printf(hmp, "%*" PRIu64, decimal[f->size], v);
        break;
    case 'd':
        hmp_printf(hmp, "%*" PRId64, decimal[f->size], (int64_t)(v << unused) >> unused);
        break;
    case 'c':
        print_character(hmp, (uint8_t)v);
        break;
    default:
        hmp_printf(hmp, "0x%0*" PRIx64, 2 * f->size, v);
        break;
    }
}

static bool dump(Hmp *hmp, const HmpArgs *args, CpuState *cpu, Error **errp)
{
    HmpFormat f = hmp_format(args);
    uint64_t addr = (uint64_t)hmp_number(args, "addr", 0);
    uint64_t left = (uint64_t)f.count * f.size;

    if (f.format == 'i') {
        error_setg(errp, "there is no disassembler");
        return false;
    }
    if (f.format == 'c') {
        f.size = 1;
    }
    while (left) {
        size_t n = MIN(left, LINE_SIZE);
        uint8_t line[LINE_SIZE];

        hmp_printf(hmp, "%016" PRIx64 ":", addr);
        if (!read_memory(cpu, addr, line, n)) {
            hmp_puts(hmp, " Cannot access memory\n");
            break;
        }
        for (size_t i = 0; i < n; i += f.size) {
            print_value(hmp, &f, load(line + i, f.size));
        }
        hmp_puts(hmp, "\n");
        addr += n;
        left -= n;
    }
    return true;
}

static bool run_x(Hmp *hmp, const HmpArgs *args, Error **errp)
{
    CpuState *cpu = monitor_cpu(hmp, errp);

    return cpu && dump(hmp, args, cpu, errp);
}

static bool run_xp(Hmp *hmp, const HmpArgs *args, Error **errp)
{
    return dump(hmp, args, NULL, errp);
}

/* ---- values ---- */

static bool run_print(Hmp *hmp, const HmpArgs *args, Error **errp)
{
    int64_t v = hmp_number(args, "val", 0);

    switch (hmp_format(args).format) {
    case 'o':
        hmp_printf(hmp, "%#" PRIo64, (uint64_t)v);
        break;
    case 'u':
        hmp_printf(hmp, "%" PRIu64, (uint64_t)v);
        break;
    case 'd':
        hmp_printf(hmp, "%" PRId64, v);
        break;
    case 'c':
        print_character(hmp, (uint8_t)v);
        break;
    default:
        hmp_printf(hmp, "%#" PRIx64, (uint64_t)v);
        break;
    }
    hmp_puts(hmp, "\n");
    return true;
}

/* The BSD checksum. */
static bool run_sum(Hmp *hmp, const HmpArgs *args, Error **errp)
{
    uint64_t addr = (uint64_t)hmp_number(args, "start", 0);
    int64_t size = hmp_number(args, "size", 0);
    uint16_t sum = 0;

    if (size < 0 || size > (int64_t)GIB) {
        error_setg(errp, "size expects 0 to 1 GiB");
        return false;
    }
    for (int64_t i = 0; i < size; i++) {
        uint8_t byte = 0;

        guest_read(&address_space_memory, addr + (uint64_t)i, &byte, 1);
        sum = (uint16_t)((sum >> 1) | (sum << 15));
        sum = (uint16_t)(sum + byte);
    }
    hmp_printf(hmp, "%05d\n", sum);
    return true;
}

/* ---- ports ---- */

static const char port_suffix[] = { [1] = 'b', [2] = 'w', [4] = 'l' };

static bool port_format(const HmpArgs *args, HmpFormat *f, Error **errp)
{
    *f = hmp_format(args);
    if (f->size > 4) {
        error_setg(errp, "ports have 1, 2 or 4 bytes: /b, /h or /w");
        return false;
    }
    return true;
}

static bool run_in(Hmp *hmp, const HmpArgs *args, Error **errp)
{
    uint16_t port = (uint16_t)hmp_number(args, "addr", 0);
    uint64_t value = 0;
    HmpFormat f;

    if (!port_format(args, &f, errp)) {
        return false;
    }
    if (hmp_has(args, "index")) {
        guest_access_write(&address_space_io, port, 1, (uint8_t)hmp_number(args, "index", 0));
        port++;
    }
    guest_access_read(&address_space_io, port, f.size, &value);
    hmp_printf(hmp, "port%c[0x%04x] = 0x%0*" PRIx64 "\n", port_suffix[f.size], port, f.size * 2, value);
    return true;
}

static bool run_out(Hmp *hmp, const HmpArgs *args, Error **errp)
{
    HmpFormat f;

    if (!port_format(args, &f, errp)) {
        return false;
    }
    guest_access_write(&address_space_io, (uint16_t)hmp_number(args, "addr", 0), f.size,
                       (uint64_t)hmp_number(args, "val", 0));
    return true;
}

/* ---- addresses ---- */

/* The host's address of guest address @addr, which stays mapped during the command. */
static bool find_host(Hmp *hmp, uint64_t addr, const RamBlock **rb, const uint8_t **host)
{
    uint64_t len = 1, offset;
    void *p = guest_map(&address_space_memory, addr, &len, false);
    RamBlock *block;

    if (!p) {
        hmp_printf(hmp, "No memory is mapped at address 0x%" PRIx64 "\n", addr);
        return false;
    }
    if (guest_ram_block_of(p, &block, &offset)) {
        *rb = block;
    }
    *host = p;
    guest_unmap(&address_space_memory, p, len, false, 0);
    return true;
}

static bool run_gpa2hva(Hmp *hmp, const HmpArgs *args, Error **errp)
{
    uint64_t addr = (uint64_t)hmp_number(args, "addr", 0);
    const RamBlock *rb = NULL;
    const uint8_t *host;

    if (!find_host(hmp, addr, &rb, &host)) {
        return true;
    }
    hmp_printf(hmp, "Host virtual address for 0x%" PRIx64 " (%s) is %p\n", addr, rb ? rb->id : "", host);
    return true;
}

/* Linux Documentation/admin-guide/mm/pagemap.rst: frame number in bits 0 to 54, bit 63 present. */
static bool run_gpa2hpa(Hmp *hmp, const HmpArgs *args, Error **errp)
{
    uint64_t addr = (uint64_t)hmp_number(args, "addr", 0), entry = 0;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    const RamBlock *rb = NULL;
    const uint8_t *host;
    ssize_t n;
    int fd;

    if (!find_host(hmp, addr, &rb, &host)) {
        return true;
    }
    fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    n = fd < 0 ? -1 : pread(fd, &entry, sizeof(entry), (off_t)((uintptr_t)host / page * sizeof(entry)));
    if (fd >= 0) {
        close(fd);
    }
    if (n != sizeof(entry)) {
        error_setg(errp, "Cannot read /proc/self/pagemap");
        return false;
    }
    if (!(entry >> 63)) {
        error_setg(errp, "Page not present");
        return false;
    }
    hmp_printf(hmp, "Host physical address for 0x%" PRIx64 " (%s) is 0x%" PRIx64 "\n", addr, rb ? rb->id : "",
               (entry & ((UINT64_C(1) << 55) - 1)) * page | ((uintptr_t)host & (page - 1)));
    return true;
}

static bool run_gva2gpa(Hmp *hmp, const HmpArgs *args, Error **errp)
{
    uint64_t addr = (uint64_t)hmp_number(args, "addr", 0), physical;
    CpuState *cpu = monitor_cpu(hmp, errp);

    if (!cpu) {
        return false;
    }
    if (!ops_of(cpu)->translate || !ops_of(cpu)->translate(cpu, addr, &physical)) {
        hmp_puts(hmp, "Unmapped\n");
    } else {
        hmp_printf(hmp, "gpa: %#" PRIx64 "\n", physical);
    }
    return true;
}

/* ---- saving ---- */

bool qmp_memsave(const QmpMemsaveArgs *args, Error **errp)
{
    CpuState *cpu = cpu_by_index(args->has_cpu_index ? (int)args->cpu_index : 0);
    int64_t addr = args->val, left = args->size;
    g_autofree uint8_t *buf = g_malloc(4096);
    FILE *f;

    if (!cpu) {
        error_setg(errp, "Parameter 'cpu-index' expects a CPU number");
        return false;
    }
    cpu_state_load(cpu);
    f = fopen(args->filename, "wbe");
    if (!f) {
        error_setg_errno(errp, errno, "Could not open '%s'", args->filename);
        return false;
    }
    while (left > 0) {
        size_t n = (size_t)MIN(left, 4096);

        if (!read_memory(cpu, (uint64_t)addr, buf, n)) {
            error_setg(errp, "Invalid addr 0x%016" PRIx64 "/size %" PRId64 " specified", args->val, args->size);
            fclose(f);
            return false;
        }
        if (fwrite(buf, 1, n, f) != n) {
            error_setg_errno(errp, errno, "writing memory to '%s' failed", args->filename);
            fclose(f);
            return false;
        }
        addr += (int64_t)n;
        left -= (int64_t)n;
    }
    if (fclose(f) != 0) {
        error_setg_errno(errp, errno, "writing memory to '%s' failed", args->filename);
        return false;
    }
    return true;
}

static bool run_memsave(Hmp *hmp, const HmpArgs *args, Error **errp)
{
    const QmpMemsaveArgs a = {
        .val = hmp_number(args, "val", 0), .size = hmp_number(args, "size", 0),
        .filename = (char *)hmp_string(args, "filename"),
        .has_cpu_index = true, .cpu_index = hmp_cpu_index(hmp),
    };

    return qmp_memsave(&a, errp);
}

static bool run_pmemsave(Hmp *hmp, const HmpArgs *args, Error **errp)
{
    const QmpPmemsaveArgs a = {
        .val = hmp_number(args, "val", 0), .size = hmp_number(args, "size", 0),
        .filename = (char *)hmp_string(args, "filename"),
    };

    return qmp_pmemsave(&a, errp);
}

/* "-z", "-l", "-s" and "-w" name formats. */
static bool run_dump(Hmp *hmp, const HmpArgs *args, Error **errp)
{
    static const struct {
        const char *flag;
        DumpGuestMemoryFormat format;
    } formats[] = {
        { "zlib", DUMP_GUEST_MEMORY_FORMAT_KDUMP_ZLIB }, { "lzo", DUMP_GUEST_MEMORY_FORMAT_KDUMP_LZO },
        { "snappy", DUMP_GUEST_MEMORY_FORMAT_KDUMP_SNAPPY }, { "windmp", DUMP_GUEST_MEMORY_FORMAT_WIN_DMP },
    };
    g_autofree char *protocol = g_strdup_printf("file:%s", hmp_string(args, "filename"));
    QmpDumpGuestMemoryArgs a = {
        .paging = hmp_bool(args, "paging"), .protocol = protocol,
        .has_detach = true, .detach = hmp_bool(args, "detach"),
        .has_begin = hmp_has(args, "begin"), .begin = hmp_number(args, "begin", 0),
        .has_length = hmp_has(args, "length"), .length = hmp_number(args, "length", 0),
    };

    for (unsigned i = 0; i < ARRAY_SIZE(formats); i++) {
        if (hmp_bool(args, formats[i].flag)) {
            a.has_format = true;
            a.format = formats[i].format;
        }
    }
    return qmp_dump_guest_memory(&a, errp);
}

static bool info_dump(Hmp *hmp, const HmpArgs *args, Error **errp)
{
    g_autoptr(DumpQueryResult) r = qmp_query_dump(errp);

    hmp_printf(hmp, "Status: %s\n", DumpStatus_str(r->status));
    if (r->status == DUMP_STATUS_ACTIVE) {
        hmp_printf(hmp, "Finished: %.2f %%\n", r->total ? 100.0 * (double)r->completed / (double)r->total : 0.0);
    }
    return true;
}

/* ---- CPUs ---- */

static bool run_cpu(Hmp *hmp, const HmpArgs *args, Error **errp)
{
    int64_t index = hmp_number(args, "index", 0);

    if (index < 0 || index > INT_MAX || !cpu_by_index((int)index)) {
        hmp_puts(hmp, "invalid CPU index\n");
    } else {
        hmp_set_cpu_index(hmp, (int)index);
    }
    return true;
}

static void print_registers(Hmp *hmp, CpuState *cpu)
{
    g_autoptr(GString) text = g_string_new(NULL);

    cpu_state_load(cpu);
    ops_of(cpu)->print_state(cpu, text);
    hmp_printf(hmp, "\nCPU#%d\n%s", cpu->index, text->str);
}

static bool info_registers(Hmp *hmp, const HmpArgs *args, Error **errp)
{
    int64_t index = hmp_number(args, "vcpu", hmp_cpu_index(hmp));
    CpuState *one;

    if (hmp_bool(args, "all")) {
        CPU_FOREACH(cpu) {
            print_registers(hmp, cpu);
        }
        return true;
    }
    one = index >= 0 && index <= INT_MAX ? cpu_by_index((int)index) : NULL;
    if (one) {
        print_registers(hmp, one);
    } else {
        hmp_puts(hmp, cpu_first() ? "CPU#" : "No CPU available\n");
        if (cpu_first()) {
            hmp_printf(hmp, "%" PRId64 " not available\n", index);
        }
    }
    return true;
}

static bool print_mappings(Hmp *hmp, bool ranges)
{
    CpuState *cpu = monitor_cpu(hmp, NULL);
    g_autoptr(GString) text = g_string_new(NULL);

    if (!cpu || !ops_of(cpu)->print_mappings) {
        hmp_puts(hmp, "No CPU available\n");
        return true;
    }
    ops_of(cpu)->print_mappings(cpu, ranges, text);
    hmp_puts(hmp, text->str);
    return true;
}

static bool info_mem(Hmp *hmp, const HmpArgs *args, Error **errp)
{
    return print_mappings(hmp, true);
}

static bool info_tlb(Hmp *hmp, const HmpArgs *args, Error **errp)
{
    return print_mappings(hmp, false);
}

static bool info_mtree(Hmp *hmp, const HmpArgs *args, Error **errp)
{
    g_autoptr(GString) text = g_string_new(NULL);

    memory_print_tree(text, hmp_bool(args, "flat"));
    hmp_puts(hmp, text->str);
    return true;
}

/* ---- RAM blocks ---- */

static void print_block(RamBlock *rb, void *opaque)
{
    GString *out = opaque;
    g_autofree char *page = format_size(rb->page_size);

    g_string_append_printf(out, "%24s %8s  0x%016" PRIx64 " 0x%016" PRIx64 " 0x%016" PRIx64 "\n", rb->id, page,
                           rb->fd_offset, rb->size, rb->max_size);
}

static char *ram_blocks_text(void)
{
    GString *out = g_string_new(NULL);

    g_string_append_printf(out, "%24s %8s  %18s %18s %18s\n", "Block Name", "PSize", "Offset", "Used", "Total");
    ram_block_foreach(print_block, out);
    return g_string_free(out, FALSE);
}

HumanReadableText *qmp_x_query_ramblock(Error **errp)
{
    HumanReadableText *text = g_new0(HumanReadableText, 1);

    text->human_readable_text = ram_blocks_text();
    return text;
}

static bool info_ramblock(Hmp *hmp, const HmpArgs *args, Error **errp)
{
    g_autofree char *text = ram_blocks_text();

    hmp_puts(hmp, text);
    return true;
}

#define FMT { "fmt", HMP_FORMAT }

HMP_COMMANDS(memory_commands) = {
    { "x", "/fmt addr", "virtual memory dump starting at 'addr'",
      HMP_ARGS(FMT, { "addr", HMP_NUMBER }), run_x },
    { "xp", "/fmt addr", "physical memory dump starting at 'addr'",
      HMP_ARGS(FMT, { "addr", HMP_NUMBER }), run_xp },
    { "print|p", "/fmt expr", "print expression value (use $reg for CPU register access)",
      HMP_ARGS(FMT, { "val", HMP_NUMBER }), run_print },
    { "i", "/fmt addr", "I/O port read",
      HMP_ARGS(FMT, { "addr", HMP_NUMBER }, { "index", HMP_NUMBER, .optional = true }), run_in },
    { "o", "/fmt addr value", "I/O port write",
      HMP_ARGS(FMT, { "addr", HMP_NUMBER }, { "val", HMP_NUMBER }), run_out },
    { "sum", "addr size", "compute the checksum of a memory region",
      HMP_ARGS({ "start", HMP_NUMBER }, { "size", HMP_NUMBER }), run_sum },
    { "gpa2hva", "addr", "print the host virtual address corresponding to a guest physical address",
      HMP_ARGS({ "addr", HMP_NUMBER }), run_gpa2hva },
    { "gpa2hpa", "addr", "print the host physical address corresponding to a guest physical address",
      HMP_ARGS({ "addr", HMP_NUMBER }), run_gpa2hpa },
    { "gva2gpa", "addr", "print the guest physical address corresponding to a guest virtual address",
      HMP_ARGS({ "addr", HMP_NUMBER }), run_gva2gpa },
    { "memsave", "addr size file", "save to disk virtual memory dump starting at 'addr' of size 'size'",
      HMP_ARGS({ "val", HMP_NUMBER }, { "size", HMP_NUMBER }, { "filename", HMP_FILE }), run_memsave },
    { "pmemsave", "addr size file", "save to disk physical memory dump starting at 'addr' of size 'size'",
      HMP_ARGS({ "val", HMP_NUMBER }, { "size", HMP_NUMBER }, { "filename", HMP_FILE }), run_pmemsave },
    { "dump-guest-memory", "[-p] [-d] [-z|-l|-s|-w] filename [begin length]", "dump guest memory into file 'filename'.",
      HMP_ARGS({ "paging", HMP_FLAG, .flag = 'p' }, { "detach", HMP_FLAG, .flag = 'd' },
               { "windmp", HMP_FLAG, .flag = 'w' }, { "zlib", HMP_FLAG, .flag = 'z' },
               { "lzo", HMP_FLAG, .flag = 'l' }, { "snappy", HMP_FLAG, .flag = 's' },
               { "filename", HMP_FILE }, { "begin", HMP_NUMBER, .optional = true },
               { "length", HMP_NUMBER, .optional = true }), run_dump },
    { "cpu", "index", "set the default CPU", HMP_ARGS({ "index", HMP_NUMBER }), run_cpu },
    HMP_END
};

HMP_INFO(memory_infos) = {
    { "dump", "", "Display the latest dump status", NULL, info_dump },
    { "registers", "[-a|vcpu]", "show the cpu registers (-a: show register info for all cpus; vcpu: specific vCPU "
      "to query; show the current CPU's registers if no argument is specified)",
      HMP_ARGS({ "all", HMP_FLAG, .flag = 'a' }, { "vcpu", HMP_NUMBER, .optional = true }), info_registers },
    { "mem", "", "show the active virtual memory mappings", NULL, info_mem },
    { "tlb", "", "show virtual to physical memory mappings", NULL, info_tlb },
    { "mtree", "[-f]", "show memory tree (-f: dump flat view for address spaces)",
      HMP_ARGS({ "flat", HMP_FLAG, .flag = 'f' }), info_mtree },
    { "ramblock", "", "Display system ramblock information", NULL, info_ramblock },
    HMP_END
};
