/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Stacks for coroutines and the switch between them: a few instructions on
 * x86_64 and AArch64 (what their procedure call standards call callee-saved,
 * and nothing else: no system call, no signal mask), ucontext elsewhere and
 * under the sanitizers, which are told of every switch. The page below a stack
 * is a guard: running over is a fault at once, not somebody else's memory.
 */
#include "util/osdep.h"
#include <sys/mman.h>
#include "coroutine-int.h"

#ifdef CONFIG_ASAN
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef CONFIG_TSAN
#include <sanitizer/tsan_interface.h>
#endif

/* Only what is touched costs memory. The sanitizers' frames are several times larger. */
#define STACK_SIZE (1u << 20)

#ifdef CONFIG_COROUTINE_ASM

/* Save the callee-saved state below the stack pointer, leave that in *@save, and take over @load. */
void co_switch(void **save, void *load);

#if defined(__x86_64__)
/* The MXCSR and x87 control words are callee-saved too; nothing of ours changes them. */
__asm__(".text\n"
        ".p2align 4\n"
        ".type co_switch, @function\n"
        "co_switch:\n"
        "    .cfi_startproc\n"
        "    pushq %rbp\n"
        "    pushq %rbx\n"
        "    pushq %r12\n"
        "    pushq %r13\n"
        "    pushq %r14\n"
        "    pushq %r15\n"
        "    movq %rsp, (%rdi)\n"
        "    movq %rsi, %rsp\n"
        "    popq %r15\n"
        "    popq %r14\n"
        "    popq %r13\n"
        "    popq %r12\n"
        "    popq %rbx\n"
        "    popq %rbp\n"
        "    ret\n"
        "    .cfi_endproc\n"
        ".size co_switch, .-co_switch\n");

static void *first_frame(char *top)
{
    void **sp = (void **)top;

    *--sp = NULL;               /* where coroutine_main() would return to: entered at 16n + 8 */
    *--sp = (void *)coroutine_main;
    sp -= 6;                    /* the six registers */
    memset(sp, 0, 6 * sizeof(*sp));
    return sp;
}

#elif defined(__aarch64__)
__asm__(".text\n"
        ".p2align 4\n"
        ".type co_switch, %function\n"
        "co_switch:\n"
        "    .cfi_startproc\n"
        "    sub sp, sp, #160\n"
        "    stp x19, x20, [sp, #0]\n"
        "    stp x21, x22, [sp, #16]\n"
        "    stp x23, x24, [sp, #32]\n"
        "    stp x25, x26, [sp, #48]\n"
        "    stp x27, x28, [sp, #64]\n"
        "    stp x29, x30, [sp, #80]\n"
        "    stp d8, d9, [sp, #96]\n"
        "    stp d10, d11, [sp, #112]\n"
        "    stp d12, d13, [sp, #128]\n"
        "    stp d14, d15, [sp, #144]\n"
        "    mov x9, sp\n"
        "    str x9, [x0]\n"
        "    mov sp, x1\n"
        "    ldp x19, x20, [sp, #0]\n"
        "    ldp x21, x22, [sp, #16]\n"
        "    ldp x23, x24, [sp, #32]\n"
        "    ldp x25, x26, [sp, #48]\n"
        "    ldp x27, x28, [sp, #64]\n"
        "    ldp x29, x30, [sp, #80]\n"
        "    ldp d8, d9, [sp, #96]\n"
        "    ldp d10, d11, [sp, #112]\n"
        "    ldp d12, d13, [sp, #128]\n"
        "    ldp d14, d15, [sp, #144]\n"
        "    add sp, sp, #160\n"
        "    ret\n"
        "    .cfi_endproc\n"
        ".size co_switch, .-co_switch\n");

static void *first_frame(char *top)
{
    void **sp = (void **)(top - 160);

    memset(sp, 0, 160);
    sp[11] = (void *)coroutine_main;    /* x30 */
    return sp;
}
#else
#error "no assembly switch for this architecture: configure with -Dcoroutine_backend=ucontext"
#endif

static void context_init(CoStack *s, char *low)
{
    s->sp = first_frame((char *)s->base + s->size);
}

static void context_switch(CoStack *from, CoStack *to)
{
    co_switch(&from->sp, to->sp);
}

#else /* ucontext */

static void context_init(CoStack *s, char *low)
{
    getcontext(&s->context);
    s->context.uc_stack.ss_sp = low;
    s->context.uc_stack.ss_size = (char *)s->base + s->size - low;
    s->context.uc_link = NULL;
    makecontext(&s->context, coroutine_main, 0);
}

static void context_switch(CoStack *from, CoStack *to)
{
    swapcontext(&from->context, &to->context);
}

#endif

void co_stack_init(CoStack *s)
{
    size_t page = sysconf(_SC_PAGESIZE);
    size_t size = page + STACK_SIZE;
    char *base = mmap(NULL, size, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);

    if (base == MAP_FAILED || mprotect(base, page, PROT_NONE) < 0) {
        error_report("cannot allocate a coroutine stack: %s", g_strerror(errno));
        abort();
    }
    s->base = base;
    s->size = size;
#ifdef CONFIG_ASAN
    s->fake_stack = NULL;
    s->asan_bottom = base + page;
    s->asan_size = STACK_SIZE;
#endif
#ifdef CONFIG_TSAN
    s->fiber = __tsan_create_fiber(0);
#endif
    context_init(s, base + page);
}

void co_stack_free(CoStack *s)
{
#ifdef CONFIG_TSAN
    __tsan_destroy_fiber(s->fiber);
#endif
    munmap(s->base, s->size);
}

void co_stack_switch(CoStack *from, CoStack *to)
{
#ifdef CONFIG_ASAN
    __sanitizer_start_switch_fiber(&from->fake_stack, to->asan_bottom, to->asan_size);
#endif
#ifdef CONFIG_TSAN
    if (!from->fiber) {
        from->fiber = __tsan_get_current_fiber();
    }
    __tsan_switch_to_fiber(to->fiber, 0);
#endif
    context_switch(from, to);
#ifdef CONFIG_ASAN
    __sanitizer_finish_switch_fiber(from->fake_stack, NULL, NULL);
#endif
}

void co_stack_entered(CoStack *s, CoStack *from)
{
#ifdef CONFIG_ASAN
    /* Reports the bounds of the stack that we came from: how a thread's own become known. */
    __sanitizer_finish_switch_fiber(s->fake_stack, &from->asan_bottom, &from->asan_size);
#endif
}
