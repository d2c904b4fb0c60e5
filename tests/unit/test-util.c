/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Numbers and sizes, errors and reports, iovecs, fd sets, trace switches. */
#include "util/osdep.h"
#include <sys/stat.h>
#include "trace-util.h"
#include "trace/control.h"
#include "trace/options.h"
#include "util/cutils.h"
#include "util/fdset.h"
#include "util/iov.h"

/* What Debian's qemu-img 7.2 accepts and makes of it (rounding: -device io-reserve=). */
static const struct {
    const char *text;
    int ret;
    uint64_t bytes;
} sizes[] = {
    { "0", 0, 0 }, { "1", 0, 1 }, { "1b", 0, 1 }, { "1B", 0, 1 }, { "1k", 0, 1024 },
    { "1K", 0, 1024 }, { "1m", 0, 1 << 20 }, { "1G", 0, 1 << 30 }, { "1t", 0, UINT64_C(1) << 40 },
    { "1p", 0, UINT64_C(1) << 50 }, { "1e", 0, UINT64_C(1) << 60 },
    { "1.5k", 0, 1536 }, { "1.k", 0, 1024 }, { "1.", 0, 1 }, { "1.0", 0, 1 }, { "1.0b", 0, 1 },
    { " 1k", 0, 1024 }, { "+1", 0, 1 }, { "010", 0, 10 }, { "010k", 0, 10240 },
    { "0x10", 0, 16 }, { "0x10k", 0, 16384 }, { "0xb", 0, 11 }, { "0x1e", 0, 30 }, { "0e", 0, 0 },
    { "1.1k", 0, 1126 }, { "1.9999k", 0, 2048 }, { "0.0001k", 0, 0 }, { "0.00049k", 0, 1 },
    { "1.00049k", 0, 1025 }, { "18446744073709551615", 0, UINT64_MAX },
    { "16383P", 0, UINT64_C(16383) << 50 },
    { "", -EINVAL, 0 }, { "k", -EINVAL, 0 }, { ".5k", -EINVAL, 0 }, { ".", -EINVAL, 0 },
    { "1.5", -EINVAL, 0 }, { "1.5b", -EINVAL, 0 }, { "0.9b", -EINVAL, 0 }, { "1e3", -EINVAL, 0 },
    { "1e3k", -EINVAL, 0 }, { "1.5e1k", -EINVAL, 0 }, { "inf", -EINVAL, 0 }, { "nan", -EINVAL, 0 },
    { "-1", -EINVAL, 0 }, { "-0", -EINVAL, 0 }, { "1k ", -EINVAL, 0 }, { "0x", -EINVAL, 0 },
    { "0x1.8", -EINVAL, 0 }, { "0x1.8k", -EINVAL, 0 }, { "1kk", -EINVAL, 0 },
    { "1kB", -EINVAL, 0 }, { "1KiB", -EINVAL, 0 }, { "1_0", -EINVAL, 0 }, { "1 k", -EINVAL, 0 },
    { "16E", -ERANGE, 0 }, { "18446744073709551616", -ERANGE, 0 }, { "15.9999999999999999999E", -ERANGE, 0 },
};

static void test_size(void)
{
    uint64_t v;

    for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
        v = 0;
        g_test_message("%s", sizes[i].text);
        g_assert_cmpint(parse_size(sizes[i].text, 'B', &v), ==, sizes[i].ret);
        g_assert_cmpuint(v, ==, sizes[i].bytes);
    }
    g_assert_cmpint(parse_size("512", 'M', &v), ==, 0);
    g_assert_cmpuint(v, ==, 512 * MIB);
    g_assert_cmpint(parse_size("1.5", 'M', &v), ==, 0);
    g_assert_cmpuint(v, ==, 3 * MIB / 2);
    g_assert_cmpint(parse_size("512b", 'M', &v), ==, 0);
    g_assert_cmpuint(v, ==, 512);
}

static void check_format(uint64_t bytes, const char *text)
{
    g_autofree char *s = format_size(bytes);

    g_assert_cmpstr(s, ==, text);
}

static void test_format(void)
{
    check_format(0, "0 B");
    check_format(999, "999 B");
    check_format(1000, "0.977 KiB");
    check_format(1024, "1 KiB");
    check_format(1000 * KIB, "0.977 MiB");
    check_format(GIB * 3 / 2, "1.5 GiB");
    check_format(UINT64_MAX, "16 EiB");
}

static void test_numbers(void)
{
    int64_t i = 7;
    uint64_t u = 7;
    bool b;
    Error *err = NULL;

    g_assert_cmpint(parse_int64("-0x10", 0, &i), ==, 0);
    g_assert_cmpint(i, ==, -16);
    g_assert_cmpint(parse_int64("010", 10, &i), ==, 0);
    g_assert_cmpint(i, ==, 10);
    g_assert_cmpint(parse_int64("9223372036854775808", 0, &i), ==, -ERANGE);
    g_assert_cmpint(parse_int64("5 ", 0, &i), ==, -EINVAL);
    g_assert_cmpint(parse_int64("", 0, &i), ==, -EINVAL);
    g_assert_cmpint(parse_int64("x", 0, &i), ==, -EINVAL);
    g_assert_cmpint(parse_int64("99999999999999999999x", 0, &i), ==, -EINVAL);
    g_assert_cmpint(i, ==, 10);
    g_assert_cmpint(parse_uint64("18446744073709551615", 0, &u), ==, 0);
    g_assert_cmpuint(u, ==, UINT64_MAX);
    g_assert_cmpint(parse_uint64("18446744073709551616", 0, &u), ==, -ERANGE);
    g_assert_cmpint(parse_uint64("5k", 0, &u), ==, -EINVAL);

    g_assert_true(parse_bool("x", "on", &b, &error_abort) && b);
    g_assert_true(parse_bool("x", "n", &b, &error_abort) && !b);
    g_assert_true(parse_bool("x", "y", &b, &error_abort) && b);
    g_assert_true(parse_bool("x", "off", &b, &error_abort) && !b);
    g_assert_false(parse_bool("x", "ON", &b, &err));
    g_assert_cmpstr(error_message(err), ==, "Parameter 'x' expects 'on' or 'off'");
    error_free(err);

    g_assert_true(id_wellformed("a-1._b"));
    g_assert_false(id_wellformed(""));
    g_assert_false(id_wellformed("1a"));
    g_assert_false(id_wellformed("a b"));
    g_assert_false(id_wellformed("#block0"));
}

/* ---- errors ---- */

static void collect(const char *text, void *opaque)
{
    g_string_append(opaque, text);
}

static void test_error(void)
{
    g_autoptr(GString) out = g_string_new(NULL);
    Error *err = NULL, *copy, *local = NULL;

    errno = ENOENT;
    error_setg(NULL, "nobody wants this");
    error_setg_errno(&err, EACCES, "cannot open '%s'", "f");
    g_assert_cmpint(errno, ==, ENOENT);
    error_prepend(&err, "disk: ");
    error_append_hint(&err, "Try %s.\n", "root");
    error_append_hint(&err, "Or not.\n");
    g_assert_cmpstr(error_message(err), ==, "disk: cannot open 'f': Permission denied");
    g_assert_cmpstr(error_hint(err), ==, "Try root.\nOr not.\n");
    copy = error_copy(err);

    /* The first error stays. */
    error_set(&local, ERROR_CLASS_DEVICE_NOT_FOUND, "second");
    error_propagate(&err, local);
    g_assert_cmpint(error_class(err), ==, ERROR_CLASS_GENERIC_ERROR);
    error_propagate(NULL, err);
    g_assert_cmpstr(error_class_name(ERROR_CLASS_DEVICE_NOT_FOUND), ==, "DeviceNotFound");

    report_set_sink(collect, out);
    warn_report_err(copy);
    error_report("n %d", 1);
    report_set_sink(NULL, NULL);
    g_assert_cmpstr(out->str, ==,
                    "warning: disk: cannot open 'f': Permission denied\nTry root.\nOr not.\nn 1\n");
}

static void test_report(void)
{
    if (g_test_subprocess()) {
        report_set_program("/usr/bin/prog");
        report_push_location("-device %s", "x");
        report_push_location("%s", "");
        error_report("a");
        report_pop_location();
        error_report("b");
        report_pop_location();
        report_set_timestamp(true);
        report_set_guest_name("vm");
        info_report("c");
        error_setg(&error_fatal, "the end");
        return;
    }
    g_test_trap_subprocess(NULL, 0, 0);
    g_test_trap_assert_failed();
    g_test_trap_assert_stderr("prog: a\nprog: -device x: b\n"
                              "20*-*-*T*:*:*.*Z vm prog: info: c\n20*Z vm prog: the end\n");
}

/* ---- iovecs ---- */

static void test_iov(void)
{
    char a[4] = "abc", b[1], c[8] = "defghij", buf[32] = { 0 };
    struct iovec iov[] = { { a, 3 }, { b, 0 }, { c, 7 } }, cut[4], *p = iov;
    unsigned n = 3;

    g_assert_cmpuint(iov_size(iov, 3), ==, 10);
    g_assert_cmpuint(iov_to_buf(iov, 3, 2, buf, 100), ==, 8);
    g_assert_cmpstr(buf, ==, "cdefghij");
    g_assert_cmpuint(iov_to_buf(iov, 3, 10, buf, 1), ==, 0);
    g_assert_cmpuint(iov_to_buf(iov, 3, SIZE_MAX, buf, SIZE_MAX), ==, 0);
    g_assert_cmpuint(iov_to_buf(iov, 0, 0, buf, 1), ==, 0);
    g_assert_cmpuint(iov_slice(cut, 4, iov, 3, 1, 5), ==, 2);
    g_assert_true(cut[0].iov_base == a + 1 && cut[0].iov_len == 2);
    g_assert_true(cut[1].iov_base == c && cut[1].iov_len == 3);
    g_assert_cmpuint(iov_slice(cut, 1, iov, 3, 1, SIZE_MAX), ==, 1);
    g_assert_cmpuint(iov_from_buf(iov, 3, 2, "XYZ", 3), ==, 3);
    g_assert_cmpint(a[2], ==, 'X');
    g_assert_cmpint(c[1], ==, 'Z');
    g_assert_cmpuint(iov_memset(iov, 3, 9, '!', 5), ==, 1);
    g_assert_cmpint(c[6], ==, '!');

    g_assert_cmpuint(iov_discard_front(&p, &n, 0), ==, 0);
    g_assert_cmpuint(n, ==, 3);
    g_assert_cmpuint(iov_discard_front(&p, &n, 4), ==, 4);
    g_assert_cmpuint(n, ==, 1);
    g_assert_cmpuint(iov_size(p, n), ==, 6);
    g_assert_cmpuint(iov_discard_back(p, &n, 2), ==, 2);
    g_assert_cmpuint(iov_size(p, n), ==, 4);
    g_assert_cmpuint(iov_discard_back(p, &n, 9), ==, 4);
    g_assert_cmpuint(n, ==, 0);
    g_assert_cmpuint(iov_discard_front(&p, &n, 1), ==, 0);
}

static void test_io_vector(void)
{
    static char data[10000];
    IoVector v, one, ext;
    struct iovec iov[2] = { { data, 100 }, { data + 200, 50 } };

    io_vector_init(&v, 0);
    for (int i = 0; i < 10; i++) {
        io_vector_add(&v, data + i * 10, 10);
    }
    g_assert_cmpuint(v.size, ==, 100);
    io_vector_init_buf(&one, data, sizeof(data));
    io_vector_concat(&v, &one, 9990, 100);
    g_assert_cmpuint(v.size, ==, 110);
    g_assert_cmpuint(v.cnt, ==, 11);
    io_vector_init_external(&ext, iov, 2);
    g_assert_cmpuint(ext.size, ==, 150);
    g_assert_true(io_vector_is_zero(&one, 0, sizeof(data)));
    data[220] = 1;
    g_assert_false(io_vector_is_zero(&ext, 0, 150));
    g_assert_true(io_vector_is_zero(&ext, 0, 120));
    g_assert_true(io_vector_is_zero(&ext, 121, 1000));
    io_vector_reset(&v);
    g_assert_cmpuint(v.size, ==, 0);
    io_vector_destroy(&v);

    memset(data, 0, sizeof(data));
    for (unsigned i = 0; i < 300; i++) {
        for (unsigned len = 1; len < 200; len += 13) {
            data[i] = 1;
            g_assert_true(buffer_is_zero(data, i));
            g_assert_true(buffer_is_zero(data + i + 1, len));
            g_assert_false(buffer_is_zero(data + (i > 70 ? i - 70 : 0), 71));
            data[i] = 0;
        }
    }
}

/* ---- fd sets ---- */

static void count_fd(int64_t id, int fd, const char *text, void *opaque)
{
    ++*(int *)opaque;
}

static void test_fdset(void)
{
    int64_t id = -1, second = -1, five = 5;
    int rd = open("/dev/null", O_RDONLY), rw = open("/dev/null", O_RDWR), fd, n = 0;
    Error *err = NULL;
    struct stat st;

    g_assert_true(fdset_add_fd(&id, rd, "note", &error_abort));
    g_assert_cmpint(id, ==, 0);
    g_assert_true(fdset_add_fd(&id, rw, NULL, &error_abort));
    g_assert_true(fdset_add_fd(&five, dup(rd), NULL, &error_abort));
    g_assert_true(fdset_add_fd(&second, dup(rd), NULL, &error_abort));
    g_assert_cmpint(second, ==, 1);
    g_assert_false(fdset_add_fd(&five, 9999, NULL, &err));
    g_clear_pointer(&err, error_free);
    fdset_for_each(count_fd, &n);
    g_assert_cmpint(n, ==, 4);

    fd = open_cloexec("/dev/fdset/0", O_RDWR);
    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(fcntl(fd, F_GETFD), ==, FD_CLOEXEC);
    g_assert_cmpint(fcntl(fd, F_GETFL) & O_ACCMODE, ==, O_RDWR);
    close(fd);
    g_assert_cmpint(open_cloexec("/dev/fdset/0", O_WRONLY), ==, -1);
    g_assert_cmpint(errno, ==, EACCES);
    g_assert_cmpint(open_cloexec("/dev/fdset/7", O_RDWR), ==, -1);
    g_assert_cmpint(errno, ==, ENOENT);
    g_assert_cmpint(open_cloexec("/dev/fdset/x", O_RDWR), ==, -1);
    g_assert_cmpint(errno, ==, EINVAL);

    g_assert_true(fdset_remove_fd(0, rd, &error_abort));
    g_assert_cmpint(fstat(rd, &st), ==, -1);
    g_assert_false(fdset_remove_fd(0, rd, &err));
    g_clear_pointer(&err, error_free);
    g_assert_true(fdset_remove_fd(0, -1, &error_abort));
    g_assert_true(fdset_remove_fd(5, -1, &error_abort));
    g_assert_true(fdset_remove_fd(1, -1, &error_abort));
    g_assert_false(fdset_remove_fd(1, -1, &err));
    error_free(err);
}

static void test_full(void)
{
    g_autofree char *path = NULL;
    int fd = g_file_open_tmp("nemu-XXXXXX", &path, NULL);
    char buf[8];

    g_assert_true(write_full(fd, "hello", 5));
    g_assert_cmpint(lseek(fd, 0, SEEK_SET), ==, 0);
    g_assert_true(read_full(fd, buf, 5));
    g_assert_false(read_full(fd, buf, 1));
    g_assert_cmpint(errno, ==, ENODATA);
    close(fd);
    unlink(path);
}

/* ---- trace ---- */

static void count_on(const char *name, bool on, void *opaque)
{
    *(int *)opaque += on;
}

static int events_on(void)
{
    int n = 0;

    trace_for_each("*", count_on, &n);
    return n;
}

static void test_trace(void)
{
    g_autofree char *path = NULL, *text = NULL, *events = NULL;
    g_autoptr(GString) warning = g_string_new(NULL);
    Error *err = NULL;
    int fd = g_file_open_tmp("nemu-XXXXXX", &path, NULL), efd;

    g_assert_cmpint(events_on(), ==, 0);
    g_assert_false(trace_thread_created_enabled());
    g_assert_true(trace_set_log_file(path, &error_abort));
    trace_thread_created("silent");
    trace_enable("thread_c*");
    g_assert_cmpint(events_on(), ==, 1);
    trace_thread_created("loud");
    trace_enable("-thread_created");
    trace_thread_created("silent");
    trace_enable("nothing_like_*");
    report_set_sink(collect, warning);
    trace_enable("nothing_like");
    report_set_sink(NULL, NULL);
    g_assert_cmpstr(warning->str, ==, "warning: trace event 'nothing_like' does not exist\n");

    efd = g_file_open_tmp("nemu-XXXXXX", &events, NULL);
    g_assert_true(write_full(efd, "# all\ncoroutine_*\n\n  -coroutine_yield \n", 39));
    g_assert_true(trace_enable_file(events, &error_abort));
    g_assert_cmpint(events_on(), ==, 2);
    g_assert_cmpuint(trace_set_matching("*", false), >, 3);
    g_assert_cmpint(events_on(), ==, 0);
    g_assert_false(trace_enable_file("/nonexistent", &err));
    error_free(err);

    g_assert_true(trace_set_log_file(NULL, &error_abort));
    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    g_assert_cmpstr(text, ==, "thread_created name loud\n");
    close(fd);
    close(efd);
    unlink(path);
    unlink(events);
}

static void test_trace_option(void)
{
    g_autofree char *path = NULL, *text = NULL, *option = NULL;
    int fd = g_file_open_tmp("nemu-XXXXXX", &path, NULL);
    bool help = false;
    Error *err = NULL;

    option = g_strdup_printf("thread_*,file=%s", path);
    g_assert_true(trace_parse_option(option, &help, &error_abort));
    trace_thread_created("a");
    g_assert_true(trace_parse_option("-thread_created", &help, &error_abort));
    trace_thread_created("b");
    g_assert_false(help);
    g_assert_false(trace_parse_option("backend=paper", &help, &err));
    g_clear_pointer(&err, error_free);
    g_assert_false(trace_parse_option("color=red", &help, &err));
    g_clear_pointer(&err, error_free);
    g_assert_true(trace_parse_option("help", &help, &error_abort));
    g_assert_true(help);
    g_assert_true(trace_set_log_file(NULL, &error_abort));
    trace_set_matching("*", false);
    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    g_assert_cmpstr(text, ==, "thread_created name a\n");
    close(fd);
    unlink(path);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/util/size", test_size);
    g_test_add_func("/util/format", test_format);
    g_test_add_func("/util/numbers", test_numbers);
    g_test_add_func("/util/error", test_error);
    g_test_add_func("/util/report", test_report);
    g_test_add_func("/util/iov", test_iov);
    g_test_add_func("/util/io-vector", test_io_vector);
    g_test_add_func("/util/fdset", test_fdset);
    g_test_add_func("/util/full", test_full);
    g_test_add_func("/util/trace", test_trace);
    g_test_add_func("/util/trace-option", test_trace_option);
    return g_test_run();
}
