; Between full link-time optimization and code generation only metadata leads from a trampoline to its record
; (see prefix_data.h). A local key's record is in no group, and must survive another link-time optimization.
; RUN: %lower %s | opt -load-pass-plugin=%plugin -passes='lto<O2>' | opt -load-pass-plugin=%plugin -passes='lto<O2>' | llc -load-pass-plugin=%plugin | FileCheck %s
; In rustc, known by a symbol of its own, the prefix data stays in place, because a linker without the pass
; may get the bitcode.
; RUN: echo 'void LLVMRustStringWriteImpl(void) {}' | clang -shared -x c - -o %t && %lower %s | LD_PRELOAD=%t opt -load-pass-plugin=%plugin -passes='lto<O2>' | llc | FileCheck --check-prefix=RUSTC %s

target triple = "x86_64-pc-linux-gnu"

%key = type { ptr, ptr, ptr, ptr, i32, i32 }
@k = internal global %key { ptr @f, ptr null, ptr null, ptr null, i32 0, i32 65536 }, section "static_call_keys"

declare ptr @__static_call_target(ptr)
declare void @f()

; CHECK: .long __static_call_record.k-__static_call_trampoline.k
; CHECK-NEXT: __static_call_trampoline.k:
; CHECK: __static_call_record.k:
; RUSTC: .long __static_call_record.k-__static_call_trampoline.k

define void @g() {
  %f = call ptr @__static_call_target(ptr @k)
  call void %f()
  ret void
}
