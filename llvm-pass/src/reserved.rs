//! Names that are reserved for static-call: a user's symbol with such a name is an error.

use inkwell::AddressSpace;
use inkwell::module::Module;
use inkwell::types::{AsTypeRef, FunctionType};
use inkwell::values::{AsValueRef, FunctionValue, GlobalValue};
use llvm_sys::core::{
    LLVMCountParamTypes, LLVMGetFirstFunction, LLVMGetFirstGlobal, LLVMGetFirstGlobalAlias,
    LLVMGetFirstGlobalIFunc, LLVMGetNextFunction, LLVMGetNextGlobal, LLVMGetNextGlobalAlias,
    LLVMGetNextGlobalIFunc, LLVMGetParamTypes, LLVMGetReturnType, LLVMGlobalGetValueType, LLVMIsAFunction,
    LLVMIsAGlobalVariable, LLVMIsFunctionVarArg,
};
use llvm_sys::prelude::LLVMValueRef;
use static_call_abi as abi;

use crate::enums::{Linkage, TypeKind};
use crate::machine::Machine;
use crate::{image, module, record, shim};

/// Reports every symbol that has a reserved name and is not the pass's own. True if there is one.
pub(crate) fn refuse_names(module: &Module<'_>) -> bool {
    let mut refused = false;
    for symbol in symbols(module) {
        let name = module::name(symbol);
        let Some(name) = reserved(name).filter(|name| !is_legitimate(module, symbol, name)) else { continue };
        refused = true;
        shim::error(
            module,
            &format!(
                "the symbol `{name}` is reserved for static calls: names that start with `{}` are \
                 made by static-call; choose another name",
                abi::RESERVED_PREFIX,
            ),
        );
    }
    refused
}

/// The name, if it is reserved.
fn reserved(name: &[u8]) -> Option<String> {
    let reserved = name.starts_with(abi::RESERVED_PREFIX.as_bytes());
    reserved.then(|| String::from_utf8_lossy(name).into_owned())
}

/// Whether the symbol is static-call's own.
fn is_legitimate(module: &Module<'_>, symbol: LLVMValueRef, name: &str) -> bool {
    // SAFETY: the symbol is alive, and its kind is checked first.
    unsafe {
        if !LLVMIsAFunction(symbol).is_null() {
            FunctionValue::new(symbol).is_some_and(|function| is_our_function(module, function, name))
        } else if !LLVMIsAGlobalVariable(symbol).is_null() {
            let global = GlobalValue::new(symbol);
            image::is_our_descriptor(module, global)
                || Machine::of(module).is_some_and(|machine| {
                    let format = machine.format;
                    image::is_our_anchor(format, global, name) || record::is_ours(format, global)
                })
        } else {
            false
        }
    }
}

fn is_our_function(module: &Module<'_>, function: FunctionValue<'_>, name: &str) -> bool {
    let context = module.get_context();
    let pointer = context.ptr_type(AddressSpace::default());
    // SAFETY: the function is alive.
    let local = unsafe { Linkage::of(function.as_value_ref()) }.is_local();
    // SAFETY: the function is alive.
    let has_type =
        |ty: FunctionType<'_>| unsafe { LLVMGlobalGetValueType(function.as_value_ref()) } == ty.as_type_ref();
    match name {
        _ if module::is_ours(function) => true,
        abi::INTRINSIC => takes_and_returns_a_pointer(function),
        abi::REGISTER | abi::UNREGISTER => {
            !local && has_type(context.void_type().fn_type(&[pointer.into()], false))
        }
        _ if abi::FUNCTIONS.contains(&name) => !local,
        _ => local && abi::LOCAL_FUNCTIONS.contains(&name),
    }
}

/// Whether the function has the intrinsic's type. Where code or the stack has its own address space (AVR,
/// R600), C's pointers to functions or objects are of that one.
fn takes_and_returns_a_pointer(function: FunctionValue<'_>) -> bool {
    // SAFETY: the function is alive; there is room for its only parameter.
    unsafe {
        let is_pointer = |ty| TypeKind::of(ty) == TypeKind::POINTER;
        let ty = LLVMGlobalGetValueType(function.as_value_ref());
        let mut parameter = std::ptr::null_mut();
        if LLVMCountParamTypes(ty) != 1 || LLVMIsFunctionVarArg(ty) != 0 {
            return false;
        }
        LLVMGetParamTypes(ty, &raw mut parameter);
        is_pointer(parameter) && is_pointer(LLVMGetReturnType(ty))
    }
}

/// All symbols: functions, variables, aliases and ifuncs.
fn symbols(module: &Module<'_>) -> Vec<LLVMValueRef> {
    type Next = unsafe extern "C" fn(LLVMValueRef) -> LLVMValueRef;
    let raw = module.as_mut_ptr();
    // SAFETY: the module is alive, and nothing is added to it meanwhile.
    unsafe {
        let lists: [(LLVMValueRef, Next); 4] = [
            (LLVMGetFirstFunction(raw), LLVMGetNextFunction),
            (LLVMGetFirstGlobal(raw), LLVMGetNextGlobal),
            (LLVMGetFirstGlobalAlias(raw), LLVMGetNextGlobalAlias),
            (LLVMGetFirstGlobalIFunc(raw), LLVMGetNextGlobalIFunc),
        ];
        let some = |symbol: LLVMValueRef| (!symbol.is_null()).then_some(symbol);
        let list = |(first, next): (LLVMValueRef, Next)| {
            std::iter::successors(some(first), move |&symbol| some(next(symbol)))
        };
        lists.into_iter().flat_map(list).collect()
    }
}
