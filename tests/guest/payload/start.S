/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Entry of the bare-metal payload through its PVH note: 32-bit protected mode
 * without paging, EBX points to the start info. Switches to long mode with an
 * identity map of 4 GiB and calls payload_main(). Also the trampoline of the
 * other CPUs and the interrupt entries.
 */
#define KERNEL_CS 0x08
#define KERNEL_DS 0x10
#define CODE32_CS 0x18

    .section .note.pvh, "a", @note
    .align 4
    .long 4                     /* name size */
    .long 4                     /* description size */
    .long 18                    /* XEN_ELFNOTE_PHYS32_ENTRY */
    .asciz "Xen"
    .long pvh_entry

    .section .text.start, "ax"
    .code32
    .globl pvh_entry
pvh_entry:
    cli
    cld
    movl $boot_stack_top, %esp
    movl %ebx, start_info_address

    /* Four page directories of 2 MiB pages map 0..4 GiB onto themselves. */
    movl $page_directories, %edi
    movl $0x83, %eax            /* present, writable, large */
    movl $2048, %ecx
1:  movl %eax, (%edi)
    movl $0, 4(%edi)
    addl $0x200000, %eax
    addl $8, %edi
    loop 1b
    movl $page_directories + 0x3, %eax
    movl $pdpt, %edi
    movl $4, %ecx
2:  movl %eax, (%edi)
    movl $0, 4(%edi)
    addl $0x1000, %eax
    addl $8, %edi
    loop 2b
    movl $pdpt + 0x3, pml4

    call enable_long_mode
    ljmp $KERNEL_CS, $start64

/* CR4.PAE, CR3, EFER.LME, CR0.PG, GDT; still in a 32-bit segment afterwards. */
enable_long_mode:
    movl %cr4, %eax
    orl $0x20, %eax
    movl %eax, %cr4
    movl $pml4, %eax
    movl %eax, %cr3
    movl $0xc0000080, %ecx
    rdmsr
    orl $0x100, %eax
    wrmsr
    movl %cr0, %eax
    orl $0x80000001, %eax
    movl %eax, %cr0
    lgdt gdt_pointer
    ret

    .code64
start64:
    movw $KERNEL_DS, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    movq $boot_stack_top, %rsp
    movl start_info_address, %edi
    call payload_main
halt:
    cli
    hlt
    jmp halt

    .globl start_info_address
    .data
    .align 8
start_info_address:
    .quad 0
gdt:
    .quad 0
    .quad 0x00af9b000000ffff    /* 64-bit code */
    .quad 0x00cf93000000ffff    /* data */
    .quad 0x00cf9b000000ffff    /* 32-bit code, for the trampoline */
gdt_end:
gdt_pointer:
    .word gdt_end - gdt - 1
    .quad gdt

/*
 * Trampoline of the other CPUs: copied below 1 MiB, entered in real mode at
 * CS = page, IP = 0.
 */
    .section .rodata
    .code16
    .globl ap_trampoline, ap_trampoline_end
ap_trampoline:
    cli
    movw %cs, %ax
    movw %ax, %ds
    lgdtl ap_gdt_pointer - ap_trampoline
    movl %cr0, %eax
    orl $1, %eax
    movl %eax, %cr0
    ljmpl $CODE32_CS, $ap_start32
    .align 8
ap_gdt_pointer:
    .word gdt_end - gdt - 1
    .long gdt
ap_trampoline_end:

    .text
    .code32
ap_start32:
    movw $KERNEL_DS, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    movl $ap_stack_top, %esp
    call enable_long_mode
    ljmp $KERNEL_CS, $ap_start64
    .code64
ap_start64:
    movw $KERNEL_DS, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    movq $ap_stack_top, %rsp
    call ap_main
    jmp halt

/* Interrupt entries: one stub a vector, then C. Vectors with an error code are only faults. */
    .altmacro
    .macro vector n
    .align 16
    .if (\n == 8) || ((\n >= 10) && (\n <= 14)) || (\n == 17) || (\n == 21)
    .else
    pushq $0
    .endif
    pushq $\n
    jmp interrupt_common
    .endm

    .globl interrupt_stubs
    .align 16
interrupt_stubs:
    .set i, 0
    .rept 128
    vector %i
    .set i, i + 1
    .endr

interrupt_common:
    pushq %rax
    pushq %rcx
    pushq %rdx
    pushq %rsi
    pushq %rdi
    pushq %r8
    pushq %r9
    pushq %r10
    pushq %r11
    movq 72(%rsp), %rdi         /* vector */
    movq 80(%rsp), %rsi         /* error code */
    movq 88(%rsp), %rdx         /* RIP */
    cld
    call interrupt
    popq %r11
    popq %r10
    popq %r9
    popq %r8
    popq %rdi
    popq %rsi
    popq %rdx
    popq %rcx
    popq %rax
    addq $16, %rsp
    iretq

    .bss
    .align 4096
pml4:
    .skip 4096
pdpt:
    .skip 4096
page_directories:
    .skip 4 * 4096
    .skip 16384
boot_stack_top:
    .skip 16384
ap_stack_top:

    .section .note.GNU-stack, "", @progbits
