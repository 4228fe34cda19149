; On targets without recorded sites, a call through the intrinsic is a call through a loaded pointer.
; RUN: for triple in x86_64-apple-macosx arm64ec-pc-windows-msvc x86_64-pc-windows-cygnus x86_64-unknown-uefi x86_64-pc-cygwin wasm32-unknown-unknown \
; RUN:   wasm32-wasip1 aarch64_be-unknown-linux-gnu aarch64-unknown-linux-gnu_ilp32 arm64-apple-ios aarch64-pc-windows-msvc i686-pc-windows-msvc x86_64-unknown-linux-gnux32 \
; RUN:   powerpc64-unknown-linux-gnu ""; do \
; RUN:   (echo "target triple = \"$triple\""; cat %s) > %t; echo "$triple"; \
; RUN:   %lower -S %t -pass-remarks-missed=static-call 2>%t2 | FileCheck %s && FileCheck --check-prefix=REMARK %s < %t2 || exit 1; done
; RUN: for triple in x86_64-unknown-linux-gnu x86_64-unknown-linux-musl x86_64-unknown-none x86_64-unknown-freebsd amd64-unknown-openbsd x86_64 x86_64-pc-windows-msvc x86_64-w64-windows-gnu \
; RUN:   aarch64-unknown-linux-gnu aarch64-unknown-linux-musl aarch64-unknown-none arm64-linux-android i686-unknown-linux-gnu i586-unknown-linux-musl i386-unknown-freebsd \
; RUN:   powerpc64le-unknown-linux-gnu riscv64-unknown-linux-gnu s390x-unknown-linux-gnu loongarch64-unknown-linux-gnu armv7-unknown-linux-gnueabihf; do \
; RUN:   (echo "target triple = \"$triple\""; cat %s) > %t; echo "$triple"; \
; RUN:   %lower -S %t | FileCheck --check-prefix=SITES %s || exit 1; done
; RUN: for model in 3 4; do \
; RUN:   (echo 'target triple = "x86_64-pc-linux-gnu"'; cat %s; echo '!llvm.module.flags = !{!0}'; echo "!0 = !{i32 1, !\"Code Model\", i32 $model}") > %t; \
; RUN:   %lower -S %t | FileCheck %s || exit 1; done

%key = type { ptr, ptr, ptr, ptr, i32, i32 }
@k = external global %key

declare ptr @__static_call_target(ptr)

; REMARK: static call loads its key: this target or code model has no recorded call sites
; CHECK-NOT: __static_call
; CHECK: define i32 @f(i32 %a) {
; CHECK: %target = load atomic volatile ptr, ptr @k acquire, align
; CHECK-NEXT: %r = call i32 %target(i32 %a)
; CHECK-NEXT: ret i32 %r
; CHECK-NOT: __static_call
; SITES: call i32 @__static_call_trampoline.k(i32 %a)
define i32 @f(i32 %a) {
  %f = call ptr @__static_call_target(ptr @k)
  %r = call i32 %f(i32 %a)
  ret i32 %r
}
