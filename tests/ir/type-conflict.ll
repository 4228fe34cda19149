; Two calls of one key with different types are an error that names both places.
; RUN: not clang -x ir -fpass-plugin=%plugin -c -o %t %s 2>&1 | FileCheck %s

target datalayout = "e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-i128:128-f80:128-n8:16:32:64-S128"
target triple = "x86_64-pc-linux-gnu"

%key = type { ptr, ptr, ptr, ptr, i32, i32 }
@type = external global %key
@convention = external global %key
@byval = external global %key
@inreg = external global %key
@extension = external global %key

declare ptr @__static_call_target(ptr)

; CHECK: error: user.c:7:9: in function conflict void (ptr): static call of `type` with another function type than at user.c:3:5: all calls of one key need the same type (here: user.c:7:9)
; CHECK: error: {{.*}} static call of `convention` with another function type than at function conflict: {{.*}} (here: function conflict)
; CHECK: error: {{.*}} static call of `byval` with another
; CHECK: error: {{.*}} static call of `inreg` with another
; Two headers may differ in whether they declare an argument as extended.
; CHECK-NOT: error:
define void @conflict(ptr %p) !dbg !4 {
  %f0 = call ptr @__static_call_target(ptr @type), !dbg !6
  call void %f0(), !dbg !6
  %f1 = call ptr @__static_call_target(ptr @type), !dbg !7
  call void %f1(i32 1), !dbg !7
  %f2 = call ptr @__static_call_target(ptr @convention)
  call void %f2()
  %f3 = call ptr @__static_call_target(ptr @convention)
  call preserve_mostcc void %f3()
  %f4 = call ptr @__static_call_target(ptr @byval)
  call void %f4(ptr byval(i64) %p)
  %f5 = call ptr @__static_call_target(ptr @byval)
  call void %f5(ptr %p)
  %f6 = call ptr @__static_call_target(ptr @inreg)
  call inreg i32 %f6()
  %f7 = call ptr @__static_call_target(ptr @inreg)
  call i32 %f7()
  %f8 = call ptr @__static_call_target(ptr @extension)
  call zeroext i8 %f8(i8 signext 1)
  %f9 = call ptr @__static_call_target(ptr @extension)
  call i8 %f9(i8 1)
  ret void
}

!llvm.dbg.cu = !{!0}
!llvm.module.flags = !{!2, !3}
!0 = distinct !DICompileUnit(language: DW_LANG_C11, file: !1, emissionKind: FullDebug)
!1 = !DIFile(filename: "user.c", directory: "/src")
!2 = !{i32 7, !"Dwarf Version", i32 5}
!3 = !{i32 2, !"Debug Info Version", i32 3}
!4 = distinct !DISubprogram(name: "conflict", file: !1, line: 1, type: !5, unit: !0, spFlags: DISPFlagDefinition)
!5 = !DISubroutineType(types: !{})
!6 = !DILocation(line: 3, column: 5, scope: !4)
!7 = !DILocation(line: 7, column: 9, scope: !4)
