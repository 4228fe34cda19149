// The flat C interface between the pass, written in Rust, and LLVM's C++ interface.
//
// LLVM's C interface does most of the work; here is only what it lacks. No C++ type crosses this
// line. Whatever depends on LLVM's version belongs into shim.cpp.
#pragma once

#include "llvm-c/Types.h"
#include <cstddef>
#include <cstdint>

extern "C" {

// ---- What the Rust side provides -------------------------------------------------------------

// IR stage: lowers the module's intrinsics; true if anything changed.
bool static_call_lower_module(LLVMModuleRef Module);

// Machine stage: how a call of a trampoline has to lie in memory.
struct StaticCallSiteLayout {
  uint32_t Log2Align; // the boundary that the instruction must not cross, 0 for none
  uint32_t MaxBytes;  // the most padding that this can need
};
enum StaticCallSiteKind : uint32_t { SiteCall = 0, SiteJump = 1, SiteConditionalJump = 2 };
// False where such a site cannot be recorded on this architecture.
bool static_call_site_layout(const char *Triple, size_t TripleLength, uint32_t Kind,
                             StaticCallSiteLayout *Layout);

// Names from the layout definition.
struct StaticCallText {
  const char *Data;
  size_t Length;
};
StaticCallText static_call_trampoline_prefix();
StaticCallText static_call_sites_section();
// The name in remarks and pass pipelines.
StaticCallText static_call_pass_name();

// ---- What the shim provides ------------------------------------------------------------------

// Registers both stages with the PassBuilder that a compiler hands to a plugin.
void static_call_shim_register(void *PassBuilder);

// The constant that V points into after casts and constant offsets, and the sum of the offsets.
LLVMValueRef static_call_shim_strip_offsets(LLVMModuleRef Module, LLVMValueRef V, int64_t *Offset);

bool static_call_shim_is_thread_local_address(LLVMValueRef V);

// Optimization remark at an instruction: lowered or missed.
void static_call_shim_remark(LLVMValueRef Instruction, bool Lowered, const char *Message,
                             size_t Length);

// Compile error at an instruction, or, with a null instruction, in the module.
void static_call_shim_error(LLVMModuleRef Module, LLVMValueRef Instruction, const char *Message,
                            size_t Length);

// "file:line:column" of an instruction for messages, written to Buffer; the length it has.
size_t static_call_shim_location(LLVMValueRef Instruction, char *Buffer, size_t Capacity);

// Gives To, a function or a call, the attributes of Call that decide how arguments travel.
void static_call_shim_copy_abi_attributes(LLVMValueRef Call, LLVMValueRef To);
// Whether a call agrees in those attributes with a function.
bool static_call_shim_same_abi(LLVMValueRef Call, LLVMValueRef Function);
bool static_call_shim_has_sret(LLVMValueRef Call);

// Calls Callee with the parameters of Function, in a form that takes no stack; the call is marked
// as a must-be tail call, and the operand bundles of Site that speak of an indirect call go with it.
LLVMValueRef static_call_shim_forward(LLVMBuilderRef Builder, LLVMValueRef Function,
                                      LLVMValueRef Callee, LLVMValueRef Site);

// Makes Site call Callee directly. Site may be replaced (bundles that only an indirect call may
// carry are left out); the call that stands there afterwards is returned.
LLVMValueRef static_call_shim_retarget(LLVMValueRef Site, LLVMValueRef Callee);

void static_call_shim_append_to_compiler_used(LLVMModuleRef Module, LLVMValueRef Global);
void static_call_shim_append_to_constructors(LLVMModuleRef Module, LLVMValueRef Function,
                                             LLVMValueRef Data, int Priority);
void static_call_shim_append_to_destructors(LLVMModuleRef Module, LLVMValueRef Function,
                                            LLVMValueRef Data, int Priority);
void static_call_shim_set_associated(LLVMValueRef Global, LLVMValueRef With);
}
