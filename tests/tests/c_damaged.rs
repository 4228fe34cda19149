//! Damaged site tables: the image stays on its trampolines, and nothing is written anywhere.
//!
//! Each test changes bytes of a linked program and runs it. The program, `plain.c`, checks its own results.

use std::io::ErrorKind;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use object::{Endian, Endianness, Object, ObjectSection, ObjectSymbol};
use static_call_tests::c::{Build, Compiler, Report, in_mode};
use static_call_tests::platform::{Kind, platform};
use tempfile::TempDir;

/// The parts of a linked program that matter to static calls.
struct Victim {
    directory: TempDir,
    data: Vec<u8>,
    /// Its byte order.
    endian: Endianness,
    /// The site table, in the file and in memory.
    sites: (Range<usize>, u64),
    /// The offset of the first entry in the table that is not an anchor.
    first_site: usize,
    /// The records in the file.
    records: Range<usize>,
    /// Places in the file whose content is an addend for the dynamic linker.
    relocated: Vec<usize>,
    /// Code in the file and in memory.
    text: (Range<usize>, u64),
    /// The trampolines in the file.
    trampolines: Vec<usize>,
}

impl Victim {
    fn build() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let build = Build { compiler: Compiler::Pass, level: "-O2" };
        let program = build.link(&["plain.c"], &[], &directory.path().join("plain"));
        let data = std::fs::read(program).expect("the program");
        let file = object::File::parse(&*data).expect("an ELF file");
        let section = |name: &str| {
            let section = file.section_by_name(name).expect(name);
            let (offset, size) = section.file_range().expect("bytes in the file");
            let range = usize::try_from(offset).unwrap()..usize::try_from(offset + size).unwrap();
            (range, section.address())
        };
        let text = section(".text");
        let trampolines = file
            .symbols()
            .filter(|symbol| symbol.name().is_ok_and(|name| name.starts_with("__static_call_trampoline.")))
            .map(|symbol| in_file(&file, symbol.address()))
            .collect();
        let relocations = file.dynamic_relocations().into_iter().flatten();
        let relocated = relocations
            .filter(|(_, relocation)| relocation.has_implicit_addend())
            .map(|(address, _)| in_file(&file, address))
            .flat_map(|start| start..start + platform().pointer as usize)
            .collect();
        let (sites, records) = (section("static_call_sites"), section("static_call_records").0);
        let entries = data[sites.0.clone()].as_chunks::<4>().0;
        let first_site = 4 * entries.iter().position(|entry| *entry != [0; 4]).expect("a site");
        let endian = file.endianness();
        Self { directory, sites, first_site, records, relocated, text, trampolines, endian, data }
    }

    /// The program with `pc` in the first entry of the site table.
    fn with_site_at(&self, pc: u64) -> Vec<u8> {
        let place = self.sites.1 + self.first_site as u64;
        let entry = i32::try_from(pc.wrapping_sub(place).cast_signed()).expect("within one image");
        self.with(self.sites.0.start + self.first_site, &self.number(entry))
    }

    /// A number in the program's byte order.
    fn number(&self, number: i32) -> [u8; 4] {
        self.endian.write_i32(number)
    }

    /// The four-byte number at one place.
    fn number_at(&self, offset: usize) -> i32 {
        self.endian.read_i32(self.data[offset..][..4].try_into().expect("four bytes"))
    }

    /// The offset of the site table's anchor in the file.
    fn site_anchor(&self) -> usize {
        let entries = self.data[self.sites.0.clone()].as_chunks::<4>().0;
        self.sites.0.start + 4 * entries.iter().position(|entry| *entry == [0; 4]).expect("an anchor")
    }

    /// The offsets of the records and of their anchor in the file.
    fn records_and_anchor(&self) -> (Vec<usize>, usize) {
        let layout = platform().layout();
        let trampoline = layout.record_trampoline() as usize;
        let is_anchor = |&at: &usize| self.data[at + trampoline..][..4] == [0; 4];
        let (anchors, records): (Vec<usize>, Vec<usize>) =
            self.records.clone().step_by(layout.record() as usize).partition(is_anchor);
        assert_eq!(anchors.len(), 1);
        (records, anchors[0])
    }

    /// The program with these bytes at one place.
    fn with(&self, offset: usize, bytes: &[u8]) -> Vec<u8> {
        let mut data = self.data.clone();
        assert_ne!(&data[offset..offset + bytes.len()], bytes, "nothing changes");
        data[offset..offset + bytes.len()].copy_from_slice(bytes);
        data
    }

    /// A call in the program's own code that does not go to a trampoline.
    fn other_call(&self) -> u64 {
        let (range, address) = &self.text;
        let code = &self.data[range.clone()];
        let sites = static_call_tests::binary::StaticCalls::read(&self.directory.path().join("plain"));
        let branches = platform().branches(code, *address);
        let mut calls = branches.iter().filter(|branch| branch.kind == Kind::Call);
        calls.find(|call| !sites.recorded.contains(&call.at)).expect("a call of a library function").at
    }

    fn run(&self, data: &[u8], mode: Option<&str>) -> Output {
        let program = self.directory.path().join("victim");
        write_program(&program, data);
        let mut command = in_mode(&program, mode);
        command.env("STATIC_CALL_LOG", "1");
        run_once_written(&mut command)
    }

    /// Runs a damaged program, which must notice the damage and compute the right results.
    fn check(&self, what: &str, data: &[u8]) {
        for mode in [None, Some("trampoline")] {
            let output = self.run(data, mode);
            assert!(output.status.success(), "{what}, {mode:?}: {output:?}");
            let log = String::from_utf8_lossy(&output.stderr);
            assert!(log.contains("site table is damaged"), "{what}, {mode:?}: {log}");
            let report = Report::find(&output.stdout);
            assert_eq!((report.mode, report.direct), (0, 0), "{what}, {mode:?}: {report:?}");
            let reason = String::from_utf8_lossy(&output.stdout);
            assert!(reason.contains("site table is damaged"), "{what}, {mode:?}: {reason}");
        }
    }
}

fn in_file(file: &object::File<'_>, address: u64) -> usize {
    file.sections()
        .filter(|section| (section.address()..section.address() + section.size()).contains(&address))
        .find_map(|section| Some(section.file_range()?.0 + address - section.address()))
        .and_then(|offset| usize::try_from(offset).ok())
        .expect("an address in a section")
}

fn write_program(program: &Path, data: &[u8]) {
    use std::os::unix::fs::PermissionsExt;
    let _ = std::fs::remove_file(program);
    std::fs::write(program, data).expect("a file");
    std::fs::set_permissions(program, PermissionsExt::from_mode(0o755)).expect("an executable file");
}

/// Runs a program that this process has written. A child of another test's thread, just forked, may still
/// have the file open for writing.
fn run_once_written(command: &mut Command) -> Output {
    loop {
        match command.output() {
            Err(error) if error.kind() == ErrorKind::ExecutableFileBusy => std::thread::yield_now(),
            output => return output.expect("the program runs"),
        }
    }
}

#[test]
fn an_undamaged_program_is_inline() {
    let victim = Victim::build();
    let output = victim.run(&victim.data, None);
    assert!(output.status.success(), "{output:?}");
    let report = Report::find(&output.stdout);
    assert_eq!((report.mode, report.direct), (2, report.sites), "{report:?}");
}

#[test]
fn an_entry_leads_out_of_the_image() {
    let victim = Victim::build();
    for distance in [0x4000_0000i32, -0x4000_0000, i32::MAX, i32::MIN] {
        let start = victim.sites.0.start + victim.first_site;
        victim.check("out of the image", &victim.with(start, &victim.number(distance)));
    }
    let (text, address) = &victim.text;
    victim.check("before the code", &victim.with_site_at(address.wrapping_sub(0x1_0000)));
    victim.check("behind the code", &victim.with_site_at(address + text.len() as u64 + 0x1_0000));
}

#[test]
fn an_entry_leads_to_something_else() {
    let victim = Victim::build();
    let offset = victim.first_site;
    let first = victim.number_at(victim.sites.0.start + offset);
    let site = (victim.sites.1 + offset as u64).wrapping_add_signed(first.into());
    victim.check("the middle of a call", &victim.with_site_at(site + 1));
    victim.check("the start of the code", &victim.with_site_at(victim.text.1));
    let other_call = victim.with_site_at(victim.other_call());
    if !platform().has_veneers {
        victim.check("a call of no trampoline", &other_call);
        return;
    }
    // It may be a linker's veneer for a trampoline, so it is left alone.
    let output = victim.run(&other_call, None);
    assert!(output.status.success(), "{output:?}");
    let (whole, report) = (victim.run(&victim.data, None), Report::find(&output.stdout));
    let whole = Report::find(&whole.stdout);
    assert_eq!((report.mode, report.sites, report.direct), (2, whole.sites - 1, whole.direct - 1));
}

/// A debugger set a breakpoint before the program started: only this call is left alone.
#[test]
fn an_entry_leads_to_a_breakpoint() {
    if !platform().has_breakpoints {
        eprintln!("skipped: on this machine the runtime does not know a debugger's breakpoint");
        return;
    }
    let victim = Victim::build();
    // After the trampoline's jump.
    let trampoline = victim.trampolines[0];
    let breakpoint = (trampoline..).find(|&place| victim.data[place] == 0xcc).expect("a trap");
    let site = victim.text.1 + (breakpoint - victim.text.0.start) as u64;
    let (output, whole) = (victim.run(&victim.with_site_at(site), None), victim.run(&victim.data, None));
    assert!(String::from_utf8_lossy(&output.stderr).contains("has a debugger's breakpoint"), "{output:?}");
    let (report, whole) = (Report::find(&output.stdout), Report::find(&whole.stdout));
    assert_eq!((report.mode, report.sites, report.direct), (2, whole.sites - 1, whole.direct - 1));
}

#[test]
fn a_trampoline_has_lost_its_record() {
    let victim = Victim::build();
    let prefix = victim.trampolines[0] - 8;
    victim.check("no signature", &victim.with(prefix, &[0]));
    // The highest byte.
    let version = if victim.endian.is_big_endian() { prefix } else { prefix + 3 };
    victim.check("another version", &victim.with(version, &[0x7f]));
    let offset = victim.number_at(prefix + 4);
    let record = i32::try_from(platform().layout().record()).unwrap();
    for wrong in [offset + record, offset - record, offset + 8, offset + 1, 0, i32::MAX, i32::MIN] {
        victim.check("another record", &victim.with(prefix + 4, &victim.number(wrong)));
    }
}

#[test]
fn a_record_has_lost_its_trampoline() {
    let victim = Victim::build();
    let (records, _) = victim.records_and_anchor();
    assert_eq!(records.len(), 3);
    let at = records[0] + platform().layout().record_trampoline() as usize;
    let distance = victim.number_at(at);
    for wrong in [distance + 8, distance + 1, distance - 8, 0, i32::MAX, i32::MIN] {
        victim.check("another trampoline", &victim.with(at, &victim.number(wrong)));
    }
}

/// Only zero is an anchor.
#[test]
fn an_anchor_is_none() {
    let victim = Victim::build();
    let (_, anchor) = victim.records_and_anchor();
    let layout = platform().layout();
    let end_of_key = platform().pointer as usize - 1;
    for at in [anchor, anchor + end_of_key, anchor + layout.record_trampoline() as usize] {
        victim.check("a record", &victim.with(at, &[8]));
    }
    victim.check("an entry", &victim.with(victim.site_anchor(), &[8]));
    // The runtime's own fields.
    for at in [layout.record_next(), layout.record_sites(), layout.record_count(), layout.record_saved()] {
        let output = victim.run(&victim.with(anchor + at as usize, &[8]), None);
        assert!(output.status.success(), "{at}: {output:?}");
        let report = Report::find(&output.stdout);
        assert_eq!((report.mode, report.direct), (2, report.sites), "{at}: {report:?}");
    }
}

/// A site that is not in the table calls its trampoline, which is correct.
#[test]
fn an_entry_is_an_anchor() {
    let victim = Victim::build();
    let output = victim.run(&victim.with(victim.sites.0.start + victim.first_site, &[0; 4]), None);
    assert!(output.status.success(), "{output:?}");
    let all = Report::find(&victim.run(&victim.data, None).stdout);
    let report = Report::find(&output.stdout);
    assert_eq!((report.mode, report.sites, report.direct), (2, all.sites - 1, all.sites - 1), "{report:?}");
}

/// The program's results are right, whatever the tables contain.
#[test]
fn random_damage_does_no_harm() {
    let victim = Victim::build();
    let mut places: Vec<usize> = victim.sites.0.clone().chain(victim.records.clone()).collect();
    // The dynamic linker decides a key's address.
    places.retain(|place| !victim.relocated.contains(place));
    places.extend(victim.trampolines.iter().flat_map(|trampoline| trampoline - 8..*trampoline));
    let mut random = Random(1);
    let mut noticed = 0;
    for run in 0..300 {
        let mut data = victim.data.clone();
        for _ in 0..=random.below(4) {
            let place = places[random.below(places.len())];
            data[place] = match random.below(3) {
                0 => data[place] ^ (1 << random.below(8)),
                1 => data[place].wrapping_add(u8::try_from(random.below(8)).unwrap()),
                _ => u8::try_from(random.below(256)).unwrap(),
            };
        }
        let mode = [None, Some("trampoline")][run % 2];
        let output = victim.run(&data, mode);
        if !output.status.success() {
            let kept: PathBuf = std::env::temp_dir().join("static-call-victim");
            write_program(&kept, &data);
            panic!("run {run}, {mode:?}, kept as {}: {output:?}", kept.display());
        }
        noticed += usize::from(String::from_utf8_lossy(&output.stderr).contains("damaged"));
    }
    assert!(noticed > 150, "the damage was noticed {noticed} times of 300");
}

/// splitmix64: the same damage in every run of the tests.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % bound as u64).expect("smaller than the bound")
    }
}
