// The flat C interface between the pass, written in Rust, and LLVM's C++ interface.
//
// Rust uses LLVM's C interface where it can, so this has only what that lacks. No C++ type crosses this
// border. Whatever depends on LLVM's version belongs in the other files, which are compiled once for each.
#pragma once

#include "llvm-c/Types.h"
#include <cstddef>
#include <cstdint>

extern "C" {

// ---- What the Rust side provides -------------------------------------------------------------

// IR stage: lowers the module's intrinsics. True if anything changed.
bool static_call_lower_module(LLVMModuleRef Module);

struct StaticCallText {
  const char *Data;
  size_t Length;
};

// Machine stage: how a call of a trampoline must be placed and written.
struct StaticCallSiteLayout {
  uint32_t Log2Align;       // the boundary that the instruction must not cross, 0 for none
  uint32_t MaxBytes;        // the most padding that this can need
  StaticCallText Padding;   // the byte to pad with; empty: no-ops
  uint32_t Prefixes;        // how many such bytes there always are
  uint32_t MaxFunction;     // a longer function, in bytes, has no recorded sites; 0: no limit
  StaticCallText Assembler; // written instead of the instruction, with the trampoline as $0; empty: nothing
  bool OnlyPairs;           // only for an instruction that a later pass makes a pair
  StaticCallText Before;    // written before the instruction
  StaticCallText After;     // written after it, in place of a no-op that belongs to it
  uint32_t Skip;            // not zero: not a site; the call enters the trampoline at this offset
};
enum StaticCallSiteKind : uint32_t { SiteCall = 0, SiteJump = 1, SiteConditionalJump = 2 };
// A target with call sites; opaque here.
struct StaticCallTarget;
// The target of a triple, or null if it has no sites.
const StaticCallTarget *static_call_target(const char *Triple, size_t Length);
// False where such a site cannot be recorded on this architecture.
bool static_call_site_layout(const StaticCallTarget *Target, uint32_t Kind, const char *Instruction,
                             StaticCallSiteLayout *Layout);

// Names that both sides use.
struct StaticCallNames {
  StaticCallText Pass; // in remarks and pass pipelines; a NUL follows it
  StaticCallText TrampolinePrefix;
  StaticCallText Image; // the descriptor, and its group, with the anchors and what registers the image
  StaticCallText Constructor;
  StaticCallText Destructor;
  StaticCallText Refusal; // assembler in the constructor that the machine stage removes
  StaticCallText AnchorPrefix;
  StaticCallText SitesSection;
  StaticCallText Sections[5]; // in their order in memory
  StaticCallText CoffSitesSection;
};
const StaticCallNames *static_call_names(void);

// ---- What the shim provides ------------------------------------------------------------------

// Registers both stages with the PassBuilder that a compiler hands to a plugin.
void static_call_shim_register(void *PassBuilder);

// Registers the machine stage alone. More than once does no harm.
void static_call_shim_register_machine_stage(void);

// Whether the machine stage sees what becomes of a module.
bool static_call_shim_has_machine_stage(LLVMModuleRef Module);

// The base of pointer V without casts and constant offsets, and the sum of the offsets.
LLVMValueRef static_call_shim_strip_offsets(LLVMModuleRef Module, LLVMValueRef V, int64_t *Offset);

bool static_call_shim_is_thread_local_address(LLVMValueRef V);

// Optimization remark at an instruction: lowered or missed.
void static_call_shim_remark(LLVMValueRef Instruction, bool Lowered, const char *Message, size_t Length);

// Compile error at an instruction, or, with a null instruction, in the module.
void static_call_shim_error(LLVMModuleRef Module, LLVMValueRef Instruction, const char *Message,
                            size_t Length);

// Writes "file:line:column" of an instruction to Buffer, for messages. Returns its length.
size_t static_call_shim_location(LLVMValueRef Instruction, char *Buffer, size_t Capacity);

// Gives Function the attributes of Call that decide how arguments are passed.
void static_call_shim_copy_abi_attributes(LLVMValueRef Call, LLVMValueRef Function);
// Whether a call and a function agree in those attributes.
bool static_call_shim_same_abi(LLVMValueRef Call, LLVMValueRef Function);
bool static_call_shim_has_sret(LLVMValueRef Call);

// Whether the function that Site, a call, is in hardens its loads against speculation.
bool static_call_shim_hardens_loads(LLVMValueRef Site);

// Whether the function that Site, a call, is in must not end with a plain return.
bool static_call_shim_returns_with_care(LLVMValueRef Site);

bool static_call_shim_is_must_tail(LLVMValueRef Site);
// Keeps Site, a call, from becoming a jump.
void static_call_shim_prevent_tail_call(LLVMValueRef Site);

// Makes Site, a call, call Callee directly.
void static_call_shim_retarget(LLVMValueRef Site, LLVMValueRef Callee);

// The hash that Site, a call, expects before its target, if it has one that is known and no argument lies
// where the check of a trampoline may.
bool static_call_shim_type_check(LLVMValueRef Site, uint32_t *Hash);
// The same call without that hash, in place of Site.
LLVMValueRef static_call_shim_drop_type_check(LLVMValueRef Site);
// Gives Function another hash, if it has one. Returns whether it has.
bool static_call_shim_replace_type(LLVMValueRef Function, uint32_t Hash);

// Replaces an invoke by a call and a branch.
LLVMValueRef static_call_shim_call_for_invoke(LLVMValueRef Invoke);

// Whether code may address the global without the GOT.
bool static_call_shim_is_dso_local(LLVMValueRef Global);

// Whether calls in the module's code model are direct and reach the tables.
bool static_call_shim_calls_reach(LLVMModuleRef Module);

// Whether code generation allocates registers across functions.
bool static_call_shim_allocates_across_functions(void);

// Puts a global variable before all others of its module.
void static_call_shim_move_to_front(LLVMModuleRef Module, LLVMValueRef Global);

// Gives a function the attributes that the module's flags ask of every function, such as landing pads.
void static_call_shim_set_default_attributes(LLVMModuleRef Module, LLVMValueRef Function);

void static_call_shim_append_to_compiler_used(LLVMModuleRef Module, const LLVMValueRef *Globals,
                                              size_t Count);
void static_call_shim_append_to_constructors(LLVMModuleRef Module, LLVMValueRef Function, LLVMValueRef Data,
                                             int Priority);
void static_call_shim_append_to_destructors(LLVMModuleRef Module, LLVMValueRef Function, LLVMValueRef Data,
                                            int Priority);
// LLVM's C interface has this since version 19.
void static_call_shim_set_prefix_data(LLVMValueRef Function, LLVMValueRef Data);
void static_call_shim_set_associated(LLVMValueRef Global, LLVMValueRef With);
}

// The functions as they were compiled for one LLVM, in the order above. The Rust side chooses one of these.
struct StaticCallShim {
  decltype(&static_call_shim_register) Register;
  decltype(&static_call_shim_register_machine_stage) RegisterMachineStage;
  decltype(&static_call_shim_has_machine_stage) HasMachineStage;
  decltype(&static_call_shim_strip_offsets) StripOffsets;
  decltype(&static_call_shim_is_thread_local_address) IsThreadLocalAddress;
  decltype(&static_call_shim_remark) Remark;
  decltype(&static_call_shim_error) Error;
  decltype(&static_call_shim_location) Location;
  decltype(&static_call_shim_copy_abi_attributes) CopyAbiAttributes;
  decltype(&static_call_shim_same_abi) SameAbi;
  decltype(&static_call_shim_has_sret) HasSret;
  decltype(&static_call_shim_hardens_loads) HardensLoads;
  decltype(&static_call_shim_returns_with_care) ReturnsWithCare;
  decltype(&static_call_shim_is_must_tail) IsMustTail;
  decltype(&static_call_shim_prevent_tail_call) PreventTailCall;
  decltype(&static_call_shim_retarget) Retarget;
  decltype(&static_call_shim_type_check) TypeCheck;
  decltype(&static_call_shim_drop_type_check) DropTypeCheck;
  decltype(&static_call_shim_replace_type) ReplaceType;
  decltype(&static_call_shim_call_for_invoke) CallForInvoke;
  decltype(&static_call_shim_is_dso_local) IsDsoLocal;
  decltype(&static_call_shim_calls_reach) CallsReach;
  decltype(&static_call_shim_allocates_across_functions) AllocatesAcrossFunctions;
  decltype(&static_call_shim_move_to_front) MoveToFront;
  decltype(&static_call_shim_set_default_attributes) SetDefaultAttributes;
  decltype(&static_call_shim_append_to_compiler_used) AppendToCompilerUsed;
  decltype(&static_call_shim_append_to_constructors) AppendToConstructors;
  decltype(&static_call_shim_append_to_destructors) AppendToDestructors;
  decltype(&static_call_shim_set_prefix_data) SetPrefixData;
  decltype(&static_call_shim_set_associated) SetAssociated;
};
