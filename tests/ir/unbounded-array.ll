; A table of keys, declared without its length: `extern struct static_call_key unbounded[];`
; RUN: %lower -S %s | FileCheck %s

target datalayout = "e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-i128:128-f80:128-n8:16:32:64-S128"
target triple = "x86_64-pc-linux-gnu"

%key = type { ptr, ptr, ptr, ptr, i32, i32 }
@unbounded = external global [0 x %key]

declare ptr @__static_call_target(ptr)

; Only the module that defines the array knows its length.
; CHECK-LABEL: define void @element_of_an_array_without_bound()
; CHECK: call void @__static_call_trampoline.unbounded..x2b80()
define void @element_of_an_array_without_bound() {
  %f = call ptr @__static_call_target(ptr getelementptr (i8, ptr @unbounded, i64 80))
  call void %f()
  ret void
}
