/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Handlers of options that set values. Main thread, at start-up.
 */
#include "util/osdep.h"
#include "hw/boot/bootorder.h"
#include "hw/boot/fw-cfg.h"
#include "hw/boot/smbios.h"
#include "hw/core/device.h"
#include "hw/core/numa.h"
#include "migration/migration.h"
#include "system/datadir.h"
#include "system/options.h"
#include "system/options-params.h"
#include "system/rtc.h"
#include "system/runstate.h"
#include "system/startup.h"
#include "trace/control.h"
#include "trace/options.h"
#include "util/cutils.h"
#include "util/fdset.h"
#include "util/thread.h"

StartupConfig startup;

static void replace(char **field, const char *value)
{
    g_free(*field);
    *field = g_strdup(value);
}

/* ---- machine, accelerator, CPUs, memory ---- */

static const char *const accel_keys[] = {
    "kernel-irqchip", "kernel_irqchip", "kvm-shadow-mem", "dirty-ring-size", NULL
};

static bool is_help(const char *s)
{
    return strcmp(s, "help") == 0 || strcmp(s, "?") == 0;
}

bool option_machine(const char *arg, Error **errp)
{
    bool help = false;
    g_autoptr(JsonValue) kv = keyval_parse(arg, "type", &help, errp);
    size_t n;

    if (!kv) {
        return false;
    }
    if (!startup.machine_options) {
        startup.machine_options = json_object();
        startup.accel_options = json_object();
    }
    n = json_object_len(kv);
    for (size_t i = 0; i < n; i++) {
        const char *key;
        JsonValue *value;

        json_object_at(kv, i, &key, &value);
        if (strcmp(key, "type") == 0) {
            replace(&startup.machine_name, json_get_string(value));
        } else if (strcmp(key, "accel") == 0) {
            replace(&startup.machine_accels, json_get_string(value));
        } else if (g_strv_contains(accel_keys, key)) {
            g_autofree char *dashed = g_strdelimit(g_strdup(key), "_", '-');

            json_object_set_take(startup.accel_options, dashed, json_ref(value));
        } else {
            json_object_set_take(startup.machine_options, key, json_ref(value));
        }
    }
    if (help) {
        startup.done = true;
        if (startup.machine_name) {
            const TypeInfo *type = machine_find(startup.machine_name, errp);

            return type && type_print_properties(type->name, errp);
        }
        machine_print_list();
    }
    return true;
}

bool option_accel(const char *arg, Error **errp)
{
    g_autoptr(JsonValue) kv = NULL;

    if (is_help(arg)) {
        startup.done = true;
        type_print_list(type_find("accel"), "Accelerators supported in QEMU binary:\n");
        return true;
    }
    kv = keyval_parse(arg, "accel", NULL, errp);
    if (!kv) {
        return false;
    }
    if (!json_object_get_string(kv, "accel")) {
        error_setg(errp, "Parameter 'accel' is missing");
        return false;
    }
    if (!startup.accels) {
        startup.accels = json_array();
    }
    json_array_add_take(startup.accels, json_ref(kv));
    return true;
}

bool option_enable_kvm(const char *arg, Error **errp)
{
    return option_accel("kvm", errp);
}

bool option_compat(const char *arg, Error **errp)
{
    g_autoptr(JsonValue) kv = keyval_parse(arg, NULL, NULL, errp);
    g_autoptr(CompatPolicy) p = kv ? qapi_decode(&qapi_type_CompatPolicy, kv, errp) : NULL;

    if (!p) {
        return false;
    }
    if (p->has_deprecated_input) {
        qapi_policy.input[QAPI_DEPRECATED] = (QapiInputPolicy)p->deprecated_input;
    }
    if (p->has_unstable_input) {
        qapi_policy.input[QAPI_UNSTABLE] = (QapiInputPolicy)p->unstable_input;
    }
    if (p->has_deprecated_output) {
        qapi_policy.hide[QAPI_DEPRECATED] = p->deprecated_output == COMPAT_POLICY_OUTPUT_HIDE;
    }
    if (p->has_unstable_output) {
        qapi_policy.hide[QAPI_UNSTABLE] = p->unstable_output == COMPAT_POLICY_OUTPUT_HIDE;
    }
    return true;
}

bool option_only_migratable(const char *arg, Error **errp)
{
    migration_allow_no_blocker();
    return true;
}

bool option_preconfig(const char *arg, Error **errp)
{
    startup.preconfig = true;
    return true;
}

/* A size without a suffix is in MiB, as -m's. */
static void complete_node_size(JsonValue *kv)
{
    const char *mem = json_object_get_string(kv, "mem");

    if (mem && *mem && strspn(mem, "0123456789") == strlen(mem)) {
        g_autofree char *with_unit = g_strconcat(mem, "M", NULL);

        json_object_set_take(kv, "mem", json_keyval_string(with_unit));
    }
}

bool option_numa(const char *arg, Error **errp)
{
    g_autoptr(JsonValue) kv = keyval_parse_repeated(arg, "type", errp);
    g_autoptr(NumaOptions) o = NULL;

    if (!kv) {
        return false;
    }
    complete_node_size(kv);
    o = qapi_decode(&qapi_type_NumaOptions, kv, errp);
    return o && machine_numa_set(machine_current(), o, errp);
}

bool option_cpu(const char *arg, Error **errp)
{
    if (is_help(arg)) {
        startup.done = true;
        help_print_cpus();
        return true;
    }
    replace(&startup.cpu, arg);
    return true;
}

bool option_smp(const char *arg, Error **errp)
{
    return option_parse_params(arg, "cpus", smp_params, &startup.smp, errp);
}

bool option_memory(const char *arg, Error **errp)
{
    MemoryParams p = { 0 };

    if (!option_parse_params(arg, "size", memory_params, &p, errp)) {
        return false;
    }
    if (p.has_size) {
        startup.has_ram_size = true;
        startup.ram_size = p.size;
    }
    if (p.has_slots) {
        startup.has_ram_slots = true;
        startup.ram_slots = p.slots;
    }
    if (p.has_maxmem) {
        startup.has_ram_max = true;
        startup.ram_max = p.maxmem;
    }
    return true;
}

static bool set_machine_property(const char *name, const char *value)
{
    if (!startup.machine_options) {
        startup.machine_options = json_object();
        startup.accel_options = json_object();
    }
    json_object_set_take(startup.machine_options, name, json_keyval_string(value));
    return true;
}

bool option_kernel(const char *arg, Error **errp)
{
    return set_machine_property("kernel", arg);
}

bool option_initrd(const char *arg, Error **errp)
{
    return set_machine_property("initrd", arg);
}

bool option_append(const char *arg, Error **errp)
{
    return set_machine_property("append", arg);
}

bool option_dtb(const char *arg, Error **errp)
{
    return set_machine_property("dtb", arg);
}

bool option_bios(const char *arg, Error **errp)
{
    return set_machine_property("firmware", arg);
}

bool option_fw_cfg(const char *arg, Error **errp)
{
    FwCfgParams p = { 0 };
    bool ok = option_parse_params(arg, "name", fw_cfg_params, &p, errp) &&
              fw_cfg_user_item_add(p.name, p.string, p.file, errp);

    option_free_params(fw_cfg_params, &p);
    return ok;
}

bool option_smbios(const char *arg, Error **errp)
{
    return smbios_option_add(arg, errp);
}

bool option_no_acpi(const char *arg, Error **errp)
{
    startup.no_acpi = true;
    return true;
}

static bool add_global_params(const char *arg, Error **errp)
{
    GlobalParams p = { 0 };
    bool ok = option_parse_params(arg, NULL, global_params, &p, errp);

    if (ok && (!p.driver || !p.property || !p.value)) {
        error_setg(errp, "driver, property and value are needed");
        ok = false;
    }
    if (ok) {
        device_global_add(p.driver, p.property, p.value);
    }
    option_free_params(global_params, &p);
    return ok;
}

bool option_global(const char *arg, Error **errp)
{
    const char *eq = strchr(arg, '=');
    const char *dot = eq ? g_strrstr_len(arg, eq - arg, ".") : NULL;
    g_autofree char *driver = NULL, *property = NULL;

    if (g_str_has_prefix(arg, "driver=")) {
        return add_global_params(arg, errp);
    }
    if (!dot) {
        g_autofree char *key = g_strndup(arg, strcspn(arg, "=,"));

        error_setg(errp, "Invalid parameter '%s'", key);
        error_append_hint(errp, "-global takes DRIVER.PROPERTY=VALUE\n");
        return false;
    }
    driver = g_strndup(arg, dot - arg);
    property = g_strndup(dot + 1, eq - dot - 1);
    device_global_add(driver, property, eq + 1);
    return true;
}

/* ---- the guest's identity and what happens to it ---- */

bool option_name(const char *arg, Error **errp)
{
    NameParams p = { 0 };

    if (!option_parse_params(arg, "guest", name_params, &p, errp)) {
        return false;
    }
    if (p.guest) {
        g_free(startup.guest_name);
        startup.guest_name = p.guest;
    }
    if (p.process) {
        g_free(startup.process_name);
        startup.process_name = p.process;
    }
    thread_set_naming(p.debug_threads);
    return true;
}

bool option_uuid(const char *arg, Error **errp)
{
    if (!g_uuid_string_is_valid(arg)) {
        error_setg(errp, "failed to parse UUID string: wrong format");
        return false;
    }
    g_free(startup.uuid);
    startup.uuid = g_ascii_strdown(arg, -1);
    return true;
}

bool option_stopped(const char *arg, Error **errp)
{
    startup.stopped = true;
    return true;
}

bool option_no_reboot(const char *arg, Error **errp)
{
    run_state_actions.reboot = REBOOT_ACTION_SHUTDOWN;
    return true;
}

bool option_no_shutdown(const char *arg, Error **errp)
{
    run_state_actions.shutdown = SHUTDOWN_ACTION_PAUSE;
    return true;
}

static bool parse_action(const QapiEnum *e, const char *text, const char *param, int *value,
                         Error **errp)
{
    int v = text ? qapi_enum_parse(e, text, param, errp) : *value;

    if (v < 0) {
        return false;
    }
    *value = v;
    return true;
}

bool option_action(const char *arg, Error **errp)
{
    RunStateActions *a = &run_state_actions;
    int reboot = a->reboot, shutdown = a->shutdown, panic = a->panic, watchdog = a->watchdog;
    ActionParams p = { 0 };
    bool ok;

    if (!option_parse_params(arg, NULL, action_params, &p, errp)) {
        return false;
    }
    ok = parse_action(&qapi_enum_RebootAction, p.reboot, "reboot", &reboot, errp) &&
         parse_action(&qapi_enum_ShutdownAction, p.shutdown, "shutdown", &shutdown, errp) &&
         parse_action(&qapi_enum_PanicAction, p.panic, "panic", &panic, errp) &&
         parse_action(&qapi_enum_WatchdogAction, p.watchdog, "watchdog", &watchdog, errp);
    option_free_params(action_params, &p);
    if (ok) {
        *a = (RunStateActions){ reboot, shutdown, panic, watchdog };
    }
    return ok;
}

bool option_watchdog_action(const char *arg, Error **errp)
{
    int v = qapi_enum_parse(&qapi_enum_WatchdogAction, arg, "watchdog", errp);

    if (v < 0) {
        return false;
    }
    run_state_actions.watchdog = v;
    return true;
}

bool option_loadvm(const char *arg, Error **errp)
{
    g_free(startup.loadvm);
    startup.loadvm = g_strdup(arg);
    return true;
}

bool option_incoming(const char *arg, Error **errp)
{
    g_free(startup.incoming);
    startup.incoming = g_strdup(arg);
    return true;
}

static bool is_date(const char *text)
{
    g_autofree char *iso = g_strdup_printf("%s%s", text, strchr(text, 'T') ? "Z" : "T00:00:00Z");
    g_autoptr(GDateTime) date = g_date_time_new_from_iso8601(iso, NULL);

    return date != NULL;
}

static bool check_one_of(const char *value, const char *const *known, Error **errp)
{
    if (value && !g_strv_contains(known, value)) {
        error_setg(errp, "invalid option value '%s'", value);
        return false;
    }
    return true;
}

bool option_rtc(const char *arg, Error **errp)
{
    static const char *const clocks[] = { "host", "rt", "vm", NULL };
    static const char *const fixes[] = { "none", "slew", NULL };
    RtcParams p = { 0 };
    bool ok = option_parse_params(arg, NULL, rtc_params, &p, errp);

    if (ok && p.base && strcmp(p.base, "utc") != 0 && strcmp(p.base, "localtime") != 0 &&
        !is_date(p.base)) {
        error_setg(errp, "invalid datetime format");
        error_append_hint(errp, "valid formats: '2006-06-17T16:01:21' or '2006-06-17'\n");
        ok = false;
    }
    ok = ok && check_one_of(p.clock, clocks, errp) && check_one_of(p.driftfix, fixes, errp);
    if (ok) {
        rtc_configure(p.base, p.clock);
    }
    option_free_params(rtc_params, &p);
    return ok;
}

/* Drive letters of old firmware, each once. */
static bool check_boot_order(const char *order, Error **errp)
{
    unsigned seen = 0;

    for (const char *p = order ? order : ""; *p; p++) {
        if (*p < 'a' || *p > 'p') {
            error_setg(errp, "Invalid boot device '%c'", *p);
            return false;
        }
        if (seen & (1u << (*p - 'a'))) {
            error_setg(errp, "Boot device '%c' was given twice", *p);
            return false;
        }
        seen |= 1u << (*p - 'a');
    }
    return true;
}

/* Without firmware a kernel is booted; firmware goes by bootindex=. */
bool option_boot(const char *arg, Error **errp)
{
    BootParams p = { 0 };
    bool ok = option_parse_params(arg, "order", boot_params, &p, errp) &&
              check_boot_order(p.order, errp) && check_boot_order(p.once, errp);

    if (ok && p.has_reboot_timeout && (p.reboot_timeout < -1 || p.reboot_timeout > 65535)) {
        error_setg(errp, "reboot timeout is invalid,it should be a value between -1 and 65535");
        ok = false;
    }
    if (ok && p.has_splash_time && (p.splash_time < 0 || p.splash_time > 65535)) {
        error_setg(errp, "splash time is invalid, it should be a value between 0 and 65535");
        ok = false;
    }
    if (ok) {
        boot_order_configure(p.menu, p.strict, p.has_splash_time ? p.splash_time : -1,
                             p.has_reboot_timeout ? p.reboot_timeout : -1);
    }
    option_free_params(boot_params, &p);
    return ok;
}

bool option_overcommit(const char *arg, Error **errp)
{
    OvercommitParams p = { 0 };

    if (!option_parse_params(arg, NULL, overcommit_params, &p, errp)) {
        return false;
    }
    if (p.cpu_pm) {
        error_setg(errp, "cpu-pm=on is not supported");
        return false;
    }
    startup.mem_lock = p.mem_lock;
    return true;
}

/* ---- the process ---- */

bool option_daemonize(const char *arg, Error **errp)
{
    startup.daemonize = true;
    return true;
}

bool option_pidfile(const char *arg, Error **errp)
{
    replace(&startup.pidfile, arg);
    return true;
}

bool option_no_defaults(const char *arg, Error **errp)
{
    startup.no_defaults = true;
    return true;
}

bool option_nographic(const char *arg, Error **errp)
{
    startup.nographic = true;
    return true;
}

bool option_ignored(const char *arg, Error **errp)
{
    return true;
}

bool option_display(const char *arg, Error **errp)
{
    if (is_help(arg)) {
        startup.done = true;
        printf("Available display backend types:\nnone\n");
        return true;
    }
    if (strcmp(arg, "none") != 0) {
        error_setg(errp, "Parameter 'type' does not accept value '%s'", arg);
        return false;
    }
    return true;
}

/* For hardware that the machines do not have: -vga, -parallel, -net. */
bool option_none_only(const char *arg, Error **errp)
{
    if (strcmp(arg, "none") != 0) {
        error_setg(errp, "there is no '%s' here; only 'none' is accepted", arg);
        return false;
    }
    return true;
}

bool option_audiodev(const char *arg, Error **errp)
{
    g_autoptr(JsonValue) v = keyval_parse(arg, "driver", NULL, errp);
    const char *driver = v ? json_object_get_string(v, "driver") : NULL;

    if (!v) {
        return false;
    }
    if (!driver || strcmp(driver, "none") != 0) {
        error_setg(errp, "Parameter 'driver' does not accept value '%s'", driver ? driver : "");
        return false;
    }
    return true;
}

bool option_msg(const char *arg, Error **errp)
{
    MsgParams p = { 0 };

    if (!option_parse_params(arg, NULL, msg_params, &p, errp)) {
        return false;
    }
    report_set_timestamp(p.timestamp);
    startup.name_in_messages = p.guest_name;
    return true;
}

bool option_qtest(const char *arg, Error **errp)
{
    replace(&startup.qtest, arg);
    return true;
}

bool option_qtest_log(const char *arg, Error **errp)
{
    replace(&startup.qtest_log, arg);
    return true;
}

bool option_log_file(const char *arg, Error **errp)
{
    return trace_set_log_file(arg, errp);
}

const char *log_items_help(void)
{
    return "Log items (comma separated):\n"
           "trace:PATTERN   enable trace events\n"
           "guest_errors    accepted; each is a trace event here\n"
           "unimp           accepted; each is a trace event here\n";
}

bool log_items_apply(const char *text, Error **errp)
{
    g_auto(GStrv) items = g_strsplit(text, ",", -1);

    for (char **i = items; *i; i++) {
        if (g_str_has_prefix(*i, "trace:")) {
            trace_enable(*i + 6);
        } else if (strcmp(*i, "guest_errors") != 0 && strcmp(*i, "unimp") != 0) {
            error_setg(errp, "unknown log item '%s'; -d help lists them", *i);
            return false;
        }
    }
    return true;
}

bool option_log_items(const char *arg, Error **errp)
{
    if (is_help(arg)) {
        startup.done = true;
        fputs(log_items_help(), stdout);
        return true;
    }
    return log_items_apply(arg, errp);
}

bool option_trace(const char *arg, Error **errp)
{
    bool help = false;

    if (!trace_parse_option(arg, &help, errp)) {
        return false;
    }
    if (help) {
        startup.done = true;
        trace_list();
    }
    return true;
}

bool option_add_fd(const char *arg, Error **errp)
{
    AddFdParams p = { 0 };
    int64_t set;
    int flags;
    bool ok = false;

    if (!option_parse_params(arg, NULL, add_fd_params, &p, errp)) {
        return false;
    }
    if (!p.has_fd || !p.has_set) {
        error_setg(errp, "%s", p.has_fd ? "set id is required and must be non-negative"
                                        : "fd option is required and must be non-negative");
    } else if (p.fd <= STDERR_FILENO) {
        error_setg(errp, "fd cannot be a standard I/O stream");
    } else if (p.fd > INT_MAX || (flags = fcntl(p.fd, F_GETFD)) < 0 || (flags & FD_CLOEXEC)) {
        /* Ours are all close-on-exec, so one that is not was passed to us. */
        error_setg(errp, "fd is not valid or already in use");
    } else {
        int fd = fcntl(p.fd, F_DUPFD_CLOEXEC, 0);

        set = p.set;
        ok = fd >= 0 && fdset_add_fd(&set, fd, p.opaque, errp);
        if (fd < 0) {
            error_setg_errno(errp, errno, "error duplicating fd");
        } else if (ok) {
            close(p.fd);
        } else {
            close(fd);
        }
    }
    option_free_params(add_fd_params, &p);
    return ok;
}

/* ---- data folders ---- */

static GPtrArray *folders;

bool option_datadir(const char *arg, Error **errp)
{
    if (is_help(arg)) {
        startup.done = true;
        for (guint i = 0; folders && i < folders->len; i++) {
            printf("%s\n", (char *)folders->pdata[i]);
        }
        printf("%s\n", NEMU_DATADIR);
        return true;
    }
    if (!folders) {
        folders = g_ptr_array_new();
    }
    g_ptr_array_add(folders, g_strdup(arg));
    return true;
}

char *datadir_find(const char *name)
{
    char *path;

    if (access(name, R_OK) == 0) {
        return g_strdup(name);
    }
    for (guint i = 0; folders && i < folders->len; i++) {
        path = g_build_filename(folders->pdata[i], name, NULL);
        if (access(path, R_OK) == 0) {
            return path;
        }
        g_free(path);
    }
    path = g_build_filename(NEMU_DATADIR, name, NULL);
    if (access(path, R_OK) == 0) {
        return path;
    }
    g_free(path);
    return NULL;
}

/* ---- help ---- */

bool option_version(const char *arg, Error **errp)
{
    help_print_version();
    startup.done = true;
    return true;
}

bool option_help(const char *arg, Error **errp)
{
    help_print_version();
    help_print_options();
    startup.done = true;
    return true;
}
