        .text
/* Moves instead of pushes, as MSVC does: home space and frame slots. */
        .globl asm_saves
        .def asm_saves; .scl 2; .type 32; .endef
        .seh_proc asm_saves
asm_saves:
        mov     %rbx, 8(%rsp)
        push    %rdi
        .seh_pushreg %rdi
        sub     $0x60, %rsp
        .seh_stackalloc 0x60
        .seh_savereg %rbx, 0x70
        mov     %rsi, 0x58(%rsp)
        .seh_savereg %rsi, 0x58
        movaps  %xmm6, 0x40(%rsp)
        .seh_savexmm %xmm6, 0x40
        movaps  %xmm9, 0x30(%rsp)
        .seh_savexmm %xmm9, 0x30
        .seh_endprologue
        mov     %rcx, %rbx
        xorps   %xmm6, %xmm6
        pcmpeqd %xmm9, %xmm9
        mov     $7, %esi
        mov     $8, %edi
        call    call_small
        add     %rbx, %rax
        movaps  0x40(%rsp), %xmm6
        movaps  0x30(%rsp), %xmm9
        mov     0x58(%rsp), %rsi
        mov     0x70(%rsp), %rbx
        add     $0x60, %rsp
        pop     %rdi
        ret
        .seh_endproc

/* A part with its own saves behind the function's end, chained to it: shrink wrapping as MSVC does it. */
        .globl asm_chained
        .def asm_chained; .scl 2; .type 32; .endef
asm_chained:
        push    %rbp
        push    %r14
        sub     $0x48, %rsp
chained_body:
        mov     %rcx, %rbp
        mov     $5, %r14d
        test    $1, %cl
        jnz     chained_part
        call    call_small
chained_join:
        add     $0x48, %rsp
        pop     %r14
        pop     %rbp
        ret
chained_end:
        int3
chained_part:
        mov     %rbx, 0x40(%rsp)
chained_saved_rbx:
        mov     %r15, 0x38(%rsp)
chained_saved_r15:
        mov     %rbp, %rbx
        mov     $9, %r15d
        call    call_small
        add     %rbx, %rax
        mov     0x40(%rsp), %rbx
        mov     0x38(%rsp), %r15
        jmp     chained_join
chained_part_end:
        int3

        .section .xdata,"dr"
        .p2align 2
chained_unwind:
        .byte   1, chained_body - asm_chained, 3, 0
        .byte   chained_body - asm_chained, 0x82    /* ALLOC_SMALL 0x48 */
        .byte   3, 0xe0                             /* PUSH_NONVOL r14 */
        .byte   1, 0x50                             /* PUSH_NONVOL rbp */
        .short  0
chained_part_unwind:
        .byte   0x21, chained_saved_r15 - chained_part, 4, 0
        .byte   chained_saved_r15 - chained_part, 0xf4
        .short  7                                   /* SAVE_NONVOL r15, 0x38 */
        .byte   chained_saved_rbx - chained_part, 0x34
        .short  8                                   /* SAVE_NONVOL rbx, 0x40 */
        .rva    asm_chained, chained_end, chained_unwind
        .section .pdata,"dr"
        .p2align 2
        .rva    asm_chained, chained_end, chained_unwind
        .rva    chained_part, chained_part_end, chained_part_unwind
        .text

/* A frame register in the middle of the frame, far saves, a stack that moves. */
        .globl asm_frame_far
        .def asm_frame_far; .scl 2; .type 32; .endef
        .seh_proc asm_frame_far
asm_frame_far:
        push    %r13
        .seh_pushreg %r13
        push    %rbx
        .seh_pushreg %rbx
        sub     $0x88, %rsp
        .seh_stackalloc 0x88
        lea     0x80(%rsp), %r13
        .seh_setframe %r13, 0x80
        mov     %rdi, -0x10(%r13)
        .seh_savereg %rdi, 0x70
        movaps  %xmm7, -0x20(%r13)
        .seh_savexmm %xmm7, 0x60
        .seh_endprologue
        mov     %rcx, %rbx
        mov     $1, %edi
        xorps   %xmm7, %xmm7
        sub     $0x40, %rsp
        call    call_small
        mov     -0x10(%r13), %rdi
        movaps  -0x20(%r13), %xmm7
        lea     8(%r13), %rsp
        pop     %rbx
        pop     %r13
        ret
        .seh_endproc

/* rbp frame, large lea in the epilog, rep ret. */
        .globl asm_lea_epilog
        .def asm_lea_epilog; .scl 2; .type 32; .endef
        .seh_proc asm_lea_epilog
asm_lea_epilog:
        push    %rbp
        .seh_pushreg %rbp
        push    %r12
        .seh_pushreg %r12
        sub     $0x238, %rsp
        .seh_stackalloc 0x238
        lea     0x20(%rsp), %rbp
        .seh_setframe %rbp, 0x20
        .seh_endprologue
        mov     %rcx, %r12
        sub     $0x100, %rsp
        call    call_small
        lea     0x218(%rbp), %rsp
        pop     %r12
        pop     %rbp
        rep ret
        .seh_endproc

/* Tail calls through a register (REX.W marks it) and through memory. */
        .globl asm_rex_jump
        .def asm_rex_jump; .scl 2; .type 32; .endef
        .seh_proc asm_rex_jump
asm_rex_jump:
        push    %rsi
        .seh_pushreg %rsi
        sub     $0x20, %rsp
        .seh_stackalloc 0x20
        .seh_endprologue
        mov     %rcx, %rsi
        call    call_small
        mov     %rsi, %rcx
        lea     asm_memory_jump(%rip), %rax
        add     $0x20, %rsp
        pop     %rsi
        .byte   0x48, 0xff, 0xe0
        .seh_endproc

        .globl asm_memory_jump
        .def asm_memory_jump; .scl 2; .type 32; .endef
        .seh_proc asm_memory_jump
asm_memory_jump:
        push    %rdi
        .seh_pushreg %rdi
        sub     $0x20, %rsp
        .seh_stackalloc 0x20
        .seh_endprologue
        mov     $4, %edi
        call    call_small
        mov     %rdi, %rcx
        add     $0x20, %rsp
        pop     %rdi
        jmp     *target(%rip)
        .seh_endproc
        .data
        .p2align 3
target: .quad   call_small
