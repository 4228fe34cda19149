; A call and an invoke through the intrinsic become direct calls of the key's trampoline.
; RUN: %lower -S %s | FileCheck %s
; RUN: %lower -S %s -enable-ipra | FileCheck --check-prefix=IPRA %s
; IPRA-NOT: @__static_call_trampoline

target datalayout = "e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-i128:128-f80:128-n8:16:32:64-S128"
target triple = "x86_64-pc-linux-gnu"

%key = type { ptr, ptr, ptr, ptr, i32, i32 }
@k = external global %key

; CHECK: $__static_call_trampoline.k = comdat any
; The anchors come before all other data.
; CHECK-NOT: global
; CHECK: @__static_call_anchor.static_call_keys = linkonce_odr hidden global i64 0, section "static_call_keys", comdat($__static_call_image), align 4096
; CHECK-NEXT: @__static_call_anchor.static_call_records = linkonce_odr hidden global { ptr, ptr, ptr, i32, i32, [8 x i8] } zeroinitializer, section "static_call_records", comdat($__static_call_image), align 8
; CHECK-NEXT: @__static_call_anchor.static_call_branches = linkonce_odr hidden global [3 x i32] zeroinitializer, section "static_call_branches", comdat($__static_call_image), align 4
; CHECK-NEXT: @__static_call_anchor.static_call_sites = linkonce_odr hidden global i32 0, section "static_call_sites", comdat($__static_call_image), align 4
; CHECK-NEXT: @__static_call_anchor.static_call_end = linkonce_odr hidden global [4096 x i8] zeroinitializer, section "static_call_end", comdat($__static_call_image), align 1
; CHECK-NEXT: @k = external global

; The trampoline and its record, each once per image.
; CHECK: @__static_call_record.k = linkonce_odr hidden global { ptr, ptr, ptr, i32, i32, [8 x i8] }
; CHECK-SAME: { ptr @k, ptr null, ptr null, i32 0,
; CHECK-SAME: i32 trunc (i64 sub (i64 ptrtoint (ptr @__static_call_trampoline.k to i64), i64 ptrtoint (ptr @__static_call_record.k to i64)) to i32),
; CHECK-SAME: section "static_call_records", comdat($__static_call_trampoline.k), align 8, !associated ![[ASSOCIATED:[0-9]+]]

; The code that registers the image, once.
; CHECK-COUNT-1: @__static_call_image = linkonce_odr hidden global {{.*}} comdat, align 8
; CHECK: @llvm.compiler.used = appending global [9 x ptr] [ptr @__static_call_trampoline.k, ptr @__static_call_record.k, ptr @k, ptr @__static_call_anchor.static_call_keys, ptr @__static_call_anchor.static_call_records, ptr @__static_call_anchor.static_call_branches, ptr @__static_call_anchor.static_call_sites, ptr @__static_call_anchor.static_call_end, ptr @__static_call_image]
; CHECK: @llvm.global_ctors = appending global [1 x { i32, ptr, ptr }] [{ i32, ptr, ptr } { i32 101, ptr @__static_call_image_constructor, ptr @__static_call_image }]
; CHECK: @llvm.global_dtors = appending global [1 x { i32, ptr, ptr }] [{ i32, ptr, ptr } { i32 101, ptr @__static_call_image_destructor, ptr @__static_call_image }]

; CHECK-NOT: @__static_call_target
declare ptr @__static_call_target(ptr)
declare i32 @__gxx_personality_v0(...)

; CHECK-LABEL: define i32 @call(i32 %a)
; CHECK-NEXT: %r = call i32 @__static_call_trampoline.k(i32 %a)
; CHECK-NEXT: ret i32 %r
define i32 @call(i32 %a) {
  %f = call ptr @__static_call_target(ptr @k)
  %r = call i32 %f(i32 %a)
  ret i32 %r
}

; CHECK-LABEL: define i32 @invoke(
; CHECK: invoke i32 @__static_call_trampoline.k(i32 1)
; CHECK-NEXT: to label %next unwind label %pad
define i32 @invoke() personality ptr @__gxx_personality_v0 {
  %f = call ptr @__static_call_target(ptr @k)
  %r = invoke i32 %f(i32 1) to label %next unwind label %pad
next:
  ret i32 %r
pad:
  %l = landingpad { ptr, i32 } cleanup
  resume { ptr, i32 } %l
}

; Reading a key cannot unwind, so an invoke of the intrinsic itself leaves a branch.
; CHECK-LABEL: define i32 @invoked_intrinsic(
; CHECK-NEXT: br label %next
; CHECK: next:
; CHECK-NEXT: call i32 @__static_call_trampoline.k(i32 2)
define i32 @invoked_intrinsic() personality ptr @__gxx_personality_v0 {
  %f = invoke ptr @__static_call_target(ptr @k) to label %next unwind label %pad
next:
  %r = call i32 %f(i32 2)
  ret i32 %r
pad:
  %l = landingpad { ptr, i32 } cleanup
  resume { ptr, i32 } %l
}

; A `musttail` call stays one.
; CHECK-LABEL: define i32 @musttail(
; CHECK-NEXT: %r = musttail call i32 @__static_call_trampoline.k(i32 %a)
; CHECK-NEXT: ret i32 %r
define i32 @musttail(i32 %a) {
  %f = call ptr @__static_call_target(ptr @k)
  %r = musttail call i32 %f(i32 %a)
  ret i32 %r
}

; Signature and distance precede the code. It is naked: no instruction comes before the jump.
; CHECK: define linkonce_odr hidden i32 @__static_call_trampoline.k(i32 %0) #[[TRAMPOLINE:[0-9]+]] section ".text.static_call.k" comdat align 8
; CHECK-SAME: prefix { i32, i32 } { i32 39076691, i32 trunc (i64 sub (i64 ptrtoint (ptr @__static_call_record.k to i64), i64 ptrtoint (ptr @__static_call_trampoline.k to i64)) to i32) } {
; CHECK-NEXT: call void asm sideeffect "{{.*}}nop\0A\09movq ${0:c}@GOTPCREL(%rip), %r11\0A\09jmpq *0(%r11)\0A\09int3\0A\09.p2align 3, 0xcc", "^Ws"(ptr @k)
; CHECK-NEXT: unreachable

; CHECK: define linkonce_odr hidden void @__static_call_image_constructor() #{{[0-9]+}} comdat($__static_call_image) {
; CHECK-NEXT: call void @__static_call_register(ptr @__static_call_image)
; CHECK: define linkonce_odr hidden void @__static_call_image_destructor() #{{[0-9]+}} comdat($__static_call_image) {
; CHECK-NEXT: call void @__static_call_unregister(ptr @__static_call_image)

; CHECK-DAG: attributes #[[TRAMPOLINE]] = { disable_sanitizer_instrumentation naked nocf_check noinline noprofile nosanitize_coverage optsize skipprofile uwtable "static-call-trampoline" }
; CHECK-DAG: ![[ASSOCIATED]] = !{ptr @__static_call_trampoline.k}
