/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The shortest guest: its first instructions end the emulator through isa-debug-exit at 0x501. */
    .section .note.pvh, "a", @note
    .align 4
    .long 4
    .long 4
    .long 18                    /* XEN_ELFNOTE_PHYS32_ENTRY */
    .asciz "Xen"
    .long pvh_entry

    .section .text.start, "ax"
    .code32
    .globl pvh_entry
pvh_entry:
    movw $0x501, %dx
    movb $0x10, %al
    outb %al, %dx
1:  hlt
    jmp 1b
    .bss
    .globl payload_bss
payload_bss:
    .skip 4
    .section .note.GNU-stack, "", @progbits
