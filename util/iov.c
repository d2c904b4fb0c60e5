/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Scatter-gather lists (include/util/iov.h). The lists are trusted, the
 * offsets and lengths are not: they may lie beyond the end, and their sum may
 * wrap. Pure functions; any thread.
 */
#include "util/osdep.h"
#include "util/iov.h"

size_t iov_size(const struct iovec *iov, unsigned cnt)
{
    size_t sum = 0;

    for (unsigned i = 0; i < cnt; i++) {
        sum += iov[i].iov_len;
    }
    return sum;
}

/*
 * Walks the pieces of a list that cover [offset, offset + len). Returns false
 * at the end; else the next piece is in @base and @n (never empty).
 */
typedef struct IovWalk {
    const struct iovec *iov;
    unsigned cnt;
    size_t offset;
    size_t len;
} IovWalk;

static inline bool iov_walk_next(IovWalk *w, char **base, size_t *n)
{
    while (w->cnt && w->len) {
        const struct iovec *v = w->iov++;

        w->cnt--;
        if (w->offset >= v->iov_len) {
            w->offset -= v->iov_len;
            continue;
        }
        *base = (char *)v->iov_base + w->offset;
        *n = MIN(v->iov_len - w->offset, w->len);
        w->offset = 0;
        w->len -= *n;
        return true;
    }
    return false;
}

size_t iov_from_buf(const struct iovec *iov, unsigned cnt, size_t offset, const void *buf,
                    size_t len)
{
    IovWalk w = { iov, cnt, offset, len };
    size_t done = 0, n;
    char *p;

    while (iov_walk_next(&w, &p, &n)) {
        memcpy(p, (const char *)buf + done, n);
        done += n;
    }
    return done;
}

size_t iov_to_buf(const struct iovec *iov, unsigned cnt, size_t offset, void *buf, size_t len)
{
    IovWalk w = { iov, cnt, offset, len };
    size_t done = 0, n;
    char *p;

    while (iov_walk_next(&w, &p, &n)) {
        memcpy((char *)buf + done, p, n);
        done += n;
    }
    return done;
}

size_t iov_memset(const struct iovec *iov, unsigned cnt, size_t offset, int byte, size_t len)
{
    IovWalk w = { iov, cnt, offset, len };
    size_t done = 0, n;
    char *p;

    while (iov_walk_next(&w, &p, &n)) {
        memset(p, byte, n);
        done += n;
    }
    return done;
}

unsigned iov_slice(struct iovec *dst, unsigned dst_max, const struct iovec *src, unsigned cnt,
                   size_t offset, size_t len)
{
    IovWalk w = { src, cnt, offset, len };
    unsigned i = 0;
    size_t n;
    char *p;

    while (i < dst_max && iov_walk_next(&w, &p, &n)) {
        dst[i].iov_base = p;
        dst[i].iov_len = n;
        i++;
    }
    return i;
}

size_t iov_discard_front(struct iovec **iov, unsigned *cnt, size_t len)
{
    size_t left = len;

    while (*cnt) {
        struct iovec *v = *iov;

        if (left < v->iov_len) {
            v->iov_base = (char *)v->iov_base + left;
            v->iov_len -= left;
            return len;
        }
        left -= v->iov_len;
        (*iov)++;
        (*cnt)--;
        if (!left) {
            break;
        }
    }
    return len - left;
}

size_t iov_discard_back(struct iovec *iov, unsigned *cnt, size_t len)
{
    size_t left = len;

    while (*cnt && left) {
        struct iovec *v = &iov[*cnt - 1];

        if (left < v->iov_len) {
            v->iov_len -= left;
            return len;
        }
        left -= v->iov_len;
        (*cnt)--;
    }
    return len - left;
}

void io_vector_init(IoVector *v, unsigned alloc_hint)
{
    *v = (IoVector) { .iov = alloc_hint ? g_new(struct iovec, alloc_hint) : NULL,
                      .alloc = alloc_hint };
}

void io_vector_init_buf(IoVector *v, void *buf, size_t len)
{
    *v = (IoVector) { .iov = &v->local, .cnt = 1, .size = len,
                      .local = { .iov_base = buf, .iov_len = len } };
}

void io_vector_init_external(IoVector *v, const struct iovec *iov, unsigned cnt)
{
    *v = (IoVector) { .iov = (struct iovec *)iov, .cnt = cnt, .size = iov_size(iov, cnt) };
}

void io_vector_add(IoVector *v, void *base, size_t len)
{
    assert(v->alloc || !v->iov);        /* wrapped lists belong to somebody else */
    if (v->cnt == v->alloc) {
        v->alloc = v->alloc ? v->alloc * 2 : 4;
        v->iov = g_renew(struct iovec, v->iov, v->alloc);
    }
    v->iov[v->cnt].iov_base = base;
    v->iov[v->cnt].iov_len = len;
    v->cnt++;
    v->size += len;
}

void io_vector_concat(IoVector *v, const IoVector *src, size_t offset, size_t len)
{
    IovWalk w = { src->iov, src->cnt, offset, len };
    size_t n;
    char *p;

    while (iov_walk_next(&w, &p, &n)) {
        io_vector_add(v, p, n);
    }
}

void io_vector_reset(IoVector *v)
{
    v->cnt = 0;
    v->size = 0;
}

void io_vector_destroy(IoVector *v)
{
    if (v->alloc) {
        g_free(v->iov);
    }
    *v = (IoVector) { 0 };
}

bool io_vector_is_zero(const IoVector *v, size_t offset, size_t len)
{
    IovWalk w = { v->iov, v->cnt, offset, len };
    size_t n;
    char *p;

    while (iov_walk_next(&w, &p, &n)) {
        if (!buffer_is_zero(p, n)) {
            return false;
        }
    }
    return true;
}

/*
 * 64 bytes a step, with the loads in four words that do not depend on each
 * other: the compiler makes vector code of it, and from then on memory is the
 * limit. A look at the ends and the middle answers most non-zero buffers.
 */
bool buffer_is_zero(const void *buf, size_t len)
{
    const char *p = buf;
    uint64_t w[8];

    if (!len) {
        return true;
    }
    if (p[0] | p[len / 2] | p[len - 1]) {
        return false;
    }
    for (; len >= sizeof(w); p += sizeof(w), len -= sizeof(w)) {
        memcpy(w, p, sizeof(w));
        if ((w[0] | w[1]) | (w[2] | w[3]) | (w[4] | w[5]) | (w[6] | w[7])) {
            return false;
        }
    }
    for (; len; p++, len--) {
        if (*p) {
            return false;
        }
    }
    return true;
}
