; On i686 a trampoline needs eax in position-independent code, a result of 64 bits takes two registers, and in
; some conventions the callee removes the arguments.
; RUN: sed 's/^;PIC//' %s | %lower -S - -pass-remarks-missed=static-call 2>%t | FileCheck --check-prefixes=CHECK,PIC %s
; RUN: FileCheck --check-prefix=REMARK %s < %t
; RUN: %lower -S %s | FileCheck --check-prefixes=CHECK,FIXED %s
; RUN: for triple in i386-pc-linux-gnu i486 i586-unknown-none-elf i686-unknown-freebsd; do \
; RUN:   sed "s/i686-pc-linux-gnu/$triple/" %s | %lower -S - | FileCheck --check-prefixes=CHECK,FIXED %s || exit 1; done

target datalayout = "e-m:e-p:32:32-p270:32:32-p271:32:32-p272:64:64-i128:128-f64:32:64-f80:32-n8:16:32-S128"
target triple = "i686-pc-linux-gnu"

%key = type { ptr, ptr, ptr, ptr, i32, i32 }
@near = dso_local global [2 x %key] zeroinitializer
@far = external global [2 x %key]
@retpoline = dso_local global %key zeroinitializer
@external = external global %key
@void = dso_local global %key zeroinitializer
@i32 = dso_local global %key zeroinitializer
@i64 = dso_local global %key zeroinitializer
@float = dso_local global %key zeroinitializer
@sret = dso_local global %key zeroinitializer
@stdcall = dso_local global %key zeroinitializer
@fastcall = dso_local global %key zeroinitializer
@thiscall = dso_local global %key zeroinitializer
@vectorcall = dso_local global %key zeroinitializer
@fastcc = dso_local global %key zeroinitializer
@regparm = dso_local global %key zeroinitializer

declare ptr @__static_call_target(ptr)

define void @offsets() {
  %f0 = call ptr @__static_call_target(ptr getelementptr (%key, ptr @near, i32 1))
  call void %f0()
  %f1 = call ptr @__static_call_target(ptr getelementptr (%key, ptr @far, i32 1))
  call void %f1()
  ret void
}
define void @thunks() "target-features"="+retpoline-indirect-calls" {
  %f = call ptr @__static_call_target(ptr @retpoline)
  call void %f()
  ret void
}
define void @external_thunks() "target-features"="+retpoline-external-thunk,+retpoline-indirect-calls" {
  %f = call ptr @__static_call_target(ptr @external)
  call void %f()
  ret void
}
define void @results(ptr %p) {
  %f0 = call ptr @__static_call_target(ptr @void)
  call void %f0(i32 1)
  %f1 = call ptr @__static_call_target(ptr @i32)
  call i32 %f1()
  %f2 = call ptr @__static_call_target(ptr @i64)
  call i64 %f2()
  %f3 = call ptr @__static_call_target(ptr @float)
  call float %f3()
  %f4 = call ptr @__static_call_target(ptr @sret)
  call void %f4(ptr sret(i32) %p)
  ret void
}
; CHECK-LABEL: define void @conventions(
; CHECK-NEXT: call x86_stdcallcc void @__static_call_trampoline.stdcall(i32 1)
; CHECK-NEXT: call x86_fastcallcc void @__static_call_trampoline.fastcall(i32 inreg 1, i32 inreg 2, i32 3)
; CHECK-NEXT: call x86_thiscallcc void @__static_call_trampoline.thiscall(ptr %p, i32 1)
; CHECK-NEXT: call x86_vectorcallcc void @__static_call_trampoline.vectorcall(i32 inreg 1)
; CHECK-NEXT: call fastcc void @__static_call_trampoline.fastcc(i32 inreg 1)
define void @conventions(ptr %p) {
  %f0 = call ptr @__static_call_target(ptr @stdcall)
  call x86_stdcallcc void %f0(i32 1)
  %f1 = call ptr @__static_call_target(ptr @fastcall)
  call x86_fastcallcc void %f1(i32 inreg 1, i32 inreg 2, i32 3)
  %f2 = call ptr @__static_call_target(ptr @thiscall)
  call x86_thiscallcc void %f2(ptr %p, i32 1)
  %f3 = call ptr @__static_call_target(ptr @vectorcall)
  call x86_vectorcallcc void %f3(i32 inreg 1)
  %f4 = call ptr @__static_call_target(ptr @fastcc)
  call fastcc void %f4(i32 inreg 1)
  ret void
}
; REMARK-COUNT-3: static call stays indirect: its arguments leave no register for a trampoline
; REMARK-COUNT-2: static call stays indirect: its calling convention leaves no register for a trampoline
; CHECK-LABEL: define void @no_register(
; CHECK-NOT: __static_call_trampoline
; CHECK: ret void
define void @no_register(ptr %p) {
  %f0 = call ptr @__static_call_target(ptr @regparm)
  call void %f0(i32 inreg 1)
  %f1 = call ptr @__static_call_target(ptr @regparm)
  call x86_stdcallcc void %f1(i32 inreg 1)
  %f2 = call ptr @__static_call_target(ptr @regparm)
  call fastcc void %f2(ptr nest %p)
  %f3 = call ptr @__static_call_target(ptr @regparm)
  call x86_regcallcc void %f3(i32 inreg 1)
  %f4 = call ptr @__static_call_target(ptr @regparm)
  call preserve_mostcc void %f4()
  ret void
}

; PIC: define linkonce_odr hidden void @__static_call_trampoline.near..x2b24()
; PIC-NEXT: asm sideeffect "nop\0A\09call 777f\0A\09.cfi_adjust_cfa_offset 4\0A\09777: pop %eax\0A\09.cfi_adjust_cfa_offset -4\0A\09jmp *${0:c}+24-777b(%eax)\0A\09int3\0A
; FIXED: define linkonce_odr hidden void @__static_call_trampoline.near..x2b24()
; FIXED-NEXT: asm sideeffect "nop\0A\09jmp *${0:c}+24\0A\09int3\0A
; CHECK: define linkonce_odr hidden void @__static_call_trampoline.far..x2b24()
; CHECK-NEXT: asm sideeffect "nop\0A\09call 777f\0A{{.*}}\0A\09add $$_GLOBAL_OFFSET_TABLE_+(.-777b), %eax\0A\09mov ${0:c}@GOT(%eax), %eax\0A\09jmp *24(%eax)\0A\09int3\0A
; CHECK: define linkonce_odr hidden void @__static_call_trampoline.retpoline()
; PIC-NEXT: asm sideeffect "nop\0A\09call 777f\0A{{.*}}\0A\09mov ${0:c}+0-777b(%eax), %eax\0A\09jmp __llvm_retpoline_eax\0A\09int3\0A
; FIXED-NEXT: asm sideeffect "nop\0A\09mov ${0:c}+0, %eax\0A\09jmp __llvm_retpoline_eax\0A\09int3\0A
; CHECK: define linkonce_odr hidden void @__static_call_trampoline.external()
; CHECK-NEXT: asm sideeffect {{.*}}@GOT(%eax), %eax\0A\09mov 0(%eax), %eax\0A\09jmp __x86_indirect_thunk_eax\0A\09int3\0A

; "SCT\01" where a call may become a nop, "SCC\01" where it may not.
; CHECK: @__static_call_trampoline.void({{.*}} prefix { i32, i32 } { i32 39076691,
; CHECK: @__static_call_trampoline.i32({{.*}} prefix { i32, i32 } { i32 39076691,
; CHECK: @__static_call_trampoline.i64({{.*}} prefix { i32, i32 } { i32 37962579,
; CHECK: @__static_call_trampoline.float({{.*}} prefix { i32, i32 } { i32 37962579,
; CHECK: @__static_call_trampoline.sret({{.*}} prefix { i32, i32 } { i32 37962579,
; CHECK: @__static_call_trampoline.stdcall({{.*}} prefix { i32, i32 } { i32 37962579,
; CHECK: @__static_call_trampoline.fastcall({{.*}} prefix { i32, i32 } { i32 37962579,
; CHECK: @__static_call_trampoline.thiscall({{.*}} prefix { i32, i32 } { i32 37962579,
; CHECK: @__static_call_trampoline.vectorcall({{.*}} prefix { i32, i32 } { i32 37962579,
; CHECK: @__static_call_trampoline.fastcc({{.*}} prefix { i32, i32 } { i32 37962579,

;PIC!llvm.module.flags = !{!0}
;PIC!0 = !{i32 8, !"PIC Level", i32 2}
