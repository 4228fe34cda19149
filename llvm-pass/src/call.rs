//! A call of the user's code, asked through LLVM's C interface.

use inkwell::attributes::Attribute;
use inkwell::values::FunctionValue;
use llvm_sys::LLVMAttributeFunctionIndex;
use llvm_sys::core::{
    LLVMDisposeOperandBundle, LLVMGetBasicBlockParent, LLVMGetCallSiteAttributeCount,
    LLVMGetCallSiteAttributes, LLVMGetCallSiteEnumAttribute, LLVMGetCalledFunctionType,
    LLVMGetInstructionCallConv, LLVMGetInstructionParent, LLVMGetNumArgOperands, LLVMGetNumOperandBundles,
    LLVMGetOperandBundleAtIndex, LLVMGetOperandBundleTag, LLVMGetReturnType, LLVMGetStringAttributeKind,
    LLVMIsFunctionVarArg, LLVMIsStringAttribute,
};
use llvm_sys::prelude::LLVMTypeRef;

use crate::shim::Instruction;

impl Instruction {
    /// Its calling convention (`llvm::CallingConv`).
    pub(crate) fn convention(self) -> u32 {
        // SAFETY: the instruction is a call, and alive.
        unsafe { LLVMGetInstructionCallConv(self.0) }
    }

    /// The function that it is in.
    pub(crate) fn caller<'ctx>(self) -> FunctionValue<'ctx> {
        // SAFETY: the instruction is alive, and in a block of a function.
        unsafe { FunctionValue::new(LLVMGetBasicBlockParent(LLVMGetInstructionParent(self.0))) }
            .expect("a block belongs to a function")
    }

    pub(crate) fn is_variadic(self) -> bool {
        // SAFETY: the instruction is a call, which has a function type.
        unsafe { LLVMIsFunctionVarArg(LLVMGetCalledFunctionType(self.0)) != 0 }
    }

    pub(crate) fn result(self) -> LLVMTypeRef {
        // SAFETY: the instruction is a call, which has a function type.
        unsafe { LLVMGetReturnType(LLVMGetCalledFunctionType(self.0)) }
    }

    /// Whether it has an argument with this attribute.
    pub(crate) fn has_argument_with(self, attribute: &str) -> bool {
        let kind = Attribute::get_named_enum_kind_id(attribute);
        // SAFETY: the instruction is a call, and alive.
        let arguments = unsafe { LLVMGetNumArgOperands(self.0) };
        // SAFETY: the instruction is a call. Number 0 is the result, and the arguments follow.
        (1..=arguments).any(|index| unsafe { !LLVMGetCallSiteEnumAttribute(self.0, index, kind).is_null() })
    }

    /// The names of the attributes of the form `"name"` and `"name"="value"` that the call itself has.
    pub(crate) fn string_attributes(self) -> Vec<Vec<u8>> {
        // SAFETY: the instruction is a call. There is room for every attribute, and a name lives as long as
        // its attribute.
        unsafe {
            let count = LLVMGetCallSiteAttributeCount(self.0, LLVMAttributeFunctionIndex) as usize;
            let mut attributes = vec![std::ptr::null_mut(); count];
            LLVMGetCallSiteAttributes(self.0, LLVMAttributeFunctionIndex, attributes.as_mut_ptr());
            attributes.retain(|&attribute| LLVMIsStringAttribute(attribute) != 0);
            let name = |&attribute: &_| {
                let mut length = 0;
                let name = LLVMGetStringAttributeKind(attribute, &raw mut length);
                std::slice::from_raw_parts(name.cast(), length as usize).to_vec()
            };
            attributes.iter().map(name).collect()
        }
    }

    /// Whether it has an operand bundle with one of these tags.
    pub(crate) fn has_bundle(self, tags: &[&str]) -> bool {
        // SAFETY: the instruction is a call. A bundle is ours until it is disposed of, and its tag lives as
        // long.
        (0..unsafe { LLVMGetNumOperandBundles(self.0) }).any(|index| unsafe {
            let bundle = LLVMGetOperandBundleAtIndex(self.0, index);
            let mut length = 0;
            let tag = LLVMGetOperandBundleTag(bundle, &raw mut length);
            let tag = std::slice::from_raw_parts(tag.cast::<u8>(), length);
            let found = tags.iter().any(|wanted| wanted.as_bytes() == tag);
            LLVMDisposeOperandBundle(bundle);
            found
        })
    }
}
