; A key's target is never null, so the checks that rustc and C++ add are folded.
; RUN: %lower -S %s | FileCheck %s

target datalayout = "e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-i128:128-f80:128-n8:16:32:64-S128"
target triple = "x86_64-pc-linux-gnu"

%key = type { ptr, ptr, ptr, ptr, i32, i32 }
@k = external global %key

declare ptr @__static_call_target(ptr)
declare void @llvm.assume(i1)

; CHECK-LABEL: define void @assume(
; CHECK-NEXT: call void @llvm.assume(i1 true)
; CHECK-NEXT: call void @__static_call_trampoline.k()
define void @assume() {
  %f = call ptr @__static_call_target(ptr @k)
  %c = icmp ne ptr %f, null
  call void @llvm.assume(i1 %c)
  call void %f()
  ret void
}

; CHECK-LABEL: define i1 @equal(
; CHECK-NEXT: ret i1 false
define i1 @equal() {
  %f = call ptr @__static_call_target(ptr @k)
  %c = icmp eq ptr null, %f
  ret i1 %c
}

; CHECK-LABEL: define i1 @not_equal(
; CHECK-NEXT: ret i1 true
define i1 @not_equal() {
  %f = call ptr @__static_call_target(ptr @k)
  %c = icmp ne ptr null, %f
  ret i1 %c
}

; Any other comparison needs the value.
; CHECK-LABEL: define i1 @with_itself(
; CHECK-NEXT: call void asm sideeffect {{.*}}.pdr.static_call,
; CHECK-NEXT: %target = load atomic volatile ptr, ptr @k acquire, align 8
; CHECK-NEXT: icmp eq ptr %target, %target
define i1 @with_itself() {
  %f = call ptr @__static_call_target(ptr @k)
  %c = icmp eq ptr %f, %f
  ret i1 %c
}

; CHECK-LABEL: define i1 @greater(
; CHECK-NEXT: call void asm sideeffect {{.*}}.pdr.static_call,
; CHECK-NEXT: %target = load atomic
; CHECK-NEXT: icmp ugt ptr %target, null
define i1 @greater() {
  %f = call ptr @__static_call_target(ptr @k)
  %c = icmp ugt ptr %f, null
  ret i1 %c
}
