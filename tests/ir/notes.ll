; A call that loads its key leaves a note with the reason, and the key's name if it is known. Strings are
; quoted for LLVM and the assembler.
; RUN: %lower -S %s | FileCheck %s
; RUN: %lower %s | llc -filetype=obj -o %t && llvm-readelf -S -p .pdr.static_call %t | FileCheck --check-prefix=OBJECT %s

target datalayout = "e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-i128:128-f80:128-n8:16:32:64-S128"
target triple = "x86_64-pc-linux-gnu"

%key = type { ptr, ptr, ptr, ptr, i32, i32 }
@"a$b\22\5C\C3\A4" = external global %key
@table = external global [3 x %key]

declare ptr @__static_call_target(ptr)

; The section is not allocated, and is linked to the code.
; OBJECT: .pdr.static_call PROGBITS {{0+ [0-9a-f]+ 0000[0-9a-f]+ 00}} L
; CHECK-LABEL: define ptr @value(
; CHECK-NEXT: call void asm sideeffect ".Lstatic_call_indirect_${:uid}:\0A\09.pushsection .pdr.static_call,\22?o\22,%progbits,.Lstatic_call_indirect_${:uid}\0A\09.balign 8\0A\09.8byte .Lstatic_call_indirect_${:uid}\0A\09.asciz \22a$$b\\042\\134\\303\\244\22\0A\09.asciz \22the function pointer is used as a value\22\0A\09.balign 8\0A\09.popsection", ""() #[[NOTE:[0-9]+]]
; CHECK-NEXT: load atomic
; OBJECT: a$b"\{{.*}}
; OBJECT: the function pointer is used as a value
define ptr @value() {
  %f = call ptr @__static_call_target(ptr @"a$b\22\5C\C3\A4")
  ret ptr %f
}

; CHECK-LABEL: define void @indexed(
; CHECK-NEXT: %k = getelementptr
; CHECK-NEXT: call void asm sideeffect {{.*}}.asciz \22\22\0A\09.asciz \22the key is not a constant at this place\22
; OBJECT: the key is not a constant at this place
define void @indexed(i64 %i) {
  %k = getelementptr [3 x %key], ptr @table, i64 0, i64 %i
  %f = call ptr @__static_call_target(ptr %k)
  call void %f()
  ret void
}

; It is in the code's group. Each load has a note.
; CHECK-LABEL: define linkonce_odr void @in_a_group(
; CHECK: .asciz \22table+40\22\0A\09.asciz \22its calling convention leaves no register for a trampoline\22
; OBJECT: table+40
; OBJECT-NEXT: its calling convention leaves no register for a trampoline
; OBJECT: table+80
$in_a_group = comdat any
define linkonce_odr void @in_a_group() comdat {
  %f = call ptr @__static_call_target(ptr getelementptr ([3 x %key], ptr @table, i64 0, i64 1))
  call anyregcc void %f()
  %g = call ptr @__static_call_target(ptr getelementptr ([3 x %key], ptr @table, i64 0, i64 2))
  call anyregcc void %g()
  ret void
}
@uses = global ptr @in_a_group

; A direct call has none, nor has a call without a valid key.
; CHECK-LABEL: define void @direct(
; CHECK-NOT: pdr.static_call
define void @direct() {
  %f = call ptr @__static_call_target(ptr @table)
  call void %f()
  ret void
}

; CHECK: attributes #[[NOTE]] = { nounwind willreturn memory(inaccessiblemem: readwrite) }
