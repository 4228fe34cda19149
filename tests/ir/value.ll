; A use of the pointer as a value becomes an atomic load of the key, and a remark says so.
; RUN: %lower -S %s -pass-remarks-missed=static-call 2>%t | FileCheck %s
; RUN: FileCheck --check-prefix=REMARK %s < %t

target datalayout = "e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-i128:128-f80:128-n8:16:32:64-S128"
target triple = "x86_64-pc-linux-gnu"

%key = type { ptr, ptr, ptr, ptr, i32, i32 }
@k = external global %key

declare ptr @__static_call_target(ptr)
declare void @use(ptr)

; REMARK-COUNT-7: remark: <unknown>:0:0: static call loads its key: the function pointer is used as a value
; REMARK-NOT: remark

; CHECK-LABEL: define ptr @returned(
; CHECK-NEXT: call void asm sideeffect {{.*}}.pdr.static_call,
; CHECK-NEXT: %target = load atomic volatile ptr, ptr @k acquire, align 8
; CHECK-NEXT: ret ptr %target
define ptr @returned() {
  %f = call ptr @__static_call_target(ptr @k)
  ret ptr %f
}

; CHECK-LABEL: define void @stored(
; CHECK-NEXT: call void asm sideeffect {{.*}}.pdr.static_call,
; CHECK-NEXT: %target = load atomic
; CHECK-NEXT: store ptr %target, ptr %p
define void @stored(ptr %p) {
  %f = call ptr @__static_call_target(ptr @k)
  store ptr %f, ptr %p
  ret void
}

; CHECK-LABEL: define void @argument(
; CHECK: call void @use(ptr %target)
define void @argument() {
  %f = call ptr @__static_call_target(ptr @k)
  call void @use(ptr %f)
  ret void
}

; CHECK-LABEL: define ptr @selected(
; CHECK: select i1 %c, ptr %target, ptr @use
define ptr @selected(i1 %c) {
  %f = call ptr @__static_call_target(ptr @k)
  %g = select i1 %c, ptr %f, ptr @use
  ret ptr %g
}

; CHECK-LABEL: define void @phi(
; CHECK: phi ptr [ %target, %entry ], [ @use, %other ]
; CHECK-NEXT: call void %g(
define void @phi(i1 %c) {
entry:
  %f = call ptr @__static_call_target(ptr @k)
  br i1 %c, label %join, label %other
other:
  br label %join
join:
  %g = phi ptr [ %f, %entry ], [ @use, %other ]
  call void %g(ptr null)
  ret void
}

; Called and also kept: the call is still direct.
; CHECK-LABEL: define ptr @mixed(
; CHECK-NEXT: call void asm sideeffect {{.*}}.pdr.static_call,
; CHECK-NEXT: %target = load atomic
; CHECK-NEXT: call void @__static_call_trampoline.k(ptr null)
; CHECK-NEXT: ret ptr %target
define ptr @mixed() {
  %f = call ptr @__static_call_target(ptr @k)
  call void %f(ptr null)
  ret ptr %f
}

; CHECK-LABEL: define void @to_itself(
; CHECK-NEXT: call void asm sideeffect {{.*}}.pdr.static_call,
; CHECK-NEXT: %target = load atomic
; CHECK-NEXT: call void @__static_call_trampoline.k(ptr %target)
define void @to_itself() {
  %f = call ptr @__static_call_target(ptr @k)
  call void %f(ptr %f)
  ret void
}
