; AArch64: a trampoline starts with an instruction that a jump may replace while it runs, and no landing pad
; precedes it. The constructors, which are called through a pointer, have one.
; RUN: %lower -S %s | FileCheck %s
; RUN: %lower %s | llc -relocation-model=pic -filetype=obj -o %t && llvm-objdump -dr --no-show-raw-insn %t | FileCheck --check-prefix=CODE %s

target triple = "aarch64-unknown-linux-gnu"

%key = type { ptr, ptr, ptr, ptr, i32, i32 }
@near = dso_local global %key { ptr @f, ptr null, ptr null, ptr null, i32 0, i32 65536 }
@elsewhere = external global %key
@small = external global { [1000 x ptr], %key }
; Fields beyond any immediate.
@table = external global { [5000 x ptr], %key }

declare ptr @__static_call_target(ptr)
declare void @f()

; CHECK: @__static_call_anchor.static_call_keys = {{.*}} align 65536
; CHECK: define linkonce_odr hidden void @__static_call_trampoline.near() #[[OURS:[0-9]+]] section ".text.static_call.near" comdat{{.*}} align 8
; CHECK: call void asm sideeffect "nop{{.*}}", "S"(ptr @near)
; CHECK: define {{.*}}@__static_call_image_constructor() #[[HOOK:[0-9]+]]
; CHECK-NOT: attributes #[[OURS]] = {{.*}}branch-target-enforcement
; CHECK: attributes #[[HOOK]] = {{.*}}"branch-target-enforcement"

; CODE-LABEL: <calls>:
; CODE: bti c
; CODE: bl
; CODE: R_AARCH64_CALL26 __static_call_trampoline.near
; CODE: b {{.*}}
; CODE: R_AARCH64_JUMP26 __static_call_trampoline.table..x2b40000
; CODE-LABEL: <__static_call_trampoline.near>:
; CODE-NEXT: nop
; CODE-NEXT: adrp x16
; CODE: R_AARCH64_ADR_PREL_PG_HI21 {{near|.data}}
; CODE-NEXT: add x16, x16
; CODE: ldar x16, [x16]
; CODE-NEXT: br x16
; CODE-NEXT: dsb sy
; CODE-NEXT: isb
; CODE-LABEL: <__static_call_trampoline.elsewhere>:
; CODE-NEXT: nop
; CODE-NEXT: adrp x16
; CODE: R_AARCH64_ADR_GOT_PAGE elsewhere
; CODE-NEXT: ldr x16, [x16]
; CODE: ldar x16, [x16]
; CODE-LABEL: <__static_call_trampoline.small..x2b8000>:
; CODE: R_AARCH64_LD64_GOT_LO12_NC small
; CODE-NEXT: mov x17, #0x1f40
; CODE-NEXT: movk x17, #0x0, lsl #16
; CODE-NEXT: movk x17, #0x0, lsl #32
; CODE-NEXT: add x16, x16, x17
; CODE-NEXT: ldar x16, [x16]
; CODE-LABEL: <__static_call_trampoline.table..x2b40000>:
; CODE: mov x17, #0x9c40
; CODE-LABEL: <__static_call_image_constructor>:
; CODE-NEXT: bti c
; CODE-LABEL: <__static_call_image_destructor>:
; CODE-NEXT: bti c

define void @calls() #0 {
  %n = call ptr @__static_call_target(ptr @near)
  call void %n()
  %e = call ptr @__static_call_target(ptr @elsewhere)
  call void %e()
  %s = call ptr @__static_call_target(ptr getelementptr (i8, ptr @small, i64 8000))
  call void %s()
  %t = call ptr @__static_call_target(ptr getelementptr (i8, ptr @table, i64 40000))
  tail call void %t()
  ret void
}

attributes #0 = { "branch-target-enforcement" }

!llvm.module.flags = !{!0}
!0 = !{i32 8, !"branch-target-enforcement", i32 2}
