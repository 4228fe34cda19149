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

struct StaticCallText {
  const char *Data;
  size_t Length;
};

// Machine stage: how a call of a trampoline has to lie in memory.
struct StaticCallSiteLayout {
  uint32_t Log2Align; // the boundary that the instruction must not cross, 0 for none
  uint32_t MaxBytes;  // the most padding that this can need
  StaticCallText Padding; // the byte to pad with; empty: no-ops
  uint32_t MaxFunction; // a function that is longer, in bytes, has no recorded sites; 0: any may have some
  StaticCallText Assembler; // what to write instead of the instruction, with the trampoline as $0; empty: nothing
  bool OnlyPairs; // only for what a later pass makes two instructions of
  StaticCallText Before;    // what to write before it
  StaticCallText Behind;    // and behind it, in the place of a no-op that belongs to it
  uint32_t Skip;            // not zero: no site; where it enters the trampoline
};
enum StaticCallSiteKind : uint32_t { SiteCall = 0, SiteJump = 1, SiteConditionalJump = 2 };
// False where such a site cannot be recorded on this architecture.
bool static_call_site_layout(const char *Triple, size_t TripleLength, uint32_t Kind,
                             const char *Instruction, StaticCallSiteLayout *Layout);

// Names from the layout definition.
StaticCallText static_call_trampoline_prefix();
StaticCallText static_call_sites_section();
// The image descriptor, and the group of it, of its anchors and of what registers it.
StaticCallText static_call_image();
StaticCallText static_call_constructor();
// Assembler in the constructor that the machine stage takes out.
StaticCallText static_call_refusal();
StaticCallText static_call_anchor_prefix();
// Our sections in the order in which they lie in memory; behind the last one, an empty text.
StaticCallText static_call_section(size_t Index);
// The name in remarks and pass pipelines.
StaticCallText static_call_pass_name();

// ---- What the shim provides ------------------------------------------------------------------

// Registers both stages with the PassBuilder that a compiler hands to a plugin.
void static_call_shim_register(void *PassBuilder);

// Registers the machine stage alone. More than once does no harm.
void static_call_shim_register_machine_stage(void);

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

// Gives Function the attributes of Call that decide how arguments travel.
void static_call_shim_copy_abi_attributes(LLVMValueRef Call, LLVMValueRef Function);
// Whether a call agrees in those attributes with a function.
bool static_call_shim_same_abi(LLVMValueRef Call, LLVMValueRef Function);
bool static_call_shim_has_sret(LLVMValueRef Call);

// Why Site, a call, must stay an indirect call, or null.
const char *static_call_shim_needs_indirect_call(LLVMValueRef Site);

bool static_call_shim_is_must_tail(LLVMValueRef Site);
// Has Site, a call, never become a jump.
void static_call_shim_prevent_tail_call(LLVMValueRef Site);

// Makes Site, a call, call Callee directly.
void static_call_shim_retarget(LLVMValueRef Site, LLVMValueRef Callee);

// Replaces an invoke by a call and a branch.
LLVMValueRef static_call_shim_call_for_invoke(LLVMValueRef Invoke);

// Whether code may address the global without a table of the linker's.
bool static_call_shim_is_dso_local(LLVMValueRef Global);

// Whether every call of the module is one with a 32-bit displacement.
bool static_call_shim_calls_reach(LLVMModuleRef Module);

// Puts a global variable before all others of its module.
void static_call_shim_move_to_front(LLVMModuleRef Module, LLVMValueRef Global);

// Gives a function what the module's flags ask of every function: landing pads for indirect branches, say.
void static_call_shim_set_default_attributes(LLVMModuleRef Module, LLVMValueRef Function);

void static_call_shim_append_to_compiler_used(LLVMModuleRef Module, const LLVMValueRef *Globals,
                                              size_t Count);
void static_call_shim_append_to_constructors(LLVMModuleRef Module, LLVMValueRef Function,
                                             LLVMValueRef Data, int Priority);
void static_call_shim_append_to_destructors(LLVMModuleRef Module, LLVMValueRef Function,
                                            LLVMValueRef Data, int Priority);
void static_call_shim_set_associated(LLVMValueRef Global, LLVMValueRef With);
}
