/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * QMP commands on the guest as a whole. Main thread with the machine lock.
 */
#include "util/osdep.h"
#include "accel/accel.h"
#include "qapi-commands.h"
#include "system/cpus.h"
#include "system/memory.h"
#include "system/startup.h"
#include "util/cutils.h"

NameInfo *qmp_query_name(Error **errp)
{
    NameInfo *info = g_new0(NameInfo, 1);

    info->name = g_strdup(startup.guest_name);
    return info;
}

bool qmp_pmemsave(const QmpPmemsaveArgs *args, Error **errp)
{
    uint64_t addr = args->val, left = args->size;
    g_autofree uint8_t *buf = NULL;
    bool ok = false;
    int fd;

    fd = open_cloexec(args->filename, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0) {
        error_setg_errno(errp, errno, "Could not open '%s'", args->filename);
        return false;
    }
    buf = g_malloc(64 * KIB);
    while (left) {
        size_t n = MIN(left, 64 * KIB);

        if (!guest_ram_read(&address_space_memory, addr, buf, n)) {
            error_setg(errp, "Invalid addr 0x%016" PRIx64 "/size %" PRIu64 " specified",
                       args->val, (uint64_t)args->size);
            goto out;
        }
        if (!write_full(fd, buf, n)) {
            error_setg_errno(errp, errno, "writing memory to '%s' failed", args->filename);
            goto out;
        }
        addr += n;
        left -= n;
    }
    ok = true;
out:
    close(fd);
    return ok;
}

bool qmp_inject_nmi(Error **errp)
{
    const AccelOps *ops = accel_current() ? accel_ops() : NULL;

    if (!ops || !ops->inject_nmi || !cpu_first()) {
        error_setg(errp, "this feature or command is not currently supported");
        return false;
    }
    CPU_FOREACH(cpu) {
        if (!ops->inject_nmi(cpu, errp)) {
            return false;
        }
    }
    return true;
}
