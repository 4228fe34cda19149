; z/Architecture: a trampoline starts with the six-byte instruction that a jump replaces. A tail call may be
; conditional; then its function follows its condition.
; RUN: %lower -S %s | FileCheck %s
; RUN: %lower %s | llc -load-pass-plugin %plugin -relocation-model=pic -filetype=obj -o %t && llvm-objdump -dr --no-show-raw-insn %t | FileCheck --check-prefix=CODE %s

target triple = "s390x-unknown-linux-gnu"

%key = type { ptr, ptr, ptr, ptr, i32, i32 }
@near = dso_local global %key { ptr @f, ptr null, ptr null, ptr null, i32 0, i32 65536 }
@elsewhere = external global %key
; Fields within and beyond the reach of a displacement.
@small = external global { [65535 x ptr], %key }
@table = external global { [65536 x ptr], %key }
@huge = external global { [1000000000 x ptr], %key }

declare ptr @__static_call_target(ptr)
declare void @f()

; CHECK: @__static_call_anchor.static_call_keys = {{.*}} align 4096
; CHECK: define linkonce_odr hidden void @__static_call_trampoline.near() #{{[0-9]+}} section ".text.static_call.near" comdat{{.*}} align 8
; CHECK: call void asm sideeffect "lgrl{{.*}}", "i"(ptr @near)

; No call crosses a boundary of eight bytes.
; CODE-LABEL: <calls>:
; CODE: a: brasl %r14
; CODE-NEXT: R_390_PLT32DBL __static_call_trampoline.near
; CODE: 16: nopr %r7
; CODE-NEXT: 18: brasl %r14
; CODE: 2c: nopr %r7
; CODE-NEXT: 2e: nopr %r7
; CODE-NEXT: 30: jg
; CODE-NEXT: R_390_PLT32DBL __static_call_trampoline.table..x2b524288
; CODE-LABEL: <conditional>:
; CODE: 44: nopr %r7
; CODE-NEXT: 46: nopr %r7
; CODE-NEXT: 48: jgl
; CODE-NEXT: R_390_PLT32DBL __static_call_trampoline.near
; CODE-LABEL: <__static_call_trampoline.near>:
; CODE-NEXT: lgrl %r1
; CODE-NEXT: R_390_PC32DBL {{near|.data}}
; CODE-NEXT: br %r1
; CODE-LABEL: <__static_call_trampoline.elsewhere>:
; CODE-NEXT: lgrl %r1
; CODE-NEXT: R_390_GOTENT elsewhere
; CODE-NEXT: lg %r1, 0(%r1)
; CODE-NEXT: br %r1
; CODE-LABEL: <__static_call_trampoline.small..x2b524280>:
; CODE: lg %r1, 524280(%r1)
; CODE-LABEL: <__static_call_trampoline.huge..x2b8000000000>:
; CODE: algfi %r1, 3705032704
; CODE-NEXT: rllg %r1, %r1, 32
; CODE-NEXT: algfi %r1, 1
; CODE-NEXT: rllg %r1, %r1, 32
; CODE-NEXT: lg %r1, 0(%r1)
; CODE-NEXT: br %r1
; CODE-LABEL: <__static_call_trampoline.table..x2b524288>:
; CODE: algfi %r1, 524288

define void @calls() {
  %n = call ptr @__static_call_target(ptr @near)
  call void %n()
  %e = call ptr @__static_call_target(ptr @elsewhere)
  call void %e()
  %s = call ptr @__static_call_target(ptr getelementptr (i8, ptr @small, i64 524280))
  call void %s()
  %h = call ptr @__static_call_target(ptr getelementptr (i8, ptr @huge, i64 8000000000))
  call void %h()
  %t = call ptr @__static_call_target(ptr getelementptr (i8, ptr @table, i64 524288))
  tail call void %t()
  ret void
}

define void @conditional(i64 %a, i64 %b) {
  %c = icmp slt i64 %a, %b
  br i1 %c, label %then, label %end
then:
  %n = call ptr @__static_call_target(ptr @near)
  tail call void %n()
  ret void
end:
  ret void
}
