; A key that is not known at compile time is loaded, with the reason in a remark.
; RUN: %lower -S %s -pass-remarks-missed=static-call 2>%t | FileCheck %s
; RUN: FileCheck --check-prefix=REMARK %s < %t

target datalayout = "e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-i128:128-f80:128-n8:16:32:64-S128"
target triple = "x86_64-pc-linux-gnu"

%key = type { ptr, ptr, ptr, ptr, i32, i32 }
@k = external global %key
@weak_reference = extern_weak global %key
@far = external addrspace(1) global %key
@"in\FFvalid" = external global %key
@"in\FEvalid" = external global %key
@"k+40" = external global %key
@"1st" = internal global %key zeroinitializer
@interposed = external global %key
@alias = weak alias %key, ptr @defined
@defined = global %key zeroinitializer

declare ptr @__static_call_target(ptr)

; CHECK-NOT: @__static_call_trampoline
; REMARK-COUNT-4: static call loads its key: the key is not a constant at this place
; CHECK-LABEL: define void @not_constant(
; CHECK-COUNT-4: load atomic volatile ptr, ptr %{{[a-z]+}} acquire, align 8
define void @not_constant(ptr %argument, i1 %c) {
entry:
  %f0 = call ptr @__static_call_target(ptr %argument)
  call void %f0()
  %select = select i1 %c, ptr @k, ptr %argument
  %f1 = call ptr @__static_call_target(ptr %select)
  call void %f1()
  br i1 %c, label %join, label %other
other:
  br label %join
join:
  %phi = phi ptr [ @k, %entry ], [ %argument, %other ]
  %f2 = call ptr @__static_call_target(ptr %phi)
  call void %f2()
  %loaded = load ptr, ptr %argument
  %f3 = call ptr @__static_call_target(ptr %loaded)
  call void %f3()
  ret void
}

; REMARK-COUNT-4: static call loads its key: the key is not a constant at this place
; CHECK-LABEL: define void @no_object(
; CHECK: load atomic volatile ptr, ptr null acquire
; CHECK: load atomic volatile ptr, ptr undef acquire
; CHECK: load atomic volatile ptr, ptr inttoptr (i64 64 to ptr) acquire
; CHECK: load atomic volatile ptr, ptr @alias acquire
define void @no_object() {
  %f0 = call ptr @__static_call_target(ptr null)
  call void %f0()
  %f1 = call ptr @__static_call_target(ptr undef)
  call void %f1()
  %f2 = call ptr @__static_call_target(ptr inttoptr (i64 64 to ptr))
  call void %f2()
  %f3 = call ptr @__static_call_target(ptr @alias)
  call void %f3()
  ret void
}

; In unreachable code a value may use itself.
; CHECK-LABEL: define void @unreachable(
; CHECK: %target = load atomic volatile ptr, ptr %target acquire
define void @unreachable() {
  ret void
never:
  %f = call ptr @__static_call_target(ptr %f)
  br label %never
}

; REMARK: static call loads its key: the key is a weak reference, which may be null
; REMARK: static call loads its key: the key is in another address space
; Names that would equal another symbol once written out, and one that is a number to the assembler.
; REMARK-COUNT-4: static call loads its key: the key's symbol is not an ordinary name
; CHECK-LABEL: define void @unusual(
; CHECK: load atomic volatile ptr, ptr @weak_reference acquire
; CHECK: load atomic volatile ptr, ptr addrspacecast (ptr addrspace(1) @far to ptr) acquire
; CHECK: load atomic volatile ptr, ptr @"in\FFvalid" acquire
; CHECK: load atomic volatile ptr, ptr @"in\FEvalid" acquire
; CHECK: load atomic volatile ptr, ptr @"k+40" acquire
; CHECK: load atomic volatile ptr, ptr @"1st" acquire
define void @unusual() {
  %f0 = call ptr @__static_call_target(ptr @weak_reference)
  call void %f0()
  %f1 = call ptr @__static_call_target(ptr addrspacecast (ptr addrspace(1) @far to ptr))
  call void %f1()
  %f2 = call ptr @__static_call_target(ptr @"in\FFvalid")
  call void %f2()
  %f3 = call ptr @__static_call_target(ptr @"in\FEvalid")
  call void %f3()
  %f5 = call ptr @__static_call_target(ptr @"k+40")
  call void %f5()
  %f6 = call ptr @__static_call_target(ptr @"1st")
  call void %f6()
  ret void
}
