; Calls that cannot go through a trampoline stay indirect, with a remark.
; RUN: %lower -S %s -pass-remarks-missed=static-call 2>%t | FileCheck %s
; RUN: FileCheck --check-prefix=REMARK %s < %t

target datalayout = "e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-i128:128-f80:128-n8:16:32:64-S128"
target triple = "x86_64-pc-linux-gnu"

%key = type { ptr, ptr, ptr, ptr, i32, i32 }
@k = external global %key

declare ptr @__static_call_target(ptr)

; REMARK-COUNT-2: static call stays indirect: its calling convention leaves no register for a trampoline
; REMARK-COUNT-2: static call stays indirect: its calling convention allows no variadic function
; REMARK: static call stays indirect: its callee preserves all registers, which leaves none for a trampoline
; REMARK-COUNT-2: static call stays indirect: its caller must prepare it specially
; CHECK-LABEL: define void @f(
; CHECK: call preserve_nonecc void %target()
; CHECK: call anyregcc void %target{{[0-9]}}()
; CHECK: call fastcc void (i32, ...) %target{{[0-9]}}(i32 1)
; CHECK: call coldcc void (i32, ...) %target{{[0-9]}}(i32 1)
; CHECK: call void %target{{[0-9]}}()
; CHECK: call void %target{{[0-9]}}() #[[STREAMING:[0-9]+]]
; CHECK: call void %target{{[0-9]}}() #[[SECURITY:[0-9]+]]
; CHECK-NOT: __static_call_image
; CHECK: attributes #[[STREAMING]] = { "aarch64_pstate_sm_enabled" }
; CHECK: attributes #[[SECURITY]] = { "cmse_nonsecure_call" }
define void @f() {
  %f0 = call ptr @__static_call_target(ptr @k)
  call preserve_nonecc void %f0()
  %f1 = call ptr @__static_call_target(ptr @k)
  call anyregcc void %f1()
  %f2 = call ptr @__static_call_target(ptr @k)
  call fastcc void (i32, ...) %f2(i32 1)
  %f3 = call ptr @__static_call_target(ptr @k)
  call coldcc void (i32, ...) %f3(i32 1)
  %f4 = call ptr @__static_call_target(ptr @k)
  call void %f4() "no_caller_saved_registers"
  %f5 = call ptr @__static_call_target(ptr @k)
  call void %f5() "aarch64_pstate_sm_enabled"
  %f6 = call ptr @__static_call_target(ptr @k)
  call void %f6() "cmse_nonsecure_call"
  ret void
}
