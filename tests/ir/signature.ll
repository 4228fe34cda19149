; The prefix says whether a call may become a nop. It may not if it returns more than one register, or if the
; callee removes the arguments.
; RUN: %lower -S %s | FileCheck %s

target datalayout = "e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-i128:128-f80:128-n8:16:32:64-S128"
target triple = "x86_64-pc-linux-gnu"

%key = type { ptr, ptr, ptr, ptr, i32, i32 }
@void = external global %key
@pointer = external global %key
@i64 = external global %key
@i128 = external global %key
@float = external global %key
@pair = external global %key
@sret = external global %key
@tailcc = external global %key

declare ptr @__static_call_target(ptr)

define void @f(ptr %p) {
  %f0 = call ptr @__static_call_target(ptr @void)
  call void %f0()
  %f1 = call ptr @__static_call_target(ptr @pointer)
  call ptr %f1()
  %f2 = call ptr @__static_call_target(ptr @i64)
  call i64 %f2()
  %f3 = call ptr @__static_call_target(ptr @i128)
  call i128 %f3()
  %f4 = call ptr @__static_call_target(ptr @float)
  call float %f4()
  %f5 = call ptr @__static_call_target(ptr @pair)
  call { i32, i32 } %f5()
  %f6 = call ptr @__static_call_target(ptr @sret)
  call void %f6(ptr sret(i32) %p)
  %f7 = call ptr @__static_call_target(ptr @tailcc)
  call tailcc void %f7()
  ret void
}

; "SCT\01" and "SCC\01"
; CHECK-DAG: @__static_call_trampoline.void({{.*}} prefix { i32, i32 } { i32 39076691,
; CHECK-DAG: @__static_call_trampoline.pointer({{.*}} prefix { i32, i32 } { i32 39076691,
; CHECK-DAG: @__static_call_trampoline.i64({{.*}} prefix { i32, i32 } { i32 39076691,
; CHECK-DAG: @__static_call_trampoline.i128({{.*}} prefix { i32, i32 } { i32 37962579,
; CHECK-DAG: @__static_call_trampoline.float({{.*}} prefix { i32, i32 } { i32 37962579,
; CHECK-DAG: @__static_call_trampoline.pair({{.*}} prefix { i32, i32 } { i32 37962579,
; CHECK-DAG: @__static_call_trampoline.sret({{.*}} prefix { i32, i32 } { i32 37962579,
; CHECK-DAG: @__static_call_trampoline.tailcc({{.*}} prefix { i32, i32 } { i32 37962579,
