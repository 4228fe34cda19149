//! CRC-32C (Castagnoli, as in iSCSI, RFC 3720): by a table, and by the processor's own instruction.

/// The best implementation for this processor.
pub(crate) fn best() -> fn(u32, &[u8]) -> u32 {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("sse4.2") {
        return by_instruction;
    }
    by_table
}

/// The polynomial, its bits reversed.
const POLYNOMIAL: u32 = 0x82f6_3b78;

const TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ POLYNOMIAL } else { crc >> 1 };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
};

/// Byte by byte, on any processor.
pub(crate) fn by_table(crc: u32, data: &[u8]) -> u32 {
    !data.iter().fold(!crc, |crc, byte| TABLE[usize::from(crc as u8 ^ byte)] ^ (crc >> 8))
}

/// Eight bytes at a time. Only for processors with SSE4.2.
#[cfg(target_arch = "x86_64")]
pub(crate) fn by_instruction(crc: u32, data: &[u8]) -> u32 {
    use std::arch::x86_64::{_mm_crc32_u8, _mm_crc32_u64};

    #[target_feature(enable = "sse4.2")]
    fn run(crc: u32, data: &[u8]) -> u32 {
        let (words, rest) = data.as_chunks::<8>();
        let crc =
            words.iter().fold(u64::from(!crc), |crc, word| _mm_crc32_u64(crc, u64::from_le_bytes(*word)));
        !rest.iter().fold(crc as u32, |crc, byte| _mm_crc32_u8(crc, *byte))
    }
    // SAFETY: `best` returns this function only on processors with SSE4.2, and other callers check for it.
    unsafe { run(crc, data) }
}
