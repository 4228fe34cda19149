// What LLVM's C interface lacks, in functions that look at one value or change one.
#include "shim.h"
#include "code_generation.h"
#include "names.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/IR/Constants.h"
#include "llvm/IR/DebugInfoMetadata.h"
#include "llvm/IR/DiagnosticInfo.h"
#include "llvm/IR/InstrTypes.h"
#include "llvm/IR/Instructions.h"
#include "llvm/IR/IntrinsicInst.h"
#include "llvm/IR/Module.h"
#include "llvm/Transforms/Utils/Local.h"
#include "llvm/Transforms/Utils/ModuleUtils.h"

using namespace llvm;

namespace {

// The attributes that LLVM's verifier compares for a `musttail` call.
constexpr Attribute::AttrKind AbiAttributes[] = {
    Attribute::StructRet, Attribute::ByVal,        Attribute::InAlloca,      Attribute::InReg,
    Attribute::ByRef,     Attribute::SwiftSelf,    Attribute::SwiftAsync,    Attribute::SwiftError,
    Attribute::Nest,      Attribute::Preallocated, Attribute::StackAlignment};
// These matter to the caller and the callee, but two sites of one key may differ in them.
constexpr Attribute::AttrKind ExtensionAttributes[] = {Attribute::ZExt, Attribute::SExt};

AttrBuilder abiAttributes(LLVMContext &Context, AttributeList Attributes, unsigned Argument) {
  AttrBuilder Kept(Context);
  for (Attribute::AttrKind Kind : AbiAttributes)
    if (Attribute Found = Attributes.getParamAttr(Argument, Kind); Found.isValid())
      Kept.addAttribute(Found);
  if (Kept.contains(Attribute::ByVal) || Kept.contains(Attribute::ByRef))
    if (Attribute Align = Attributes.getParamAttr(Argument, Attribute::Alignment); Align.isValid())
      Kept.addAttribute(Align);
  return Kept;
}

AttributeList abiAttributes(const CallBase &Call) {
  LLVMContext &Context = Call.getContext();
  AttributeList From = Call.getAttributes();
  SmallVector<AttributeSet, 8> Parameters;
  for (unsigned I = 0; I != Call.getFunctionType()->getNumParams(); ++I) {
    AttrBuilder Kept = abiAttributes(Context, From, I);
    for (Attribute::AttrKind Kind : ExtensionAttributes)
      if (From.hasParamAttr(I, Kind))
        Kept.addAttribute(Kind);
    Parameters.push_back(AttributeSet::get(Context, Kept));
  }
  AttrBuilder Return(Context);
  for (Attribute::AttrKind Kind : ExtensionAttributes)
    if (From.hasRetAttr(Kind))
      Return.addAttribute(Kind);
  if (From.hasRetAttr(Attribute::InReg))
    Return.addAttribute(Attribute::InReg);
  return AttributeList::get(Context, AttributeSet(), AttributeSet::get(Context, Return), Parameters);
}

} // namespace

extern "C" {

LLVMValueRef static_call_shim_strip_offsets(LLVMModuleRef M, LLVMValueRef V, int64_t *Offset) {
  const DataLayout &Layout = unwrap(M)->getDataLayout();
  Value *Pointer = unwrap(V);
  APInt Sum(Layout.getIndexTypeSizeInBits(Pointer->getType()), 0);
  Value *Base = Pointer->stripAndAccumulateConstantOffsets(Layout, Sum, /*AllowNonInbounds=*/true);
  *Offset = Sum.getSExtValue();
  return wrap(Base);
}

bool static_call_shim_is_thread_local_address(LLVMValueRef V) {
  auto *Call = dyn_cast<IntrinsicInst>(unwrap(V));
  return Call && Call->getIntrinsicID() == Intrinsic::threadlocal_address;
}

void static_call_shim_remark(LLVMValueRef Instruction, bool Lowered, const char *Message, size_t Length) {
  auto *I = unwrap<llvm::Instruction>(Instruction);
  LLVMContext &Context = I->getContext();
  StringRef Name = text(names().Pass);
  // The front end prints only the remarks of the passes that it was asked for.
  if (Lowered) {
    OptimizationRemark Remark(Name.data(), "Lowered", I);
    Context.diagnose(Remark << StringRef(Message, Length));
  } else {
    OptimizationRemarkMissed Remark(Name.data(), "NotLowered", I);
    Context.diagnose(Remark << StringRef(Message, Length));
  }
}

void static_call_shim_error(LLVMModuleRef M, LLVMValueRef Instruction, const char *Message, size_t Length) {
  StringRef Text(Message, Length);
  LLVMContext &Context = unwrap(M)->getContext();
  if (auto *I = Instruction ? dyn_cast<llvm::Instruction>(unwrap(Instruction)) : nullptr)
    Context.diagnose(DiagnosticInfoUnsupported(*I->getFunction(), Text, I->getDebugLoc()));
  else
    Context.emitError(Text);
}

size_t static_call_shim_location(LLVMValueRef Instruction, char *Buffer, size_t Capacity) {
  auto *I = unwrap<llvm::Instruction>(Instruction);
  std::string Place;
  if (const DebugLoc &Loc = I->getDebugLoc()) {
    const DILocation *L = Loc.get();
    Place = (L->getFilename() + ":" + Twine(L->getLine()) + ":" + Twine(L->getColumn())).str();
  } else {
    Place = ("function " + I->getFunction()->getName()).str();
  }
  size_t Length = std::min(Place.size(), Capacity);
  std::copy_n(Place.begin(), Length, Buffer);
  return Length;
}

void static_call_shim_copy_abi_attributes(LLVMValueRef Call, LLVMValueRef Function) {
  unwrap<llvm::Function>(Function)->setAttributes(abiAttributes(*unwrap<CallBase>(Call)));
}

bool static_call_shim_same_abi(LLVMValueRef Call, LLVMValueRef Function) {
  const auto &CB = *unwrap<CallBase>(Call);
  const auto &F = *unwrap<llvm::Function>(Function);
  if (CB.getCallingConv() != F.getCallingConv() || CB.getFunctionType() != F.getFunctionType())
    return false;
  for (unsigned I = 0; I != F.arg_size(); ++I)
    if (abiAttributes(F.getContext(), CB.getAttributes(), I) !=
        abiAttributes(F.getContext(), F.getAttributes(), I))
      return false;
  return CB.getAttributes().hasRetAttr(Attribute::InReg) == F.getAttributes().hasRetAttr(Attribute::InReg);
}

bool static_call_shim_has_sret(LLVMValueRef Call) { return unwrap<CallBase>(Call)->hasStructRetAttr(); }

bool static_call_shim_hardens_loads(LLVMValueRef Site) {
  return hardensLoads(*unwrap<CallBase>(Site)->getFunction());
}

bool static_call_shim_returns_with_care(LLVMValueRef Site) {
  return returnsWithCare(*unwrap<CallBase>(Site)->getFunction());
}

bool static_call_shim_is_must_tail(LLVMValueRef Site) {
  auto *Call = dyn_cast<CallInst>(unwrap(Site));
  return Call && Call->isMustTailCall();
}

void static_call_shim_prevent_tail_call(LLVMValueRef Site) {
  if (auto *Call = dyn_cast<CallInst>(unwrap(Site)))
    Call->setTailCallKind(CallInst::TCK_NoTail);
}

void static_call_shim_retarget(LLVMValueRef Site, LLVMValueRef Callee) {
  auto *Call = unwrap<CallBase>(Site);
  Call->setCalledFunction(unwrap<Function>(Callee));
  // A trampoline is never inlined. The attribute was meant for the function that it jumps to.
  Call->removeFnAttr(Attribute::AlwaysInline);
  // Both describe the functions that an indirect call may reach.
  Call->setMetadata(LLVMContext::MD_callees, nullptr);
  Call->setMetadata(LLVMContext::MD_prof, nullptr);
}

bool static_call_shim_type_check(LLVMValueRef Site, uint32_t *Hash) {
  const auto &Call = *unwrap<CallBase>(Site);
  auto Bundle = Call.getOperandBundle(LLVMContext::OB_kcfi);
  if (!Bundle || Bundle->Inputs.size() != 1 || Call.getAttributes().hasAttrSomewhere(Attribute::Nest))
    return false;
  auto *Type = dyn_cast<ConstantInt>(Bundle->Inputs[0]);
  if (Type)
    *Hash = static_cast<uint32_t>(Type->getZExtValue());
  return Type;
}

LLVMValueRef static_call_shim_drop_type_check(LLVMValueRef Site) {
  auto *Call = unwrap<CallBase>(Site);
  auto *Plain = CallBase::removeOperandBundle(Call, LLVMContext::OB_kcfi, Call->getIterator());
  Plain->copyMetadata(*Call);
  Plain->takeName(Call);
  Call->replaceAllUsesWith(Plain);
  Call->eraseFromParent();
  return wrap(Plain);
}

bool static_call_shim_replace_type(LLVMValueRef Function, uint32_t Hash) {
  auto *F = unwrap<llvm::Function>(Function);
  if (!F->hasMetadata(LLVMContext::MD_kcfi_type))
    return false;
  LLVMContext &Context = F->getContext();
  auto *Type = ConstantInt::get(llvm::Type::getInt32Ty(Context), Hash);
  F->setMetadata(LLVMContext::MD_kcfi_type, MDNode::get(Context, ConstantAsMetadata::get(Type)));
  return true;
}

LLVMValueRef static_call_shim_call_for_invoke(LLVMValueRef Invoke) {
  return wrap(changeToCall(unwrap<InvokeInst>(Invoke)));
}

bool static_call_shim_is_dso_local(LLVMValueRef Global) { return unwrap<GlobalValue>(Global)->isDSOLocal(); }

bool static_call_shim_calls_reach(LLVMModuleRef M) {
  return callsReach(tripleOf(*unwrap(M)), unwrap(M)->getCodeModel().value_or(CodeModel::Small));
}

bool static_call_shim_allocates_across_functions(void) { return isGiven("enable-ipra"); }

void static_call_shim_move_to_front(LLVMModuleRef M, LLVMValueRef Global) {
  auto *Variable = unwrap<GlobalVariable>(Global);
  unwrap(M)->removeGlobalVariable(Variable);
  unwrap(M)->insertGlobalVariable(unwrap(M)->global_begin(), Variable);
}

void static_call_shim_set_default_attributes(LLVMModuleRef M, LLVMValueRef Function) {
  auto *F = unwrap<llvm::Function>(Function);
  llvm::Function *Example = llvm::Function::createWithDefaultAttr(
      F->getFunctionType(), GlobalValue::ExternalLinkage, F->getAddressSpace(), "", unwrap(M));
  F->addFnAttrs(AttrBuilder(F->getContext(), Example->getAttributes().getFnAttrs()));
  Example->eraseFromParent();
}

void static_call_shim_append_to_compiler_used(LLVMModuleRef M, const LLVMValueRef *Globals, size_t Count) {
  SmallVector<GlobalValue *, 8> Values;
  for (LLVMValueRef Global : ArrayRef(Globals, Count))
    Values.push_back(unwrap<GlobalValue>(Global));
  appendToCompilerUsed(*unwrap(M), Values);
}

void static_call_shim_append_to_constructors(LLVMModuleRef M, LLVMValueRef F, LLVMValueRef Data,
                                             int Priority) {
  appendToGlobalCtors(*unwrap(M), unwrap<Function>(F), Priority, cast_or_null<Constant>(unwrap(Data)));
}

void static_call_shim_append_to_destructors(LLVMModuleRef M, LLVMValueRef F, LLVMValueRef Data,
                                            int Priority) {
  appendToGlobalDtors(*unwrap(M), unwrap<Function>(F), Priority, cast_or_null<Constant>(unwrap(Data)));
}

void static_call_shim_set_prefix_data(LLVMValueRef F, LLVMValueRef Data) {
  unwrap<Function>(F)->setPrefixData(unwrap<Constant>(Data));
}

void static_call_shim_set_associated(LLVMValueRef Global, LLVMValueRef With) {
  auto *Object = unwrap<GlobalObject>(Global);
  Object->setMetadata(LLVMContext::MD_associated,
                      MDNode::get(Object->getContext(), ValueAsMetadata::get(unwrap(With))));
}
}
