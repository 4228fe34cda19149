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
	"\t.pushsection static_call_records, " __STATIC_CALL_IN_GROUP(".Lstatic_call_trampoline.%=", "%c1") "\n" \
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
	"\t.size %c1, . - %c1\n" \
	"\t.popsection\n" \
	"\t.endif\n" "{|\n\t.intel_syntax noprefix}"
#define __STATIC_CALL_ASM_BRANCH_ON(key) "{|.att_syntax prefix\n\t}" __STATIC_CALL_ASM_IMAGE \
	".Lstatic_branch.%=:\n" \
	"\t.byte 0x2e\n" \
	"\t.p2align 3, 0x2e, 4\n" \
	"\t780: .byte 0xe9\n" \
	"\t.long 782f - . - 4\n" \
	"781:\n" \
	"\t.subsection 1\n" \
	"\t782: leaq -128(%%rsp), %%rsp\n" \
	"\tpushq %%rax\n" \
	"\tmovq " key "@GOTPCREL(%%rip), %%rax\n" \
	"\tcmpq $0, (%%rax)\n" \
	"\tpopq %%rax\n" \
	"\tleaq 128(%%rsp), %%rsp\n" \
	"\tjne %l[__static_call_jump]\n" \
	"\tjmp 781b\n" \
	"\t.previous\n" \
	"\t.ifndef .Lstatic_call_branch\n" \
	"\t.set .Lstatic_call_branch, 1\n" \
	"\t.irp section, keys, records, branches, sites, end\n" \
	"\t.pushsection static_call_\\section, \"awR\", %%progbits, unique, 1000000\n" \
	"\t.popsection\n" \
	"\t.endr\n" \
	"\t.endif\n"
#define __STATIC_CALL_ASM_BRANCH_OFF(key) "{|.att_syntax prefix\n\t}" __STATIC_CALL_ASM_IMAGE \
	".Lstatic_branch.%=:\n" \
	"\t.byte 0x2e\n" \
	"\t.p2align 3, 0x2e, 4\n" \
	"\t780: .byte 0xe9\n" \
	"\t.long 782f - . - 4\n" \
	"781:\n" \
	"\t.subsection 1\n" \
	"\t782: leaq -128(%%rsp), %%rsp\n" \
	"\tpushq %%rax\n" \
	"\tmovq " key "@GOTPCREL(%%rip), %%rax\n" \
	"\tcmpq $0, (%%rax)\n" \
	"\tpopq %%rax\n" \
	"\tleaq 128(%%rsp), %%rsp\n" \
	"\tje %l[__static_call_jump]\n" \
	"\tjmp 781b\n" \
	"\t.previous\n" \
	"\t.ifndef .Lstatic_call_branch\n" \
	"\t.set .Lstatic_call_branch, 1\n" \
	"\t.irp section, keys, records, branches, sites, end\n" \
	"\t.pushsection static_call_\\section, \"awR\", %%progbits, unique, 1000000\n" \
	"\t.popsection\n" \
	"\t.endr\n" \
	"\t.endif\n"
#define __STATIC_CALL_ASM_BRANCH_SOME(key) "{|.att_syntax prefix\n\t}" __STATIC_CALL_ASM_IMAGE \
	".Lstatic_branch.%=:\n" \
	"\t.byte 0x2e\n" \
	"\t.p2align 3, 0x2e, 4\n" \
	"\t780: .byte 0xe9\n" \
	"\t.long 782f - . - 4\n" \
	"781:\n" \
	"\t.subsection 1\n" \
	"\t782: leaq -128(%%rsp), %%rsp\n" \
	"\tpushq %%rax\n" \
	"\tmovq " key "@GOTPCREL(%%rip), %%rax\n" \
	"\ttestb $1, 32(%%rax)\n" \
	"\tpopq %%rax\n" \
	"\tleaq 128(%%rsp), %%rsp\n" \
	"\tje %l[__static_call_jump]\n" \
	"\tjmp 781b\n" \
	"\t.previous\n" \
	"\t.ifndef .Lstatic_call_branch\n" \
	"\t.set .Lstatic_call_branch, 1\n" \
	"\t.irp section, keys, records, branches, sites, end\n" \
	"\t.pushsection static_call_\\section, \"awR\", %%progbits, unique, 1000000\n" \
	"\t.popsection\n" \
	"\t.endr\n" \
	"\t.endif\n"
#define __STATIC_CALL_ASM_BRANCH_END(key, polarity) \
	"\t.ifndef \".Lstatic_call_branch." key "\"\n" \
	"\t.pushsection static_call_records, \"aw\", %%progbits\n" \
	"\t.p2align 3\n" \
	"\t\".Lstatic_call_branch." key "\":\n" \
	"\t.quad " key ", 0, 0\n" \
	"\t.long 0, -2143071486\n" \
	"\t.quad 0\n" \
	"\t.popsection\n" \
	"\t.endif\n" \
	"\t.pushsection static_call_branches, \"awo?\", %%progbits, .Lstatic_branch.%=\n" \
	"\t.p2align 2\n" \
	"\t.long 780b - ., %l[__static_call_jump] - ., \".Lstatic_call_branch." key "\" + " polarity " - .\n" \
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
	"\t.pushsection static_call_records, " __STATIC_CALL_IN_GROUP(".Lstatic_call_trampoline.%=", "%c1") "\n" \
	"\t.else\n" \
	"\t.pushsection static_call_records, \"awo\", %%progbits, .Lstatic_call_trampoline.%=\n" \
	"\t.endif\n" \
	"\t.p2align 3\n" \
	"\t771: .quad " key ", 0, 0\n" \
	"\t.long 0, 770b - 771b\n" \
	"\t.quad 0\n" \
	"\t.popsection\n" \
	"\t\n" \
	"\t.size %c1, . - %c1\n" \
	"\t.popsection\n" \
	"\t.endif\n"
#endif

#endif /* __STATIC_CALL_TRAMPOLINE_H */
