//! Notes in images, as ELF has them. A PE image has ours in a section of its own.

/// A note in an image (ELF, "Note Section").
#[derive(Clone, Copy, Debug)]
#[allow(dead_code, reason = "there are none without an operating system")]
pub(crate) struct Note<'image> {
    pub(crate) name: &'image [u8],
    pub(crate) kind: u32,
    pub(crate) content: &'image [u8],
}

/// Calls `visit` with each note of a segment: the sizes of its name and of its content, its type, its name
/// and its content, both filled up to a multiple of the alignment.
#[allow(dead_code, reason = "only an operating system loads images with notes")]
pub(crate) fn for_each_note(mut notes: &[u8], align: usize, visit: &mut dyn FnMut(&Note<'_>)) {
    const HEAD: usize = 12;
    let align = if align == 8 { 8 } else { 4 };
    while let Some((head, rest)) = notes.split_at_checked(HEAD) {
        let number = |at: usize| u32::from_ne_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let (name_len, len) = (number(0) as usize, number(4) as usize);
        if name_len > rest.len() {
            return;
        }
        // What comes next is aligned where the file is, as is the segment.
        let content = (HEAD + name_len).next_multiple_of(align) - HEAD;
        let Some(end) = content.checked_add(len).filter(|&end| end <= rest.len()) else { return };
        visit(&Note { name: &rest[..name_len], kind: number(8), content: &rest[content..end] });
        let next = (HEAD + end).next_multiple_of(align) - HEAD;
        notes = rest.get(next..).unwrap_or_default();
    }
}
