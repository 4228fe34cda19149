; ARM: a trampoline is A32 code, whatever its callers are. It starts with an instruction that a branch may replace while
; it runs. Recorded calls are one word of A32 code, conditional ones included.
; RUN: %lower -S %s | FileCheck %s
; RUN: %lower %s | llc -load-pass-plugin=%plugin -relocation-model=pic -filetype=obj -o %t && llvm-objdump -dr --no-show-raw-insn %t | FileCheck --check-prefix=CODE %s
; RUN: %lower %s | llc -load-pass-plugin=%plugin -o - | FileCheck --check-prefix=SITES %s
; For processors that predict returns.
; RUN: %lower %s | llc -load-pass-plugin=%plugin -mcpu=cortex-a9 -o - | FileCheck --check-prefix=A9 %s

target triple = "armv7-unknown-linux-gnueabihf"

%key = type { ptr, ptr, ptr, ptr, i32, i32 }
@near = dso_local global %key { ptr @f, ptr null, ptr null, ptr null, i32 0, i32 65536 }
@local = internal global %key { ptr @f, ptr null, ptr null, ptr null, i32 0, i32 65536 }
@elsewhere = external global %key
; Fields beyond a single immediate.
@table = external global { [5000 x ptr], %key }
@huge = external global { [268439825 x i8], [3 x i8], %key }

declare ptr @__static_call_target(ptr)
declare void @f()

; CHECK: @__static_call_anchor.static_call_keys = {{.*}} align 65536
; CHECK: define {{.*}}void @not_through_a_trampoline
; CHECK-NEXT: call void asm sideeffect {{.*}}.pdr.static_call,
; CHECK-NEXT: load atomic
; CHECK-NEXT: call void %{{.*}}(ptr nest
; CHECK: define {{.*}}void @not_readable
; CHECK-NEXT: call void asm sideeffect {{.*}}.pdr.static_call,
; CHECK-NEXT: load atomic
; CHECK: define linkonce_odr hidden void @__static_call_trampoline.near() #[[OURS:[0-9]+]] section ".text.static_call.near" comdat{{.*}} align 8
; CHECK: attributes #[[OURS]] = {{.*}}"target-features"="-thumb-mode"

; CODE-LABEL: <calls>:
; CODE: bl
; CODE-NEXT: R_ARM_CALL __static_call_trampoline.near
; CODE: b {{.*}}
; CODE: R_ARM_JUMP24 __static_call_trampoline.table..x2b20000
; CODE-LABEL: <sometimes>:
; CODE: bleq
; CODE-NEXT: R_ARM_JUMP24 __static_call_trampoline.local
; CODE-LABEL: <thumb>:
; CODE: R_ARM_THM_CALL __static_call_trampoline.near
; CODE: R_ARM_THM_JUMP24 __static_call_trampoline.elsewhere
; CODE-LABEL: <__static_call_trampoline.near>:
; CODE-NEXT: nop
; CODE-NEXT: ldr r12, [pc, #0x10]
; CODE-NEXT: ldr r12, [pc, r12]
; CODE-NEXT: dmb ish
; CODE-NEXT: bx r12
; CODE-NEXT: dsb sy
; CODE-NEXT: isb sy
; CODE-NEXT: .word
; CODE-NEXT: R_ARM_REL32
; CODE-LABEL: <__static_call_trampoline.elsewhere>:
; CODE-NEXT: nop
; CODE-NEXT: ldr r12, [pc, #0x14]
; CODE-NEXT: ldr r12, [pc, r12]
; CODE-NEXT: ldr r12, [r12]
; CODE-NEXT: dmb ish
; CODE: R_ARM_GOT_PREL elsewhere
; CODE-LABEL: <__static_call_trampoline.huge..x2b268439828>:
; CODE: ldr r12, [pc, r12]
; CODE-NEXT: add r12, r12, #4096
; CODE-NEXT: add r12, r12, #268435456
; CODE-NEXT: ldr r12, [r12, #0x114]
; CODE-LABEL: <__static_call_trampoline.table..x2b20000>:
; CODE: ldr r12, [pc, r12]
; CODE-NEXT: add r12, r12, #16384
; CODE-NEXT: ldr r12, [r12, #0xe20]

; SITES-LABEL: calls:
; SITES: [[SITE:.Lpcsection[0-9]+]]:
; SITES-NEXT: bl __static_call_trampoline.near
; SITES-LABEL: sometimes:
; SITES: .Lpcsection{{[0-9]+}}:
; SITES-NEXT: bleq __static_call_trampoline.local
; SITES-LABEL: never:
; SITES: .Lpcsection{{[0-9]+}}:
; SITES-NEXT: bl __static_call_trampoline.near
; SITES-LABEL: thumb:
; SITES-NOT: .Lpcsection
; SITES-LABEL: not_through_a_trampoline:

; A9-LABEL: never:
; A9-NOT: .Lpcsection
; A9: mov lr, pc
; A9-NEXT: b __static_call_trampoline.near
; A9-NOT: .Lpcsection
; A9-LABEL: thumb:

define void @calls() {
  %n = call ptr @__static_call_target(ptr @near)
  call void %n()
  %e = call ptr @__static_call_target(ptr @elsewhere)
  call void %e()
  %h = call ptr @__static_call_target(ptr getelementptr (i8, ptr @huge, i32 268439828))
  call void %h()
  %t = call ptr @__static_call_target(ptr getelementptr (i8, ptr @table, i32 20000))
  tail call void %t()
  ret void
}

define void @sometimes(i32 %x) {
  %c = icmp eq i32 %x, 0
  br i1 %c, label %then, label %end
then:
  %l = call ptr @__static_call_target(ptr @local)
  call void %l()
  br label %end
end:
  call void @f()
  ret void
}

define void @never() {
  %n = call ptr @__static_call_target(ptr @near)
  call void %n() noreturn
  unreachable
}

define void @thumb() "target-features"="+thumb-mode" {
  %n = call ptr @__static_call_target(ptr @near)
  call void %n()
  %e = call ptr @__static_call_target(ptr @elsewhere)
  tail call void %e()
  ret void
}

define void @not_through_a_trampoline(ptr %chain) {
  %n = call ptr @__static_call_target(ptr @near)
  call void %n(ptr nest %chain)
  ret void
}

define void @not_readable() "target-features"="+execute-only" {
  %n = call ptr @__static_call_target(ptr @near)
  call void %n()
  ret void
}
