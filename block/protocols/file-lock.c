/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Image locks between processes: one byte of the file per permission, at
 * offset 100 + n "I do this" and at 200 + n "nobody else may do this". All are
 * shared locks on the open file description, so holding them conflicts with
 * nothing; a conflict is found by asking who holds the opposite byte. The
 * layout is common to all programs that use such images.
 *
 * Main thread.
 */
#include "util/osdep.h"
#include "file.h"
#include "../block-int.h"

#define LOCK_PERM_BASE 100
#define LOCK_UNSHARED_BASE 200

static struct flock lock_byte(short type, off_t offset)
{
    return (struct flock) { .l_type = type, .l_whence = SEEK_SET, .l_start = offset, .l_len = 1 };
}

bool file_lock_supported(int fd)
{
    struct flock fl = lock_byte(F_WRLCK, LOCK_PERM_BASE);

    return fcntl(fd, F_OFD_GETLK, &fl) == 0;
}

static int set_lock(int fd, short type, off_t offset)
{
    struct flock fl = lock_byte(type, offset);
    int ret;

    do {
        ret = fcntl(fd, F_OFD_SETLK, &fl);
    } while (ret < 0 && errno == EINTR);
    return ret < 0 ? -errno : 0;
}

static bool held_by_others(int fd, off_t offset)
{
    struct flock fl = lock_byte(F_WRLCK, offset);

    return fcntl(fd, F_OFD_GETLK, &fl) == 0 && fl.l_type != F_UNLCK;
}

static bool hold_bytes(int fd, uint64_t set, off_t base, uint64_t *held, Error **errp)
{
    unsigned i;
    int ret;

    for (i = 0; i < BLOCK_PERM_COUNT; i++) {
        if (!(set & ~*held & BIT(i))) {
            continue;
        }
        ret = set_lock(fd, F_RDLCK, base + i);
        if (ret < 0) {
            error_setg_errno(errp, -ret, "Failed to lock byte %d", (int)base + i);
            return false;
        }
        *held |= BIT(i);
    }
    return true;
}

static void drop_bytes(int fd, uint64_t set, off_t base, uint64_t *held)
{
    unsigned i;

    for (i = 0; i < BLOCK_PERM_COUNT; i++) {
        if ((set & *held & BIT(i)) && set_lock(fd, F_UNLCK, base + i) == 0) {
            *held &= ~BIT(i);
        }
    }
}

static bool check_others(FileState *s, int fd, uint64_t perm, uint64_t unshared, Error **errp)
{
    unsigned i;

    for (i = 0; i < BLOCK_PERM_COUNT; i++) {
        bool exclusive = (perm & BIT(i)) && held_by_others(fd, LOCK_UNSHARED_BASE + i);
        bool shared = (unshared & BIT(i)) && held_by_others(fd, LOCK_PERM_BASE + i);

        if (exclusive || shared) {
            error_setg(errp, "Failed to get %s\"%s\" lock", exclusive ? "" : "shared ",
                       block_perm_name(i));
            error_append_hint(errp, "Is another process using the image [%s]?\n", s->filename);
            return false;
        }
    }
    return true;
}

bool file_lock_acquire(FileState *s, int fd, uint64_t perm, uint64_t unshared, Error **errp)
{
    uint64_t none_perm = 0, none_unshared = 0;
    uint64_t *held_perm = fd == s->fd ? &s->locked_perm : &none_perm;
    uint64_t *held_unshared = fd == s->fd ? &s->locked_unshared : &none_unshared;
    uint64_t old_perm = *held_perm, old_unshared = *held_unshared;

    /* First hold, then look: of two processes at the same time at most both fail. */
    if (hold_bytes(fd, perm, LOCK_PERM_BASE, held_perm, errp) &&
        hold_bytes(fd, unshared, LOCK_UNSHARED_BASE, held_unshared, errp) &&
        (fd != s->fd || check_others(s, fd, perm, unshared, errp))) {
        return true;
    }
    drop_bytes(fd, ~old_perm, LOCK_PERM_BASE, held_perm);
    drop_bytes(fd, ~old_unshared, LOCK_UNSHARED_BASE, held_unshared);
    return false;
}

void file_lock_reduce(FileState *s, uint64_t perm, uint64_t unshared)
{
    drop_bytes(s->fd, ~perm, LOCK_PERM_BASE, &s->locked_perm);
    drop_bytes(s->fd, ~unshared, LOCK_UNSHARED_BASE, &s->locked_unshared);
}
