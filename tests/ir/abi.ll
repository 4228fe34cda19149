; The trampoline has every attribute of the call that decides how arguments are passed.
; RUN: %lower -S %s | FileCheck %s

target datalayout = "e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-i128:128-f80:128-n8:16:32:64-S128"
target triple = "x86_64-pc-linux-gnu"

%key = type { ptr, ptr, ptr, ptr, i32, i32 }
%big = type { i64, i64, i64, i64 }
@table = dso_local global [20 x %key] zeroinitializer
@other = dso_local global [16 x %key] zeroinitializer

declare ptr @__static_call_target(ptr)
declare token @llvm.call.preallocated.setup(i32)
declare ptr @llvm.call.preallocated.arg(token, i32)

; CHECK-LABEL: define void @arguments(
; CHECK: call i32 @__static_call_trampoline.table(ptr byval(%big) align 16 %p)
; CHECK: call void @__static_call_trampoline.table..x2b40(ptr sret(%big) %p, i32 inreg 1)
; CHECK: call zeroext i8 @__static_call_trampoline.table..x2b80(i8 signext 1, i1 zeroext true)
; CHECK: call i32 (ptr, ...) @__static_call_trampoline.table..x2b120(ptr %p, i32 1, double 2.0
; CHECK: call swiftcc i32 @__static_call_trampoline.table..x2b160(ptr swiftself %p, ptr swifterror %e)
; CHECK: call i32 @__static_call_trampoline.table..x2b200(ptr nest %p)
; CHECK: call i32 @__static_call_trampoline.table..x2b240(ptr noundef nonnull dereferenceable(8) %p)
; CHECK: call inreg i64 @__static_call_trampoline.table..x2b280(i64 alignstack(16) 1)
; CHECK: call { i64, i64, i64, i64 } @__static_call_trampoline.table..x2b320()
; CHECK: call i512 @__static_call_trampoline.table..x2b360(i512 1)
; CHECK: call <vscale x 4 x i32> @__static_call_trampoline.table..x2b400()
; CHECK: call target("spirv.Image") @__static_call_trampoline.table..x2b440()
; CHECK: call void @__static_call_trampoline.table..x2b480(ptr byref(%big) align 8 %p)
; CHECK: call bfloat @__static_call_trampoline.table..x2b520(half 0xH3C00, x86_fp80 0xK3FFF8000000000000000, fp128 0xL00000000000000003FFF000000000000)
define void @arguments(ptr %p) {
  %e = alloca swifterror ptr
  %f0 = call ptr @__static_call_target(ptr @table)
  call i32 %f0(ptr byval(%big) align 16 %p)
  %f1 = call ptr @__static_call_target(ptr getelementptr ([20 x %key], ptr @table, i64 0, i64 1))
  call void %f1(ptr sret(%big) %p, i32 inreg 1)
  %f2 = call ptr @__static_call_target(ptr getelementptr (i8, ptr @table, i64 80))
  call zeroext i8 %f2(i8 signext 1, i1 zeroext true)
  %f3 = call ptr @__static_call_target(ptr getelementptr (i8, ptr @table, i64 120))
  call i32 (ptr, ...) %f3(ptr %p, i32 1, double 2.0)
  %f4 = call ptr @__static_call_target(ptr getelementptr (i8, ptr @table, i64 160))
  call swiftcc i32 %f4(ptr swiftself %p, ptr swifterror %e)
  %f5 = call ptr @__static_call_target(ptr getelementptr (i8, ptr @table, i64 200))
  call i32 %f5(ptr nest %p)
  %f6 = call ptr @__static_call_target(ptr getelementptr (i8, ptr @table, i64 240))
  call i32 %f6(ptr noundef nonnull dereferenceable(8) %p)
  %f7 = call ptr @__static_call_target(ptr getelementptr (i8, ptr @table, i64 280))
  call inreg i64 %f7(i64 alignstack(16) 1)
  %f8 = call ptr @__static_call_target(ptr getelementptr (i8, ptr @table, i64 320))
  call { i64, i64, i64, i64 } %f8()
  %f9 = call ptr @__static_call_target(ptr getelementptr (i8, ptr @table, i64 360))
  call i512 %f9(i512 1)
  %f10 = call ptr @__static_call_target(ptr getelementptr (i8, ptr @table, i64 400))
  call <vscale x 4 x i32> %f10()
  %f11 = call ptr @__static_call_target(ptr getelementptr (i8, ptr @table, i64 440))
  call target("spirv.Image") %f11()
  %f12 = call ptr @__static_call_target(ptr getelementptr (i8, ptr @table, i64 480))
  call void %f12(ptr byref(%big) align 8 %p)
  %f13 = call ptr @__static_call_target(ptr getelementptr (i8, ptr @table, i64 520))
  call bfloat %f13(half 1.0, x86_fp80 0xK3FFF8000000000000000, fp128 0xL00000000000000003FFF000000000000)
  ret void
}

; CHECK-LABEL: define void @in_memory(
; CHECK: call void @__static_call_trampoline.table..x2b560(ptr inalloca(i32) %m)
; CHECK: call void @__static_call_trampoline.table..x2b600(ptr preallocated(i32) %slot) [ "preallocated"(token %setup) ]
define void @in_memory() {
  %m = alloca inalloca i32
  %f0 = call ptr @__static_call_target(ptr getelementptr (i8, ptr @table, i64 560))
  call void %f0(ptr inalloca(i32) %m)
  %setup = call token @llvm.call.preallocated.setup(i32 1)
  %slot = call ptr @llvm.call.preallocated.arg(token %setup, i32 0) preallocated(i32)
  %f1 = call ptr @__static_call_target(ptr getelementptr (i8, ptr @table, i64 600))
  call void %f1(ptr preallocated(i32) %slot) [ "preallocated"(token %setup) ]
  ret void
}

; CHECK-LABEL: define void @conventions(
; CHECK: call fastcc void @__static_call_trampoline.other()
; CHECK: call coldcc void @__static_call_trampoline.other..x2b40()
; CHECK: call preserve_mostcc void @__static_call_trampoline.other..x2b80()
; CHECK: call win64cc void @__static_call_trampoline.other..x2b120()
; CHECK: call tailcc void @__static_call_trampoline.other..x2b160(i32 inreg 1)
; CHECK: call ghccc void @__static_call_trampoline.other..x2b200()
define void @conventions() {
  %f0 = call ptr @__static_call_target(ptr @other)
  call fastcc void %f0()
  %f1 = call ptr @__static_call_target(ptr getelementptr (i8, ptr @other, i64 40))
  call coldcc void %f1()
  %f2 = call ptr @__static_call_target(ptr getelementptr (i8, ptr @other, i64 80))
  call preserve_mostcc void %f2()
  %f3 = call ptr @__static_call_target(ptr getelementptr (i8, ptr @other, i64 120))
  call win64cc void %f3()
  %f4 = call ptr @__static_call_target(ptr getelementptr (i8, ptr @other, i64 160))
  call tailcc void %f4(i32 inreg 1)
  %f5 = call ptr @__static_call_target(ptr getelementptr (i8, ptr @other, i64 200))
  call ghccc void %f5()
  ret void
}

; CHECK: define linkonce_odr hidden i32 @__static_call_trampoline.table(ptr byval(%big) align 16 %0)
; CHECK: define linkonce_odr hidden void @__static_call_trampoline.table..x2b40(ptr sret(%big) %0, i32 inreg %1)
; CHECK-NEXT: {{.*}}jmpq *${0:c}+40(%rip)\0A\09int3\0A\09.p2align 3, 0xcc", "^Ws"(ptr @table)
; CHECK: define linkonce_odr hidden zeroext i8 @__static_call_trampoline.table..x2b80(i8 signext %0, i1 zeroext %1)
; CHECK: define linkonce_odr hidden i32 @__static_call_trampoline.table..x2b120(ptr %0, ...)
; CHECK: define linkonce_odr hidden swiftcc i32 @__static_call_trampoline.table..x2b160(ptr swiftself %0, ptr swifterror %1)
; CHECK: define linkonce_odr hidden i32 @__static_call_trampoline.table..x2b200(ptr nest %0)
; A fact about the argument of one call need not hold for all calls.
; CHECK: define linkonce_odr hidden i32 @__static_call_trampoline.table..x2b240(ptr %0)
; CHECK: define linkonce_odr hidden inreg i64 @__static_call_trampoline.table..x2b280(i64 alignstack(16) %0)
; CHECK: define linkonce_odr hidden void @__static_call_trampoline.table..x2b480(ptr byref(%big) align 8 %0)
; CHECK: define linkonce_odr hidden fastcc void @__static_call_trampoline.other()
; CHECK: define linkonce_odr hidden coldcc void @__static_call_trampoline.other..x2b40()
; CHECK: define linkonce_odr hidden tailcc void @__static_call_trampoline.other..x2b160(i32 inreg %0)
