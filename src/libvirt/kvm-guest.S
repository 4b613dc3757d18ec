# A guest of one disk sector that does what every 64-bit kernel does: paging, long mode, interrupts and page faults in
# rings 0 and 3, SYSCALL. It then reports 0x22 (two breakpoints, two page faults) through QEMU's isa-debug-exit. Where
# KVM only works for kernels made for it, this ends in an error or stands still. The bytes stand in kvm-guest.ts; a
# test compares them with what this gives:
#   as --64 kvm-guest.S -o guest.o && ld -m elf_x86_64 -Ttext 0x7c00 --oformat binary -o guest.img guest.o
.code16
.globl _start
_start:
    cli
    xorw %ax, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    movw $0x7c00, %sp
    ljmp $0, $1f
1:
    # Page tables at 0x1000: one page of 2 MiB at address 0, open to ring 3.
    movw $0x1000, %di
    movw $0x3000, %cx
    rep stosw
    movw $0x2007, 0x1000
    movw $0x3007, 0x2000
    movw $0x0087, 0x3000
    # Long mode, with SYSCALL.
    movl $0x1000, %eax
    movl %eax, %cr3
    movl %cr4, %eax
    orl $0xa0, %eax          # PAE, PGE
    movl %eax, %cr4
    movl $0xc0000080, %ecx
    rdmsr
    orl $0x101, %eax         # LME, SCE
    wrmsr
    lgdt gdtr
    movl %cr0, %eax
    orl $0x80000001, %eax
    movl %eax, %cr0
    ljmp $8, $long

.code64
long:
    movl $0x10, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    movl $0x7c00, %esp
    # IDT at 0x4000: breakpoint (3), page fault (14).
    movl $0x4000 + 3 * 16, %edi
    movl $breakpoint, %eax
    call gate
    movl $0x4000 + 14 * 16, %edi
    movl $pagefault, %eax
    call gate
    lidt idtr
    # TSS, for the stack that interrupts out of ring 3 get.
    movl $0x7000, 0x6004
    movl $0x28, %eax
    ltr %ax
    # SYSCALL enters at entry, with ring 0 segments from 8 and ring 3 ones from 0x18 on.
    movl $0xc0000081, %ecx
    xorl %eax, %eax
    movl $0x00130008, %edx
    wrmsr
    incl %ecx
    movl $entry, %eax
    xorl %edx, %edx
    wrmsr
    xorl %ebx, %ebx
    int3
    movb 0x400000, %al       # not mapped: 7 bytes
    movl $user, %ecx
    movl $2, %r11d
    sysretq
user:
    int3
    movb 0x400000, %al
    syscall
entry:
    movw $0xf4, %dx
    movb %bl, %al            # 2 breakpoints and 2 page faults: 0x22
    outb %al, %dx
hang:
    hlt
    jmp hang

gate:
    orl $0x00080000, %eax    # in segment 8, open to ring 3
    movl %eax, (%rdi)
    movl $0xee00, 4(%rdi)
    ret
breakpoint:
    incl %ebx
    iretq
pagefault:
    addl $0x10, %ebx
    popq %rax                # the error code
    addq $7, (%rsp)          # over the instruction
    iretq

.balign 8
gdt:
    .quad 0
    .quad 0x00209a0000000000 # 08 code, ring 0
    .quad 0x0000920000000000 # 10 data, ring 0
    .quad 0x0000f20000000000 # 18 data, ring 3: for SYSRET
    .quad 0x0020fa0000000000 # 20 code, ring 3
    .quad 0x0000890060000067 # 28 TSS at 0x6000
    .quad 0
gdtr:
    .word gdtr - gdt - 1
    .long gdt
idtr:
    .word 0xfff
    .quad 0x4000
    .org 510
    .word 0xaa55
