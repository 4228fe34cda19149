; What may be a key, and which keys share a trampoline.
; RUN: %lower -S %s | FileCheck %s

target datalayout = "e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-i128:128-f80:128-n8:16:32:64-S128"
target triple = "x86_64-pc-linux-gnu"

%key = type { ptr, ptr, ptr, ptr, i32, i32 }

$inline = comdat any
$group = comdat any

; CHECK-DAG: @__static_call_record.internal = internal global {{.*}}, section "static_call_records", align 8, !associated
; CHECK-DAG: @__static_call_record.local_in_group = internal global {{.*}} comdat($group), align 8, !associated
; CHECK-DAG: @__static_call_record.inline = linkonce_odr hidden global {{.*}} comdat($__static_call_trampoline.inline), align 8, !associated

@external = external global %key
@near = external dso_local global %key
@hidden = external hidden global %key
@internal = internal global %key zeroinitializer
@inline = linkonce_odr global %key zeroinitializer, comdat
@local_in_group = internal global %key zeroinitializer, comdat($group)
@weak = weak global %key zeroinitializer
@table = internal global { i64, [4 x %key] } zeroinitializer
@0 = private global %key zeroinitializer
@1 = private global %key zeroinitializer
@aliased = internal global %key zeroinitializer
@alias = alias %key, ptr @aliased
@"odd\22name" = external global %key

declare ptr @__static_call_target(ptr)

; CHECK-LABEL: define void @f()
; CHECK: call void @__static_call_trampoline.external()
; CHECK: call void @__static_call_trampoline.near()
; CHECK: call void @__static_call_trampoline.hidden()
; CHECK: call void @__static_call_trampoline.internal()
; CHECK: call void @__static_call_trampoline.inline()
; CHECK: call void @__static_call_trampoline.local_in_group()
; CHECK: call void @__static_call_trampoline.weak()
; CHECK: call void @__static_call_trampoline.table..x2b88()
; CHECK: call void @[[FIRST:__static_call_trampoline\.[^(]*]]()
; CHECK-NOT: call void @[[FIRST]]()
; CHECK: call void @[[SECOND:__static_call_trampoline\.[^(]*]]()
; CHECK: call void @__static_call_trampoline.aliased()
; CHECK: call void @__static_call_trampoline.odd..x22name()
define void @f() {
  %f0 = call ptr @__static_call_target(ptr @external)
  call void %f0()
  %f1 = call ptr @__static_call_target(ptr @near)
  call void %f1()
  %f2 = call ptr @__static_call_target(ptr @hidden)
  call void %f2()
  %f3 = call ptr @__static_call_target(ptr @internal)
  call void %f3()
  %f4 = call ptr @__static_call_target(ptr @inline)
  call void %f4()
  %f5 = call ptr @__static_call_target(ptr @local_in_group)
  call void %f5()
  %f6 = call ptr @__static_call_target(ptr @weak)
  call void %f6()
  %f7 = call ptr @__static_call_target(ptr getelementptr (i8, ptr @table, i64 88))
  call void %f7()
  %f8 = call ptr @__static_call_target(ptr @0)
  call void %f8()
  %f9 = call ptr @__static_call_target(ptr @1)
  call void %f9()
  %f10 = call ptr @__static_call_target(ptr @alias)
  call void %f10()
  %f11 = call ptr @__static_call_target(ptr @"odd\22name")
  call void %f11()
  ret void
}

; CHECK: define linkonce_odr hidden void @__static_call_trampoline.external() {{.*}} comdat align 8
; CHECK-NEXT: asm sideeffect "{{.*}}nop\0A\09movq ${0:c}@GOTPCREL(%rip), %r11\0A\09jmpq *0(%r11)\0A\09int3\0A\09.p2align 3, 0xcc", "^Ws"(ptr @external)
; CHECK: define linkonce_odr hidden void @__static_call_trampoline.near() {{.*}} comdat align 8
; CHECK-NEXT: asm sideeffect ".set __static_call_prefix.${:uid}, . - 8\0A\09.type __static_call_prefix.${:uid}, @object\0A\09.size __static_call_prefix.${:uid}, 8\0A\09nop\0A\09jmpq *${0:c}+0(%rip)\0A\09int3\0A\09.p2align 3, 0xcc", "^Ws"(ptr @near)
; CHECK: define linkonce_odr hidden void @__static_call_trampoline.hidden() {{.*}} comdat align 8
; CHECK-NEXT: asm sideeffect "{{.*}}nop\0A\09jmpq *${0:c}+0(%rip)\0A\09int3\0A\09.p2align 3, 0xcc", "^Ws"(ptr @hidden)
; CHECK: define internal void @__static_call_trampoline.internal() {{.*}} section ".text.static_call.internal" align 8
; CHECK: define linkonce_odr hidden void @__static_call_trampoline.inline() {{.*}} comdat align 8
; CHECK: define internal void @__static_call_trampoline.local_in_group() {{.*}} comdat($group) align 8
; CHECK: define linkonce_odr hidden void @__static_call_trampoline.weak() {{.*}} comdat align 8
; CHECK: define internal void @__static_call_trampoline.table..x2b88()
; CHECK-NEXT: asm sideeffect "{{.*}}nop\0A\09jmpq *${0:c}+88(%rip)\0A\09int3\0A\09.p2align 3, 0xcc", "^Ws"(ptr @table)
; CHECK: define internal void @[[FIRST]]()
; CHECK-NEXT: asm sideeffect {{.*}}(ptr @0)
; CHECK: define internal void @[[SECOND]]()
; CHECK-NEXT: asm sideeffect {{.*}}(ptr @1)
