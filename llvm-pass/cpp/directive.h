// Assembler that the machine stage adds to a function.
#pragma once

#include "llvm/CodeGen/MachineFunction.h"
#include "llvm/CodeGen/MachineInstrBuilder.h"
#include "llvm/CodeGen/TargetInstrInfo.h"
#include "llvm/CodeGen/TargetSubtargetInfo.h"
#include "llvm/IR/InlineAsm.h"
#include <string>

namespace static_call {

inline llvm::MachineInstr &insertDirective(llvm::MachineFunction &MF, llvm::MachineBasicBlock &Block,
                                           llvm::MachineBasicBlock::iterator Before,
                                           const std::string &Directive,
                                           const llvm::DebugLoc &Location = llvm::DebugLoc()) {
  const llvm::TargetInstrInfo *TII = MF.getSubtarget().getInstrInfo();
  return *BuildMI(Block, Before, Location, TII->get(llvm::TargetOpcode::INLINEASM))
              .addExternalSymbol(MF.createExternalSymbolName(Directive))
              .addImm(llvm::InlineAsm::Extra_HasSideEffects);
}

} // namespace static_call
