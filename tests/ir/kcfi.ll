; A call that checks the type of its target leaves that to its trampoline, in registers that no argument is in.
; RUN: %lower -S %s -pass-remarks-missed=static-call 2>%t | FileCheck %s
; RUN: FileCheck --check-prefix=REMARK %s < %t

target datalayout = "e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-i128:128-f80:128-n8:16:32:64-S128"
target triple = "x86_64-pc-linux-gnu"

%key = type { ptr, ptr, ptr, ptr, i32, i32 }
@k = external global %key
@near = dso_local global %key zeroinitializer
@off = dso_local global %key { ptr @__static_call_off_nop, ptr null, ptr @__static_call_off_nop, ptr null, i32 1, i32 131073 }

declare ptr @__static_call_target(ptr)

; What stands for NULL has a type that every trampoline accepts.
; CHECK: @__static_call_record.k..xkcfi.4.0000002a = linkonce_odr hidden
; CHECK: @__static_call_record.k = linkonce_odr hidden
; CHECK: define internal void @__static_call_off_nop() !kcfi_type ![[STAND_IN:[0-9]+]]
define internal void @__static_call_off_nop() !kcfi_type !0 { ret void }

; CHECK-LABEL: define i32 @checked(
; CHECK-NEXT: %r = tail call i32 @__static_call_trampoline.k..xkcfi.4.0000002a(i32 %a), !srcloc
; CHECK-NEXT: ret i32 %r
define i32 @checked(i32 %a) {
  %f = call ptr @__static_call_target(ptr @k)
  %r = tail call i32 %f(i32 %a) [ "kcfi"(i32 42) ], !srcloc !1
  ret i32 %r
}

; Another bundle stays.
; CHECK-LABEL: define i32 @deopt(
; CHECK-NEXT: %r = call i32 @__static_call_trampoline.k..xkcfi.4.0000002a(i32 %a) [ "deopt"(i32 1) ]
define i32 @deopt(i32 %a) {
  %f = call ptr @__static_call_target(ptr @k)
  %r = call i32 %f(i32 %a) [ "kcfi"(i32 42), "deopt"(i32 1) ]
  ret i32 %r
}

; CHECK-LABEL: define i32 @unchecked(
; CHECK-NEXT: %r = call i32 @__static_call_trampoline.k(i32 %a)
define i32 @unchecked(i32 %a) {
  %f = call ptr @__static_call_target(ptr @k)
  %r = call i32 %f(i32 %a)
  ret i32 %r
}

; CHECK-LABEL: define void @patchable(
; CHECK-NEXT: call void @__static_call_trampoline.near..xkcfi.7.f0000000()
define void @patchable() "patchable-function-prefix"="3" {
  %f = call ptr @__static_call_target(ptr @near)
  call void %f() [ "kcfi"(i32 -268435456) ]
  ret void
}

; CHECK-LABEL: define void @with_thunk(
; CHECK-NEXT: call void @__static_call_trampoline.near..xkcfi.4.0000002b()
define void @with_thunk() "target-features"="+retpoline-indirect-branches,+retpoline-indirect-calls" {
  %f = call ptr @__static_call_target(ptr @near)
  call void %f() [ "kcfi"(i32 43) ]
  ret void
}

; REMARK: static call stays indirect: every call must check the function pointer
; CHECK-LABEL: define void @preserves_most(
; CHECK-NEXT: call void asm sideeffect {{.*}}.pdr.static_call,
; CHECK-NEXT: %target = load atomic volatile ptr, ptr @near acquire
; CHECK-NEXT: call preserve_mostcc void %target() [ "kcfi"(i32 42) ]
define void @preserves_most() {
  %f = call ptr @__static_call_target(ptr @near)
  call preserve_mostcc void %f() [ "kcfi"(i32 42) ]
  ret void
}

; REMARK: static call stays indirect: every call must check the function pointer
; CHECK-LABEL: define void @static_chain(
; CHECK: call void %target(ptr nest null) [ "kcfi"(i32 42) ]
define void @static_chain() {
  %f = call ptr @__static_call_target(ptr @near)
  call void %f(ptr nest null) [ "kcfi"(i32 42) ]
  ret void
}

; CHECK: define linkonce_odr hidden i32 @__static_call_trampoline.k..xkcfi.4.0000002a(i32 %0) {{.*}} prefix { i32, i32, i32, i32 } { i32 4, i32 42, i32 39078739, i32 trunc
; CHECK-NEXT: asm sideeffect "{{.*}}, . - 16\0A\09{{.*}}nop\0A\09movq ${0:c}@GOTPCREL(%rip), %r11\0A\09movq 0(%r11), %r11\0A\09movl $$-42, %r10d\0A\09addl -4(%r11), %r10d\0A\09je 777f\0A\09addl $$-1935888156, %r10d\0A\09je 777f\0A\09ud2\0A\09777: jmpq *%r11\0A\09int3
; CHECK: define linkonce_odr hidden i32 @__static_call_trampoline.k(
; CHECK-NEXT: asm sideeffect "{{.*}}, . - 8\0A\09{{.*}}jmpq *0(%r11)
; CHECK: define linkonce_odr hidden void @__static_call_trampoline.near..xkcfi.7.f0000000()
; CHECK-NEXT: asm sideeffect "{{.*}}addl -7(%r11), %r10d
; CHECK: define linkonce_odr hidden void @__static_call_trampoline.near..xkcfi.4.0000002b()
; CHECK-NEXT: asm sideeffect "{{.*}}777: jmp __llvm_retpoline_r11\0A

; CHECK: ![[STAND_IN]] = !{i32 1935888198}

!llvm.module.flags = !{!2}
!0 = !{i32 7}
!1 = !{i32 1}
!2 = !{i32 4, !"kcfi", i32 1}
