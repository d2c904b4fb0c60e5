/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * SMBIOS structures (DMTF DSP0134 3.0, section 7) as tables of fields: each
 * field is a string that a user may give, or a number. Main thread, at start-up;
 * reads nothing from the guest.
 */
#include "util/osdep.h"

#include "hw/boot/smbios.h"
#include "qapi/json.h"
#include "util/bswap.h"
#include "util/cutils.h"

#define TEXT_MAX 1024
#define FILE_MAX (64 * 1024)

/* ---- what users give ---- */

/* A parameter of -smbios type=N; the value is used by the builder of the type. */
typedef struct SmbiosParam {
    uint8_t type;
    const char *name;
} SmbiosParam;

static const SmbiosParam params[] = {
    { 0, "vendor" }, { 0, "version" }, { 0, "date" }, { 0, "release" }, { 0, "uefi" },
    { 1, "manufacturer" }, { 1, "product" }, { 1, "version" }, { 1, "serial" }, { 1, "uuid" }, { 1, "sku" },
    { 1, "family" },
    { 2, "manufacturer" }, { 2, "product" }, { 2, "version" }, { 2, "serial" }, { 2, "asset" }, { 2, "location" },
    { 3, "manufacturer" }, { 3, "version" }, { 3, "serial" }, { 3, "asset" }, { 3, "sku" },
    { 4, "sock_pfx" }, { 4, "manufacturer" }, { 4, "version" }, { 4, "serial" }, { 4, "asset" }, { 4, "part" },
    { 4, "max-speed" }, { 4, "current-speed" }, { 4, "processor-id" },
    { 11, "value" }, { 11, "path" },
    { 17, "loc_pfx" }, { 17, "bank" }, { 17, "manufacturer" }, { 17, "serial" }, { 17, "asset" }, { 17, "part" },
    { 17, "speed" },
};

static char *given[ARRAY_SIZE(params)];
static bool type_given[256];
static GPtrArray *oem_strings;          /* of char *, type 11 */
static GByteArray *extra;               /* whole structures from files */
static unsigned extra_count;
static bool from_file[256];             /* types that files brought: not built */

static int find_param(uint8_t type, const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(params); i++) {
        if (params[i].type == type && strcmp(params[i].name, name) == 0) {
            return (int)i;
        }
    }
    return -1;
}

static const char *user_value(uint8_t type, const char *name, const char *absent)
{
    int i = find_param(type, name);

    return given[i] ? given[i] : absent;
}

static void add_oem_string(const char *text)
{
    if (!oem_strings) {
        oem_strings = g_ptr_array_new();
    }
    g_ptr_array_add(oem_strings, g_strdup(text));
}

static bool add_oem_file(const char *path, Error **errp)
{
    g_autofree char *text = NULL;
    GError *err = NULL;

    if (!g_file_get_contents(path, &text, NULL, &err)) {
        error_setg(errp, "Unable to read '%s': %s", path, err->message);
        g_error_free(err);
        return false;
    }
    add_oem_string(text);
    return true;
}

static bool check_value(uint8_t type, const char *name, const char *value, Error **errp)
{
    uint64_t n;

    if (strcmp(name, "uuid") == 0 && !g_uuid_string_is_valid(value)) {
        error_setg(errp, "Invalid UUID");
        return false;
    }
    if (strstr(name, "speed") && (parse_uint64(value, 0, &n) != 0 || n > UINT16_MAX)) {
        error_setg(errp, "Parameter '%s' expects a number from 0 to 65535", name);
        return false;
    }
    if (strcmp(name, "processor-id") == 0 && parse_uint64(value, 0, &n) != 0) {
        error_setg(errp, "Parameter '%s' expects a number", name);
        return false;
    }
    if (type == 0 && strcmp(name, "release") == 0) {
        unsigned major, minor;

        if (sscanf(value, "%u.%u", &major, &minor) != 2 || major > 255 || minor > 255) {
            error_setg(errp, "Invalid release");
            return false;
        }
    }
    if (strlen(value) > TEXT_MAX && type != 11) {
        error_setg(errp, "Parameter '%s' is longer than %d characters", name, TEXT_MAX);
        return false;
    }
    return true;
}

static bool add_value(uint8_t type, const char *name, const char *value, Error **errp)
{
    int i = find_param(type, name);

    if (i < 0) {
        error_setg(errp, "Invalid parameter '%s'", name);
        return false;
    }
    if (!value || !check_value(type, name, value, errp)) {
        return false;
    }
    if (type == 11) {
        if (strcmp(name, "path") == 0) {
            return add_oem_file(value, errp);
        }
        add_oem_string(value);
        return true;
    }
    g_free(given[i]);
    given[i] = g_strdup(value);
    return true;
}

/* One whole structure, with its strings. */
static bool add_file(const char *path, Error **errp)
{
    g_autofree uint8_t *data = g_malloc(FILE_MAX + 1);
    int fd = open_cloexec(path, O_RDONLY);
    ssize_t n = fd < 0 ? -1 : read(fd, data, FILE_MAX + 1);

    if (n < 0) {
        error_setg_errno(errp, errno, "Cannot read SMBIOS file %s", path);
    }
    if (fd >= 0) {
        close(fd);
    }
    if (n < 0) {
        return false;
    }
    if (n < 6 || n > FILE_MAX || data[1] < 4 || data[1] + 2 > n || data[n - 1] || data[n - 2]) {
        error_setg(errp, "SMBIOS file %s is no structure with its strings", path);
        return false;
    }
    from_file[data[0]] = true;
    if (!extra) {
        extra = g_byte_array_new();
    }
    g_byte_array_append(extra, data, (guint)n);
    extra_count++;
    return true;
}

static bool add_members(uint8_t type, const JsonValue *options, Error **errp)
{
    for (size_t i = 0; i < json_object_len(options); i++) {
        const char *key;
        JsonValue *v;

        json_object_at(options, i, &key, &v);
        if (strcmp(key, "type") != 0 && !add_value(type, key, json_get_string(v), errp)) {
            return false;
        }
    }
    type_given[type] = true;
    return true;
}

bool smbios_option_add(const char *text, Error **errp)
{
    g_autoptr(JsonValue) options = keyval_parse_flat(text, NULL, true, NULL, errp);
    const char *file, *type_text;
    uint64_t type;

    if (!options) {
        return false;
    }
    file = json_object_get_string(options, "file");
    type_text = json_object_get_string(options, "type");
    if (file) {
        if (json_object_len(options) != 1) {
            error_setg(errp, "file= takes no further parameters");
            return false;
        }
        return add_file(file, errp);
    }
    if (!type_text) {
        error_setg(errp, "Must specify type= or file=");
        return false;
    }
    if (parse_uint64(type_text, 0, &type) != 0 || type > 255) {
        error_setg(errp, "out of range!");
        return false;
    }
    for (size_t i = 0; i < ARRAY_SIZE(params); i++) {
        if (params[i].type == type) {
            return add_members((uint8_t)type, options, errp);
        }
    }
    error_setg(errp, "Don't know how to build fields for SMBIOS type %" PRIu64, type);
    return false;
}

/* ---- structures ---- */

typedef struct SmbiosWriter {
    GByteArray *out;
    guint start;                /* of the structure that is being written */
    GString *strings;
    uint8_t string_count;
} SmbiosWriter;

static void begin(SmbiosWriter *w, uint8_t type, uint16_t handle)
{
    uint8_t head[4] = { type, 0 };

    store_le16(head + 2, handle);
    w->start = w->out->len;
    g_byte_array_append(w->out, head, sizeof(head));
    g_string_truncate(w->strings, 0);
    w->string_count = 0;
}

static void put(SmbiosWriter *w, uint64_t value, unsigned size)
{
    uint8_t bytes[8];

    store_le64(bytes, value);
    g_byte_array_append(w->out, bytes, size);
}

/* The number of a string behind the structure; an absent one is 0. */
static void put_string(SmbiosWriter *w, const char *text)
{
    if (!text || !*text) {
        put(w, 0, 1);
        return;
    }
    g_string_append_len(w->strings, text, (gssize)strlen(text) + 1);
    put(w, ++w->string_count, 1);
}

static void put_user(SmbiosWriter *w, uint8_t type, const char *name, const char *absent)
{
    put_string(w, user_value(type, name, absent));
}

static void end(SmbiosWriter *w)
{
    w->out->data[w->start + 1] = (uint8_t)(w->out->len - w->start);
    g_byte_array_append(w->out, (const guint8 *)w->strings->str, (guint)w->strings->len);
    put(w, 0, w->string_count ? 1 : 2);
}

enum { HANDLE_BIOS = 0x000, HANDLE_SYSTEM = 0x100, HANDLE_BOARD = 0x200, HANDLE_CHASSIS = 0x300,
       HANDLE_PROCESSOR = 0x400, HANDLE_OEM = 0xe00, HANDLE_ARRAY = 0x1000, HANDLE_DEVICE = 0x1100,
       HANDLE_MAPPED = 0x1300, HANDLE_BOOT = 0x2000, HANDLE_END = 0x7f00 };

static void build_bios(SmbiosWriter *w)
{
    unsigned major = 0, minor = 0;
    const char *uefi = user_value(0, "uefi", "off");

    sscanf(user_value(0, "release", "0.0"), "%u.%u", &major, &minor);
    begin(w, 0, HANDLE_BIOS);
    put_user(w, 0, "vendor", NULL);
    put_user(w, 0, "version", NULL);
    put(w, 0xe800, 2);          /* segment */
    put_user(w, 0, "date", NULL);
    put(w, 0, 1);               /* ROM size */
    put(w, 0x8, 8);             /* characteristics are not supported */
    put(w, 0, 1);
    /* Targeted content distribution; virtual machine; UEFI. */
    put(w, 0x14 | (strcmp(uefi, "on") == 0 ? 0x8 : 0), 1);
    put(w, major, 1);
    put(w, minor, 1);
    put(w, 0xffff, 2);          /* no embedded controller */
    end(w);
}

void smbios_uuid_bytes(const char *text, uint8_t out[16])
{
    static const uint8_t order[16] = { 3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15 };
    uint8_t raw[16] = { 0 };
    unsigned n = 0;

    for (const char *p = text; *p && n < 32; p++) {
        if (g_ascii_isxdigit(*p)) {
            raw[n / 2] |= (uint8_t)(g_ascii_xdigit_value(*p) << (n % 2 ? 0 : 4));
            n++;
        }
    }
    for (unsigned i = 0; i < 16; i++) {
        out[i] = raw[order[i]];
    }
}

static void put_uuid(SmbiosWriter *w, const char *text)
{
    uint8_t raw[16];

    smbios_uuid_bytes(text, raw);
    for (unsigned i = 0; i < 16; i++) {
        put(w, raw[i], 1);
    }
}

static void build_system(SmbiosWriter *w, const MachineState *m)
{
    const MachineOps *ops = machine_ops(m);
    const char *own = m->uuid ? m->uuid : "";

    begin(w, 1, HANDLE_SYSTEM);
    put_user(w, 1, "manufacturer", "QEMU");
    put_user(w, 1, "product", ops->description);
    put_user(w, 1, "version", ops->name);
    put_user(w, 1, "serial", NULL);
    put_uuid(w, user_value(1, "uuid", own));
    put(w, 6, 1);               /* woken by the power switch */
    put_user(w, 1, "sku", NULL);
    put_user(w, 1, "family", NULL);
    end(w);
}

static void build_board(SmbiosWriter *w, const MachineState *m)
{
    begin(w, 2, HANDLE_BOARD);
    put_user(w, 2, "manufacturer", "QEMU");
    put_user(w, 2, "product", machine_ops(m)->description);
    put_user(w, 2, "version", machine_ops(m)->name);
    put_user(w, 2, "serial", NULL);
    put_user(w, 2, "asset", NULL);
    put(w, 1, 1);               /* hosting board */
    put_user(w, 2, "location", NULL);
    put(w, HANDLE_CHASSIS, 2);
    put(w, 0x0a, 1);            /* motherboard */
    put(w, 0, 1);
    end(w);
}

static void build_chassis(SmbiosWriter *w, const MachineState *m)
{
    begin(w, 3, HANDLE_CHASSIS);
    put_user(w, 3, "manufacturer", "QEMU");
    put(w, 1, 1);               /* other */
    put_user(w, 3, "version", machine_ops(m)->name);
    put_user(w, 3, "serial", NULL);
    put_user(w, 3, "asset", NULL);
    put(w, 0x03030303, 4);      /* boot, power and thermal state safe; security: none */
    put(w, 0, 4);
    put(w, 0, 2);
    put(w, 0, 2);               /* no contained elements */
    put_user(w, 3, "sku", NULL);
    end(w);
}

static uint64_t user_number(uint8_t type, const char *name, uint64_t absent)
{
    uint64_t value = absent;

    parse_uint64(user_value(type, name, ""), 0, &value);
    return value;
}

static void build_processor(SmbiosWriter *w, const MachineState *m, unsigned socket)
{
    unsigned cores = m->smp.dies * m->smp.clusters * m->smp.cores, threads = cores * m->smp.threads;
    g_autofree char *name = g_strdup_printf("%s %u", user_value(4, "sock_pfx", "CPU"), socket);

    begin(w, 4, (uint16_t)(HANDLE_PROCESSOR + socket));
    put_string(w, name);
    put(w, 3, 1);               /* central processor */
    put(w, 1, 1);               /* family: other */
    put_user(w, 4, "manufacturer", "QEMU");
    put(w, user_number(4, "processor-id", 0), 8);
    put_user(w, 4, "version", machine_ops(m)->name);
    put(w, 0, 1);               /* voltage unknown */
    put(w, 0, 2);
    put(w, user_number(4, "max-speed", 2000), 2);
    put(w, user_number(4, "current-speed", 2000), 2);
    put(w, 0x41, 1);            /* populated and enabled */
    put(w, 1, 1);
    put(w, 0xffffffffffff, 6);  /* no cache handles */
    put_user(w, 4, "serial", NULL);
    put_user(w, 4, "asset", NULL);
    put_user(w, 4, "part", NULL);
    put(w, MIN(cores, 255), 1);
    put(w, MIN(cores, 255), 1);
    put(w, MIN(threads, 255), 1);
    put(w, 0x04, 2);            /* 64 bits */
    put(w, 1, 2);
    put(w, cores, 2);
    put(w, cores, 2);
    put(w, threads, 2);
    end(w);
}

static void build_oem_strings(SmbiosWriter *w)
{
    begin(w, 11, HANDLE_OEM);
    put(w, oem_strings->len, 1);
    for (guint i = 0; i < oem_strings->len; i++) {
        const char *text = oem_strings->pdata[i];

        g_string_append_len(w->strings, text, (gssize)strlen(text) + 1);
        w->string_count++;
    }
    end(w);
}

/* One memory device of at most 16 GiB each. */
#define DEVICE_MAX (16 * GIB)

static void build_memory(SmbiosWriter *w, const MachineState *m, const SmbiosRange *ram, unsigned ranges)
{
    unsigned devices = (unsigned)DIV_ROUND_UP(m->ram_size, DEVICE_MAX);

    begin(w, 16, HANDLE_ARRAY);
    put(w, 1, 1);               /* location: other */
    put(w, 3, 1);               /* system memory */
    put(w, 6, 1);               /* multi-bit error correction */
    put(w, 0x80000000, 4);      /* see the extended capacity */
    put(w, 0xfffe, 2);
    put(w, devices, 2);
    put(w, m->ram_size, 8);
    end(w);
    for (unsigned i = 0; i < devices; i++) {
        uint64_t size = MIN(m->ram_size - i * DEVICE_MAX, DEVICE_MAX);
        g_autofree char *name = g_strdup_printf("%s %u", user_value(17, "loc_pfx", "DIMM"), i);

        begin(w, 17, (uint16_t)(HANDLE_DEVICE + i));
        put(w, HANDLE_ARRAY, 2);
        put(w, 0xfffe, 2);
        put(w, 0xffff, 2);      /* widths unknown */
        put(w, 0xffff, 2);
        put(w, size / MIB < 0x7fff ? size / MIB : 0x7fff, 2);
        put(w, 9, 1);           /* DIMM */
        put(w, 0, 1);
        put_string(w, name);
        put_user(w, 17, "bank", NULL);
        put(w, 7, 1);           /* RAM */
        put(w, 2, 2);
        put(w, user_number(17, "speed", 0), 2);
        put_user(w, 17, "manufacturer", "QEMU");
        put_user(w, 17, "serial", NULL);
        put_user(w, 17, "asset", NULL);
        put_user(w, 17, "part", NULL);
        put(w, 0, 1);
        put(w, size / MIB < 0x7fff ? 0 : size / MIB, 4);
        put(w, user_number(17, "speed", 0), 2);
        put(w, 0, 6);           /* voltages */
        end(w);
    }
    for (unsigned i = 0; i < ranges; i++) {
        begin(w, 19, (uint16_t)(HANDLE_MAPPED + i));
        put(w, UINT32_MAX, 4);  /* see the extended addresses */
        put(w, UINT32_MAX, 4);
        put(w, HANDLE_ARRAY, 2);
        put(w, 1, 1);
        put(w, ram[i].addr, 8);
        put(w, ram[i].addr + ram[i].size - 1, 8);
        end(w);
    }
}

GByteArray *smbios_build(const MachineState *m, const SmbiosRange *ram, unsigned ranges, Error **errp)
{
    SmbiosWriter w = { .out = g_byte_array_new(), .strings = g_string_new(NULL) };

    if (oem_strings && oem_strings->len > 255) {
        error_setg(errp, "-smbios type=11: %u strings are too many, at most 255 are possible", oem_strings->len);
        g_byte_array_unref(w.out);
        g_string_free(w.strings, TRUE);
        return NULL;
    }
    if (extra) {
        g_byte_array_append(w.out, extra->data, extra->len);
    }
    if (type_given[0] && !from_file[0]) {
        build_bios(&w);
    }
    if (!from_file[1]) {
        build_system(&w, m);
    }
    if (type_given[2] && !from_file[2]) {
        build_board(&w, m);
    }
    if (!from_file[3]) {
        build_chassis(&w, m);
    }
    for (unsigned i = 0; !from_file[4] && i < m->smp.sockets; i++) {
        build_processor(&w, m, i);
    }
    if (oem_strings) {
        build_oem_strings(&w);
    }
    build_memory(&w, m, ram, ranges);
    begin(&w, 32, HANDLE_BOOT);
    put(&w, 0, 6);
    put(&w, 0, 1);              /* no errors */
    end(&w);
    begin(&w, 127, HANDLE_END);
    end(&w);
    g_string_free(w.strings, TRUE);
    return w.out;
}

void smbios_entry_build(uint64_t addr, uint32_t size, uint8_t out[SMBIOS_ENTRY_SIZE])
{
    uint8_t sum = 0;

    memset(out, 0, SMBIOS_ENTRY_SIZE);
    memcpy(out, "_SM3_", 5);
    out[6] = SMBIOS_ENTRY_SIZE;
    out[7] = 3;                 /* version 3.0 */
    out[10] = 1;                /* revision of the entry point */
    store_le32(out + 12, size);
    store_le64(out + 16, addr);
    for (unsigned i = 0; i < SMBIOS_ENTRY_SIZE; i++) {
        sum += out[i];
    }
    out[5] = -sum;
}
