/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Attributes, rounding, single-access reads and writes, and memory ordering.
 * Anything that another thread or the guest may change is read through
 * READ_ONCE() or an atomic, never by a plain load.
 */
#ifndef UTIL_COMPILER_H
#define UTIL_COMPILER_H

#include <stddef.h>
#include <stdint.h>

#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))
/* A function of the program that modules (shared objects, see util/module.h) call. */
#define MODULE_API __attribute__((visibility("default")))
#define WARN_UNUSED __attribute__((warn_unused_result))
#define PACKED __attribute__((packed))
#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* From the address of a member to the struct that holds it. */
#define container_of(ptr, type, member) \
    ((type *)((char *)(ptr) - offsetof(type, member)))

/* The alignment @a is a power of two. */
#define ROUND_DOWN(n, a) ((n) & ~((__typeof__(n))(a) - 1))
#define ROUND_UP(n, a) ROUND_DOWN((n) + ((__typeof__(n))(a) - 1), a)
#define IS_ALIGNED(n, a) (((n) & ((__typeof__(n))(a) - 1)) == 0)
#define DIV_ROUND_UP(n, d) (((n) + (d) - 1) / (d))
#define IS_POWER_OF_2(n) ((n) != 0 && ((n) & ((n) - 1)) == 0)

#define KIB (UINT64_C(1) << 10)
#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)
#define TIB (UINT64_C(1) << 40)

#define BIT(n) (UINT64_C(1) << (n))

#define READ_ONCE(x) (*(const volatile __typeof__(x) *)&(x))
#define WRITE_ONCE(x, v) (*(volatile __typeof__(x) *)&(x) = (v))

#define atomic_load(p) __atomic_load_n(p, __ATOMIC_RELAXED)
#define atomic_load_acquire(p) __atomic_load_n(p, __ATOMIC_ACQUIRE)
#define atomic_store(p, v) __atomic_store_n(p, v, __ATOMIC_RELAXED)
#define atomic_store_release(p, v) __atomic_store_n(p, v, __ATOMIC_RELEASE)
/* Sequentially consistent: for "I say so, then look whether you did" between two threads. */
#define atomic_load_seq(p) __atomic_load_n(p, __ATOMIC_SEQ_CST)
#define atomic_store_seq(p, v) __atomic_store_n(p, v, __ATOMIC_SEQ_CST)
#define atomic_xchg(p, v) __atomic_exchange_n(p, v, __ATOMIC_SEQ_CST)
#define atomic_fetch_add(p, v) __atomic_fetch_add(p, v, __ATOMIC_SEQ_CST)
#define atomic_fetch_sub(p, v) __atomic_fetch_sub(p, v, __ATOMIC_SEQ_CST)
#define atomic_fetch_or(p, v) __atomic_fetch_or(p, v, __ATOMIC_SEQ_CST)
#define atomic_fetch_and(p, v) __atomic_fetch_and(p, v, __ATOMIC_SEQ_CST)
/* True when *@p held @old and now holds @new_. */
#define atomic_cas(p, old, new_)                                           \
    __extension__({                                                        \
        __typeof__(*(p)) cas_expected_ = (old);                            \
        __atomic_compare_exchange_n(p, &cas_expected_, new_, 0,            \
                                    __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);   \
    })

/* Full, read-read and write-write barriers between CPUs and to guest CPUs. */
#define smp_mb() __atomic_thread_fence(__ATOMIC_SEQ_CST)
#define smp_rmb() __atomic_thread_fence(__ATOMIC_ACQUIRE)
#define smp_wmb() __atomic_thread_fence(__ATOMIC_RELEASE)

#endif
