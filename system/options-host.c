/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Handlers of options on the host's side of the process: identity, root
 * folder, system call filter, memory from a file. Main thread, at start-up.
 */
#include "util/osdep.h"
#include <grp.h>
#include <pwd.h>
#include "system/options-params.h"
#include "system/sandbox.h"
#include "system/startup.h"
#include "util/cutils.h"
#include "util/module.h"

/* ---- -runas, -chroot ---- */

/* "UID:GID"; false when @text is something else. */
static bool parse_ids(const char *text, uid_t *uid, gid_t *gid)
{
    g_auto(GStrv) parts = g_strsplit(text, ":", 2);
    uint64_t u, g;

    /* The last number of each means "do not change" to the kernel. */
    if (!parts[0] || !parts[1] || !g_ascii_isdigit(*parts[0]) || !g_ascii_isdigit(*parts[1]) ||
        parse_uint64(parts[0], 0, &u) != 0 || parse_uint64(parts[1], 0, &g) != 0 ||
        u >= UINT32_MAX || g >= UINT32_MAX) {
        return false;
    }
    *uid = u;
    *gid = g;
    return true;
}

bool option_runas(const char *arg, Error **errp)
{
    const struct passwd *pw = getpwnam(arg);

    if (pw) {
        g_free(startup.user.name);
        startup.user.name = g_strdup(pw->pw_name);
        startup.user.uid = pw->pw_uid;
        startup.user.gid = pw->pw_gid;
    } else if (!parse_ids(arg, &startup.user.uid, &startup.user.gid)) {
        error_setg(errp, "User \"%s\" doesn't exist (and is not <uid>:<gid>)", arg);
        return false;
    }
    startup.user.change = true;
    return true;
}

bool option_chroot(const char *arg, Error **errp)
{
    g_free(startup.chroot);
    startup.chroot = g_strdup(arg);
    return true;
}

static bool change_user(Error **errp)
{
    const StartupUser *u = &startup.user;

    if (!u->change) {
        return true;
    }
    if (setgid(u->gid) < 0) {
        error_setg_errno(errp, errno, "Failed to setgid(%d)", (int)u->gid);
        return false;
    }
    if ((u->name ? initgroups(u->name, u->gid) : setgroups(1, &u->gid)) < 0) {
        error_setg_errno(errp, errno, "Failed to set the groups of user %s",
                         u->name ? u->name : "with this number");
        return false;
    }
    if (setuid(u->uid) < 0) {
        error_setg_errno(errp, errno, "Failed to setuid(%d)", (int)u->uid);
        return false;
    }
    if (u->uid != 0 && setuid(0) == 0) {
        error_setg(errp, "Dropping privileges failed");
        return false;
    }
    return true;
}

/* ---- -sandbox ---- */

const OptionParam sandbox_params[] = {
    PARAM_HAS(SandboxParams, enable, "enable", BOOLEAN, "deny system calls"),
    PARAM(SandboxParams, obsolete, "obsolete", STRING, "obsolete ones: allow or deny"),
    PARAM(SandboxParams, elevateprivileges, "elevateprivileges", STRING,
          "those that change users and capabilities: allow, deny, children"),
    PARAM(SandboxParams, spawn, "spawn", STRING, "new processes: allow or deny"),
    PARAM(SandboxParams, resourcecontrol, "resourcecontrol", STRING,
          "priorities and affinity: allow or deny"),
    PARAM_END
};

/*
 * @third (may be NULL) is accepted as well. With "children" only programs that
 * are started must not gain privileges, which holds for every filter.
 */
static bool parse_permission(const char *name, const char *value, const char *third, bool absent,
                             unsigned group, Error **errp)
{
    bool denied;

    if (!value) {
        denied = absent;
    } else if (strcmp(value, "deny") == 0) {
        denied = true;
    } else if (strcmp(value, "allow") == 0 || (third && strcmp(value, third) == 0)) {
        denied = false;
    } else {
        error_setg(errp, "invalid argument for %s", name);
        return false;
    }
    startup.sandbox_groups |= denied ? group : 0;
    return true;
}

bool option_sandbox(const char *arg, Error **errp)
{
    SandboxParams p = { 0 };
    bool ok = option_parse_params(arg, "enable", sandbox_params, &p, errp);

    startup.sandbox_groups = 0;
    startup.sandbox = ok && p.enable;
    if (startup.sandbox) {
        ok = parse_permission("obsolete", p.obsolete, NULL, true, SANDBOX_OBSOLETE, errp) &&
             parse_permission("elevateprivileges", p.elevateprivileges, "children", false,
                              SANDBOX_PRIVILEGES, errp) &&
             parse_permission("spawn", p.spawn, NULL, false, SANDBOX_SPAWN, errp) &&
             parse_permission("resourcecontrol", p.resourcecontrol, NULL, false,
                              SANDBOX_RESOURCES, errp);
    }
    option_free_params(sandbox_params, &p);
    return ok;
}

bool sandbox_enable(unsigned groups, Error **errp)
{
#ifdef CONFIG_SECCOMP
    const SandboxOps *ops = module_load("sandbox-seccomp", errp);

    return ops && ops->enable(groups, errp);
#else
    error_setg(errp, "-sandbox on: this build has no system call filter (libseccomp)");
    return false;
#endif
}

/* ---- when ---- */

/* Changing the user comes last, and what it needs must not be denied before. */
static bool changes_identity(void)
{
    return startup.user.change || startup.chroot;
}

bool host_confine_early(Error **errp)
{
    return !startup.sandbox || changes_identity() || sandbox_enable(startup.sandbox_groups, errp);
}

bool host_confine_late(Error **errp)
{
    if (startup.chroot && (chroot(startup.chroot) < 0 || chdir("/") < 0)) {
        error_setg_errno(errp, errno, "chroot failed: '%s'", startup.chroot);
        return false;
    }
    return change_user(errp) &&
           (!startup.sandbox || !changes_identity() ||
            sandbox_enable(startup.sandbox_groups, errp));
}

/* ---- main memory from a file ---- */

bool option_mem_path(const char *arg, Error **errp)
{
    g_free(startup.mem_path);
    startup.mem_path = g_strdup(arg);
    return true;
}

bool option_mem_prealloc(const char *arg, Error **errp)
{
    startup.mem_prealloc = true;
    return true;
}
