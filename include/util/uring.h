/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Uring: the rings of one io_uring instance, mapped and driven here (it is less
 * code than a library's start-up cost is worth). io_uring_setup(2),
 * io_uring_enter(2), linux/io_uring.h. The kernel is trusted.
 *
 * Thread: all of it is for the one thread that drives the instance; uring_init()
 * and uring_cleanup() may run elsewhere while nothing else does.
 */
#ifndef UTIL_URING_H
#define UTIL_URING_H

#include <linux/io_uring.h>
#include <stdbool.h>
#include <time.h>
#include "util/error.h"

typedef struct UringQueue {
    unsigned *head, *tail, *mask;
    void *map;
    size_t map_size;
} UringQueue;

typedef struct Uring {
    int fd;
    UringQueue sq, cq;
    unsigned *sq_array;
    struct io_uring_sqe *sqes;
    size_t sqes_size;
    struct io_uring_cqe *cqes;
    unsigned sq_entries, cq_entries;
    unsigned features;          /* IORING_FEAT_* */
    unsigned unsubmitted;       /* entries that the kernel has not taken */
} Uring;

/* @entries: of the submission queue, a power of two. False with @errp set when the host refuses. */
bool uring_init(Uring *u, unsigned entries, Error **errp);
void uring_cleanup(Uring *u);

/* The next submission entry, zeroed, to be filled before uring_enter(); NULL when the queue is full. */
struct io_uring_sqe *uring_next_sqe(Uring *u);

/*
 * Submit what was filled in. @wait_for: completions to wait for, at most @timeout
 * (NULL: without limit; needs IORING_FEAT_EXT_ARG). @flags: IORING_ENTER_*.
 * Returns false with errno set when the kernel took nothing.
 */
bool uring_enter(Uring *u, unsigned wait_for, unsigned flags, const struct timespec *timeout);

/* Whether a completion lies in the ring; takes the oldest. */
bool uring_has_completion(const Uring *u);
bool uring_take_completion(Uring *u, struct io_uring_cqe *cqe);

#endif
