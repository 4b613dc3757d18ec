# A guest of one disk sector that prints without end on its serial console: lines of eight hexadecimal digits that count,
# so that a lost or a repeated one shows. The bytes stand in flood-guest.ts; they are what this gives:
#   as --32 flood-guest.S -o guest.o && ld -m elf_i386 -Ttext 0x7c00 --oformat binary -o guest.img guest.o
.code16
.globl _start
_start:
    cli
    xorw %bx, %bx
    movw %bx, %ds
    xorl %ebx, %ebx
line:
    movl %ebx, %esi
    movw $8, %cx
digit:
    roll $4, %esi
    movw %si, %ax
    andb $15, %al
    addb $'0', %al
    cmpb $'9', %al
    jbe 1f
    addb $39, %al
1:  call put
    loop digit
    movb $10, %al
    call put
    incl %ebx
    jmp line
put:
    movb %al, %ah
    movw $0x3fd, %dx
2:  inb %dx, %al
    testb $0x20, %al
    jz 2b
    movw $0x3f8, %dx
    movb %ah, %al
    outb %al, %dx
    ret
