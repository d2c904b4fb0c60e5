/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The qtest server: text commands, one a line, each answered by one line;
 * interrupt lines of an intercepted device are reported in between
 * (docs/devel/qtest.md).
 *
 * Main thread with the machine lock; a reply means that the access is done.
 * The client is a test, and trusted as far as memory use goes.
 */
#include "util/osdep.h"
#include "accel/accel.h"
#include "chardev/chardev.h"
#include "hw/core/device.h"
#include "system/memory.h"
#include "system/qtest.h"
#include "util/cutils.h"

#define MAX_TRANSFER (64 * MIB)
#define MAX_WORDS 6

static ChardevFrontend frontend;
static GString *input;
static FILE *log_file;
static DeviceState *intercepted;
static GByteArray *levels;          /* of the intercepted lines */

static void reply(const char *fmt, ...) PRINTF_LIKE(1, 2);

static void log_line(char direction, const char *text)
{
    if (log_file) {
        fprintf(log_file, "[%c +%.6f] %s\n", direction,
                clock_now_ns(CLOCK_TYPE_REALTIME) / 1e9, text);
        fflush(log_file);
    }
}

static void reply(const char *fmt, ...)
{
    GString *text = g_string_new(NULL);
    va_list ap;

    va_start(ap, fmt);
    g_string_vprintf(text, fmt, ap);
    va_end(ap);
    log_line('S', text->str);
    g_string_append_c(text, '\n');
    chardev_write_all(&frontend, (const uint8_t *)text->str, text->len);
    g_string_free(text, TRUE);
}

/* ---- arguments ---- */

/* @count numbers from @words; answers FAIL otherwise. */
static bool numbers(char **words, unsigned count, uint64_t *values)
{
    for (unsigned i = 0; i < count; i++) {
        int64_t negative;

        if (!words[i]) {
            reply("FAIL too few arguments");
            return false;
        }
        if (parse_uint64(words[i], 0, &values[i]) == 0) {
            continue;
        }
        if (parse_int64(words[i], 0, &negative) != 0) {
            reply("FAIL '%s' is not a number", words[i]);
            return false;
        }
        values[i] = negative;
    }
    return true;
}

static bool length_ok(uint64_t len)
{
    if (len == 0 || len > MAX_TRANSFER) {
        reply("ERR invalid argument size");
        return false;
    }
    return true;
}

/* ---- interrupt lines ---- */

static void on_line(void *opaque, int n, int level)
{
    if (n >= (int)levels->len) {
        guint old = levels->len;

        g_byte_array_set_size(levels, n + 1);
        memset(levels->data + old, 0, n + 1 - old);
    }
    if (levels->data[n] != (level != 0)) {
        levels->data[n] = level != 0;
        reply("IRQ %s %d", level ? "raise" : "lower", n);
    }
}

static DeviceState *find_device(const char *path)
{
    Object *obj = path ? object_resolve(path, NULL) : NULL;

    if (!object_is_a(obj, &device_type)) {
        reply("FAIL Unknown device");
        return NULL;
    }
    return DEVICE(obj);
}

static void cmd_irq_intercept(char **words)
{
    bool out = strcmp(words[0], "irq_intercept_out") == 0;
    DeviceState *dev = find_device(words[1]);

    if (!dev) {
        return;
    }
    if (intercepted) {
        reply(intercepted == dev ? "OK" : "FAIL IRQ intercept already enabled");
        return;
    }
    levels = g_byte_array_new();
    intercepted = dev;
    device_intercept_gpio(dev, NULL, out, on_line, NULL);
    reply("OK");
}

static void cmd_set_irq_in(char **words)
{
    DeviceState *dev = find_device(words[1]);
    uint64_t args[2];
    IrqLine *line;

    if (dev && !words[2]) {
        reply("FAIL too few arguments");
        return;
    }
    if (!dev || !numbers(words + 3, 2, args)) {
        return;
    }
    line = device_gpio_in(dev, strcmp(words[2], "unnamed-gpio-in") == 0 ? NULL : words[2],
                          args[0]);
    if (!line) {
        reply("FAIL no such line");
        return;
    }
    irq_set(line, args[1]);
    reply("OK");
}

/* ---- registers and memory ---- */

static unsigned width_of(char suffix)
{
    return suffix == 'b' ? 1 : suffix == 'w' ? 2 : suffix == 'l' ? 4 : 8;
}

static void cmd_out(char **words)
{
    uint64_t args[2];

    if (numbers(words + 1, 2, args)) {
        guest_access_write(&address_space_io, args[0] & 0xffff, width_of(words[0][3]), args[1]);
        reply("OK");
    }
}

static void cmd_in(char **words)
{
    uint64_t port, value = 0;

    if (numbers(words + 1, 1, &port)) {
        guest_access_read(&address_space_io, port & 0xffff, width_of(words[0][2]), &value);
        reply("OK 0x%04" PRIx64, value);
    }
}

static void cmd_write(char **words)
{
    uint64_t args[2];

    if (numbers(words + 1, 2, args)) {
        guest_access_write(&address_space_memory, args[0], width_of(words[0][5]), args[1]);
        reply("OK");
    }
}

static void cmd_read(char **words)
{
    uint64_t addr, value = 0;

    if (numbers(words + 1, 1, &addr)) {
        guest_access_read(&address_space_memory, addr, width_of(words[0][4]), &value);
        reply("OK 0x%016" PRIx64, value);
    }
}

static void cmd_read_block(char **words)
{
    static const char digits[] = "0123456789abcdef";
    uint64_t args[2];
    g_autofree uint8_t *data = NULL;
    g_autofree char *text = NULL;

    if (!numbers(words + 1, 2, args) || !length_ok(args[1])) {
        return;
    }
    data = g_malloc(args[1]);
    guest_read(&address_space_memory, args[0], data, args[1]);
    if (words[0][0] == 'b') {
        text = g_base64_encode(data, args[1]);
        reply("OK %s", text);
        return;
    }
    text = g_malloc(2 * args[1] + 1);
    for (uint64_t i = 0; i < args[1]; i++) {
        text[2 * i] = digits[data[i] >> 4];
        text[2 * i + 1] = digits[data[i] & 15];
    }
    text[2 * args[1]] = 0;
    reply("OK 0x%s", text);
}

/* Missing digits count as 0. */
static void decode_hex(const char *text, uint8_t *data, size_t len)
{
    memset(data, 0, len);
    for (size_t i = 0; i < len && text[0] && text[1]; i++, text += 2) {
        int high = g_ascii_xdigit_value(text[0]), low = g_ascii_xdigit_value(text[1]);

        data[i] = (high < 0 ? 0 : high) << 4 | (low < 0 ? 0 : low);
    }
}

static void cmd_write_block(char **words)
{
    uint64_t args[2];
    g_autofree uint8_t *data = NULL;

    if (!numbers(words + 1, 2, args) || !length_ok(args[1])) {
        return;
    }
    if (!words[3] || strlen(words[3]) < 3) {
        reply("ERR invalid argument size");
        return;
    }
    data = g_malloc0(args[1]);
    if (words[0][0] == 'b') {
        gsize got;
        g_autofree guchar *decoded = g_base64_decode(words[3], &got);

        memcpy(data, decoded, MIN(got, args[1]));
    } else {
        decode_hex(words[3] + 2, data, args[1]);
    }
    guest_write(&address_space_memory, args[0], data, args[1]);
    reply("OK");
}

static void cmd_memset(char **words)
{
    uint64_t args[3];

    if (numbers(words + 1, 3, args)) {
        if (args[1]) {
            guest_memset(&address_space_memory, args[0], args[2] & 0xff, args[1]);
        }
        reply("OK");
    }
}

/* ---- clock and the rest ---- */

static void cmd_clock(char **words)
{
    int64_t now = clock_now_ns(CLOCK_TYPE_VIRTUAL), target = now;
    uint64_t arg;

    if (words[1]) {
        if (!numbers(words + 1, 1, &arg)) {
            return;
        }
        target = strcmp(words[0], "clock_step") == 0 ? now + (int64_t)arg : (int64_t)arg;
    } else {
        int64_t deadline = clock_virtual_next_deadline();

        target = deadline < 0 ? now : MAX(deadline, now);
    }
    clock_virtual_warp(target);
    reply("OK %" PRId64, clock_now_ns(CLOCK_TYPE_VIRTUAL));
}

static void cmd_endianness(char **words)
{
    reply("OK little");
}

static void cmd_module_load(char **words)
{
    reply("FAIL");
}

static const struct {
    const char *name;
    void (*run)(char **words);
    bool moves_clock;           /* only where the test owns the clock */
} commands[] = {
    { "endianness", cmd_endianness },
    { "outb", cmd_out }, { "outw", cmd_out }, { "outl", cmd_out },
    { "inb", cmd_in }, { "inw", cmd_in }, { "inl", cmd_in },
    { "writeb", cmd_write }, { "writew", cmd_write }, { "writel", cmd_write },
    { "writeq", cmd_write },
    { "readb", cmd_read }, { "readw", cmd_read }, { "readl", cmd_read }, { "readq", cmd_read },
    { "read", cmd_read_block }, { "b64read", cmd_read_block },
    { "write", cmd_write_block }, { "b64write", cmd_write_block },
    { "memset", cmd_memset },
    { "clock_step", cmd_clock, true }, { "clock_set", cmd_clock, true },
    { "irq_intercept_in", cmd_irq_intercept }, { "irq_intercept_out", cmd_irq_intercept },
    { "set_irq_in", cmd_set_irq_in },
    { "module_load", cmd_module_load },
};

static void run_line(char *line)
{
    g_auto(GStrv) words = NULL;

    g_strchomp(line);
    log_line('R', line);
    words = g_strsplit(line, " ", MAX_WORDS);
    if (!words[0]) {
        return;
    }
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
        if (strcmp(words[0], commands[i].name) == 0 &&
            (!commands[i].moves_clock || g_strcmp0(accel_name(), "qtest") == 0)) {
            commands[i].run(words);
            return;
        }
    }
    reply("FAIL Unknown command '%s'", words[0]);
}

/* ---- the connection ---- */

static size_t can_receive(void *opaque)
{
    return 64 * KIB;
}

static void receive(void *opaque, const uint8_t *buf, size_t len)
{
    char *end;

    g_string_append_len(input, (const char *)buf, len);
    while ((end = memchr(input->str, '\n', input->len))) {
        size_t used = end - input->str + 1;
        g_autofree char *line = g_strndup(input->str, used);

        g_string_erase(input, 0, used);
        run_line(line);
    }
}

static bool open_log(const char *name, Error **errp)
{
    if (!name) {
        log_file = stderr;
        return true;
    }
    if (strcmp(name, "none") == 0 || strcmp(name, "/dev/null") == 0) {
        return true;
    }
    log_file = fopen(name, "we");
    if (!log_file) {
        error_setg_errno(errp, errno, "-qtest-log %s", name);
        return false;
    }
    return true;
}

bool qtest_start(const char *text, const char *log, Error **errp)
{
    Chardev *chr;

    if (!open_log(log, errp)) {
        return false;
    }
    chr = chardev_new_from_shorthand("qtest", text, errp);
    if (!chr) {
        error_prepend(errp, "Failed to initialize device for qtest: \"%s\": ", text);
        return false;
    }
    input = g_string_new(NULL);
    frontend.can_receive = can_receive;
    frontend.receive = receive;
    if (!chardev_frontend_attach(&frontend, chr, errp)) {
        return false;
    }
    /* Tests count on reading zeroes where nothing is; guests on ones. */
    address_space_memory.unassigned_ones = false;
    chardev_frontend_start(&frontend);
    chardev_frontend_set_open(&frontend, true);
    return true;
}
