# Frames that a C compiler does not make on demand: known values in every nonvolatile register, faults in a prolog and in
# a leaf, _local_unwind, a handler in the driver, frame registers.
        .text

# 0 if every nonvolatile register has its value in the __except block, else the number of the first wrong one.
        .globl  AsmPreservesRegisters
        .def    AsmPreservesRegisters; .scl 2; .type 32; .endef
        .seh_proc AsmPreservesRegisters
AsmPreservesRegisters:
        pushq   %rbp
        .seh_pushreg %rbp
        pushq   %rbx
        .seh_pushreg %rbx
        pushq   %rsi
        .seh_pushreg %rsi
        pushq   %rdi
        .seh_pushreg %rdi
        pushq   %r12
        .seh_pushreg %r12
        pushq   %r13
        .seh_pushreg %r13
        pushq   %r14
        .seh_pushreg %r14
        pushq   %r15
        .seh_pushreg %r15
        subq    $0x48, %rsp
        .seh_stackalloc 0x48
        movaps  %xmm6, 0x20(%rsp)
        .seh_savexmm %xmm6, 0x20
        movaps  %xmm15, 0x30(%rsp)
        .seh_savexmm %xmm15, 0x30
        .seh_endprologue
        movl    $0x1001, %ebp
        movl    $0x1002, %ebx
        movl    $0x1003, %esi
        movl    $0x1004, %edi
        movl    $0x1005, %r12d
        movl    $0x1006, %r13d
        movl    $0x1007, %r14d
        movl    $0x1008, %r15d
        movq    %r12, %xmm6
        movq    %r13, %xmm15
preserves_begin:
        callq   clobbers_registers
        nop
preserves_end:
        movl    $99, %eax
        jmp     preserves_out
preserves_except:
        movl    $1, %eax
        cmpq    $0x1001, %rbp
        jne     preserves_out
        movl    $2, %eax
        cmpq    $0x1002, %rbx
        jne     preserves_out
        movl    $3, %eax
        cmpq    $0x1003, %rsi
        jne     preserves_out
        movl    $4, %eax
        cmpq    $0x1004, %rdi
        jne     preserves_out
        movl    $5, %eax
        cmpq    $0x1005, %r12
        jne     preserves_out
        movl    $6, %eax
        cmpq    $0x1006, %r13
        jne     preserves_out
        movl    $7, %eax
        cmpq    $0x1007, %r14
        jne     preserves_out
        movl    $8, %eax
        cmpq    $0x1008, %r15
        jne     preserves_out
        movl    $9, %eax
        movq    %xmm6, %rcx
        cmpq    $0x1005, %rcx
        jne     preserves_out
        movl    $10, %eax
        movq    %xmm15, %rcx
        cmpq    $0x1006, %rcx
        jne     preserves_out
        xorl    %eax, %eax
preserves_out:
        movaps  0x20(%rsp), %xmm6
        movaps  0x30(%rsp), %xmm15
        addq    $0x48, %rsp
        popq    %r15
        popq    %r14
        popq    %r13
        popq    %r12
        popq    %rdi
        popq    %rsi
        popq    %rbx
        popq    %rbp
        retq
        .seh_handler __C_specific_handler, @unwind, @except
        .seh_handlerdata
        .long   1
        .long   preserves_begin@IMGREL, preserves_end@IMGREL, 1, preserves_except@IMGREL
        .text
        .seh_endproc

        .seh_proc clobbers_registers
clobbers_registers:
        pushq   %rbx
        .seh_pushreg %rbx
        subq    $0xA0, %rsp
        .seh_stackalloc 0xA0
        movq    %rbp, 0x30(%rsp)
        .seh_savereg %rbp, 0x30
        movq    %rsi, 0x38(%rsp)
        .seh_savereg %rsi, 0x38
        movq    %rdi, 0x40(%rsp)
        .seh_savereg %rdi, 0x40
        movq    %r12, 0x48(%rsp)
        .seh_savereg %r12, 0x48
        movq    %r13, 0x50(%rsp)
        .seh_savereg %r13, 0x50
        movq    %r14, 0x58(%rsp)
        .seh_savereg %r14, 0x58
        movq    %r15, 0x60(%rsp)
        .seh_savereg %r15, 0x60
        movaps  %xmm6, 0x70(%rsp)
        .seh_savexmm %xmm6, 0x70
        movaps  %xmm15, 0x80(%rsp)
        .seh_savexmm %xmm15, 0x80
        .seh_endprologue
        xorl    %ebx, %ebx
        xorl    %ebp, %ebp
        xorl    %esi, %esi
        xorl    %edi, %edi
        xorl    %r12d, %r12d
        xorl    %r13d, %r13d
        xorl    %r14d, %r14d
        xorl    %r15d, %r15d
        xorps   %xmm6, %xmm6
        xorps   %xmm15, %xmm15
        callq   leaf_read
        ud2
        .seh_endproc

# A leaf: no unwind data.
leaf_read:
        movl    (%rcx), %eax
        retq

# The filter skips the faulting instruction (3 bytes) and sets RAX; flags, XMM and all else stay.
        .globl  AsmContinues
        .def    AsmContinues; .scl 2; .type 32; .endef
        .seh_proc AsmContinues
AsmContinues:
        subq    $0x28, %rsp
        .seh_stackalloc 0x28
        .seh_endprologue
        movl    $0x77, %edx
        movl    $0x88, %r8d
        movl    $0x99, %r11d
        movq    %r11, %xmm1
continues_begin:
        cmpl    $0x77, %edx
        movq    (%rcx), %rax
        jne     continues_wrong
        nop
continues_end:
        cmpl    $0x77, %edx
        jne     continues_wrong
        cmpl    $0x88, %r8d
        jne     continues_wrong
        movq    %xmm1, %rdx
        cmpq    %r11, %rdx
        jne     continues_wrong
        addq    $0x28, %rsp
        retq
continues_wrong:
        movl    $1, %eax
        addq    $0x28, %rsp
        retq
        .seh_handler __C_specific_handler, @unwind, @except
        .seh_handlerdata
        .long   1
        .long   continues_begin@IMGREL, continues_end@IMGREL, FilterSkipsInstruction@IMGREL, continues_wrong@IMGREL
        .text
        .seh_endproc

# Returns the exception code that reaches the __except block, zero extended. The block is in the middle, before the end.
        .macro  catching name, callee, handler
        .globl  \name
        .def    \name; .scl 2; .type 32; .endef
        .seh_proc \name
\name:
        subq    $0x38, %rsp
        .seh_stackalloc 0x38
        .seh_endprologue
        movq    $0xC00C1E, 0x20(%rsp)
\name\()_begin:
        callq   \callee
        nop
\name\()_end:
        movl    $99, %eax
\name\()_out:
        addq    $0x38, %rsp
        retq
\name\()_except:
        movl    %eax, %eax
        jmp     \name\()_out
        .seh_handler \handler, @unwind, @except
        .seh_handlerdata
        .long   1
        .long   \name\()_begin@IMGREL, \name\()_end@IMGREL, 1, \name\()_except@IMGREL
        .text
        .seh_endproc
        .endm

        catching AsmLeafFault, leaf_read, __C_specific_handler
        catching AsmPrologFault, faults_in_prolog, __C_specific_handler
        catching AsmCheckedHandler, leaf_read, CheckedHandler
        catching AsmFrameRegister, faults_with_frame_register, __C_specific_handler

# The fault comes when one register is pushed and the stack not yet cut.
        .seh_proc faults_in_prolog
faults_in_prolog:
        pushq   %rbx
        .seh_pushreg %rbx
        movq    (%rcx), %rbx
        pushq   %rsi
        .seh_pushreg %rsi
        subq    $0x88, %rsp
        .seh_stackalloc 0x88
        .seh_endprologue
        addq    $0x88, %rsp
        popq    %rsi
        popq    %rbx
        retq
        .seh_endproc

# As alloca makes it: RSP is anywhere, RBP tells where the frame is.
        .seh_proc faults_with_frame_register
faults_with_frame_register:
        pushq   %rbp
        .seh_pushreg %rbp
        pushq   %rbx
        .seh_pushreg %rbx
        subq    $0x38, %rsp
        .seh_stackalloc 0x38
        leaq    0x20(%rsp), %rbp
        .seh_setframe %rbp, 0x20
        .seh_endprologue
        subq    %rdx, %rsp
        callq   leaf_read
        nop
        leaq    0x18(%rbp), %rsp
        popq    %rbx
        popq    %rbp
        retq
        .seh_endproc

# Leaves two nested __finally scopes through _local_unwind: both run, abnormally, and 7 is returned.
        .globl  AsmLocalUnwind
        .def    AsmLocalUnwind; .scl 2; .type 32; .endef
        .seh_proc AsmLocalUnwind
AsmLocalUnwind:
        pushq   %rbx
        .seh_pushreg %rbx
        subq    $0x20, %rsp
        .seh_stackalloc 0x20
        .seh_endprologue
        movl    $7, %ebx
outer_begin:
        nop
inner_begin:
        movq    %rsp, %rcx
        leaq    local_unwind_target(%rip), %rdx
        callq   _local_unwind
        nop
inner_end:
        nop
outer_end:
        movl    $1, %ebx
local_unwind_target:
        movq    %rbx, %rax
        addq    $0x20, %rsp
        popq    %rbx
        retq
        .seh_handler __C_specific_handler, @unwind, @except
        .seh_handlerdata
        .long   2
        .long   inner_begin@IMGREL, inner_end@IMGREL, CountTermination@IMGREL, 0
        .long   outer_begin@IMGREL, outer_end@IMGREL, CountTermination@IMGREL, 0
        .text
        .seh_endproc

# RDX:RAX / divisor; ~0 in the high half overflows any divisor.
        .globl  AsmDivide
AsmDivide:
        movl    %edx, %r8d
        movl    %ecx, %eax
        movl    %ecx, %edx
        divl    %r8d
        retq

        .globl  AsmBreak
AsmBreak:
        int3
        retq

        .globl  AsmUndefined
AsmUndefined:
        ud2

        .globl  AsmMisaligned
AsmMisaligned:
        movaps  (%rcx), %xmm0
        retq
