/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The smallest guest: entered by PVH (or Multiboot with -DMULTIBOOT), says on
 * the UART at 0x3f8 how it was entered and what its command line is, then does
 * what the last character of that says:
 *   o  power off        r  reset once, then power off     t  triple fault once, then power off
 *   p  panic, power off x  exit device with value 5       h  wait for the power button, power off
 */
    .code32
    .section .note, "a", @note
    .align 4
    .long 4, 4, 18
    .asciz "Xen"
    .long start

    .text
#ifdef MULTIBOOT
    .align 4
    .long 0x1badb002, 3, -(0x1badb002 + 3)
#endif
    .globl start
start:
    movl $stack_top, %esp
    movl %ebx, %ebp
    movl %eax, %edi
    movb $1, %al
    movw $0x508, %dx            /* boot timer */
    outb %al, %dx
#ifdef MULTIBOOT
    movl $multiboot_text, %esi
    cmpl $0x2badb002, %edi
    jne bad
    movl 16(%ebp), %ebx         /* command line */
#else
    movl $pvh_text, %esi
    cmpl $0x336ec578, (%ebp)
    jne bad
    movl 24(%ebp), %ebx
#endif
    call print
    movl %ebx, %esi
    call print
    movl $newline, %esi
    call print
    /* The last character of the command line. */
1:  movb (%ebx), %al
    testb %al, %al
    jz 2f
    movb %al, last
    incl %ebx
    jmp 1b
2:  movb last, %al
    cmpb $'r', %al
    je reset
    cmpb $'t', %al
    je triple
    cmpb $'p', %al
    je panic
    cmpb $'x', %al
    je exit
    cmpb $'h', %al
    je button
poweroff:
    movl $off_text, %esi
    call print
    movb $0x34, %al             /* SLP_EN, S5 */
    movw $0x3b0, %dx
    outb %al, %dx
halt:
    cli
    hlt
    jmp halt

/* Memory outside of the image survives a reset. */
once:
    cmpl $0x600dcafe, 0x300000
    je poweroff
    movl $0x600dcafe, 0x300000
    ret
reset:
    call once
    movb $1, dirty              /* the image must be clean again afterwards */
    movb $4, %al
    movw $0x3c0, %dx
    outb %al, %dx
    jmp halt
triple:
    call once
    lidt empty_idt
    ud2
panic:
    movb $1, %al
    movw $0x505, %dx
    outb %al, %dx
    jmp poweroff
exit:
    movb $5, %al
    movw $0x501, %dx
    outb %al, %dx
    jmp halt
button:
    movl $wait_text, %esi
    call print
1:  movw $0xb000, %dx
    inl %dx, %eax
    testb $0x10, %al
    jnz poweroff
    movl $200000, %ecx
2:  pause
    loop 2b
    jmp 1b

bad:
    movl $bad_text, %esi
    call print
    jmp halt

/* The string at %esi. */
print:
    cmpb $0, dirty
    jne dirty_image
1:  movw $0x3fd, %dx
    inb %dx, %al
    testb $0x20, %al
    jz 1b
    lodsb
    testb %al, %al
    jz 2f
    movw $0x3f8, %dx
    outb %al, %dx
    jmp 1b
2:  ret
dirty_image:
    movb $0, dirty
    movl $dirty_text, %esi
    jmp print

    .data
pvh_text: .asciz "entered by PVH: "
multiboot_text: .asciz "entered by Multiboot: "
off_text: .asciz "off\n"
wait_text: .asciz "waiting\n"
bad_text: .asciz "bad entry\n"
dirty_text: .asciz "image not restored\n"
newline: .asciz "\n"
last: .byte 0
    .align 4
empty_idt: .word 0
    .long 0

    .bss
dirty: .byte 0
    .align 16
    .skip 1024
stack_top:
    .section .note.GNU-stack, "", @progbits
