//! Lines and files from the line tables of units.

use std::collections::HashMap;
use std::path::PathBuf;

use gimli::UnitRef;

use crate::budget::Budget;
use crate::dwarf::{self, Reader};
use crate::name::printable;

/// A file, as it was given to the compiler, and a line in it.
pub(crate) type Line = (Option<String>, Option<u32>);

/// The lines of these sorted addresses.
pub(crate) fn lines(
    place: &dwarf::Place<'_, '_>,
    wanted: &[u64],
    budget: &Budget,
) -> gimli::Result<HashMap<u64, Line>> {
    let mut found = HashMap::new();
    let unit = place.lines;
    let Some(program) = unit.line_program.clone().filter(|_| !wanted.is_empty()) else { return Ok(found) };
    let mut rows = program.rows();
    let mut before: Option<(u64, u64, Option<u32>)> = None;
    let mut files = HashMap::new();
    while let Some((_, row)) = rows.next_row()?
        && budget.steps(1)
    {
        if let Some((start, file, line)) = before {
            let first = wanted.partition_point(|&address| address < start);
            for &address in wanted[first..].iter().take_while(|&&address| address < row.address()) {
                if !budget.steps(1) {
                    break;
                }
                let file = files.entry(file).or_insert_with(|| file_in(unit, file));
                found.insert(address, (file.clone(), line));
            }
        }
        let line = row.line().and_then(|line| u32::try_from(line.get()).ok());
        before = (!row.end_sequence()).then(|| (row.address(), row.file_index(), line));
    }
    Ok(found)
}

/// The name of the file with this number in a unit.
pub(crate) fn file_name(place: &dwarf::Place<'_, '_>, file: u64) -> Option<String> {
    // A split unit may have a table of file names.
    let unit = if place.unit.line_program.is_some() { place.unit } else { place.lines };
    file_in(unit, file)
}

fn file_in(unit: UnitRef<'_, Reader<'_>>, number: u64) -> Option<String> {
    let header = unit.line_program.as_ref()?.header();
    let file = header.file(number)?;
    let text = |value| Some(unit.attr_string(value).ok()?.slice());
    let mut path = PathBuf::new();
    let mut push = |part: &[u8]| path.push(String::from_utf8_lossy(&part[..part.len().min(4096)]).as_ref());
    if let Some(directory) = unit.comp_dir {
        push(directory.slice());
    }
    if file.directory_index() != 0
        && let Some(directory) = file.directory(header).and_then(text)
    {
        push(directory);
    }
    push(text(file.path_name())?);
    Some(printable(&path.to_string_lossy()))
}
