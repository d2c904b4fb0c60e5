/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The system call filter of -sandbox, by libseccomp (seccomp(2)). What no part
 * of the program ever calls ends the process: only injected code would. What a
 * part may try (a network script, a priority) fails with EPERM, so that a
 * mistake of management does not end the guest.
 *
 * Main thread; the filter reaches all threads (SECCOMP_FILTER_FLAG_TSYNC).
 */
#include "util/osdep.h"
#include <sched.h>
#include <seccomp.h>
#include "system/sandbox.h"
#include "util/module.h"

typedef struct Rule {
    const char *call;
    const char *why;
} Rule;

/* Always denied. */
static const Rule never[] = {
    { "reboot", "the host's power" },
    { "kexec_load", "replaces the host's kernel" },
    { "kexec_file_load", "replaces the host's kernel" },
    { "init_module", "adds to the host's kernel" },
    { "finit_module", "adds to the host's kernel" },
    { "delete_module", "takes from the host's kernel" },
    { "swapon", "the host's memory" },
    { "swapoff", "the host's memory" },
    { "mount", "the host's file systems" },
    { "umount2", "the host's file systems" },
    { "move_mount", "the host's file systems" },
    { "open_tree", "the host's file systems" },
    { "fsopen", "the host's file systems" },
    { "fsmount", "the host's file systems" },
    { "pivot_root", "the host's file systems" },
    { "quotactl", "the host's file systems" },
    { "open_by_handle_at", "gets around directories' permissions" },
    { "acct", "the host's accounting" },
    { "syslog", "the host's log" },
    { "settimeofday", "the host's clock" },
    { "clock_settime", "the host's clock" },
    { "clock_adjtime", "the host's clock" },
    { "adjtimex", "the host's clock" },
    { "sethostname", "the host's name" },
    { "setdomainname", "the host's name" },
    { "vhangup", "other users' terminals" },
    { "iopl", "hardware without a driver" },
    { "ioperm", "hardware without a driver" },
    { "bpf", "code in the host's kernel" },
    { "perf_event_open", "sees other processes" },
    { "ptrace", "changes other processes" },
    { "process_vm_readv", "reads other processes" },
    { "process_vm_writev", "changes other processes" },
    { "lookup_dcookie", "for profilers" },
};

static const Rule obsolete[] = {
    { "_sysctl", "replaced by /proc/sys" },
    { "afs_syscall", "not implemented" },
    { "bdflush", "does nothing" },
    { "create_module", "gone" },
    { "get_kernel_syms", "gone" },
    { "getpmsg", "not implemented" },
    { "nfsservctl", "gone" },
    { "putpmsg", "not implemented" },
    { "query_module", "gone" },
    { "readdir", "replaced by getdents64" },
    { "security", "not implemented" },
    { "sgetmask", "replaced by rt_sigprocmask" },
    { "ssetmask", "replaced by rt_sigprocmask" },
    { "sysfs", "replaced by /proc/filesystems" },
    { "tuxcall", "not implemented" },
    { "uselib", "for a.out programs" },
    { "ustat", "replaced by statfs" },
    { "vserver", "not implemented" },
};

static const Rule privileges[] = {
    { "setuid", "user" }, { "setreuid", "user" }, { "setresuid", "user" }, { "setfsuid", "user" },
    { "setgid", "group" }, { "setregid", "group" }, { "setresgid", "group" },
    { "setfsgid", "group" }, { "setgroups", "group" }, { "capset", "capabilities" },
    { "chroot", "root folder" }, { "setns", "name space" }, { "unshare", "name space" },
};

static const Rule spawn[] = {
    { "fork", "new process" }, { "vfork", "new process" },
    { "execve", "new program" }, { "execveat", "new program" },
};

static const Rule resources[] = {
    { "setpriority", "priority" }, { "ioprio_set", "priority of I/O" },
    { "sched_setparam", "priority" }, { "sched_setscheduler", "scheduling class" },
    { "sched_setattr", "scheduling class" }, { "sched_setaffinity", "CPUs" },
    { "setrlimit", "limits" },
};

/* Calls that this architecture or kernel does not have need no rule. */
static bool deny(scmp_filter_ctx ctx, uint32_t action, const Rule *rules, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int nr = seccomp_syscall_resolve_name(rules[i].call);

        if (nr != __NR_SCMP_ERROR && nr >= 0 && seccomp_rule_add(ctx, action, nr, 0) < 0) {
            return false;
        }
    }
    return true;
}

/* A new process, and not a thread. clone3() hides its flags in memory: without it the C library uses clone(). */
static bool deny_new_processes(scmp_filter_ctx ctx, uint32_t action)
{
    return seccomp_rule_add(ctx, action, SCMP_SYS(clone), 1,
                            SCMP_A0_64(SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0)) == 0 &&
           seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0) == 0;
}

/* Reading limits goes through the same call as setting them. */
static bool deny_new_limits(scmp_filter_ctx ctx)
{
    return seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(prlimit64), 1,
                            SCMP_A2_64(SCMP_CMP_NE, 0)) == 0;
}

static bool enable(unsigned groups, Error **errp)
{
    scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
    uint32_t refuse = SCMP_ACT_ERRNO(EPERM);
    bool ok;
    int err;

    ok = ctx && seccomp_attr_set(ctx, SCMP_FLTATR_CTL_TSYNC, 1) == 0 &&
         deny(ctx, SCMP_ACT_KILL_PROCESS, never, ARRAY_SIZE(never));
    if (ok && groups & SANDBOX_OBSOLETE) {
        ok = deny(ctx, SCMP_ACT_KILL_PROCESS, obsolete, ARRAY_SIZE(obsolete));
    }
    if (ok && groups & SANDBOX_PRIVILEGES) {
        ok = deny(ctx, refuse, privileges, ARRAY_SIZE(privileges));
    }
    if (ok && groups & SANDBOX_SPAWN) {
        ok = deny(ctx, SCMP_ACT_KILL_PROCESS, spawn, ARRAY_SIZE(spawn)) &&
             deny_new_processes(ctx, SCMP_ACT_KILL_PROCESS);
    }
    if (ok && groups & SANDBOX_RESOURCES) {
        ok = deny(ctx, refuse, resources, ARRAY_SIZE(resources)) && deny_new_limits(ctx);
    }
    err = ok ? seccomp_load(ctx) : -EINVAL;
    if (ctx) {
        seccomp_release(ctx);
    }
    if (err) {
        error_setg_errno(errp, -err, "failed to install seccomp syscall filter in the kernel");
    }
    return !err;
}

static const SandboxOps sandbox_ops = { .enable = enable };

NEMU_MODULE("sandbox-seccomp", &sandbox_ops);
