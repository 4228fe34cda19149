; The pass leaves a module without static calls unchanged, and reports so. The same holds for a module that
; was already lowered.
; RUN: split-file %s %t
; RUN: opt -load-pass-plugin=%plugin -passes=static-call -S -print-changed=quiet %t/plain.ll 2>&1 | FileCheck %s --check-prefix=PLAIN
; RUN: opt -S %t/plain.ll -o %t/before && %lower -S %t/plain.ll -o %t/after && diff %t/before %t/after
; RUN: opt -S %t/empty.ll -o %t/before && %lower -S %t/empty.ll -o %t/after && diff %t/before %t/after
; RUN: %lower -S %t/used.ll -o %t/once
; RUN: opt -load-pass-plugin=%plugin -passes=static-call,static-call,verify -S %t/used.ll -o %t/twice && diff %t/once %t/twice
; RUN: opt -load-pass-plugin=%plugin -passes=static-call -print-changed=quiet -S %t/once 2>&1 | FileCheck %s --check-prefix=PLAIN
; RUN: llvm-link -S %t/once %t/more.ll -o %t/linked && %lower -S %t/linked | FileCheck %s --check-prefix=LINKED

; PLAIN-NOT: IR Dump After

;--- plain.ll
target triple = "x86_64-unknown-linux-gnu"
@unused__static_call_key = external global [40 x i8]
@kept = global ptr @unused__static_call_key
define i32 @f(ptr %p) {
  %r = call i32 %p()
  ret i32 %r
}

;--- empty.ll

;--- used.ll
target datalayout = "e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-i128:128-f80:128-n8:16:32:64-S128"
target triple = "x86_64-pc-linux-gnu"

%key = type { ptr, ptr, ptr, ptr, i32, i32 }
@k = global %key zeroinitializer
@local = internal global %key zeroinitializer
declare ptr @__static_call_target(ptr)
define void @f() {
  %f = call ptr @__static_call_target(ptr @k)
  call void %f()
  %g = call ptr @__static_call_target(ptr @local)
  call void %g()
  ret void
}

;--- more.ll
; A module that is linked to a lowered one calls the same trampolines. But a local key of the same name is
; another key.
target datalayout = "e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-i128:128-f80:128-n8:16:32:64-S128"
target triple = "x86_64-pc-linux-gnu"

%key = type { ptr, ptr, ptr, ptr, i32, i32 }
@k = external global %key
@local = internal global %key zeroinitializer
declare ptr @__static_call_target(ptr)
define void @more() {
  %f = call ptr @__static_call_target(ptr @k)
  call void %f()
  %g = call ptr @__static_call_target(ptr @local)
  call void %g()
  ret void
}
; LINKED: @llvm.global_ctors = appending global [1 x
; LINKED-LABEL: define void @f()
; LINKED-NEXT: call void @__static_call_trampoline.k()
; LINKED-NEXT: call void @__static_call_trampoline.local()
; LINKED-LABEL: define void @more()
; LINKED-NEXT: call void @__static_call_trampoline.k()
; LINKED-NEXT: call void @[[OTHER:__static_call_trampoline.local.[0-9]+]]()
; LINKED: define internal void @[[OTHER]]()
; LINKED-NEXT: "^Ws"(ptr @local.{{[0-9]+}})
