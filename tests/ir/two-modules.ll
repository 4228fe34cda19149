; Two modules have local keys of the same name, and each calls its own.
; RUN: split-file %s %t
; RUN: %lower -S %t/a.ll -o %t/a.out && %lower -S %t/b.ll -o %t/b.out
; RUN: llvm-link -S %t/a.out %t/b.out | opt -passes=verify -S -o %t/linked
; RUN: FileCheck --check-prefix=CALLERS %s < %t/linked && FileCheck --check-prefix=A %s < %t/linked
; RUN: FileCheck --check-prefix=B %s < %t/linked

; CALLERS: @llvm.global_ctors = appending global [1 x
; CALLERS: define void @a()
; CALLERS-NEXT: call void @__static_call_trampoline.k()
; CALLERS: define void @b()
; CALLERS-NEXT: call void @__static_call_trampoline.k.{{[0-9]+}}()
; A: define internal void @__static_call_trampoline.k()
; A-NEXT: asm sideeffect {{.*}}"(ptr @k)
; B: define internal void @__static_call_trampoline.k.{{[0-9]+}}()
; B-NEXT: asm sideeffect {{.*}}"(ptr @k.{{[0-9]+}})

;--- a.ll
target datalayout = "e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-i128:128-f80:128-n8:16:32:64-S128"
target triple = "x86_64-pc-linux-gnu"

%key = type { ptr, ptr, ptr, ptr, i32, i32 }
@k = internal global %key zeroinitializer
declare ptr @__static_call_target(ptr)
define void @a() {
  %f = call ptr @__static_call_target(ptr @k)
  call void %f()
  ret void
}
;--- b.ll
target datalayout = "e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-i128:128-f80:128-n8:16:32:64-S128"
target triple = "x86_64-pc-linux-gnu"

%key = type { ptr, ptr, ptr, ptr, i32, i32 }
@k = internal global %key zeroinitializer
declare ptr @__static_call_target(ptr)
define void @b() {
  %f = call ptr @__static_call_target(ptr @k)
  call void %f()
  ret void
}
