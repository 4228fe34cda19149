; Operand bundles stay on the call. A call stays indirect if a bundle checks its pointer, or if an attribute
; of its caller constrains calls or returns.
; RUN: %lower -S %s -pass-remarks-missed=static-call 2>%t | FileCheck %s
; RUN: FileCheck --check-prefix=REMARK %s < %t

target datalayout = "e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-i128:128-f80:128-n8:16:32:64-S128"
target triple = "x86_64-pc-linux-gnu"

%key = type { ptr, ptr, ptr, ptr, i32, i32 }
@k = external global %key

declare ptr @__static_call_target(ptr)
declare i32 @__CxxFrameHandler3(...)

; CHECK-LABEL: define void @deopt(
; CHECK-NEXT: call void @__static_call_trampoline.k() [ "deopt"(i32 1), "gc-transition"(ptr null) ]
define void @deopt() {
  %f = call ptr @__static_call_target(ptr @k)
  call void %f() [ "deopt"(i32 1), "gc-transition"(ptr null) ]
  ret void
}

; CHECK-LABEL: define void @funclet(
; CHECK: call void @__static_call_trampoline.k() [ "funclet"(token %pad) ]
define void @funclet() personality ptr @__CxxFrameHandler3 {
  invoke void @deopt() to label %exit unwind label %cleanup
cleanup:
  %pad = cleanuppad within none []
  %f = call ptr @__static_call_target(ptr @k) [ "funclet"(token %pad) ]
  call void %f() [ "funclet"(token %pad) ]
  cleanupret from %pad unwind to caller
exit:
  ret void
}

; REMARK: static call stays indirect: every call must check the function pointer
; CHECK-LABEL: define void @ptrauth(
; CHECK: call void %target() [ "ptrauth"(i32 42, i64 0) ]
define void @ptrauth() {
  %f = call ptr @__static_call_target(ptr @k)
  call void %f() [ "ptrauth"(i32 42, i64 0) ]
  ret void
}

; REMARK: static call stays indirect: the instructions after the call belong to it
; CHECK-LABEL: define ptr @attached(
; CHECK: call ptr %target() [ "clang.arc.attachedcall"(ptr @llvm.objc.retainAutoreleasedReturnValue) ]
declare ptr @llvm.objc.retainAutoreleasedReturnValue(ptr)
define ptr @attached() {
  %f = call ptr @__static_call_target(ptr @k)
  %r = call ptr %f() [ "clang.arc.attachedcall"(ptr @llvm.objc.retainAutoreleasedReturnValue) ]
  ret ptr %r
}

; REMARK: static call stays indirect: it is in a function with speculative load hardening, which covers the function pointer
; CHECK-LABEL: define void @hardened(
; CHECK: call void %target()
define void @hardened() speculative_load_hardening {
  %f = call ptr @__static_call_target(ptr @k)
  call void %f()
  ret void
}

; When the key is off, a jump becomes a plain return, which these functions must not have.
; CHECK-LABEL: define void @other_returns(
; CHECK-NEXT: notail call void @__static_call_trampoline.k()
define void @other_returns() fn_ret_thunk_extern {
  %f = call ptr @__static_call_target(ptr @k)
  tail call void %f()
  ret void
}

; CHECK-LABEL: define void @clears(
; CHECK-NEXT: notail call void @__static_call_trampoline.k()
define void @clears() "zero-call-used-regs"="used" {
  %f = call ptr @__static_call_target(ptr @k)
  tail call void %f()
  ret void
}
