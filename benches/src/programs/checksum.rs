//! CRC-32C of a file, piece by piece, with the function that suits the processor.

use crate::case::Case;

/// The example's.
#[path = "../../../examples/checksum/src/crc32c.rs"]
mod crc32c;

switchable! { mod dispatched: fn(crc: u32, data: &[u8]) -> u32 = crate::checksum::crc32c::by_table }

/// The function that a program compiled for this processor alone would call.
#[inline(never)]
fn known(crc: u32, data: &[u8]) -> u32 {
    #[cfg(target_arch = "x86_64")]
    return crc32c::by_instruction(crc, data);
    #[cfg(not(target_arch = "x86_64"))]
    crc32c::by_table(crc, data)
}

#[inline(always)]
fn whole(file: &[u8], piece: usize, checksum: impl Fn(u32, &[u8]) -> u32) -> u64 {
    u64::from(file.chunks(piece).fold(0, checksum))
}

pub(crate) fn cases<'file>(file: &'file [u8]) -> Vec<Case<'file>> {
    #[cfg(target_arch = "x86_64")]
    assert!(std::arch::is_x86_feature_detected!("sse4.2"), "this processor has no instruction for CRC-32C");
    let best = crc32c::best();
    let can_know = best(0, b"static call") == known(0, b"static call");
    assert!(can_know, "two implementations of CRC-32C differ");
    dispatched::choose(known);
    let pieces = [(16, "16 bytes"), (64, "64 bytes"), (1 << 10, "1 KiB"), (1 << 20, "1 MiB")];
    let cases = pieces.into_iter().flat_map(|(piece, size)| {
        // Short pieces are slower.
        let file = if piece < 1_024 { &file[..file.len().min(256 << 10)] } else { file };
        let case = |form, run: Box<dyn Fn() -> u64 + 'file>| Case {
            name: format!("checksum/{size}/{form}"),
            amount: file.len(),
            run,
        };
        [
            case("direct", Box::new(move || whole(file, piece, known))),
            case("static", Box::new(move || whole(file, piece, dispatched::by_key))),
            case("pointer", Box::new(move || whole(file, piece, dispatched::by_pointer))),
        ]
    });
    cases.collect()
}
