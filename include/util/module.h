/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Optional parts in shared objects, loaded on first use: they carry the heavy
 * libraries (libslirp, gnutls, ...), so that start-up never pays for them.
 * Looked up in $NEMU_MODULE_DIR, beside the executable, then in the installed
 * module folder. A module exports "nemu_module_info" (below); its build id
 * must be ours.
 */
#ifndef UTIL_MODULE_H
#define UTIL_MODULE_H

#include <stdbool.h>
#include "util/error.h"

typedef struct ModuleInfo {
    const char *name;
    const char *build_id;       /* NEMU_BUILD_ID */
    const void *ops;            /* what the loader's caller expects: a table of functions */
} ModuleInfo;

#define NEMU_MODULE(mod_name, mod_ops)                                      \
    const ModuleInfo nemu_module_info __attribute__((visibility("default"))) = { \
        .name = mod_name, .build_id = NEMU_BUILD_ID, .ops = mod_ops,        \
    }

/* Load (once) module @name, e.g. "net-slirp"; returns its ops table. Main thread. */
const void *module_load(const char *name, Error **errp);
/* True when the file exists, without loading it. */
bool module_available(const char *name);

#endif
