; Link-time optimization makes keys local, and GlobalMerge would merge all keys that one function uses into
; one object. An earlier trampoline that finds its key through the GOT would then need an address inside that
; object, but a GOT entry has no offset. GNU ld refuses that on RISC-V. On AArch64, the trampoline would read
; another key's entry.
; RUN: sed s/TRIPLE/riscv64-unknown-linux-gnu/ %s | %lower | opt -passes=internalize -internalize-public-api-list=update | llc -load-pass-plugin=%plugin -relocation-model=pic | FileCheck --check-prefix=RISCV64 %s
; RUN: sed s/TRIPLE/aarch64-unknown-linux-gnu/ %s | %lower | opt -passes=internalize -internalize-public-api-list=update | llc -load-pass-plugin=%plugin -O3 -relocation-model=pic | FileCheck --check-prefix=AARCH64 %s
; RUN: sed s/TRIPLE/armv7-unknown-linux-gnueabihf/ %s | %lower | opt -passes=internalize -internalize-public-api-list=update | llc -load-pass-plugin=%plugin -O3 -relocation-model=pic | FileCheck --check-prefix=ARM %s
; RUN: sed s/TRIPLE/powerpc64le-unknown-linux-gnu/ %s | %lower | opt -passes=internalize -internalize-public-api-list=update | llc -load-pass-plugin=%plugin -O3 -relocation-model=pic | FileCheck --check-prefix=POWERPC64 %s

target triple = "TRIPLE"

%key = type { ptr, ptr, ptr, ptr, i32, i32 }
@one = global %key { ptr @f, ptr null, ptr null, ptr null, i32 0, i32 65536 }, section "static_call_keys"
@two = global %key { ptr @f, ptr null, ptr null, ptr null, i32 0, i32 65536 }, section "static_call_keys"

declare ptr @__static_call_target(ptr)
declare void @f()
declare void @set(ptr, ptr)

; RISCV64-LABEL: __static_call_trampoline.two:
; RISCV64: %got_pcrel_hi(two)
; AARCH64-LABEL: __static_call_trampoline.two:
; AARCH64: :got:two
; ARM-LABEL: __static_call_trampoline.two:
; ARM: two(GOT_PREL)
; POWERPC64-LABEL: __static_call_trampoline.two:
; POWERPC64: two@got@ha

define void @update(ptr %target) {
  call void @set(ptr @one, ptr %target)
  call void @set(ptr @two, ptr %target)
  %g = call ptr @__static_call_target(ptr @one)
  call void %g()
  %h = call ptr @__static_call_target(ptr @two)
  call void %h()
  ret void
}
