/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Loads modules (include/util/module.h). A module stays loaded for good.
 * Main thread only. Trusts the module folders as much as the executable.
 */
#include "util/osdep.h"
#include <dlfcn.h>
#include "util/module.h"

static GHashTable *loaded;      /* name -> const ModuleInfo * */

/* The folder of our own executable, or NULL; caller frees. */
static char *executable_dir(void)
{
    g_autofree char *exe = g_file_read_link("/proc/self/exe", NULL);

    return exe ? g_path_get_dirname(exe) : NULL;
}

/* Path of the module's file, or NULL when there is none; caller frees. */
static char *find_module(const char *name)
{
    g_autofree char *file = g_strconcat(name, ".so", NULL);
    g_autofree char *beside = executable_dir();
    const char *dirs[] = { getenv("NEMU_MODULE_DIR"), beside, NEMU_MODULE_DIR };

    for (unsigned i = 0; i < ARRAY_SIZE(dirs); i++) {
        g_autofree char *path = NULL;

        if (!dirs[i]) {
            continue;
        }
        path = g_build_filename(dirs[i], file, NULL);
        if (access(path, R_OK) == 0) {
            return g_steal_pointer(&path);
        }
    }
    return NULL;
}

bool module_available(const char *name)
{
    g_autofree char *path = find_module(name);

    return path != NULL;
}

const void *module_load(const char *name, Error **errp)
{
    g_autofree char *path = NULL;
    const ModuleInfo *info = loaded ? g_hash_table_lookup(loaded, name) : NULL;
    void *handle;

    if (info) {
        return info->ops;
    }
    path = find_module(name);
    if (!path) {
        error_setg(errp, "module '%s' is not installed (looked beside the program and in %s)",
                   name, NEMU_MODULE_DIR);
        return NULL;
    }
    handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!handle) {
        error_setg(errp, "cannot load module '%s': %s", name, dlerror());
        return NULL;
    }
    info = dlsym(handle, "nemu_module_info");
    if (!info || strcmp(info->build_id, NEMU_BUILD_ID) != 0 || strcmp(info->name, name) != 0) {
        error_setg(errp, "module file '%s' does not belong to this build (%s)", path,
                   NEMU_BUILD_ID);
        dlclose(handle);
        return NULL;
    }
    if (!loaded) {
        loaded = g_hash_table_new(g_str_hash, g_str_equal);
    }
    g_hash_table_insert(loaded, (void *)info->name, (void *)info);
    return info->ops;
}
