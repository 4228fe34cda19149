/* static_call_trampoline.h - assembler for our other headers alone.
 *
 * `cargo xtask header` has made it from the texts that the compiler pass and Rust's macros use. Do
 * not change it here.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#ifndef __STATIC_CALL_TRAMPOLINE_H
#define __STATIC_CALL_TRAMPOLINE_H

#define __STATIC_CALL_SIGNATURE "0x2574353"
#define __STATIC_CALL_SIGNATURE_THUNK "0x2524353"

#if defined(__x86_64__) && !defined(__ILP32__)
#define __STATIC_CALL_ASM_KEY "%" __STATIC_CALL_PLAIN "0"
#define __STATIC_CALL_ASM_IMAGE \
	"\t.ifndef .Lstatic_call_image\n" \
	"\t.set .Lstatic_call_image, 1\n" \
	"\t.weak __static_call_image, __ehdr_start, __start_static_call_sites, __stop_static_call_sites\n" \
	"\t.weak __start_static_call_records, __stop_static_call_records, __start_static_call_keys\n" \
	"\t.weak __stop_static_call_keys, __stop_static_call_end\n" \
	"\t.weak __start_static_call_branches, __stop_static_call_branches\n" \
	"\t.hidden __static_call_image, __ehdr_start, __start_static_call_sites, __stop_static_call_sites\n" \
	"\t.hidden __start_static_call_records, __stop_static_call_records, __start_static_call_keys\n" \
	"\t.hidden __stop_static_call_keys, __stop_static_call_end\n" \
	"\t.hidden __start_static_call_branches, __stop_static_call_branches\n" \
	"\t.pushsection static_call_keys, \"awG\", %%progbits, __static_call_image, comdat\n" \
	"\t.balign 4096\n" \
	"\t.zero 8\n" \
	"\t.section static_call_records, \"awG\", %%progbits, __static_call_image, comdat\n" \
	"\t.p2align 3\n" \
	"\t.zero 40\n" \
	"\t.section static_call_branches, \"awG\", %%progbits, __static_call_image, comdat\n" \
	"\t.p2align 2\n" \
	"\t.zero 12\n" \
	"\t.section static_call_sites, \"awG\", %%progbits, __static_call_image, comdat\n" \
	"\t.p2align 2\n" \
	"\t.zero 4\n" \
	"\t.section static_call_end, \"awG\", %%progbits, __static_call_image, comdat\n" \
	"\t.zero 4096\n" \
	"\t.section .data.static_call_image, \"awG\", %%progbits, __static_call_image, comdat\n" \
	"\t.p2align 3\n" \
	"772:\n" \
	"\t.long 2, 0\n" \
	"\t.quad __start_static_call_sites, __stop_static_call_sites\n" \
	"\t.quad __start_static_call_records, __stop_static_call_records\n" \
	"\t.quad __start_static_call_keys, __stop_static_call_keys\n" \
	"\t.quad __start_static_call_branches, __stop_static_call_branches\n" \
	"\t.quad __stop_static_call_end, __ehdr_start, 0, 0, 0, 0, 0\n" \
	"\t.long 0, 0\n" \
	"\t.section .text.static_call_image, \"axG\", %%progbits, __static_call_image, comdat\n" \
	"\t773: endbr64\n" \
	"\tleaq 772b(%%rip), %%rdi\n" \
	"\tjmp __static_call_register@PLT\n" \
	"\t774: endbr64\n" \
	"\tleaq 772b(%%rip), %%rdi\n" \
	"\tjmp __static_call_unregister@PLT\n" \
	"\t.section .init_array.101, \"awG\", %%init_array, __static_call_image, comdat\n" \
	"\t.p2align 3\n" \
	"\t.quad 773b\n" \
	"\t.section .fini_array.101, \"awG\", %%fini_array, __static_call_image, comdat\n" \
	"\t.p2align 3\n" \
	"\t.quad 774b\n" \
	"\t.popsection\n" \
	"\t.endif\n"
#define __STATIC_CALL_ASM_IF_NEW(key) \
	"\t.irp k, " key "\n" \
	"\t.irp t, %" __STATIC_CALL_PLAIN "1\n" \
	"\t.ifndef \".Lstatic_call.\\k:\\t\"\n" \
	"\t.set \".Lstatic_call.\\k:\\t\", 1\n" \
	"\t.set .Lstatic_call_is_new, 1\n" \
	"\t.else\n" \
	"\t.set .Lstatic_call_is_new, 0\n" \
	"\t.endif\n" \
	"\t.endr\n" \
	"\t.endr\n" \
	"\t.if .Lstatic_call_is_new\n"
#define __STATIC_CALL_ASM_PLACE(key) \
	"\t.irp k, " key "\n" \
	"\t.if %c2\n" \
	"\t.pushsection \".text.static_call.\\k\", \"axG\", %%progbits, %" __STATIC_CALL_PLAIN "1, comdat\n" \
	"\t.else\n" \
	"\t.pushsection \".text.static_call.\\k\", \"ax\", %%progbits\n" \
	"\t.endif\n" \
	"\t.endr\n" \
	"\t.if %c2\n" \
	"\t.weak %" __STATIC_CALL_PLAIN "1\n" \
	"\t.hidden %" __STATIC_CALL_PLAIN "1\n" \
	"\t.endif\n" \
	"\t.ifdef %" __STATIC_CALL_PLAIN "1\n" \
	"\t.error \"static-call: two static keys have one name, in files of one name: rename one (LTO)\"\n" \
	"\t.endif\n" \
	"\t.p2align 3\n" \
	"\t.type %" __STATIC_CALL_PLAIN "1, %%function\n" \
	"\t%" __STATIC_CALL_PLAIN "1:\n" \
	".Lstatic_call_trampoline.%=:\n" \
	"770:\n" \
	__STATIC_CALL_CFI("\t.cfi_startproc\n")
#define __STATIC_CALL_ASM_BEGIN(key) "{|.att_syntax prefix\n\t}" \
	__STATIC_CALL_ASM_IF_NEW(key) __STATIC_CALL_ASM_IMAGE __STATIC_CALL_ASM_PLACE(key)
#define __STATIC_CALL_ASM_NEAR(key) \
	"\tnop\n" \
	"\tjmpq *" key "(%%rip)\n" \
	"\tint3\n" \
	"\t.p2align 3, 0xcc\n"
#define __STATIC_CALL_ASM_FAR(key) \
	"\tnop\n" \
	"\tmovq " key "@GOTPCREL(%%rip), %%r11\n" \
	"\tjmpq *(%%r11)\n" \
	"\tint3\n" \
	"\t.p2align 3, 0xcc\n"
#define __STATIC_CALL_ASM_NEAR_THUNK(key) \
	"\tnop\n" \
	"\tmovq " key "(%%rip), %%r11\n" \
	"\tcall 776f\n" \
	"\t775: pause\n" \
	"\tlfence\n" \
	"\tjmp 775b\n" \
	__STATIC_CALL_CFI("\t.cfi_adjust_cfa_offset 8\n") \
	"\t776: movq %%r11, (%%rsp)\n" \
	"\tretq\n" \
	"\tint3\n" \
	"\t.p2align 3, 0xcc\n"
#define __STATIC_CALL_ASM_FAR_THUNK(key) \
	"\tnop\n" \
	"\tmovq " key "@GOTPCREL(%%rip), %%r11\n" \
	"\tmovq (%%r11), %%r11\n" \
	"\tcall 776f\n" \
	"\t775: pause\n" \
	"\tlfence\n" \
	"\tjmp 775b\n" \
	__STATIC_CALL_CFI("\t.cfi_adjust_cfa_offset 8\n") \
	"\t776: movq %%r11, (%%rsp)\n" \
	"\tretq\n" \
	"\tint3\n" \
	"\t.p2align 3, 0xcc\n"
#define __STATIC_CALL_ASM_END(key, signature) \
	__STATIC_CALL_CFI("\t.cfi_endproc\n") \
	"\t.long " signature ", 771f - 770b\n" \
	"\t.if %c2\n" \
	"\t.pushsection static_call_records, " \
	__STATIC_CALL_IN_GROUP(".Lstatic_call_trampoline.%=", "%" __STATIC_CALL_PLAIN "1") \
	"\n" \
	"\t.else\n" \
	"\t.pushsection static_call_records, \"awo\", %%progbits, .Lstatic_call_trampoline.%=\n" \
	"\t.endif\n" \
	"\t.p2align 3\n" \
	"\t771: .quad " key ", 0, 0\n" \
	"\t.long 0, 770b - 771b\n" \
	"\t.quad 0\n" \
	"\t.popsection\n" \
	"\t.set __static_call_prefix.%=, . - 8\n" \
	"\t.type __static_call_prefix.%=, @object\n" \
	"\t.size __static_call_prefix.%=, 8\n" \
	"\t.size %" __STATIC_CALL_PLAIN "1, . - %" __STATIC_CALL_PLAIN "1\n" \
	"\t.popsection\n" \
	"\t.endif\n" "{|\n\t.intel_syntax noprefix}"
#define __STATIC_CALL_ASM_CLOBBERS "cc"
#define __STATIC_CALL_ASM_BRANCH_ON(key) "{|.att_syntax prefix\n\t}" __STATIC_CALL_ASM_IMAGE \
	".Lstatic_branch.%=:\n" \
	"\t.byte 0x67\n" \
	"\t.p2align 3, 0x67, 4\n" \
	"\t780: .byte 0xe9\n" \
	"\t.long 782f - . - 4\n" \
	"781:\n" \
	"\t.subsection 1\n" \
	"\t782: leaq -128(%%rsp), %%rsp\n" \
	"\tpushq %%rax\n" \
	"\tmovq \".Lstatic_call_branch." key "\"(%%rip), %%rax\n" \
	"\tmovq (%%rax), %%rax\n" \
	"\ttestq %%rax, %%rax\n" \
	"\tpopq %%rax\n" \
	"\tleaq 128(%%rsp), %%rsp\n" \
	"\tjne %l[__static_call_jump]\n" \
	"\tjmp 781b\n" \
	"\t.previous\n" \
	"\t.ifndef .Lstatic_call_branch\n" \
	"\t.set .Lstatic_call_branch, 1\n" \
	"\t.irp section, keys, records, branches, sites, end\n" \
	"\t.pushsection static_call_\\section, \"awR\", %%progbits, unique, 1000000\n" \
	".Lstatic_call_names_\\section:\n" \
	"\t.popsection\n" \
	"\t.endr\n" \
	"\t.endif\n"
#define __STATIC_CALL_ASM_BRANCH_OFF(key) "{|.att_syntax prefix\n\t}" __STATIC_CALL_ASM_IMAGE \
	".Lstatic_branch.%=:\n" \
	"\t.byte 0x67\n" \
	"\t.p2align 3, 0x67, 4\n" \
	"\t780: .byte 0xe9\n" \
	"\t.long 782f - . - 4\n" \
	"781:\n" \
	"\t.subsection 1\n" \
	"\t782: leaq -128(%%rsp), %%rsp\n" \
	"\tpushq %%rax\n" \
	"\tmovq \".Lstatic_call_branch." key "\"(%%rip), %%rax\n" \
	"\tmovq (%%rax), %%rax\n" \
	"\ttestq %%rax, %%rax\n" \
	"\tpopq %%rax\n" \
	"\tleaq 128(%%rsp), %%rsp\n" \
	"\tje %l[__static_call_jump]\n" \
	"\tjmp 781b\n" \
	"\t.previous\n" \
	"\t.ifndef .Lstatic_call_branch\n" \
	"\t.set .Lstatic_call_branch, 1\n" \
	"\t.irp section, keys, records, branches, sites, end\n" \
	"\t.pushsection static_call_\\section, \"awR\", %%progbits, unique, 1000000\n" \
	".Lstatic_call_names_\\section:\n" \
	"\t.popsection\n" \
	"\t.endr\n" \
	"\t.endif\n"
#define __STATIC_CALL_ASM_BRANCH_SOME(key) "{|.att_syntax prefix\n\t}" __STATIC_CALL_ASM_IMAGE \
	".Lstatic_branch.%=:\n" \
	"\t.byte 0x67\n" \
	"\t.p2align 3, 0x67, 4\n" \
	"\t780: .byte 0xe9\n" \
	"\t.long 782f - . - 4\n" \
	"781:\n" \
	"\t.subsection 1\n" \
	"\t782: leaq -128(%%rsp), %%rsp\n" \
	"\tpushq %%rax\n" \
	"\tmovq \".Lstatic_call_branch." key "\"(%%rip), %%rax\n" \
	"\tmovb 32(%%rax), %%al\n" \
	"\tshrb %%al\n" \
	"\tpopq %%rax\n" \
	"\tleaq 128(%%rsp), %%rsp\n" \
	"\tjnc %l[__static_call_jump]\n" \
	"\tjmp 781b\n" \
	"\t.previous\n" \
	"\t.ifndef .Lstatic_call_branch\n" \
	"\t.set .Lstatic_call_branch, 1\n" \
	"\t.irp section, keys, records, branches, sites, end\n" \
	"\t.pushsection static_call_\\section, \"awR\", %%progbits, unique, 1000000\n" \
	".Lstatic_call_names_\\section:\n" \
	"\t.popsection\n" \
	"\t.endr\n" \
	"\t.endif\n"
#define __STATIC_CALL_ASM_BRANCH_END(key, polarity) \
	"\t.ifndef \".Lstatic_call_branch." key "\"\n" \
	"\t.pushsection static_call_records, \"awo\", %%progbits, .Lstatic_call_names_records\n" \
	"\t.p2align 3\n" \
	"\t\".Lstatic_call_branch." key "\":\n" \
	"\t.quad " key ", 0, 0\n" \
	"\t.long 0, -2143071486\n" \
	"\t.quad 0\n" \
	"\t.popsection\n" \
	"\t.endif\n" \
	"\t.pushsection static_call_branches, \"awo?\", %%progbits, .Lstatic_branch.%=\n" \
	"\t.p2align 2\n" \
	"\t.long 780b - ., %l[__static_call_jump] - ., \".Lstatic_call_branch." key "\" + " \
	polarity " - .\n" \
	"\t.popsection\n" "{|\n\t.intel_syntax noprefix}"
#elif defined(__aarch64__) && !defined(__ILP32__) && !defined(__AARCH64EB__)
#define __STATIC_CALL_ASM_KEY "%c0"
#define __STATIC_CALL_ASM_IMAGE \
	"\t.ifndef .Lstatic_call_image\n" \
	"\t.set .Lstatic_call_image, 1\n" \
	"\t.weak __static_call_image, __ehdr_start, __start_static_call_sites, __stop_static_call_sites\n" \
	"\t.weak __start_static_call_records, __stop_static_call_records, __start_static_call_keys\n" \
	"\t.weak __stop_static_call_keys, __stop_static_call_end\n" \
	"\t.weak __start_static_call_branches, __stop_static_call_branches\n" \
	"\t.hidden __static_call_image, __ehdr_start, __start_static_call_sites, __stop_static_call_sites\n" \
	"\t.hidden __start_static_call_records, __stop_static_call_records, __start_static_call_keys\n" \
	"\t.hidden __stop_static_call_keys, __stop_static_call_end\n" \
	"\t.hidden __start_static_call_branches, __stop_static_call_branches\n" \
	"\t.pushsection static_call_keys, \"awG\", %%progbits, __static_call_image, comdat\n" \
	"\t.balign 65536\n" \
	"\t.zero 8\n" \
	"\t.section static_call_records, \"awG\", %%progbits, __static_call_image, comdat\n" \
	"\t.p2align 3\n" \
	"\t.zero 40\n" \
	"\t.section static_call_branches, \"awG\", %%progbits, __static_call_image, comdat\n" \
	"\t.p2align 2\n" \
	"\t.zero 12\n" \
	"\t.section static_call_sites, \"awG\", %%progbits, __static_call_image, comdat\n" \
	"\t.p2align 2\n" \
	"\t.zero 4\n" \
	"\t.section static_call_end, \"awG\", %%progbits, __static_call_image, comdat\n" \
	"\t.zero 65536\n" \
	"\t.section .data.static_call_image, \"awG\", %%progbits, __static_call_image, comdat\n" \
	"\t.p2align 3\n" \
	"772:\n" \
	"\t.long 2, 0\n" \
	"\t.quad __start_static_call_sites, __stop_static_call_sites\n" \
	"\t.quad __start_static_call_records, __stop_static_call_records\n" \
	"\t.quad __start_static_call_keys, __stop_static_call_keys\n" \
	"\t.quad __start_static_call_branches, __stop_static_call_branches\n" \
	"\t.quad __stop_static_call_end, __ehdr_start, 0, 0, 0, 0, 0\n" \
	"\t.long 0, 0\n" \
	"\t.section .text.static_call_image, \"axG\", %%progbits, __static_call_image, comdat\n" \
	"\t.p2align 2\n" \
	"\t773: hint 34\n" \
	"\tadrp x0, 772b\n" \
	"\tadd x0, x0, :lo12:772b\n" \
	"\tb __static_call_register\n" \
	"\t774: hint 34\n" \
	"\tadrp x0, 772b\n" \
	"\tadd x0, x0, :lo12:772b\n" \
	"\tb __static_call_unregister\n" \
	"\t.section .init_array.101, \"awG\", %%init_array, __static_call_image, comdat\n" \
	"\t.p2align 3\n" \
	"\t.quad 773b\n" \
	"\t.section .fini_array.101, \"awG\", %%fini_array, __static_call_image, comdat\n" \
	"\t.p2align 3\n" \
	"\t.quad 774b\n" \
	"\t.popsection\n" \
	"\t.endif\n"
#define __STATIC_CALL_ASM_IF_NEW(key) \
	"\t.irp k, " key "\n" \
	"\t.irp t, %c1\n" \
	"\t.ifndef \".Lstatic_call.\\k:\\t\"\n" \
	"\t.set \".Lstatic_call.\\k:\\t\", 1\n" \
	"\t.set .Lstatic_call_is_new, 1\n" \
	"\t.else\n" \
	"\t.set .Lstatic_call_is_new, 0\n" \
	"\t.endif\n" \
	"\t.endr\n" \
	"\t.endr\n" \
	"\t.if .Lstatic_call_is_new\n"
#define __STATIC_CALL_ASM_PLACE(key) \
	"\t.irp k, " key "\n" \
	"\t.if %c2\n" \
	"\t.pushsection \".text.static_call.\\k\", \"axG\", %%progbits, %c1, comdat\n" \
	"\t.else\n" \
	"\t.pushsection \".text.static_call.\\k\", \"ax\", %%progbits\n" \
	"\t.endif\n" \
	"\t.endr\n" \
	"\t.if %c2\n" \
	"\t.weak %c1\n" \
	"\t.hidden %c1\n" \
	"\t.endif\n" \
	"\t.ifdef %c1\n" \
	"\t.error \"static-call: two static keys have one name, in files of one name: rename one (LTO)\"\n" \
	"\t.endif\n" \
	"\t.p2align 3\n" \
	"\t.type %c1, %%function\n" \
	"%c1:\n" \
	".Lstatic_call_trampoline.%=:\n" \
	"770:\n" \
	__STATIC_CALL_CFI("\t.cfi_startproc\n")
#define __STATIC_CALL_ASM_BEGIN(key) \
	__STATIC_CALL_ASM_IF_NEW(key) __STATIC_CALL_ASM_IMAGE __STATIC_CALL_ASM_PLACE(key)
#define __STATIC_CALL_ASM_NEAR(key) \
	"\tnop\n" \
	"\tadrp x16, " key "\n" \
	"\tadd x16, x16, :lo12:" key "\n" \
	"\tldar x16, [x16]\n" \
	"\tbr x16\n" \
	"\tdsb sy\n" \
	"\tisb\n" \
	"\t.p2align 3\n"
#define __STATIC_CALL_ASM_FAR(key) \
	"\tnop\n" \
	"\tadrp x16, 771f\n" \
	"\tldr x16, [x16, :lo12:771f]\n" \
	"\tldar x16, [x16]\n" \
	"\tbr x16\n" \
	"\tdsb sy\n" \
	"\tisb\n" \
	"\t.p2align 3\n"
#define __STATIC_CALL_ASM_END(key, signature) \
	__STATIC_CALL_CFI("\t.cfi_endproc\n") \
	"\t.long " signature ", 771f - 770b\n" \
	"\t.if %c2\n" \
	"\t.pushsection static_call_records, " \
	__STATIC_CALL_IN_GROUP(".Lstatic_call_trampoline.%=", "%c1") \
	"\n" \
	"\t.else\n" \
	"\t.pushsection static_call_records, \"awo\", %%progbits, .Lstatic_call_trampoline.%=\n" \
	"\t.endif\n" \
	"\t.p2align 3\n" \
	"\t771: .quad " key ", 0, 0\n" \
	"\t.long 0, 770b - 771b\n" \
	"\t.quad 0\n" \
	"\t.popsection\n" \
	"\t.size %c1, . - %c1\n" \
	"\t.popsection\n" \
	"\t.endif\n"
#define __STATIC_CALL_ASM_CLOBBERS "x16"
#define __STATIC_CALL_ASM_BRANCH_ON(key) __STATIC_CALL_ASM_IMAGE \
	".Lstatic_branch.%=:\n" \
	"\t780: b 782f\n" \
	"781:\n" \
	"\t.subsection 1\n" \
	"\t782: mov x16, x16\n" \
	"\tadrp x16, \".Lstatic_call_branch." key "\"\n" \
	"\tldr x16, [x16, :lo12:\".Lstatic_call_branch." key "\"]\n" \
	"\tldr x16, [x16]\n" \
	"\tcbz x16, 783f\n" \
	"\tb %l[__static_call_jump]\n" \
	"\t783: b 781b\n" \
	"\t.previous\n" \
	"\t.ifndef .Lstatic_call_branch\n" \
	"\t.set .Lstatic_call_branch, 1\n" \
	"\t.irp section, keys, records, branches, sites, end\n" \
	"\t.pushsection static_call_\\section, \"awR\", %%progbits, unique, 1000000\n" \
	".Lstatic_call_names_\\section:\n" \
	"\t.popsection\n" \
	"\t.endr\n" \
	"\t.endif\n"
#define __STATIC_CALL_ASM_BRANCH_OFF(key) __STATIC_CALL_ASM_IMAGE \
	".Lstatic_branch.%=:\n" \
	"\t780: b 782f\n" \
	"781:\n" \
	"\t.subsection 1\n" \
	"\t782: mov x16, x16\n" \
	"\tadrp x16, \".Lstatic_call_branch." key "\"\n" \
	"\tldr x16, [x16, :lo12:\".Lstatic_call_branch." key "\"]\n" \
	"\tldr x16, [x16]\n" \
	"\tcbnz x16, 783f\n" \
	"\tb %l[__static_call_jump]\n" \
	"\t783: b 781b\n" \
	"\t.previous\n" \
	"\t.ifndef .Lstatic_call_branch\n" \
	"\t.set .Lstatic_call_branch, 1\n" \
	"\t.irp section, keys, records, branches, sites, end\n" \
	"\t.pushsection static_call_\\section, \"awR\", %%progbits, unique, 1000000\n" \
	".Lstatic_call_names_\\section:\n" \
	"\t.popsection\n" \
	"\t.endr\n" \
	"\t.endif\n"
#define __STATIC_CALL_ASM_BRANCH_SOME(key) __STATIC_CALL_ASM_IMAGE \
	".Lstatic_branch.%=:\n" \
	"\t780: b 782f\n" \
	"781:\n" \
	"\t.subsection 1\n" \
	"\t782: mov x16, x16\n" \
	"\tadrp x16, \".Lstatic_call_branch." key "\"\n" \
	"\tldr x16, [x16, :lo12:\".Lstatic_call_branch." key "\"]\n" \
	"\tldrb w16, [x16, #32]\n" \
	"\ttbnz w16, #0, 783f\n" \
	"\tb %l[__static_call_jump]\n" \
	"\t783: b 781b\n" \
	"\t.previous\n" \
	"\t.ifndef .Lstatic_call_branch\n" \
	"\t.set .Lstatic_call_branch, 1\n" \
	"\t.irp section, keys, records, branches, sites, end\n" \
	"\t.pushsection static_call_\\section, \"awR\", %%progbits, unique, 1000000\n" \
	".Lstatic_call_names_\\section:\n" \
	"\t.popsection\n" \
	"\t.endr\n" \
	"\t.endif\n"
#define __STATIC_CALL_ASM_BRANCH_END(key, polarity) \
	"\t.ifndef \".Lstatic_call_branch." key "\"\n" \
	"\t.pushsection static_call_records, \"awo\", %%progbits, .Lstatic_call_names_records\n" \
	"\t.p2align 3\n" \
	"\t\".Lstatic_call_branch." key "\":\n" \
	"\t.quad " key ", 0, 0\n" \
	"\t.long 0, -2143071486\n" \
	"\t.quad 0\n" \
	"\t.popsection\n" \
	"\t.endif\n" \
	"\t.pushsection static_call_branches, \"awo?\", %%progbits, .Lstatic_branch.%=\n" \
	"\t.p2align 2\n" \
	"\t.long 780b - ., %l[__static_call_jump] - ., \".Lstatic_call_branch." key "\" + " \
	polarity " - .\n" \
	"\t.popsection\n"
#elif defined(__riscv) && __riscv_xlen == 64
#define __STATIC_CALL_ASM_KEY "%0"
#define __STATIC_CALL_ASM_IMAGE \
	"\t.ifndef .Lstatic_call_image\n" \
	"\t.set .Lstatic_call_image, 1\n" \
	"\t.weak __static_call_image, __ehdr_start, __start_static_call_sites, __stop_static_call_sites\n" \
	"\t.weak __start_static_call_records, __stop_static_call_records, __start_static_call_keys\n" \
	"\t.weak __stop_static_call_keys, __stop_static_call_end\n" \
	"\t.weak __start_static_call_branches, __stop_static_call_branches\n" \
	"\t.hidden __static_call_image, __ehdr_start, __start_static_call_sites, __stop_static_call_sites\n" \
	"\t.hidden __start_static_call_records, __stop_static_call_records, __start_static_call_keys\n" \
	"\t.hidden __stop_static_call_keys, __stop_static_call_end\n" \
	"\t.hidden __start_static_call_branches, __stop_static_call_branches\n" \
	"\t.pushsection static_call_keys, \"awG\", %%progbits, __static_call_image, comdat\n" \
	"\t.balign 4096\n" \
	"\t.zero 8\n" \
	"\t.section static_call_records, \"awG\", %%progbits, __static_call_image, comdat\n" \
	"\t.p2align 3\n" \
	"\t.zero 40\n" \
	"\t.section static_call_branches, \"awG\", %%progbits, __static_call_image, comdat\n" \
	"\t.p2align 2\n" \
	"\t.zero 12\n" \
	"\t.section static_call_sites, \"awG\", %%progbits, __static_call_image, comdat\n" \
	"\t.p2align 2\n" \
	"\t.zero 4\n" \
	"\t.section static_call_end, \"awG\", %%progbits, __static_call_image, comdat\n" \
	"\t.zero 4096\n" \
	"\t.section .data.static_call_image, \"awG\", %%progbits, __static_call_image, comdat\n" \
	"\t.p2align 3\n" \
	"772:\n" \
	"\t.long 2, 0\n" \
	"\t.quad __start_static_call_sites, __stop_static_call_sites\n" \
	"\t.quad __start_static_call_records, __stop_static_call_records\n" \
	"\t.quad __start_static_call_keys, __stop_static_call_keys\n" \
	"\t.quad __start_static_call_branches, __stop_static_call_branches\n" \
	"\t.quad __stop_static_call_end, __ehdr_start, 0, 0, 0, 0, 0\n" \
	"\t.long 0, 0\n" \
	"\t.section .text.static_call_image, \"axG\", %%progbits, __static_call_image, comdat\n" \
	"\t773: lla a0, 772b\n" \
	"\ttail __static_call_register\n" \
	"\t774: lla a0, 772b\n" \
	"\ttail __static_call_unregister\n" \
	"\t.section .init_array.101, \"awG\", %%init_array, __static_call_image, comdat\n" \
	"\t.p2align 3\n" \
	"\t.quad 773b\n" \
	"\t.section .fini_array.101, \"awG\", %%fini_array, __static_call_image, comdat\n" \
	"\t.p2align 3\n" \
	"\t.quad 774b\n" \
	"\t.popsection\n" \
	"\t.endif\n"
#define __STATIC_CALL_ASM_IF_NEW(key) \
	"\t.irp k, " key "\n" \
	"\t.irp t, %1\n" \
	"\t.ifndef \".Lstatic_call.\\k:\\t\"\n" \
	"\t.set \".Lstatic_call.\\k:\\t\", 1\n" \
	"\t.set .Lstatic_call_is_new, 1\n" \
	"\t.else\n" \
	"\t.set .Lstatic_call_is_new, 0\n" \
	"\t.endif\n" \
	"\t.endr\n" \
	"\t.endr\n" \
	"\t.if .Lstatic_call_is_new\n"
#define __STATIC_CALL_ASM_PLACE(key) \
	"\t.irp k, " key "\n" \
	"\t.if %2\n" \
	"\t.pushsection \".text.static_call.\\k\", \"axG\", %%progbits, %1, comdat\n" \
	"\t.else\n" \
	"\t.pushsection \".text.static_call.\\k\", \"ax\", %%progbits\n" \
	"\t.endif\n" \
	"\t.endr\n" \
	"\t.if %2\n" \
	"\t.weak %1\n" \
	"\t.hidden %1\n" \
	"\t.endif\n" \
	"\t.ifdef %1\n" \
	"\t.error \"static-call: two static keys have one name, in files of one name: rename one (LTO)\"\n" \
	"\t.endif\n" \
	"\t.option push\n" \
	"\t.option norelax\n" \
	"\t.p2align 3\n" \
	"\t.option pop\n" \
	"\t.type %1, %%function\n" \
	"%1:\n" \
	".Lstatic_call_trampoline.%=:\n" \
	"770:\n" \
	__STATIC_CALL_CFI("\t.cfi_startproc\n")
#define __STATIC_CALL_ASM_BEGIN(key) \
	__STATIC_CALL_ASM_IF_NEW(key) __STATIC_CALL_ASM_IMAGE __STATIC_CALL_ASM_PLACE(key)
#define __STATIC_CALL_ASM_NEAR(key) \
	"\t.option push\n" \
	"\t.option norelax\n" \
	"\t.option norvc\n" \
	"\t775: auipc t1, %%pcrel_hi(" key ")\n" \
	"\tld t1, %%pcrel_lo(775b)(t1)\n" \
	"\tfence r, rw\n" \
	"\tjr t1\n" \
	"\tunimp\n" \
	"\t.p2align 3\n" \
	"\t.option pop\n"
#define __STATIC_CALL_ASM_FAR(key) \
	"\t.option push\n" \
	"\t.option norelax\n" \
	"\t.option norvc\n" \
	"\t775: auipc t1, %%pcrel_hi(771f)\n" \
	"\tld t1, %%pcrel_lo(775b)(t1)\n" \
	"\tld t1, (t1)\n" \
	"\tfence r, rw\n" \
	"\tjr t1\n" \
	"\tunimp\n" \
	"\t.p2align 3\n" \
	"\t.option pop\n"
#define __STATIC_CALL_ASM_END(key, signature) \
	__STATIC_CALL_CFI("\t.cfi_endproc\n") \
	"\t.long " signature ", 771f - 770b\n" \
	"\t.if %2\n" \
	"\t.pushsection static_call_records, " \
	__STATIC_CALL_IN_GROUP(".Lstatic_call_trampoline.%=", "%1") \
	"\n" \
	"\t.else\n" \
	"\t.pushsection static_call_records, \"awo\", %%progbits, .Lstatic_call_trampoline.%=\n" \
	"\t.endif\n" \
	"\t.p2align 3\n" \
	"\t771: .quad " key ", 0, 0\n" \
	"\t.long 0, 770b - 771b\n" \
	"\t.quad 0\n" \
	"\t.popsection\n" \
	"\t.size %1, . - %1\n" \
	"\t.popsection\n" \
	"\t.endif\n"
#define __STATIC_CALL_ASM_CLOBBERS "t1"
#define __STATIC_CALL_ASM_BRANCH_ON(key) __STATIC_CALL_ASM_IMAGE \
	".Lstatic_branch.%=:\n" \
	"\t.p2align 2\n" \
	"\t.option push\n" \
	"\t.option norelax\n" \
	"\t.option norvc\n" \
	"\t780: jal zero, 782f\n" \
	"781:\n" \
	"\t.subsection 1\n" \
	"\t782: mv t1, t1\n" \
	"\t784: auipc t1, %%pcrel_hi(\".Lstatic_call_branch." key "\")\n" \
	"\tld t1, %%pcrel_lo(784b)(t1)\n" \
	"\tld t1, 0(t1)\n" \
	"\tbeqz t1, 783f\n" \
	"\tjal zero, %l[__static_call_jump]\n" \
	"\t783: jal zero, 781b\n" \
	"\t.previous\n" \
	"\t.option pop\n" \
	"\t.ifndef .Lstatic_call_branch\n" \
	"\t.set .Lstatic_call_branch, 1\n" \
	"\t.irp section, keys, records, branches, sites, end\n" \
	"\t.pushsection static_call_\\section, \"awR\", %%progbits, unique, 1000000\n" \
	".Lstatic_call_names_\\section:\n" \
	"\t.popsection\n" \
	"\t.endr\n" \
	"\t.endif\n"
#define __STATIC_CALL_ASM_BRANCH_OFF(key) __STATIC_CALL_ASM_IMAGE \
	".Lstatic_branch.%=:\n" \
	"\t.p2align 2\n" \
	"\t.option push\n" \
	"\t.option norelax\n" \
	"\t.option norvc\n" \
	"\t780: jal zero, 782f\n" \
	"781:\n" \
	"\t.subsection 1\n" \
	"\t782: mv t1, t1\n" \
	"\t784: auipc t1, %%pcrel_hi(\".Lstatic_call_branch." key "\")\n" \
	"\tld t1, %%pcrel_lo(784b)(t1)\n" \
	"\tld t1, 0(t1)\n" \
	"\tbnez t1, 783f\n" \
	"\tjal zero, %l[__static_call_jump]\n" \
	"\t783: jal zero, 781b\n" \
	"\t.previous\n" \
	"\t.option pop\n" \
	"\t.ifndef .Lstatic_call_branch\n" \
	"\t.set .Lstatic_call_branch, 1\n" \
	"\t.irp section, keys, records, branches, sites, end\n" \
	"\t.pushsection static_call_\\section, \"awR\", %%progbits, unique, 1000000\n" \
	".Lstatic_call_names_\\section:\n" \
	"\t.popsection\n" \
	"\t.endr\n" \
	"\t.endif\n"
#define __STATIC_CALL_ASM_BRANCH_SOME(key) __STATIC_CALL_ASM_IMAGE \
	".Lstatic_branch.%=:\n" \
	"\t.p2align 2\n" \
	"\t.option push\n" \
	"\t.option norelax\n" \
	"\t.option norvc\n" \
	"\t780: jal zero, 782f\n" \
	"781:\n" \
	"\t.subsection 1\n" \
	"\t782: mv t1, t1\n" \
	"\t784: auipc t1, %%pcrel_hi(\".Lstatic_call_branch." key "\")\n" \
	"\tld t1, %%pcrel_lo(784b)(t1)\n" \
	"\tlbu t1, 32(t1)\n" \
	"\tandi t1, t1, 1\n" \
	"\tbnez t1, 783f\n" \
	"\tjal zero, %l[__static_call_jump]\n" \
	"\t783: jal zero, 781b\n" \
	"\t.previous\n" \
	"\t.option pop\n" \
	"\t.ifndef .Lstatic_call_branch\n" \
	"\t.set .Lstatic_call_branch, 1\n" \
	"\t.irp section, keys, records, branches, sites, end\n" \
	"\t.pushsection static_call_\\section, \"awR\", %%progbits, unique, 1000000\n" \
	".Lstatic_call_names_\\section:\n" \
	"\t.popsection\n" \
	"\t.endr\n" \
	"\t.endif\n"
#define __STATIC_CALL_ASM_BRANCH_END(key, polarity) \
	"\t.ifndef \".Lstatic_call_branch." key "\"\n" \
	"\t.pushsection static_call_records, \"awo\", %%progbits, .Lstatic_call_names_records\n" \
	"\t.p2align 3\n" \
	"\t\".Lstatic_call_branch." key "\":\n" \
	"\t.quad " key ", 0, 0\n" \
	"\t.long 0, -2143071486\n" \
	"\t.quad 0\n" \
	"\t.popsection\n" \
	"\t.endif\n" \
	"\t.pushsection static_call_branches, \"awo?\", %%progbits, .Lstatic_branch.%=\n" \
	"\t.p2align 2\n" \
	"\t.long 780b - ., %l[__static_call_jump] - ., \".Lstatic_call_branch." key "\" + " \
	polarity " - .\n" \
	"\t.popsection\n"
#elif defined(__s390x__) && __ARCH__ >= 8
#define __STATIC_CALL_ASM_KEY "%0"
#define __STATIC_CALL_ASM_IMAGE \
	"\t.ifndef .Lstatic_call_image\n" \
	"\t.set .Lstatic_call_image, 1\n" \
	"\t.weak __static_call_image, __ehdr_start, __start_static_call_sites, __stop_static_call_sites\n" \
	"\t.weak __start_static_call_records, __stop_static_call_records, __start_static_call_keys\n" \
	"\t.weak __stop_static_call_keys, __stop_static_call_end\n" \
	"\t.weak __start_static_call_branches, __stop_static_call_branches\n" \
	"\t.hidden __static_call_image, __ehdr_start, __start_static_call_sites, __stop_static_call_sites\n" \
	"\t.hidden __start_static_call_records, __stop_static_call_records, __start_static_call_keys\n" \
	"\t.hidden __stop_static_call_keys, __stop_static_call_end\n" \
	"\t.hidden __start_static_call_branches, __stop_static_call_branches\n" \
	"\t.pushsection static_call_keys, \"awG\", %%progbits, __static_call_image, comdat\n" \
	"\t.balign 4096\n" \
	"\t.zero 8\n" \
	"\t.section static_call_records, \"awG\", %%progbits, __static_call_image, comdat\n" \
	"\t.p2align 3\n" \
	"\t.zero 40\n" \
	"\t.section static_call_branches, \"awG\", %%progbits, __static_call_image, comdat\n" \
	"\t.p2align 2\n" \
	"\t.zero 12\n" \
	"\t.section static_call_sites, \"awG\", %%progbits, __static_call_image, comdat\n" \
	"\t.p2align 2\n" \
	"\t.zero 4\n" \
	"\t.section static_call_end, \"awG\", %%progbits, __static_call_image, comdat\n" \
	"\t.zero 4096\n" \
	"\t.section .data.static_call_image, \"awG\", %%progbits, __static_call_image, comdat\n" \
	"\t.p2align 3\n" \
	"772:\n" \
	"\t.long 2, 0\n" \
	"\t.quad __start_static_call_sites, __stop_static_call_sites\n" \
	"\t.quad __start_static_call_records, __stop_static_call_records\n" \
	"\t.quad __start_static_call_keys, __stop_static_call_keys\n" \
	"\t.quad __start_static_call_branches, __stop_static_call_branches\n" \
	"\t.quad __stop_static_call_end, __ehdr_start, 0, 0, 0, 0, 0\n" \
	"\t.long 0, 0\n" \
	"\t.section .text.static_call_image, \"axG\", %%progbits, __static_call_image, comdat\n" \
	"\t773: larl %%r2, 772b\n" \
	"\tjg __static_call_register@PLT\n" \
	"\t774: larl %%r2, 772b\n" \
	"\tjg __static_call_unregister@PLT\n" \
	"\t.section .init_array.101, \"awG\", %%init_array, __static_call_image, comdat\n" \
	"\t.p2align 3\n" \
	"\t.quad 773b\n" \
	"\t.section .fini_array.101, \"awG\", %%fini_array, __static_call_image, comdat\n" \
	"\t.p2align 3\n" \
	"\t.quad 774b\n" \
	"\t.popsection\n" \
	"\t.endif\n"
#define __STATIC_CALL_ASM_IF_NEW(key) \
	"\t.irp k, " key "\n" \
	"\t.irp t, %1\n" \
	"\t.ifndef \".Lstatic_call.\\k:\\t\"\n" \
	"\t.set \".Lstatic_call.\\k:\\t\", 1\n" \
	"\t.set .Lstatic_call_is_new, 1\n" \
	"\t.else\n" \
	"\t.set .Lstatic_call_is_new, 0\n" \
	"\t.endif\n" \
	"\t.endr\n" \
	"\t.endr\n" \
	"\t.if .Lstatic_call_is_new\n"
#define __STATIC_CALL_ASM_PLACE(key) \
	"\t.irp k, " key "\n" \
	"\t.if %2\n" \
	"\t.pushsection \".text.static_call.\\k\", \"axG\", %%progbits, %1, comdat\n" \
	"\t.else\n" \
	"\t.pushsection \".text.static_call.\\k\", \"ax\", %%progbits\n" \
	"\t.endif\n" \
	"\t.endr\n" \
	"\t.if %2\n" \
	"\t.weak %1\n" \
	"\t.hidden %1\n" \
	"\t.endif\n" \
	"\t.ifdef %1\n" \
	"\t.error \"static-call: two static keys have one name, in files of one name: rename one (LTO)\"\n" \
	"\t.endif\n" \
	"\t.p2align 3\n" \
	"\t.type %1, %%function\n" \
	"%1:\n" \
	".Lstatic_call_trampoline.%=:\n" \
	"770:\n" \
	__STATIC_CALL_CFI("\t.cfi_startproc\n")
#define __STATIC_CALL_ASM_BEGIN(key) \
	__STATIC_CALL_ASM_IF_NEW(key) __STATIC_CALL_ASM_IMAGE __STATIC_CALL_ASM_PLACE(key)
#define __STATIC_CALL_ASM_NEAR(key) \
	"\tlgrl %%r1, " key "\n" \
	"\tbr %%r1\n" \
	"\t.p2align 3\n"
#define __STATIC_CALL_ASM_FAR(key) \
	"\tlgrl %%r1, 771f\n" \
	"\tlg %%r1, 0(%%r1)\n" \
	"\tbr %%r1\n" \
	"\t.p2align 3\n"
#define __STATIC_CALL_ASM_END(key, signature) \
	__STATIC_CALL_CFI("\t.cfi_endproc\n") \
	"\t.long " signature ", 771f - 770b\n" \
	"\t.if %2\n" \
	"\t.pushsection static_call_records, " \
	__STATIC_CALL_IN_GROUP(".Lstatic_call_trampoline.%=", "%1") \
	"\n" \
	"\t.else\n" \
	"\t.pushsection static_call_records, \"awo\", %%progbits, .Lstatic_call_trampoline.%=\n" \
	"\t.endif\n" \
	"\t.p2align 3\n" \
	"\t771: .quad " key ", 0, 0\n" \
	"\t.long 0, 770b - 771b\n" \
	"\t.quad 0\n" \
	"\t.popsection\n" \
	"\t.size %1, . - %1\n" \
	"\t.popsection\n" \
	"\t.endif\n"
#define __STATIC_CALL_ASM_CLOBBERS "r1", "cc"
#define __STATIC_CALL_ASM_BRANCH_ON(key) __STATIC_CALL_ASM_IMAGE \
	".Lstatic_branch.%=:\n" \
	"\t.p2align 3, 0x07, 4\n" \
	"\t780: jg 782f\n" \
	"781:\n" \
	"\t.subsection 1\n" \
	"\t782: lgr %%r1, %%r1\n" \
	"\tlgrl %%r1, \".Lstatic_call_branch." key "\"\n" \
	"\tcghsi 0(%%r1), 0\n" \
	"\tje 783f\n" \
	"\tjg %l[__static_call_jump]\n" \
	"\t783: jg 781b\n" \
	"\t.previous\n" \
	"\t.ifndef .Lstatic_call_branch\n" \
	"\t.set .Lstatic_call_branch, 1\n" \
	"\t.irp section, keys, records, branches, sites, end\n" \
	"\t.pushsection static_call_\\section, \"awR\", %%progbits, unique, 1000000\n" \
	".Lstatic_call_names_\\section:\n" \
	"\t.popsection\n" \
	"\t.endr\n" \
	"\t.endif\n"
#define __STATIC_CALL_ASM_BRANCH_OFF(key) __STATIC_CALL_ASM_IMAGE \
	".Lstatic_branch.%=:\n" \
	"\t.p2align 3, 0x07, 4\n" \
	"\t780: jg 782f\n" \
	"781:\n" \
	"\t.subsection 1\n" \
	"\t782: lgr %%r1, %%r1\n" \
	"\tlgrl %%r1, \".Lstatic_call_branch." key "\"\n" \
	"\tcghsi 0(%%r1), 0\n" \
	"\tjne 783f\n" \
	"\tjg %l[__static_call_jump]\n" \
	"\t783: jg 781b\n" \
	"\t.previous\n" \
	"\t.ifndef .Lstatic_call_branch\n" \
	"\t.set .Lstatic_call_branch, 1\n" \
	"\t.irp section, keys, records, branches, sites, end\n" \
	"\t.pushsection static_call_\\section, \"awR\", %%progbits, unique, 1000000\n" \
	".Lstatic_call_names_\\section:\n" \
	"\t.popsection\n" \
	"\t.endr\n" \
	"\t.endif\n"
#define __STATIC_CALL_ASM_BRANCH_SOME(key) __STATIC_CALL_ASM_IMAGE \
	".Lstatic_branch.%=:\n" \
	"\t.p2align 3, 0x07, 4\n" \
	"\t780: jg 782f\n" \
	"781:\n" \
	"\t.subsection 1\n" \
	"\t782: lgr %%r1, %%r1\n" \
	"\tlgrl %%r1, \".Lstatic_call_branch." key "\"\n" \
	"\ttm 35(%%r1), 1\n" \
	"\tjne 783f\n" \
	"\tjg %l[__static_call_jump]\n" \
	"\t783: jg 781b\n" \
	"\t.previous\n" \
	"\t.ifndef .Lstatic_call_branch\n" \
	"\t.set .Lstatic_call_branch, 1\n" \
	"\t.irp section, keys, records, branches, sites, end\n" \
	"\t.pushsection static_call_\\section, \"awR\", %%progbits, unique, 1000000\n" \
	".Lstatic_call_names_\\section:\n" \
	"\t.popsection\n" \
	"\t.endr\n" \
	"\t.endif\n"
#define __STATIC_CALL_ASM_BRANCH_END(key, polarity) \
	"\t.ifndef \".Lstatic_call_branch." key "\"\n" \
	"\t.pushsection static_call_records, \"awo\", %%progbits, .Lstatic_call_names_records\n" \
	"\t.p2align 3\n" \
	"\t\".Lstatic_call_branch." key "\":\n" \
	"\t.quad " key ", 0, 0\n" \
	"\t.long 0, -2143071486\n" \
	"\t.quad 0\n" \
	"\t.popsection\n" \
	"\t.endif\n" \
	"\t.pushsection static_call_branches, \"awo?\", %%progbits, .Lstatic_branch.%=\n" \
	"\t.p2align 2\n" \
	"\t.long 780b - ., %l[__static_call_jump] - ., \".Lstatic_call_branch." key "\" + " \
	polarity " - .\n" \
	"\t.popsection\n"
#elif defined(__i386__) && !defined(__PIC__)
#define __STATIC_CALL_ASM_KEY "%" __STATIC_CALL_PLAIN "0"
#define __STATIC_CALL_ASM_IMAGE \
	"\t.ifndef .Lstatic_call_image\n" \
	"\t.set .Lstatic_call_image, 1\n" \
	"\t.weak __static_call_image, __ehdr_start, __start_static_call_sites, __stop_static_call_sites\n" \
	"\t.weak __start_static_call_records, __stop_static_call_records, __start_static_call_keys\n" \
	"\t.weak __stop_static_call_keys, __stop_static_call_end\n" \
	"\t.weak __start_static_call_branches, __stop_static_call_branches\n" \
	"\t.hidden __static_call_image, __ehdr_start, __start_static_call_sites, __stop_static_call_sites\n" \
	"\t.hidden __start_static_call_records, __stop_static_call_records, __start_static_call_keys\n" \
	"\t.hidden __stop_static_call_keys, __stop_static_call_end\n" \
	"\t.hidden __start_static_call_branches, __stop_static_call_branches\n" \
	"\t.pushsection static_call_keys, \"awG\", %%progbits, __static_call_image, comdat\n" \
	"\t.balign 4096\n" \
	"\t.zero 8\n" \
	"\t.section static_call_records, \"awG\", %%progbits, __static_call_image, comdat\n" \
	"\t.p2align 2\n" \
	"\t.zero 28\n" \
	"\t.section static_call_branches, \"awG\", %%progbits, __static_call_image, comdat\n" \
	"\t.p2align 2\n" \
	"\t.zero 12\n" \
	"\t.section static_call_sites, \"awG\", %%progbits, __static_call_image, comdat\n" \
	"\t.p2align 2\n" \
	"\t.zero 4\n" \
	"\t.section static_call_end, \"awG\", %%progbits, __static_call_image, comdat\n" \
	"\t.zero 4096\n" \
	"\t.section .data.static_call_image, \"awG\", %%progbits, __static_call_image, comdat\n" \
	"\t.p2align 2\n" \
	"772:\n" \
	"\t.long 2, 0\n" \
	"\t.long __start_static_call_sites, __stop_static_call_sites\n" \
	"\t.long __start_static_call_records, __stop_static_call_records\n" \
	"\t.long __start_static_call_keys, __stop_static_call_keys\n" \
	"\t.long __start_static_call_branches, __stop_static_call_branches\n" \
	"\t.long __stop_static_call_end, __ehdr_start, 0, 0, 0, 0, 0\n" \
	"\t.long 0, 0\n" \
	"\t.section .text.static_call_image, \"axG\", %%progbits, __static_call_image, comdat\n" \
	"\t773: push %%ebx\n" \
	"\tcall 775f\n" \
	"\t775: pop %%ebx\n" \
	"\tlea 772b-775b(%%ebx), %%eax\n" \
	"\tlea _GLOBAL_OFFSET_TABLE_+(.-775b)(%%ebx), %%ebx\n" \
	"\tpush %%eax\n" \
	"\tpush %%eax\n" \
	"\tcall __static_call_register@PLT\n" \
	"\tlea 8(%%esp), %%esp\n" \
	"\tpop %%ebx\n" \
	"\tret\n" \
	"\t774: push %%ebx\n" \
	"\tcall 775f\n" \
	"\t775: pop %%ebx\n" \
	"\tlea 772b-775b(%%ebx), %%eax\n" \
	"\tlea _GLOBAL_OFFSET_TABLE_+(.-775b)(%%ebx), %%ebx\n" \
	"\tpush %%eax\n" \
	"\tpush %%eax\n" \
	"\tcall __static_call_unregister@PLT\n" \
	"\tlea 8(%%esp), %%esp\n" \
	"\tpop %%ebx\n" \
	"\tret\n" \
	"\t.section .init_array.101, \"awG\", %%init_array, __static_call_image, comdat\n" \
	"\t.p2align 2\n" \
	"\t.long 773b\n" \
	"\t.section .fini_array.101, \"awG\", %%fini_array, __static_call_image, comdat\n" \
	"\t.p2align 2\n" \
	"\t.long 774b\n" \
	"\t.popsection\n" \
	"\t.endif\n"
#define __STATIC_CALL_ASM_IF_NEW(key) \
	"\t.irp k, " key "\n" \
	"\t.irp t, %" __STATIC_CALL_PLAIN "1\n" \
	"\t.ifndef \".Lstatic_call.\\k:\\t\"\n" \
	"\t.set \".Lstatic_call.\\k:\\t\", 1\n" \
	"\t.set .Lstatic_call_is_new, 1\n" \
	"\t.else\n" \
	"\t.set .Lstatic_call_is_new, 0\n" \
	"\t.endif\n" \
	"\t.endr\n" \
	"\t.endr\n" \
	"\t.if .Lstatic_call_is_new\n"
#define __STATIC_CALL_ASM_PLACE(key) \
	"\t.irp k, " key "\n" \
	"\t.if %c2\n" \
	"\t.pushsection \".text.static_call.\\k\", \"axG\", %%progbits, %" __STATIC_CALL_PLAIN "1, comdat\n" \
	"\t.else\n" \
	"\t.pushsection \".text.static_call.\\k\", \"ax\", %%progbits\n" \
	"\t.endif\n" \
	"\t.endr\n" \
	"\t.if %c2\n" \
	"\t.weak %" __STATIC_CALL_PLAIN "1\n" \
	"\t.hidden %" __STATIC_CALL_PLAIN "1\n" \
	"\t.endif\n" \
	"\t.ifdef %" __STATIC_CALL_PLAIN "1\n" \
	"\t.error \"static-call: two static keys have one name, in files of one name: rename one (LTO)\"\n" \
	"\t.endif\n" \
	"\t.p2align 3\n" \
	"\t.type %" __STATIC_CALL_PLAIN "1, %%function\n" \
	"\t%" __STATIC_CALL_PLAIN "1:\n" \
	".Lstatic_call_trampoline.%=:\n" \
	"770:\n" \
	__STATIC_CALL_CFI("\t.cfi_startproc\n")
#define __STATIC_CALL_ASM_BEGIN(key) "{|.att_syntax prefix\n\t}" \
	__STATIC_CALL_ASM_IF_NEW(key) __STATIC_CALL_ASM_IMAGE __STATIC_CALL_ASM_PLACE(key)
#define __STATIC_CALL_ASM_NEAR(key) \
	"\tnop\n" \
	"\tjmp *" key "\n" \
	"\tint3\n" \
	"\t.p2align 3, 0xcc\n"
#define __STATIC_CALL_ASM_NEAR_THUNK(key) \
	"\tnop\n" \
	"\tpushl " key "\n" \
	__STATIC_CALL_CFI("\t.cfi_adjust_cfa_offset 4\n") \
	"\tcall 776f\n" \
	"\t775: pause\n" \
	"\tlfence\n" \
	"\tjmp 775b\n" \
	__STATIC_CALL_CFI("\t.cfi_adjust_cfa_offset 4\n") \
	"\t776: lea 4(%%esp), %%esp\n" \
	__STATIC_CALL_CFI("\t.cfi_adjust_cfa_offset -4\n") \
	"\tret\n" \
	"\tint3\n" \
	"\t.p2align 3, 0xcc\n"
#define __STATIC_CALL_ASM_END(key, signature) \
	__STATIC_CALL_CFI("\t.cfi_endproc\n") \
	"\t.long " signature ", 771f - 770b\n" \
	"\t.if %c2\n" \
	"\t.pushsection static_call_records, " \
	__STATIC_CALL_IN_GROUP(".Lstatic_call_trampoline.%=", "%" __STATIC_CALL_PLAIN "1") \
	"\n" \
	"\t.else\n" \
	"\t.pushsection static_call_records, \"awo\", %%progbits, .Lstatic_call_trampoline.%=\n" \
	"\t.endif\n" \
	"\t.p2align 2\n" \
	"\t771: .long " key ", 0, 0, 0, 770b - 771b, 0, 0\n" \
	"\t.popsection\n" \
	"\t.size %" __STATIC_CALL_PLAIN "1, . - %" __STATIC_CALL_PLAIN "1\n" \
	"\t.popsection\n" \
	"\t.endif\n" "{|\n\t.intel_syntax noprefix}"
#define __STATIC_CALL_ASM_CLOBBERS "cc"
#define __STATIC_CALL_ASM_BRANCH_ON(key) "{|.att_syntax prefix\n\t}" __STATIC_CALL_ASM_IMAGE \
	".Lstatic_branch.%=:\n" \
	"\t.byte 0x64\n" \
	"\t.p2align 3, 0x64, 4\n" \
	"\t780: .byte 0xe9\n" \
	"\t.long 782f - . - 4\n" \
	"781:\n" \
	"\t.subsection 1\n" \
	"\t782: pushl %%eax\n" \
	"\tcall 783f\n" \
	"\t783: popl %%eax\n" \
	"\tmovl \".Lstatic_call_branch." key "\"-783b(%%eax), %%eax\n" \
	"\tmovl (%%eax), %%eax\n" \
	"\ttestl %%eax, %%eax\n" \
	"\tpopl %%eax\n" \
	"\tjne %l[__static_call_jump]\n" \
	"\tjmp 781b\n" \
	"\t.previous\n" \
	"\t.ifndef .Lstatic_call_branch\n" \
	"\t.set .Lstatic_call_branch, 1\n" \
	"\t.irp section, keys, records, branches, sites, end\n" \
	"\t.pushsection static_call_\\section, \"awR\", %%progbits, unique, 1000000\n" \
	".Lstatic_call_names_\\section:\n" \
	"\t.popsection\n" \
	"\t.endr\n" \
	"\t.endif\n"
#define __STATIC_CALL_ASM_BRANCH_OFF(key) "{|.att_syntax prefix\n\t}" __STATIC_CALL_ASM_IMAGE \
	".Lstatic_branch.%=:\n" \
	"\t.byte 0x64\n" \
	"\t.p2align 3, 0x64, 4\n" \
	"\t780: .byte 0xe9\n" \
	"\t.long 782f - . - 4\n" \
	"781:\n" \
	"\t.subsection 1\n" \
	"\t782: pushl %%eax\n" \
	"\tcall 783f\n" \
	"\t783: popl %%eax\n" \
	"\tmovl \".Lstatic_call_branch." key "\"-783b(%%eax), %%eax\n" \
	"\tmovl (%%eax), %%eax\n" \
	"\ttestl %%eax, %%eax\n" \
	"\tpopl %%eax\n" \
	"\tje %l[__static_call_jump]\n" \
	"\tjmp 781b\n" \
	"\t.previous\n" \
	"\t.ifndef .Lstatic_call_branch\n" \
	"\t.set .Lstatic_call_branch, 1\n" \
	"\t.irp section, keys, records, branches, sites, end\n" \
	"\t.pushsection static_call_\\section, \"awR\", %%progbits, unique, 1000000\n" \
	".Lstatic_call_names_\\section:\n" \
	"\t.popsection\n" \
	"\t.endr\n" \
	"\t.endif\n"
#define __STATIC_CALL_ASM_BRANCH_SOME(key) "{|.att_syntax prefix\n\t}" __STATIC_CALL_ASM_IMAGE \
	".Lstatic_branch.%=:\n" \
	"\t.byte 0x64\n" \
	"\t.p2align 3, 0x64, 4\n" \
	"\t780: .byte 0xe9\n" \
	"\t.long 782f - . - 4\n" \
	"781:\n" \
	"\t.subsection 1\n" \
	"\t782: pushl %%eax\n" \
	"\tcall 783f\n" \
	"\t783: popl %%eax\n" \
	"\tmovl \".Lstatic_call_branch." key "\"-783b(%%eax), %%eax\n" \
	"\tmovb 16(%%eax), %%al\n" \
	"\tshrb %%al\n" \
	"\tpopl %%eax\n" \
	"\tjnc %l[__static_call_jump]\n" \
	"\tjmp 781b\n" \
	"\t.previous\n" \
	"\t.ifndef .Lstatic_call_branch\n" \
	"\t.set .Lstatic_call_branch, 1\n" \
	"\t.irp section, keys, records, branches, sites, end\n" \
	"\t.pushsection static_call_\\section, \"awR\", %%progbits, unique, 1000000\n" \
	".Lstatic_call_names_\\section:\n" \
	"\t.popsection\n" \
	"\t.endr\n" \
	"\t.endif\n"
#define __STATIC_CALL_ASM_BRANCH_END(key, polarity) \
	"\t.ifndef \".Lstatic_call_branch." key "\"\n" \
	"\t.pushsection static_call_records, \"awo\", %%progbits, .Lstatic_call_names_records\n" \
	"\t.p2align 2\n" \
	"\t\".Lstatic_call_branch." key "\":\n" \
	"\t.long " key ", 0, 0, 0, -2143071486, 0, 0\n" \
	"\t.popsection\n" \
	"\t.endif\n" \
	"\t.pushsection static_call_branches, \"awo?\", %%progbits, .Lstatic_branch.%=\n" \
	"\t.p2align 2\n" \
	"\t.long 780b - ., %l[__static_call_jump] - ., \".Lstatic_call_branch." key "\" + " \
	polarity " - .\n" \
	"\t.popsection\n" "{|\n\t.intel_syntax noprefix}"
#elif defined(__arm__) && !defined(__ARMEB__) && !defined(__thumb__) && __ARM_ARCH >= 7
#define __STATIC_CALL_ASM_KEY "%c0"
#define __STATIC_CALL_ASM_IMAGE \
	"\t.ifndef .Lstatic_call_image\n" \
	"\t.set .Lstatic_call_image, 1\n" \
	"\t.weak __static_call_image, __ehdr_start, __start_static_call_sites, __stop_static_call_sites\n" \
	"\t.weak __start_static_call_records, __stop_static_call_records, __start_static_call_keys\n" \
	"\t.weak __stop_static_call_keys, __stop_static_call_end\n" \
	"\t.weak __start_static_call_branches, __stop_static_call_branches\n" \
	"\t.hidden __static_call_image, __ehdr_start, __start_static_call_sites, __stop_static_call_sites\n" \
	"\t.hidden __start_static_call_records, __stop_static_call_records, __start_static_call_keys\n" \
	"\t.hidden __stop_static_call_keys, __stop_static_call_end\n" \
	"\t.hidden __start_static_call_branches, __stop_static_call_branches\n" \
	"\t.pushsection static_call_keys, \"awG\", %%progbits, __static_call_image, comdat\n" \
	"\t.balign 65536\n" \
	"\t.zero 8\n" \
	"\t.section static_call_records, \"awG\", %%progbits, __static_call_image, comdat\n" \
	"\t.p2align 2\n" \
	"\t.zero 28\n" \
	"\t.section static_call_branches, \"awG\", %%progbits, __static_call_image, comdat\n" \
	"\t.p2align 2\n" \
	"\t.zero 12\n" \
	"\t.section static_call_sites, \"awG\", %%progbits, __static_call_image, comdat\n" \
	"\t.p2align 2\n" \
	"\t.zero 4\n" \
	"\t.section static_call_end, \"awG\", %%progbits, __static_call_image, comdat\n" \
	"\t.zero 65536\n" \
	"\t.section .data.static_call_image, \"awG\", %%progbits, __static_call_image, comdat\n" \
	"\t.p2align 2\n" \
	"772:\n" \
	"\t.long 2, 0\n" \
	"\t.long __start_static_call_sites, __stop_static_call_sites\n" \
	"\t.long __start_static_call_records, __stop_static_call_records\n" \
	"\t.long __start_static_call_keys, __stop_static_call_keys\n" \
	"\t.long __start_static_call_branches, __stop_static_call_branches\n" \
	"\t.long __stop_static_call_end, __ehdr_start, 0, 0, 0, 0, 0\n" \
	"\t.long 0, 0\n" \
	"\t.section .text.static_call_image, \"axG\", %%progbits, __static_call_image, comdat\n" \
	"\t.p2align 2\n" \
	"\t773: ldr r0, 775f\n" \
	"\t776: add r0, pc, r0\n" \
	"\tb __static_call_register\n" \
	"\t774: ldr r0, 777f\n" \
	"\t778: add r0, pc, r0\n" \
	"\tb __static_call_unregister\n" \
	"\t775: .long 772b-(776b+8)\n" \
	"\t777: .long 772b-(778b+8)\n" \
	"\t.section .init_array.101, \"awG\", %%init_array, __static_call_image, comdat\n" \
	"\t.p2align 2\n" \
	"\t.long 773b\n" \
	"\t.section .fini_array.101, \"awG\", %%fini_array, __static_call_image, comdat\n" \
	"\t.p2align 2\n" \
	"\t.long 774b\n" \
	"\t.popsection\n" \
	"\t.endif\n"
#define __STATIC_CALL_ASM_IF_NEW(key) \
	"\t.irp k, " key "\n" \
	"\t.irp t, %c1\n" \
	"\t.ifndef \".Lstatic_call.\\k:\\t\"\n" \
	"\t.set \".Lstatic_call.\\k:\\t\", 1\n" \
	"\t.set .Lstatic_call_is_new, 1\n" \
	"\t.else\n" \
	"\t.set .Lstatic_call_is_new, 0\n" \
	"\t.endif\n" \
	"\t.endr\n" \
	"\t.endr\n" \
	"\t.if .Lstatic_call_is_new\n"
#define __STATIC_CALL_ASM_PLACE(key) \
	"\t.irp k, " key "\n" \
	"\t.if %c2\n" \
	"\t.pushsection \".text.static_call.\\k\", \"axG\", %%progbits, %c1, comdat\n" \
	"\t.else\n" \
	"\t.pushsection \".text.static_call.\\k\", \"ax\", %%progbits\n" \
	"\t.endif\n" \
	"\t.endr\n" \
	"\t.if %c2\n" \
	"\t.weak %c1\n" \
	"\t.hidden %c1\n" \
	"\t.endif\n" \
	"\t.ifdef %c1\n" \
	"\t.error \"static-call: two static keys have one name, in files of one name: rename one (LTO)\"\n" \
	"\t.endif\n" \
	"\t.p2align 3\n" \
	"\t.type %c1, %%function\n" \
	"%c1:\n" \
	".Lstatic_call_trampoline.%=:\n" \
	"770:\n"
#define __STATIC_CALL_ASM_BEGIN(key) "\t.syntax unified\n\t.arm\n" \
	__STATIC_CALL_ASM_IF_NEW(key) __STATIC_CALL_ASM_IMAGE __STATIC_CALL_ASM_PLACE(key)
#define __STATIC_CALL_ASM_NEAR(key) \
	"\t.inst 0xe320f000\n" \
	"\tldr ip, 776f\n" \
	"\t775: ldr ip, [pc, ip]\n" \
	"\tdmb ish\n" \
	"\tbx ip\n" \
	"\tdsb sy\n" \
	"\tisb\n" \
	"\t776: .long " key "-(775b+8)\n" \
	"\t.p2align 3\n"
#define __STATIC_CALL_ASM_FAR(key) \
	"\t.inst 0xe320f000\n" \
	"\tldr ip, 776f\n" \
	"\t775: ldr ip, [pc, ip]\n" \
	"\tldr ip, [ip]\n" \
	"\tdmb ish\n" \
	"\tbx ip\n" \
	"\tdsb sy\n" \
	"\tisb\n" \
	"\t776: .long 771f-(775b+8)\n" \
	"\t.p2align 3\n"
#define __STATIC_CALL_ASM_END(key, signature) \
	"\t.long " signature ", 771f - 770b\n" \
	"\t.if %c2\n" \
	"\t.pushsection static_call_records, " \
	__STATIC_CALL_IN_GROUP(".Lstatic_call_trampoline.%=", "%c1") \
	"\n" \
	"\t.else\n" \
	"\t.pushsection static_call_records, \"awo\", %%progbits, .Lstatic_call_trampoline.%=\n" \
	"\t.endif\n" \
	"\t.p2align 2\n" \
	"\t771: .long " key ", 0, 0, 0, 770b - 771b, 0, 0\n" \
	"\t.popsection\n" \
	"\t.size %c1, . - %c1\n" \
	"\t.popsection\n" \
	"\t.endif\n"
#define __STATIC_CALL_ASM_CLOBBERS "ip", "cc"
#define __STATIC_CALL_ASM_BRANCH_ON(key) __STATIC_CALL_ASM_IMAGE \
	".Lstatic_branch.%=:\n" \
	"\t780: b 782f\n" \
	"781:\n" \
	"\t.subsection 1\n" \
	"\t782: mov ip, ip\n" \
	"\tldr ip, 785f\n" \
	"\t784: ldr ip, [pc, ip]\n" \
	"\tldr ip, [ip]\n" \
	"\tcmp ip, #0\n" \
	"\tbeq 783f\n" \
	"\tb %l[__static_call_jump]\n" \
	"\t783: b 781b\n" \
	"\t785: .long \".Lstatic_call_branch." key "\"-(784b+8)\n" \
	"\t.previous\n" \
	"\t.ifndef .Lstatic_call_branch\n" \
	"\t.set .Lstatic_call_branch, 1\n" \
	"\t.irp section, keys, records, branches, sites, end\n" \
	"\t.pushsection static_call_\\section, \"awR\", %%progbits, unique, 1000000\n" \
	".Lstatic_call_names_\\section:\n" \
	"\t.popsection\n" \
	"\t.endr\n" \
	"\t.endif\n"
#define __STATIC_CALL_ASM_BRANCH_OFF(key) __STATIC_CALL_ASM_IMAGE \
	".Lstatic_branch.%=:\n" \
	"\t780: b 782f\n" \
	"781:\n" \
	"\t.subsection 1\n" \
	"\t782: mov ip, ip\n" \
	"\tldr ip, 785f\n" \
	"\t784: ldr ip, [pc, ip]\n" \
	"\tldr ip, [ip]\n" \
	"\tcmp ip, #0\n" \
	"\tbne 783f\n" \
	"\tb %l[__static_call_jump]\n" \
	"\t783: b 781b\n" \
	"\t785: .long \".Lstatic_call_branch." key "\"-(784b+8)\n" \
	"\t.previous\n" \
	"\t.ifndef .Lstatic_call_branch\n" \
	"\t.set .Lstatic_call_branch, 1\n" \
	"\t.irp section, keys, records, branches, sites, end\n" \
	"\t.pushsection static_call_\\section, \"awR\", %%progbits, unique, 1000000\n" \
	".Lstatic_call_names_\\section:\n" \
	"\t.popsection\n" \
	"\t.endr\n" \
	"\t.endif\n"
#define __STATIC_CALL_ASM_BRANCH_SOME(key) __STATIC_CALL_ASM_IMAGE \
	".Lstatic_branch.%=:\n" \
	"\t780: b 782f\n" \
	"781:\n" \
	"\t.subsection 1\n" \
	"\t782: mov ip, ip\n" \
	"\tldr ip, 785f\n" \
	"\t784: ldr ip, [pc, ip]\n" \
	"\tldrb ip, [ip, #16]\n" \
	"\ttst ip, #1\n" \
	"\tbne 783f\n" \
	"\tb %l[__static_call_jump]\n" \
	"\t783: b 781b\n" \
	"\t785: .long \".Lstatic_call_branch." key "\"-(784b+8)\n" \
	"\t.previous\n" \
	"\t.ifndef .Lstatic_call_branch\n" \
	"\t.set .Lstatic_call_branch, 1\n" \
	"\t.irp section, keys, records, branches, sites, end\n" \
	"\t.pushsection static_call_\\section, \"awR\", %%progbits, unique, 1000000\n" \
	".Lstatic_call_names_\\section:\n" \
	"\t.popsection\n" \
	"\t.endr\n" \
	"\t.endif\n"
#define __STATIC_CALL_ASM_BRANCH_END(key, polarity) \
	"\t.ifndef \".Lstatic_call_branch." key "\"\n" \
	"\t.pushsection static_call_records, \"awo\", %%progbits, .Lstatic_call_names_records\n" \
	"\t.p2align 2\n" \
	"\t\".Lstatic_call_branch." key "\":\n" \
	"\t.long " key ", 0, 0, 0, -2143071486, 0, 0\n" \
	"\t.popsection\n" \
	"\t.endif\n" \
	"\t.pushsection static_call_branches, \"awo?\", %%progbits, .Lstatic_branch.%=\n" \
	"\t.p2align 2\n" \
	"\t.long 780b - ., %l[__static_call_jump] - ., \".Lstatic_call_branch." key "\" + " \
	polarity " - .\n" \
	"\t.popsection\n"
#elif defined(__powerpc64__) && defined(__LITTLE_ENDIAN__) && _CALL_ELF == 2
#define __STATIC_CALL_ASM_KEY "%0"
#define __STATIC_CALL_ASM_IMAGE \
	"\t.ifndef .Lstatic_call_image\n" \
	"\t.set .Lstatic_call_image, 1\n" \
	"\t.weak __static_call_image, __ehdr_start, __start_static_call_sites, __stop_static_call_sites\n" \
	"\t.weak __start_static_call_records, __stop_static_call_records, __start_static_call_keys\n" \
	"\t.weak __stop_static_call_keys, __stop_static_call_end\n" \
	"\t.weak __start_static_call_branches, __stop_static_call_branches\n" \
	"\t.hidden __static_call_image, __ehdr_start, __start_static_call_sites, __stop_static_call_sites\n" \
	"\t.hidden __start_static_call_records, __stop_static_call_records, __start_static_call_keys\n" \
	"\t.hidden __stop_static_call_keys, __stop_static_call_end\n" \
	"\t.hidden __start_static_call_branches, __stop_static_call_branches\n" \
	"\t.pushsection static_call_keys, \"awG\", %%progbits, __static_call_image, comdat\n" \
	"\t.balign 65536\n" \
	"\t.zero 8\n" \
	"\t.section static_call_records, \"awG\", %%progbits, __static_call_image, comdat\n" \
	"\t.p2align 3\n" \
	"\t.zero 40\n" \
	"\t.section static_call_branches, \"awG\", %%progbits, __static_call_image, comdat\n" \
	"\t.p2align 2\n" \
	"\t.zero 12\n" \
	"\t.section static_call_sites, \"awG\", %%progbits, __static_call_image, comdat\n" \
	"\t.p2align 2\n" \
	"\t.zero 4\n" \
	"\t.section static_call_end, \"awG\", %%progbits, __static_call_image, comdat\n" \
	"\t.zero 65536\n" \
	"\t.section .data.static_call_image, \"awG\", %%progbits, __static_call_image, comdat\n" \
	"\t.p2align 3\n" \
	"772:\n" \
	"\t.long 2, 0\n" \
	"\t.quad __start_static_call_sites, __stop_static_call_sites\n" \
	"\t.quad __start_static_call_records, __stop_static_call_records\n" \
	"\t.quad __start_static_call_keys, __stop_static_call_keys\n" \
	"\t.quad __start_static_call_branches, __stop_static_call_branches\n" \
	"\t.quad __stop_static_call_end, __ehdr_start, 0, 0, 0, 0, 0\n" \
	"\t.long 0, 0\n" \
	"\t.section .text.static_call_image, \"axG\", %%progbits, __static_call_image, comdat\n" \
	"\t.p2align 2\n" \
	"\t773: addis 2, 12, .TOC.-773b@ha\n" \
	"\taddi 2, 2, .TOC.-773b@l\n" \
	"\tmflr 0\n" \
	"\tstd 0, 16(1)\n" \
	"\tstdu 1, -32(1)\n" \
	"\taddis 3, 2, 772b@toc@ha\n" \
	"\taddi 3, 3, 772b@toc@l\n" \
	"\tbl __static_call_register\n" \
	"\tnop\n" \
	"\taddi 1, 1, 32\n" \
	"\tld 0, 16(1)\n" \
	"\tmtlr 0\n" \
	"\tblr\n" \
	"\t.p2align 2\n" \
	"\t774: addis 2, 12, .TOC.-774b@ha\n" \
	"\taddi 2, 2, .TOC.-774b@l\n" \
	"\tmflr 0\n" \
	"\tstd 0, 16(1)\n" \
	"\tstdu 1, -32(1)\n" \
	"\taddis 3, 2, 772b@toc@ha\n" \
	"\taddi 3, 3, 772b@toc@l\n" \
	"\tbl __static_call_unregister\n" \
	"\tnop\n" \
	"\taddi 1, 1, 32\n" \
	"\tld 0, 16(1)\n" \
	"\tmtlr 0\n" \
	"\tblr\n" \
	"\t.section .init_array.101, \"awG\", %%init_array, __static_call_image, comdat\n" \
	"\t.p2align 3\n" \
	"\t.quad 773b\n" \
	"\t.section .fini_array.101, \"awG\", %%fini_array, __static_call_image, comdat\n" \
	"\t.p2align 3\n" \
	"\t.quad 774b\n" \
	"\t.popsection\n" \
	"\t.endif\n"
#define __STATIC_CALL_ASM_CLOBBERS "r0", "r12", "cr0"
#define __STATIC_CALL_ASM_BRANCH_ON(key) __STATIC_CALL_ASM_IMAGE \
	".Lstatic_branch.%=:\n" \
	"\t780: b 782f\n" \
	"781:\n" \
	"\t.subsection 1\n" \
	"\t782: mr 12, 12\n" \
	"\tmflr 0\n" \
	"\tbcl 20, 31, 784f\n" \
	"\t784: mflr 12\n" \
	"\tmtlr 0\n" \
	"\taddis 12, 12, 0+\".Lstatic_call_branch." key "\"-784b@ha\n" \
	"\taddi 12, 12, 0+\".Lstatic_call_branch." key "\"-784b@l\n" \
	"\tld 12, 0(12)\n" \
	"\tld 12, 0(12)\n" \
	"\tcmpdi 12, 0\n" \
	"\tbeq 783f\n" \
	"\tb %l[__static_call_jump]\n" \
	"\t783: b 781b\n" \
	"\t.previous\n" \
	"\t.ifndef .Lstatic_call_branch\n" \
	"\t.set .Lstatic_call_branch, 1\n" \
	"\t.irp section, keys, records, branches, sites, end\n" \
	"\t.pushsection static_call_\\section, \"awR\", %%progbits, unique, 1000000\n" \
	".Lstatic_call_names_\\section:\n" \
	"\t.popsection\n" \
	"\t.endr\n" \
	"\t.endif\n"
#define __STATIC_CALL_ASM_BRANCH_OFF(key) __STATIC_CALL_ASM_IMAGE \
	".Lstatic_branch.%=:\n" \
	"\t780: b 782f\n" \
	"781:\n" \
	"\t.subsection 1\n" \
	"\t782: mr 12, 12\n" \
	"\tmflr 0\n" \
	"\tbcl 20, 31, 784f\n" \
	"\t784: mflr 12\n" \
	"\tmtlr 0\n" \
	"\taddis 12, 12, 0+\".Lstatic_call_branch." key "\"-784b@ha\n" \
	"\taddi 12, 12, 0+\".Lstatic_call_branch." key "\"-784b@l\n" \
	"\tld 12, 0(12)\n" \
	"\tld 12, 0(12)\n" \
	"\tcmpdi 12, 0\n" \
	"\tbne 783f\n" \
	"\tb %l[__static_call_jump]\n" \
	"\t783: b 781b\n" \
	"\t.previous\n" \
	"\t.ifndef .Lstatic_call_branch\n" \
	"\t.set .Lstatic_call_branch, 1\n" \
	"\t.irp section, keys, records, branches, sites, end\n" \
	"\t.pushsection static_call_\\section, \"awR\", %%progbits, unique, 1000000\n" \
	".Lstatic_call_names_\\section:\n" \
	"\t.popsection\n" \
	"\t.endr\n" \
	"\t.endif\n"
#define __STATIC_CALL_ASM_BRANCH_SOME(key) __STATIC_CALL_ASM_IMAGE \
	".Lstatic_branch.%=:\n" \
	"\t780: b 782f\n" \
	"781:\n" \
	"\t.subsection 1\n" \
	"\t782: mr 12, 12\n" \
	"\tmflr 0\n" \
	"\tbcl 20, 31, 784f\n" \
	"\t784: mflr 12\n" \
	"\tmtlr 0\n" \
	"\taddis 12, 12, 0+\".Lstatic_call_branch." key "\"-784b@ha\n" \
	"\taddi 12, 12, 0+\".Lstatic_call_branch." key "\"-784b@l\n" \
	"\tld 12, 0(12)\n" \
	"\tlbz 12, 32(12)\n" \
	"\tandi. 12, 12, 1\n" \
	"\tbne 783f\n" \
	"\tb %l[__static_call_jump]\n" \
	"\t783: b 781b\n" \
	"\t.previous\n" \
	"\t.ifndef .Lstatic_call_branch\n" \
	"\t.set .Lstatic_call_branch, 1\n" \
	"\t.irp section, keys, records, branches, sites, end\n" \
	"\t.pushsection static_call_\\section, \"awR\", %%progbits, unique, 1000000\n" \
	".Lstatic_call_names_\\section:\n" \
	"\t.popsection\n" \
	"\t.endr\n" \
	"\t.endif\n"
#define __STATIC_CALL_ASM_BRANCH_END(key, polarity) \
	"\t.ifndef \".Lstatic_call_branch." key "\"\n" \
	"\t.pushsection static_call_records, \"awo\", %%progbits, .Lstatic_call_names_records\n" \
	"\t.p2align 3\n" \
	"\t\".Lstatic_call_branch." key "\":\n" \
	"\t.quad " key ", 0, 0\n" \
	"\t.long 0, -2143071486\n" \
	"\t.quad 0\n" \
	"\t.popsection\n" \
	"\t.endif\n" \
	"\t.pushsection static_call_branches, \"awo?\", %%progbits, .Lstatic_branch.%=\n" \
	"\t.p2align 2\n" \
	"\t.long 780b - ., %l[__static_call_jump] - ., \".Lstatic_call_branch." key "\" + " \
	polarity " - .\n" \
	"\t.popsection\n"
#elif defined(__loongarch64)
#define __STATIC_CALL_ASM_KEY "%0"
#define __STATIC_CALL_ASM_IMAGE \
	"\t.ifndef .Lstatic_call_image\n" \
	"\t.set .Lstatic_call_image, 1\n" \
	"\t.weak __static_call_image, __ehdr_start, __start_static_call_sites, __stop_static_call_sites\n" \
	"\t.weak __start_static_call_records, __stop_static_call_records, __start_static_call_keys\n" \
	"\t.weak __stop_static_call_keys, __stop_static_call_end\n" \
	"\t.weak __start_static_call_branches, __stop_static_call_branches\n" \
	"\t.hidden __static_call_image, __ehdr_start, __start_static_call_sites, __stop_static_call_sites\n" \
	"\t.hidden __start_static_call_records, __stop_static_call_records, __start_static_call_keys\n" \
	"\t.hidden __stop_static_call_keys, __stop_static_call_end\n" \
	"\t.hidden __start_static_call_branches, __stop_static_call_branches\n" \
	"\t.pushsection static_call_keys, \"awG\", %%progbits, __static_call_image, comdat\n" \
	"\t.balign 65536\n" \
	"\t.zero 8\n" \
	"\t.section static_call_records, \"awG\", %%progbits, __static_call_image, comdat\n" \
	"\t.p2align 3\n" \
	"\t.zero 40\n" \
	"\t.section static_call_branches, \"awG\", %%progbits, __static_call_image, comdat\n" \
	"\t.p2align 2\n" \
	"\t.zero 12\n" \
	"\t.section static_call_sites, \"awG\", %%progbits, __static_call_image, comdat\n" \
	"\t.p2align 2\n" \
	"\t.zero 4\n" \
	"\t.section static_call_end, \"awG\", %%progbits, __static_call_image, comdat\n" \
	"\t.zero 65536\n" \
	"\t.section .data.static_call_image, \"awG\", %%progbits, __static_call_image, comdat\n" \
	"\t.p2align 3\n" \
	"772:\n" \
	"\t.long 2, 0\n" \
	"\t.quad __start_static_call_sites, __stop_static_call_sites\n" \
	"\t.quad __start_static_call_records, __stop_static_call_records\n" \
	"\t.quad __start_static_call_keys, __stop_static_call_keys\n" \
	"\t.quad __start_static_call_branches, __stop_static_call_branches\n" \
	"\t.quad __stop_static_call_end, __ehdr_start, 0, 0, 0, 0, 0\n" \
	"\t.long 0, 0\n" \
	"\t.section .text.static_call_image, \"axG\", %%progbits, __static_call_image, comdat\n" \
	"\t.p2align 2\n" \
	"\t773: la.local $a0, 772b\n" \
	"\ttail36 $t8, __static_call_register\n" \
	"\t774: la.local $a0, 772b\n" \
	"\ttail36 $t8, __static_call_unregister\n" \
	"\t.section .init_array.101, \"awG\", %%init_array, __static_call_image, comdat\n" \
	"\t.p2align 3\n" \
	"\t.quad 773b\n" \
	"\t.section .fini_array.101, \"awG\", %%fini_array, __static_call_image, comdat\n" \
	"\t.p2align 3\n" \
	"\t.quad 774b\n" \
	"\t.popsection\n" \
	"\t.endif\n"
#define __STATIC_CALL_ASM_IF_NEW(key) \
	"\t.irp k, " key "\n" \
	"\t.irp t, %1\n" \
	"\t.ifndef \".Lstatic_call.\\k:\\t\"\n" \
	"\t.set \".Lstatic_call.\\k:\\t\", 1\n" \
	"\t.set .Lstatic_call_is_new, 1\n" \
	"\t.else\n" \
	"\t.set .Lstatic_call_is_new, 0\n" \
	"\t.endif\n" \
	"\t.endr\n" \
	"\t.endr\n" \
	"\t.if .Lstatic_call_is_new\n"
#define __STATIC_CALL_ASM_PLACE(key) \
	"\t.irp k, " key "\n" \
	"\t.if %2\n" \
	"\t.pushsection \".text.static_call.\\k\", \"axG\", %%progbits, %1, comdat\n" \
	"\t.else\n" \
	"\t.pushsection \".text.static_call.\\k\", \"ax\", %%progbits\n" \
	"\t.endif\n" \
	"\t.endr\n" \
	"\t.if %2\n" \
	"\t.weak %1\n" \
	"\t.hidden %1\n" \
	"\t.endif\n" \
	"\t.ifdef %1\n" \
	"\t.error \"static-call: two static keys have one name, in files of one name: rename one (LTO)\"\n" \
	"\t.endif\n" \
	"\t.p2align 3, 0xff\n" \
	"\t.type %1, %%function\n" \
	"%1:\n" \
	".Lstatic_call_trampoline.%=:\n" \
	"770:\n" \
	__STATIC_CALL_CFI("\t.cfi_startproc\n")
#define __STATIC_CALL_ASM_BEGIN(key) \
	__STATIC_CALL_ASM_IF_NEW(key) __STATIC_CALL_ASM_IMAGE __STATIC_CALL_ASM_PLACE(key)
#define __STATIC_CALL_ASM_NEAR(key) \
	"\t775: pcalau12i $t8, 0\n" \
	"\t.reloc 775b, R_LARCH_PCALA_HI20, " key "\n" \
	"\t776: ld.d $t8, $t8, 0\n" \
	"\t.reloc 776b, R_LARCH_PCALA_LO12, " key "\n" \
	"\tdbar 20\n" \
	"\tjr $t8\n" \
	"\tbreak 0\n" \
	"\tnop\n" \
	"\t.p2align 3, 0xff\n"
#define __STATIC_CALL_ASM_FAR(key) \
	"\t775: pcalau12i $t8, 0\n" \
	"\t.reloc 775b, R_LARCH_PCALA_HI20, 771f\n" \
	"\t776: ld.d $t8, $t8, 0\n" \
	"\t.reloc 776b, R_LARCH_PCALA_LO12, 771f\n" \
	"\tld.d $t8, $t8, 0\n" \
	"\tdbar 20\n" \
	"\tjr $t8\n" \
	"\tbreak 0\n" \
	"\t.p2align 3, 0xff\n"
#define __STATIC_CALL_ASM_END(key, signature) \
	__STATIC_CALL_CFI("\t.cfi_endproc\n") \
	"\t.long " signature ", 771f - 770b\n" \
	"\t.if %2\n" \
	"\t.pushsection static_call_records, " \
	__STATIC_CALL_IN_GROUP(".Lstatic_call_trampoline.%=", "%1") \
	"\n" \
	"\t.else\n" \
	"\t.pushsection static_call_records, \"awo\", %%progbits, .Lstatic_call_trampoline.%=\n" \
	"\t.endif\n" \
	"\t.p2align 3\n" \
	"\t771: .quad " key ", 0, 0\n" \
	"\t.long 0, 770b - 771b\n" \
	"\t.quad 0\n" \
	"\t.popsection\n" \
	"\t.size %1, . - %1\n" \
	"\t.popsection\n" \
	"\t.endif\n"
#endif

#endif /* __STATIC_CALL_TRAMPOLINE_H */
