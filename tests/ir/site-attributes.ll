; Attributes of the call itself stay. Those about the function that the pointer reaches are removed.
; RUN: %lower -S %s | FileCheck %s

target datalayout = "e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-i128:128-f80:128-n8:16:32:64-S128"
target triple = "x86_64-pc-linux-gnu"

%key = type { ptr, ptr, ptr, ptr, i32, i32 }
@k = external global %key

declare ptr @__static_call_target(ptr)

; CHECK-LABEL: define void @f()
; CHECK-NEXT: notail call void @__static_call_trampoline.k() #[[KEPT:[0-9]+]]
; The trampoline may not be inlined, even if a call (from clang's `flatten`) asks for it.
; CHECK-NEXT: call void @__static_call_trampoline.k(){{$}}
; CHECK-NEXT: call void @__static_call_trampoline.k(){{$}}
; CHECK-NEXT: call void @__static_call_trampoline.k(){{$}}
; CHECK-NEXT: ret void
define void @f() {
  %f0 = call ptr @__static_call_target(ptr @k)
  notail call void %f0() nounwind returns_twice noreturn convergent
  %f1 = call ptr @__static_call_target(ptr @k)
  call void %f1() alwaysinline
  %f2 = call ptr @__static_call_target(ptr @k)
  call void %f2(), !callees !0
  %f3 = call ptr @__static_call_target(ptr @k)
  call void %f3(), !prof !1
  ret void
}

; CHECK: define void @strict() #[[STRICT:[0-9]+]]
; CHECK-NEXT: call void @__static_call_trampoline.k() #[[STRICT]]
define void @strict() strictfp {
  %f = call ptr @__static_call_target(ptr @k) strictfp
  call void %f() strictfp
  ret void
}

; CHECK-DAG: attributes #[[KEPT]] = { convergent noreturn nounwind returns_twice }

!0 = !{ptr @f, ptr @strict}
!1 = !{!"VP", i32 0, i64 10, i64 123, i64 10}
