/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Numbers, sizes and paths as users write them (include/util/cutils.h). The
 * texts are not trusted. Any thread; no locale: '.' is the decimal point.
 */
#include "util/osdep.h"
#include <sys/stat.h>
#include "util/cutils.h"
#include "util/fdset.h"

int parse_int64(const char *s, int base, int64_t *value)
{
    char *end;
    long long v;

    errno = 0;
    v = strtoll(s, &end, base);
    if (end == s || *end) {
        return -EINVAL;
    }
    if (errno) {
        return -errno;
    }
    *value = v;
    return 0;
}

int parse_uint64(const char *s, int base, uint64_t *value)
{
    char *end;
    unsigned long long v;

    errno = 0;
    v = strtoull(s, &end, base);
    if (end == s || *end) {
        return -EINVAL;
    }
    if (errno) {
        return -errno;
    }
    *value = v;
    return 0;
}

/* How far the unit shifts, or -1 for none that we know. */
static int unit_shift(char c)
{
    static const char units[] = "bkmgtpe";
    const char *at = c ? strchr(units, g_ascii_tolower(c)) : NULL;

    return at ? (at - units) * 10 : -1;
}

/*
 * The digits after the point, in units of 1 / 2^shift, rounded to nearest.
 * The result reaches 1 << shift when the fraction is that close to one.
 */
static uint64_t parse_fraction(const char *digits, const char *end, int shift, bool *nonzero)
{
    long double sum = 0;

    for (const char *p = end; p > digits; p--) {
        sum = (sum + (p[-1] - '0')) / 10;
        *nonzero |= p[-1] != '0';
    }
    return (uint64_t)(sum * (long double)(UINT64_C(1) << shift) + 0.5L);
}

int parse_size(const char *s, char default_unit, uint64_t *bytes)
{
    const char *digits = NULL, *digits_end = NULL;
    bool nonzero_fraction = false;
    uint64_t whole, fraction = 0;
    bool hex, range;
    char *end;
    int shift;

    while (g_ascii_isspace(*s)) {
        s++;
    }
    s += *s == '+';
    if (!g_ascii_isdigit(*s)) {
        return -EINVAL;
    }
    hex = s[0] == '0' && (s[1] == 'x' || s[1] == 'X');
    errno = 0;
    whole = strtoull(s, &end, hex ? 16 : 10);
    range = errno == ERANGE;
    if (!hex && *end == '.') {
        digits = digits_end = end + 1;
        while (g_ascii_isdigit(*digits_end)) {
            digits_end++;
        }
        end = (char *)digits_end;
    }
    shift = unit_shift(*end ? *end++ : default_unit);
    if (shift < 0 || *end) {
        return -EINVAL;
    }
    if (digits) {
        fraction = parse_fraction(digits, digits_end, shift, &nonzero_fraction);
    }
    if (nonzero_fraction && shift == 0) {
        return -EINVAL;         /* there are no parts of a byte */
    }
    if (range || whole > UINT64_MAX >> shift || (whole << shift) + fraction < fraction) {
        return -ERANGE;
    }
    *bytes = (whole << shift) + fraction;
    return 0;
}

bool parse_bool(const char *name, const char *value, bool *out, Error **errp)
{
    static const char *const yes[] = { "on", "yes", "true", "y" };
    static const char *const no[] = { "off", "no", "false", "n" };

    for (unsigned i = 0; i < ARRAY_SIZE(yes); i++) {
        if (!strcmp(value, yes[i]) || !strcmp(value, no[i])) {
            *out = value[0] == yes[i][0] && !strcmp(value, yes[i]);
            return true;
        }
    }
    error_setg(errp, "Parameter '%s' expects 'on' or 'off'", name);
    return false;
}

char *format_size(uint64_t bytes)
{
    static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
    double v = bytes;
    unsigned i = 0;

    /* The next unit starts at 1000 of the previous: three digits always suffice. */
    while (i + 1 < ARRAY_SIZE(units) && v >= 1000) {
        v /= 1024;
        i++;
    }
    return g_strdup_printf("%0.3g %s", v, units[i]);
}

bool id_wellformed(const char *id)
{
    if (!g_ascii_isalpha(*id)) {
        return false;
    }
    while (*++id) {
        if (!g_ascii_isalnum(*id) && !strchr("-._", *id)) {
            return false;
        }
    }
    return true;
}

int open_cloexec(const char *path, int flags, ...)
{
    mode_t mode = 0;
    int fd;

    if (g_str_has_prefix(path, FDSET_PREFIX)) {
        return fdset_open(path, flags);
    }
    if (flags & (O_CREAT | __O_TMPFILE)) {
        va_list ap;

        va_start(ap, flags);
        mode = va_arg(ap, int);
        va_end(ap);
    }
    do {
        fd = open(path, flags | O_CLOEXEC, mode);
    } while (fd < 0 && errno == EINTR);
    return fd;
}

bool read_full(int fd, void *buf, size_t len)
{
    char *p = buf;

    while (len) {
        ssize_t n = read(fd, p, len);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            errno = n < 0 ? errno : ENODATA;
            return false;
        }
        p += n;
        len -= n;
    }
    return true;
}

bool write_full(int fd, const void *buf, size_t len)
{
    const char *p = buf;

    while (len) {
        ssize_t n = write(fd, p, len);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return false;
        }
        p += n;
        len -= n;
    }
    return true;
}

void unlink_type(const char *path, mode_t type)
{
    struct stat st;

    if (lstat(path, &st) == 0 && (st.st_mode & S_IFMT) == type) {
        unlink(path);
    }
}
