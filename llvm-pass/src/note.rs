//! Notes about calls that stay indirect, for tools that read the file. See `abi::INDIRECT_SECTION`.

use inkwell::InlineAsmDialect;
use inkwell::attributes::{Attribute, AttributeLoc};
use inkwell::builder::Builder;
use inkwell::module::Module;
use static_call_abi as abi;

use crate::machine::Machine;
use crate::module;

/// `memory(inaccessiblemem: readwrite)`: the assembler touches no memory of the program, but must not be
/// dropped. `llvm/Support/ModRef.h` has two bits for each kind of memory, and this is the second kind.
const INACCESSIBLE_MEMORY: u64 = 3 << 2;

/// Adds a note that the code at `builder` loads a key's pointer. Without a backend in the runtime there is no
/// note, because no tool would read it, and there is none in a format that has no place for it.
///
/// `key` is the key's symbol, or empty if it is not known.
pub(crate) fn load(module: &Module<'_>, builder: &Builder<'_>, key: &[u8], reason: &str) {
    if !Machine::of(module).is_some_and(|machine| machine.format.has_notes()) {
        return;
    }
    let context = module.get_context();
    let ty = context.void_type().fn_type(&[], false);
    let text = assembler(module::pointer_size(module), key, reason);
    let dialect = Some(InlineAsmDialect::ATT);
    let code = context.create_inline_asm(ty, text, String::new(), true, false, dialect, false);
    let call = builder.build_indirect_call(ty, code, &[], "").expect("the builder has a position");
    let attribute =
        |name, value| context.create_enum_attribute(Attribute::get_named_enum_kind_id(name), value);
    for (name, value) in [("nounwind", 0), ("willreturn", 0), ("memory", INACCESSIBLE_MEMORY)] {
        call.add_attribute(AttributeLoc::Function, attribute(name, value));
    }
}

/// The section is linked to the code and is in its group (`?`), so the linker keeps or drops both.
///
/// Each copy of the code has its own note, because LLVM replaces `${:uid}` with a new number in each.
fn assembler(word: u32, key: &[u8], reason: &str) -> String {
    let label = ".Lstatic_call_indirect_${:uid}";
    let (section, key, reason) = (abi::INDIRECT_SECTION, quoted(key), quoted(reason.as_bytes()));
    format!(
        "{label}:\n\t.pushsection {section},\"?o\",%progbits,{label}\n\t.balign {word}\n\t\
         .{word}byte {label}\n\t.asciz {key}\n\t.asciz {reason}\n\t.balign {word}\n\t.popsection"
    )
}

/// A string literal for the assembler. LLVM's inline assembler gives `$` a meaning, so it is doubled.
fn quoted(bytes: &[u8]) -> String {
    let mut quoted = "\"".to_owned();
    for &byte in bytes {
        match byte {
            b'$' => quoted += "$$",
            b' '..=b'~' if !matches!(byte, b'"' | b'\\') => quoted.push(byte.into()),
            _ => quoted += &format!("\\{byte:03o}"),
        }
    }
    quoted.push('"');
    quoted
}
