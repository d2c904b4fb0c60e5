/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the files of start-up share: the values that options leave behind, and
 * the option handlers. Main thread, before the main loop.
 */
#ifndef SYSTEM_STARTUP_H
#define SYSTEM_STARTUP_H

#include <sys/types.h>
#include "hw/core/machine.h"
#include "qapi/json.h"
#include "qom/help.h"

/* -runas */
typedef struct StartupUser {
    bool change;
    char *name;                 /* NULL: only numbers were given */
    uid_t uid;
    gid_t gid;
} StartupUser;

typedef struct StartupConfig {
    bool done;                  /* an option like -version did its work: exit(0) */
    /* -machine */
    char *machine_name;
    JsonValue *machine_options; /* what is left after type= and accel= */
    char *machine_accels;       /* accel=a:b */
    JsonValue *accels;          /* array of {"accel": NAME, ...}, from -accel */
    JsonValue *accel_options;   /* -machine options that are the accelerator's */
    char *cpu;
    CpuTopologyOptions smp;
    bool has_ram_size, has_ram_slots, has_ram_max;
    uint64_t ram_size, ram_slots, ram_max;
    char *guest_name, *process_name;
    bool name_in_messages;      /* -msg guest-name=on */
    char *uuid;
    bool no_acpi;
    bool stopped;               /* -S */
    bool preconfig;
    bool no_defaults;
    bool nographic;
    bool mem_lock;
    char *mem_path;             /* -mem-path */
    bool mem_prealloc;
    StartupUser user;
    char *chroot;
    bool sandbox;               /* -sandbox on, without the SandboxGroup bits below */
    unsigned sandbox_groups;
    bool daemonize;
    char *pidfile;
    char *qtest, *qtest_log;
    char *incoming, *loadvm;
} StartupConfig;

extern StartupConfig startup;

typedef bool OptionHandler(const char *arg, Error **errp);

/* options-config.c: values */
OptionHandler option_machine, option_accel, option_enable_kvm, option_cpu, option_smp, option_memory;
OptionHandler option_name, option_uuid, option_stopped, option_no_defaults, option_nographic;
OptionHandler option_no_reboot, option_no_shutdown, option_action, option_watchdog_action;
OptionHandler option_daemonize, option_pidfile, option_rtc, option_boot, option_overcommit;
OptionHandler option_no_acpi, option_ignored, option_display, option_none_only;
OptionHandler option_msg, option_global, option_incoming, option_loadvm, option_qtest, option_qtest_log;
OptionHandler option_log_file, option_log_items, option_trace, option_add_fd, option_datadir;
OptionHandler option_audiodev, option_version, option_help, option_absent;
OptionHandler option_kernel, option_initrd, option_append, option_dtb, option_bios;
OptionHandler option_fw_cfg, option_smbios, option_numa, option_preconfig, option_compat, option_only_migratable;

/* options-host.c: the process on the host */
OptionHandler option_runas, option_chroot, option_sandbox, option_mem_path, option_mem_prealloc;
/* Before and after the devices are made; the second is the end of start-up. */
bool host_confine_early(Error **errp);
bool host_confine_late(Error **errp);

/* -d and the monitor's "log": "ITEM[,ITEM...]", and the list of items. */
bool log_items_apply(const char *text, Error **errp);
const char *log_items_help(void);

/* options-create.c: things */
OptionHandler option_object, option_chardev, option_serial, option_device;
OptionHandler option_netdev, option_nic;
OptionHandler option_set, option_echr, option_mon, option_qmp, option_qmp_pretty, option_monitor;
/* The keys of a shared terminal act on the program. */
void options_connect_terminal(void);
/* The -object ones that wait for the accelerator. Reports what fails. */
bool options_create_late_objects(void);
/* Those that use networks and character devices. */
bool options_create_last_objects(void);
/* The network cards of -nic. */
bool options_create_nics(Error **errp);
/* Every -set found its target. */
bool options_check_set(Error **errp);
/* Without -nodefaults: the serial port of -nographic. */
bool options_create_defaults(Error **errp);

/* options-block.c */
OptionHandler option_blockdev, option_drive, option_pflash;
/* Images follow the run state from here on. */
bool storage_setup(Error **errp);
/* The disks of -drive if=virtio. */
bool options_create_drives(Error **errp);

/* help.c */
void help_print_options(void);
void help_print_version(void);
/* "-device help"; with @all "info qdm", which shows internal ones, too. */
void help_print_devices(void);
void help_list_devices(GString *out, bool all);
void help_print_cpus(void);

/* process.c: what the operating system sees of us */
void process_catch_signals(void);
void process_set_name(const char *name);

/* machine-setup.c: from options to a machine */
bool machine_setup_create(Error **errp);        /* select it, set its properties */
bool machine_setup_accel(Error **errp);
bool machine_setup_cpu_model(Error **errp);
bool machine_setup_init(Error **errp);          /* NUMA nodes, RAM, the board itself */
bool machine_setup_ready(Error **errp);         /* after all devices */

#endif
