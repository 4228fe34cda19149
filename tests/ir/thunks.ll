; A trampoline jumps through a thunk if any of its callers would.
; RUN: %lower -S %s | FileCheck %s

target datalayout = "e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-i128:128-f80:128-n8:16:32:64-S128"
target triple = "x86_64-pc-linux-gnu"

%key = type { ptr, ptr, ptr, ptr, i32, i32 }
@plain = dso_local global %key zeroinitializer
@retpoline = dso_local global %key zeroinitializer
@external_thunk = external global %key
@lvi = dso_local global %key zeroinitializer

declare ptr @__static_call_target(ptr)

define void @plain_caller() "target-features"="+avx,-retpoline-indirect-calls" {
  %f0 = call ptr @__static_call_target(ptr @plain)
  call void %f0()
  %f1 = call ptr @__static_call_target(ptr @retpoline)
  call void %f1()
  ret void
}
define void @retpoline_caller() "target-features"="+retpoline-indirect-branches,+retpoline-indirect-calls" {
  %f = call ptr @__static_call_target(ptr @retpoline)
  call void %f()
  ret void
}
define void @external_thunk_caller() "target-features"="+retpoline-external-thunk,+retpoline-indirect-calls" {
  %f = call ptr @__static_call_target(ptr @external_thunk)
  call void %f()
  ret void
}
define void @lvi_caller() "target-features"="+lvi-cfi" {
  %f = call ptr @__static_call_target(ptr @lvi)
  call void %f()
  ret void
}
; CHECK: define linkonce_odr hidden void @__static_call_trampoline.plain() #[[PLAIN:[0-9]+]]
; CHECK-NEXT: asm sideeffect "{{.*}}nop\0A\09jmpq *${0:c}+0(%rip)\0A\09int3
; CHECK: define linkonce_odr hidden void @__static_call_trampoline.retpoline() #[[RETPOLINE:[0-9]+]]
; CHECK-NEXT: asm sideeffect "{{.*}}nop\0A\09movq ${0:c}+0(%rip), %r11\0A\09jmp __llvm_retpoline_r11\0A\09int3\0A
; CHECK: define linkonce_odr hidden void @__static_call_trampoline.external_thunk()
; CHECK-NEXT: asm sideeffect "{{.*}}nop\0A\09movq ${0:c}@GOTPCREL(%rip), %r11\0A\09movq 0(%r11), %r11\0A\09jmp __x86_indirect_thunk_r11\0A\09int3\0A
; CHECK: define linkonce_odr hidden void @__static_call_trampoline.lvi()
; CHECK-NEXT: asm sideeffect "{{.*}}nop\0A\09movq ${0:c}+0(%rip), %r11\0A\09jmp __llvm_lvi_thunk_r11\0A\09int3\0A

; Code generation adds the thunk only for functions with the feature.
; CHECK: attributes #[[PLAIN]] = {
; CHECK-NOT: target-features
; CHECK-SAME: }
; CHECK: attributes #[[RETPOLINE]] = {{.*}} "target-features"="+retpoline-indirect-branches,+retpoline-indirect-calls"
