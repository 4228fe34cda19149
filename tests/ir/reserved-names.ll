; A symbol of any kind with a reserved name is an error, defined or declared.
; RUN: not clang -x ir -fpass-plugin=%plugin -c -o %t %s 2>&1 | FileCheck %s

target datalayout = "e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-i128:128-f80:128-n8:16:32:64-S128"
target triple = "x86_64-pc-linux-gnu"

%key = type { ptr, ptr, ptr, ptr, i32, i32 }

; CHECK-DAG: error: the symbol `__static_call_trampoline.defined` is reserved for static calls: {{.*}}; choose another name
; CHECK-DAG: error: the symbol `__static_call_trampoline.declared` is reserved
; CHECK-DAG: error: the symbol `__static_call_trampoline.variable` is reserved
; CHECK-DAG: error: the symbol `__static_call_trampoline.alias` is reserved
; CHECK-DAG: error: the symbol `__static_call_trampoline.ifunc` is reserved
; CHECK-DAG: error: the symbol `__static_call_record.variable` is reserved
; CHECK-DAG: error: the symbol `__static_call_record.function` is reserved
; CHECK-DAG: error: the symbol `__static_call_image` is reserved
; CHECK-DAG: error: the symbol `__static_call_image_constructor` is reserved
; CHECK-DAG: error: the symbol `__static_call_target` is reserved
; CHECK-DAG: error: the symbol `__static_call_mine` is reserved
; CHECK-DAG: error: the symbol `__static_call_unregister` is reserved
; CHECK-DAG: error: the symbol `__static_call_off_nop` is reserved
; CHECK-DAG: error: the symbol `__static_call_anchor.static_call_sites` is reserved
; CHECK-DAG: error: the symbol `__static_call_anchor.static_call_keys` is reserved
; CHECK-NOT: error:
define internal void @__static_call_unregister(ptr %image) {
  ret void
}
define void @__static_call_mine() {
  ret void
}
define void @__static_call_off_nop() {
  ret void
}
define internal void @__static_call_off_zero() {
  ret void
}
declare void @__static_call_register(ptr)
declare i32 @__static_call_update(ptr, ptr)
define void @__static_call_trampoline.defined() {
  ret void
}
declare void @__static_call_trampoline.declared()
@__static_call_trampoline.variable = global i32 0
@__static_call_trampoline.alias = alias void (), ptr @__static_call_trampoline.defined
@__static_call_trampoline.ifunc = ifunc void (), ptr @resolver
@__static_call_record.variable = external global i32
declare void @__static_call_record.function()
@__static_call_image = global i32 0
@__static_call_anchor.static_call_sites = global i32 0
@__static_call_anchor.static_call_keys = global i32 0, section "static_call_sites"
declare void @__static_call_image_constructor()
@__static_call_target = external global i32

define ptr @resolver() {
  ret ptr @resolver
}
