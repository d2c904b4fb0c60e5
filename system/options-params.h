/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the key=value options of the option table are parsed into. */
#ifndef SYSTEM_OPTIONS_PARAMS_H
#define SYSTEM_OPTIONS_PARAMS_H

#include "system/options.h"

typedef struct MemoryParams {
    bool has_size, has_slots, has_maxmem;
    uint64_t size, slots, maxmem;
} MemoryParams;

typedef struct NameParams {
    char *guest, *process;
    bool debug_threads;
} NameParams;

typedef struct GlobalParams {
    char *driver, *property, *value;
} GlobalParams;

typedef struct ActionParams {
    char *reboot, *shutdown, *panic, *watchdog;
} ActionParams;

typedef struct RtcParams {
    char *base, *clock, *driftfix;
} RtcParams;

typedef struct BootParams {
    char *order, *once, *splash;
    bool menu, strict, has_splash_time, has_reboot_timeout;
    int64_t splash_time, reboot_timeout;
} BootParams;

typedef struct OvercommitParams {
    bool mem_lock, cpu_pm;
} OvercommitParams;

typedef struct SandboxParams {
    bool has_enable, enable;
    char *obsolete, *elevateprivileges, *spawn, *resourcecontrol;
} SandboxParams;

typedef struct MsgParams {
    bool timestamp, guest_name;
} MsgParams;

/* For the list of options only: trace_parse_option() reads them. */
typedef struct TraceParams {
    char *enable, *events, *file;
} TraceParams;

typedef struct AddFdParams {
    bool has_fd, has_set;
    uint64_t fd, set;
    char *opaque;
} AddFdParams;

typedef struct MonParams {
    char *chardev, *id, *mode;
    bool pretty;
} MonParams;

typedef struct FwCfgParams {
    char *name, *string, *file;
} FwCfgParams;

extern const OptionParam smp_params[], memory_params[], name_params[], global_params[];
extern const OptionParam action_params[], rtc_params[], boot_params[], overcommit_params[];
extern const OptionParam msg_params[], trace_params[], add_fd_params[], mon_params[];
extern const OptionParam fw_cfg_params[], sandbox_params[];

#endif
