//! The assembler that the pass shares with Rust's macros: `runtime/abi/src/assembler`.

/// One of its texts as inline assembler of LLVM's: the key's symbol is operand 0, and the key is `offset`
/// bytes into it.
pub(super) fn inline(text: &str, offset: i64) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    // A dollar sign starts an operand.
    let text = lines.join("\n\t").replace('$', "$$");
    text.replace("{key}", "${0:c}").replace("{offset}", &offset.to_string())
}
