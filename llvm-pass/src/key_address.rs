//! Which key a pointer names, if that is known at compile time.

use inkwell::AddressSpace;
use inkwell::module::Module;
use inkwell::values::{AsValueRef, GlobalValue, PointerValue};
use llvm_sys::core::{
    LLVMGetAlignment, LLVMGetArrayLength2, LLVMGetElementType, LLVMGlobalGetValueType, LLVMIsAFunction,
    LLVMIsAGlobalVariable, LLVMIsDeclaration, LLVMIsGlobalConstant, LLVMIsThreadLocal, LLVMTypeIsSized,
};
use llvm_sys::prelude::LLVMValueRef;
use llvm_sys::target::{LLVMABISizeOfType, LLVMGetModuleDataLayout};
use static_call_abi::{self as abi, TypeCheck};

use crate::enums::{Linkage, TypeKind};
use crate::{module, shim};

/// A key that a call names: a global, or a field of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeyAddress<'ctx> {
    pub(crate) global: GlobalValue<'ctx>,
    pub(crate) offset: i64,
}

impl<'ctx> KeyAddress<'ctx> {
    /// The key's symbol, with its offset in a larger static.
    pub(crate) fn symbol(self) -> String {
        let name = self.global.get_name().to_string_lossy();
        match self.offset {
            0 => name.into_owned(),
            offset => format!("{name}+{offset}"),
        }
    }

    /// The name of its trampoline. GNU as must accept it without quotes, as the symbol that a section is
    /// linked to. Every other byte is written as `..xHH`, and so is a period that would look like the start
    /// of such an escape.
    ///
    /// [`abi::CHECK_INFIX`] says what follows.
    pub(crate) fn trampoline(self, check: Option<TypeCheck>) -> String {
        let symbol = self.symbol();
        let mut name = abi::TRAMPOLINE_PREFIX.to_owned();
        for (at, &byte) in symbol.as_bytes().iter().enumerate() {
            let is_plain = byte.is_ascii_alphanumeric()
                || byte == b'_'
                || (byte == b'.' && !symbol.as_bytes()[at..].starts_with(b"..x"));
            if is_plain {
                name.push(byte.into());
            } else {
                name += &format!("..x{byte:02x}");
            }
        }
        name + &suffix(check)
    }

    /// The name of that trampoline's record.
    pub(crate) fn record(self, check: Option<TypeCheck>) -> String {
        format!("{}{}{}", abi::RECORD_PREFIX, self.symbol(), suffix(check))
    }

    /// The symbol in readable form, for messages.
    pub(crate) fn display(self) -> String {
        format!("{:#}", rustc_demangle::demangle(&self.symbol()))
    }

    /// Whether assembler can name this symbol, and no other key has it in any module of the image.
    ///
    /// LLVM allows any byte in a name. This refuses the bytes that [`Self::symbol`] would change or add, and
    /// NUL, which ends a name in C. No compiler uses them.
    pub(crate) fn has_ordinary_symbol(self) -> bool {
        let name = module::name(self.global.as_value_ref());
        let unique = || std::str::from_utf8(name).is_ok_and(|name| !name.contains(['+', '\0']));
        !name.first().is_some_and(u8::is_ascii_digit) && (self.is_local() || unique())
    }

    pub(crate) fn pointer(self, module: &Module<'ctx>) -> PointerValue<'ctx> {
        let context = module.get_context();
        let offset = context.i64_type().const_int(self.offset.cast_unsigned(), true);
        let base = self.global.as_pointer_value();
        if self.offset == 0 {
            return base;
        }
        // SAFETY: the caller has checked that the key is inside the global.
        unsafe { base.const_gep(context.i8_type(), &[offset]) }
    }

    /// Whether other modules cannot name this key.
    pub(crate) fn is_local(self) -> bool {
        self.linkage().is_local()
    }

    fn linkage(self) -> Linkage {
        // SAFETY: a global variable, alive.
        unsafe { Linkage::of(self.global.as_value_ref()) }
    }
}

/// What the check of a trampoline adds to names.
fn suffix(check: Option<TypeCheck>) -> String {
    check.map_or_else(String::new, |TypeCheck { distance, hash }| {
        format!("{}{distance}.{hash:08x}", abi::CHECK_INFIX)
    })
}

const THREAD_LOCAL: &str = "a static call's key cannot be thread-local: its call sites are code, \
     which all threads share; make the key an ordinary static";

/// What the intrinsic's argument is.
pub(crate) enum Argument<'ctx> {
    Key(KeyAddress<'ctx>),
    /// Correct, but not known at compile time; the reason, for the remark.
    Unknown(&'static str),
    /// Not a key; the error message.
    Invalid(String),
}

pub(crate) fn classify<'ctx>(module: &Module<'ctx>, pointer: LLVMValueRef) -> Argument<'ctx> {
    let (base, offset) = shim::strip_offsets(module, pointer);
    if shim::is_thread_local_address(base) {
        return Argument::Invalid(THREAD_LOCAL.to_owned());
    }
    // SAFETY: `base` is alive.
    if unsafe { !LLVMIsAFunction(base).is_null() } {
        return Argument::Invalid(no_key(base, "a function"));
    }
    // SAFETY: `base` is alive.
    if unsafe { LLVMIsAGlobalVariable(base) }.is_null() {
        return Argument::Unknown("the key is not a constant at this place");
    }
    // SAFETY: `base` is a global variable.
    let (global, thread_local, constant, alignment) = unsafe {
        (
            GlobalValue::new(base),
            LLVMIsThreadLocal(base) != 0,
            LLVMIsGlobalConstant(base) != 0,
            LLVMGetAlignment(base),
        )
    };
    let key = KeyAddress { global, offset };
    let key_size = module::layout(module).key().cast_signed();
    let size = size_of(module, base, key_size);
    let word = module::pointer_size(module);
    if thread_local {
        Argument::Invalid(THREAD_LOCAL.to_owned())
    } else if key.linkage() == Linkage::EXTERNAL_WEAK {
        Argument::Unknown("the key is a weak reference, which may be null")
    } else if global.as_pointer_value().get_type().get_address_space() != AddressSpace::default() {
        Argument::Unknown("the key is in another address space")
    } else if constant {
        Argument::Invalid(no_key(base, "a constant"))
    } else if offset < 0 || offset.checked_add(key_size).is_none_or(|end| end > size) {
        let what = format!("{key_size} bytes at offset {offset} of an object of {size}");
        Argument::Invalid(no_key(base, &what))
    } else if (alignment != 0 && alignment < word) || offset % i64::from(word) != 0 {
        Argument::Invalid(no_key(base, "not aligned like a pointer"))
    } else if !key.has_ordinary_symbol() {
        Argument::Unknown("the key's symbol is not an ordinary name")
    } else {
        Argument::Key(key)
    }
}

/// How many bytes of a global may be part of a key.
fn size_of(module: &Module<'_>, global: LLVMValueRef, key_size: i64) -> i64 {
    // SAFETY: a global variable, alive; only a sized type is measured.
    unsafe {
        let layout = LLVMGetModuleDataLayout(module.as_mut_ptr());
        let measure = |ty| match LLVMTypeIsSized(ty) {
            0 => 0,
            _ => i64::try_from(LLVMABISizeOfType(layout, ty)).unwrap_or(i64::MAX),
        };
        let ty = LLVMGlobalGetValueType(global);
        // `extern struct static_call_key table[];`: only another module knows its length.
        let unbounded = LLVMIsDeclaration(global) != 0
            && TypeKind::of(ty) == TypeKind::ARRAY
            && LLVMGetArrayLength2(ty) == 0
            && measure(LLVMGetElementType(ty)) >= key_size;
        if unbounded { i64::MAX } else { measure(ty) }
    }
}

/// The error message for an argument that is not a key.
fn no_key(global: LLVMValueRef, what: &str) -> String {
    format!(
        "`{}` is not a static call key ({what}): declare it with static_call::define! in Rust or \
         DEFINE_STATIC_CALL in C",
        String::from_utf8_lossy(module::name(global)),
    )
}
