; A key's name may need quotes in assembler, on each architecture, through the GOT or not.
; RUN: for triple in x86_64 i686 aarch64 armv7 riscv64 powerpc64le s390x loongarch64; do \
; RUN:   sed s/TRIPLE/$triple-unknown-linux-gnu/ %s | %lower | llc -load-pass-plugin=%plugin -relocation-model=pic -filetype=obj -o %t && \
; RUN:   llvm-objdump -r %t | FileCheck %s || exit 1; \
; RUN: done

target triple = "TRIPLE"

%key = type { ptr, ptr, ptr, ptr, i32, i32 }
@"cl\C3\A9" = external global %key
@"a:b" = internal global %key { ptr @f, ptr null, ptr null, ptr null, i32 0, i32 65536 }, section "static_call_keys"

declare ptr @__static_call_target(ptr)
declare void @f()

; CHECK: RELOCATION RECORDS FOR [.text.static_call.cl
; CHECK: R_{{[^ ]*GOT[^ ]* +}}cl

define void @g() {
  %f = call ptr @__static_call_target(ptr @"cl\C3\A9")
  call void %f()
  %g = call ptr @__static_call_target(ptr @"a:b")
  call void %g()
  ret void
}
