; The forms that the intrinsic itself may have.
; RUN: split-file %s %t
; RUN: %lower -S %t/header.ll | FileCheck %s --check-prefix=HEADER
; RUN: %lower -S %t/address.ll | FileCheck %s --check-prefix=ADDRESS
; RUN: %lower -S %t/arguments.ll | FileCheck %s --check-prefix=ARGUMENTS
; RUN: not %lower -disable-output %t/register.ll 2>&1 | FileCheck %s --check-prefix=REGISTER
; RUN: not %lower -disable-output %t/type.ll 2>&1 | FileCheck %s --check-prefix=TYPE

;--- header.ll
; The header's inline function is removed with its last call.
target datalayout = "e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-i128:128-f80:128-n8:16:32:64-S128"
target triple = "x86_64-pc-linux-gnu"

%key = type { ptr, ptr, ptr, ptr, i32, i32 }
@k = external global %key
define internal ptr @__static_call_target(ptr %key) alwaysinline {
  %target = load atomic volatile ptr, ptr %key acquire, align 8
  ret ptr %target
}
; HEADER-NOT: __static_call_target
; HEADER: call void @__static_call_trampoline.k()
define void @f() {
  %f = call ptr @__static_call_target(ptr @k)
  call void %f()
  ret void
}

;--- address.ll
; If its address is taken, it is a function like any other.
target datalayout = "e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-i128:128-f80:128-n8:16:32:64-S128"
target triple = "x86_64-pc-linux-gnu"

%key = type { ptr, ptr, ptr, ptr, i32, i32 }
@k = external global %key
@kept = global ptr @__static_call_target
; ADDRESS: define internal ptr @__static_call_target(ptr %0) {
; ADDRESS-NEXT: %target = load atomic volatile ptr, ptr %0 acquire, align 8
; ADDRESS-NEXT: ret ptr %target
declare ptr @__static_call_target(ptr)
; ADDRESS: call void @__static_call_trampoline.k()
; ADDRESS: call ptr %g(ptr @k)
define void @f(ptr %g) {
  %f = call ptr @__static_call_target(ptr @k)
  call void %f()
  %h = call ptr %g(ptr @k)
  ret void
}

;--- arguments.ll
; A call with other types (C without a prototype) is not lowered.
target datalayout = "e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-i128:128-f80:128-n8:16:32:64-S128"
target triple = "x86_64-pc-linux-gnu"

%key = type { ptr, ptr, ptr, ptr, i32, i32 }
; ARGUMENTS: define internal ptr @__static_call_target(ptr
declare ptr @__static_call_target(ptr)
; ARGUMENTS: call i64 @__static_call_target(i32 1, i32 2)
; ARGUMENTS: call i64 @__static_call_target(i64 1)
define void @f() {
  call i64 @__static_call_target(i32 1, i32 2)
  call i64 @__static_call_target(i64 1)
  ret void
}

;--- register.ll
; REGISTER: error: the symbol `__static_call_register` is reserved
target triple = "x86_64-unknown-linux-gnu"
declare i32 @__static_call_register(ptr)

;--- type.ll
; TYPE: error: the symbol `__static_call_target` is reserved
target triple = "x86_64-unknown-linux-gnu"
declare i32 @__static_call_target(ptr)
