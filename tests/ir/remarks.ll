; Remarks name the place and the key, and are printed only on request.
; RUN: %lower -disable-output %s -pass-remarks=static-call 2>&1 | FileCheck %s --check-prefix=LOWERED
; RUN: %lower -disable-output %s -pass-remarks-missed=static-call 2>&1 | FileCheck %s --check-prefix=MISSED
; RUN: %lower -disable-output %s 2>&1 | count 0
; RUN: %lower -disable-output %s -pass-remarks-output=%t && FileCheck %s --check-prefix=YAML < %t

; LOWERED: remark: user.c:3:5: static call of `table+40` lowered to a direct call
; LOWERED-NOT: remark
; MISSED: remark: user.c:7:9: static call loads its key: the function pointer is used as a value
; MISSED-NOT: remark
; YAML: --- !Passed
; YAML-NEXT: Pass: {{ *}}static-call
; YAML-NEXT: Name: {{ *}}Lowered
; YAML-NEXT: DebugLoc: {{ *}}{ File: user.c, Line: 3, Column: 5 }
; YAML: --- !Missed
; YAML: Name: {{ *}}NotLowered

target datalayout = "e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-i128:128-f80:128-n8:16:32:64-S128"
target triple = "x86_64-pc-linux-gnu"

%key = type { ptr, ptr, ptr, ptr, i32, i32 }
@table = external global [2 x %key]
declare ptr @__static_call_target(ptr)

define ptr @f() !dbg !4 {
  %f0 = call ptr @__static_call_target(ptr getelementptr (%key, ptr @table, i64 1)), !dbg !6
  call void %f0(), !dbg !6
  %f1 = call ptr @__static_call_target(ptr @table), !dbg !7
  ret ptr %f1
}

!llvm.dbg.cu = !{!0}
!llvm.module.flags = !{!2, !3}
!0 = distinct !DICompileUnit(language: DW_LANG_C11, file: !1, emissionKind: FullDebug)
!1 = !DIFile(filename: "user.c", directory: "/src")
!2 = !{i32 7, !"Dwarf Version", i32 5}
!3 = !{i32 2, !"Debug Info Version", i32 3}
!4 = distinct !DISubprogram(name: "f", file: !1, line: 1, type: !5, unit: !0, spFlags: DISPFlagDefinition)
!5 = !DISubroutineType(types: !{})
!6 = !DILocation(line: 3, column: 5, scope: !4)
!7 = !DILocation(line: 7, column: 9, scope: !4)
