; Keys that a module defines get a section of their own, and the image is registered, even if nothing calls
; them.
; RUN: split-file %s %t
; RUN: %lower -S %t/keys.ll | FileCheck %s
; RUN: opt -S %t/none.ll -o %t/before && %lower -S %t/none.ll -o %t/after && diff %t/before %t/after
; RUN: %lower -S %t/rust.ll | FileCheck %s --check-prefix=REGISTERED
; RUN: for line in "target triple = \"i686-pc-windows-msvc\"" "target triple = \"x86_64-apple-macosx\""; do \
; RUN:   sed "s/^target triple.*/$line/" %t/keys.ll > %t/other && opt -S %t/other -o %t/before && \
; RUN:   %lower -S %t/other -o %t/after && diff %t/before %t/after || exit 1; done

; CHECK: @__static_call_anchor.static_call_keys =
; CHECK-NEXT: @__static_call_anchor.static_call_records =
; CHECK-NEXT: @__static_call_anchor.static_call_branches =
; CHECK-NEXT: @__static_call_anchor.static_call_sites =
; CHECK-NEXT: @__static_call_anchor.static_call_end =
; CHECK-NEXT: @key = global %struct.static_call_key zeroinitializer, section "static_call_keys"{{$}}
; CHECK-NEXT: @local = internal global %struct.static_call_key zeroinitializer, section "static_call_keys", align 16
; CHECK-NEXT: @renamed = global %struct.static_call_key.12 zeroinitializer, section "static_call_keys"{{$}}
; CHECK-NEXT: @inline = linkonce_odr global %struct.static_call_key zeroinitializer, section "static_call_keys", comdat{{$}}
; CHECK-NEXT: @array = global [2 x [3 x %struct.static_call_key]] zeroinitializer, section "static_call_keys"{{$}}
; CHECK-NEXT: @mostly_zero = global <{ %struct.static_call_key, [9 x %struct.static_call_key] }> zeroinitializer, section "static_call_keys"{{$}}
; CHECK-NEXT: @rust__static_call_key = global <{ [40 x i8] }> zeroinitializer, section "static_call_keys"{{$}}
; CHECK-NOT: section "static_call_keys"
; CHECK: @__static_call_image = linkonce_odr hidden global
; CHECK-SAME: ptr @__start_static_call_keys, ptr @__stop_static_call_keys, ptr @__start_static_call_branches, ptr @__stop_static_call_branches, ptr @__stop_static_call_end, ptr @__ehdr_start,
; CHECK-NOT: section "static_call_keys"
; CHECK: @llvm.global_ctors = appending global [1 x
; REGISTERED: @__static_call_anchor.static_call_keys =
; REGISTERED: @llvm.global_ctors = appending global [1 x

;--- keys.ll
target datalayout = "e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-i128:128-f80:128-n8:16:32:64-S128"
target triple = "x86_64-pc-linux-gnu"

%struct.static_call_key = type { ptr, ptr, ptr, ptr, i32, i32 }
%struct.static_call_key.12 = type { ptr, ptr, ptr, ptr, i32, i32 }
%struct.static_call_key.rest = type { ptr }
%struct.user = type { i64, %struct.static_call_key }
$inline = comdat any

@key = global %struct.static_call_key zeroinitializer
@local = internal global %struct.static_call_key zeroinitializer, align 16
@renamed = global %struct.static_call_key.12 zeroinitializer
@inline = linkonce_odr global %struct.static_call_key zeroinitializer, comdat
@array = global [2 x [3 x %struct.static_call_key]] zeroinitializer
@mostly_zero = global <{ %struct.static_call_key, [9 x %struct.static_call_key] }> zeroinitializer
@rust__static_call_key = global <{ [40 x i8] }> zeroinitializer
@elsewhere = global %struct.static_call_key zeroinitializer, section "mine"
@another = global %struct.static_call_key.rest zeroinitializer
@in_a_struct = global %struct.user zeroinitializer
@none = global [0 x %struct.static_call_key] zeroinitializer
@declared = external global %struct.static_call_key
@of_another_size__static_call_key = global [41 x i8] zeroinitializer
@constant = constant %struct.static_call_key zeroinitializer
@thread_local = thread_local global %struct.static_call_key zeroinitializer
@common = common global %struct.static_call_key zeroinitializer
@copy = available_externally global %struct.static_call_key zeroinitializer

;--- none.ll
; Nothing is moved, and nothing is registered.
target datalayout = "e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-i128:128-f80:128-n8:16:32:64-S128"
target triple = "x86_64-pc-linux-gnu"

%struct.static_call_key = type { ptr, ptr, ptr, ptr, i32, i32 }
%struct.user = type { i64, %struct.static_call_key }
@elsewhere = global %struct.static_call_key zeroinitializer, section "mine"
@in_a_struct = global %struct.user zeroinitializer
@declared = external global %struct.static_call_key
@constant = constant %struct.static_call_key zeroinitializer
@thread_local = thread_local global %struct.static_call_key zeroinitializer
@common = common global %struct.static_call_key zeroinitializer
@copy = available_externally global %struct.static_call_key zeroinitializer
@used = global [3 x ptr] [ptr @declared, ptr @thread_local, ptr @copy]

;--- rust.ll
; Rust's macros name the section themselves.
target datalayout = "e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-i128:128-f80:128-n8:16:32:64-S128"
target triple = "x86_64-pc-linux-gnu"
@_ZN4user1k = internal global <{ ptr, [32 x i8] }> zeroinitializer, section "static_call_keys", align 8
@used = global ptr @_ZN4user1k
