; An argument that cannot be a key is an error that says why.
; RUN: not clang -x ir -fpass-plugin=%plugin -c -o %t %s 2>&1 | FileCheck %s

target datalayout = "e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-i128:128-f80:128-n8:16:32:64-S128"
target triple = "x86_64-pc-linux-gnu"

%key = type { ptr, ptr, ptr, ptr, i32, i32 }
@thread_local = thread_local global %key zeroinitializer
@thread_local_table = thread_local global [2 x %key] zeroinitializer
@small = global [39 x i8] zeroinitializer, align 8
@table = global [2 x %key] zeroinitializer
@opaque = external global %opaque
@constant = constant %key zeroinitializer
@misaligned = global %key zeroinitializer, align 4
%opaque = type opaque

declare ptr @__static_call_target(ptr)
declare ptr @llvm.threadlocal.address.p0(ptr)

define void @f() {
; CHECK: error: {{.*}} a static call's key cannot be thread-local
  %f0 = call ptr @__static_call_target(ptr @thread_local)
  call void %f0()
; CHECK: error: {{.*}} a static call's key cannot be thread-local
  %address = call ptr @llvm.threadlocal.address.p0(ptr @thread_local)
  %f1 = call ptr @__static_call_target(ptr %address)
  call void %f1()
; CHECK: error: {{.*}} a static call's key cannot be thread-local
  %base = call ptr @llvm.threadlocal.address.p0(ptr @thread_local_table)
  %second = getelementptr i8, ptr %base, i64 40
  %f2 = call ptr @__static_call_target(ptr %second)
  call void %f2()
; CHECK: error: {{.*}} `small` is not a static call key (40 bytes at offset 0 of an object of 39)
  %f3 = call ptr @__static_call_target(ptr @small)
  call void %f3()
; CHECK: error: {{.*}} `table` is not a static call key (40 bytes at offset -8 of an object of 80)
  %f4 = call ptr @__static_call_target(ptr getelementptr (i8, ptr @table, i64 -8))
  call void %f4()
; CHECK: error: {{.*}} `table` is not a static call key (40 bytes at offset 48 of an object of 80)
  %f5 = call ptr @__static_call_target(ptr getelementptr (i8, ptr @table, i64 48))
  call void %f5()
; CHECK: error: {{.*}} `table` is not a static call key (40 bytes at offset 9223372036854775807 of
  %f6 = call ptr @__static_call_target(ptr getelementptr (i8, ptr @table, i64 9223372036854775807))
  call void %f6()
; CHECK: error: {{.*}} `table` is not a static call key (not aligned like a pointer)
  %f7 = call ptr @__static_call_target(ptr getelementptr (i8, ptr @table, i64 4))
  call void %f7()
; CHECK: error: {{.*}} `opaque` is not a static call key (40 bytes at offset 0 of an object of 0)
  %f8 = call ptr @__static_call_target(ptr @opaque)
  call void %f8()
; CHECK: error: {{.*}} `f` is not a static call key (a function)
  %f9 = call ptr @__static_call_target(ptr @f)
  call void %f9()
; CHECK: error: {{.*}} `__static_call_target` is not a static call key (a function)
  %f10 = call ptr @__static_call_target(ptr @__static_call_target)
  call void %f10()
; CHECK: error: {{.*}} `constant` is not a static call key (a constant)
  %f11 = call ptr @__static_call_target(ptr @constant)
  call void %f11()
; CHECK: error: {{.*}} `misaligned` is not a static call key (not aligned like a pointer)
  %f12 = call ptr @__static_call_target(ptr @misaligned)
  call void %f12()
; CHECK-NOT: error:
  ret void
}
