//! What the pass writes into COFF files, and what GNU ld and LLD make of it. Other tests run such programs.
//!
//! The tests call the linkers directly and link no C library, so they need no MinGW but its linker.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use object::{Object, ObjectSection, ObjectSymbol, RelocationTarget, SymbolSection};
use static_call_abi::{
    ANCHOR_PREFIX, COFF_PAGE_SIZE, COFF_SECTION, COFF_SECTIONS, IMAGE, RECORD_PREFIX, SECTIONS, SIGNATURE,
    SIGNATURE_CALL_ONLY, TRAMPOLINE_PREFIX,
};
use static_call_tests::{Scratch, llvm, plugin, prefix, root, run, stdout};

const GNU: &str = "x86_64-w64-windows-gnu";
const MSVC: &str = "x86_64-pc-windows-msvc";

/// What the tests' sources take from elsewhere.
const OTHERS: &str = "
typedef int function(void);
#define DEFINE(name) int name(void) { return 0; }
DEFINE(external) DEFINE(target) DEFINE(other) DEFINE(three) DEFINE(memcpy) DEFINE(atexit)
DEFINE(__static_call_register) DEFINE(__static_call_unregister) DEFINE(__gxx_personality_seh0)
DEFINE(__CxxFrameHandler3) DEFINE(_Unwind_Resume) DEFINE(__chkstk) DEFINE(___chkstk_ms)
int words[8], _fltused;
long long elsewhere_key__static_call_key[5];
function *__guard_dispatch_icall_fptr, *__guard_check_icall_fptr;
DEFINE(start)
#define NAMED(name, symbol) int name(void) __asm__(symbol); DEFINE(name)
NAMED(gnu_target, \"_Z6targeti\") NAMED(gnu_throws, \"_ZN6throwsD1Ev\")
NAMED(msvc_target, \"?target@@YAHH@Z\") NAMED(msvc_throws, \"??1throws@@QEAA@XZ\")
";

/// Compiles for a target.
fn compile(scratch: &Scratch, triple: &str, source: &Path, name: &str, flags: &[&str]) -> PathBuf {
    let object = scratch.path(&format!("{name}.o"));
    let mut clang = llvm("clang");
    clang.arg(format!("--target={triple}")).args(["-ffreestanding", "-nostdlibinc", "-c", "-w"]);
    clang.arg(format!("-fpass-plugin={}", plugin().display()));
    run(clang.arg("-I").arg(prefix().join("include")).args(flags).arg(source).arg("-o").arg(&object));
    object
}

fn ir(name: &str) -> PathBuf {
    root().join("tests/ir").join(name)
}

/// The three linkers, with these options: of GNU ld and LLD, and of LLD as Microsoft's.
fn link(scratch: &Scratch, linker: &str, objects: &[PathBuf], flags: &[&str]) -> PathBuf {
    let program = scratch.path("program.exe");
    let mut command = match linker {
        "ld" => Command::new("x86_64-w64-mingw32-ld"),
        "lld" => {
            let mut lld = llvm("ld.lld");
            lld.args(["-m", "i386pep"]);
            lld
        }
        _ => llvm("lld-link"),
    };
    if linker == "lld-link" {
        let out = format!("/out:{}", program.display());
        command.args(["/entry:start", "/subsystem:console", "/nodefaultlib", "/debug:symtab", &out]);
    } else {
        command.args(["-e", "start"]).arg("-o").arg(&program);
    }
    run(command.args(flags).args(objects));
    program
}

/// The calls of trampolines in an object file, and the entries of its site table.
fn calls_and_entries(path: &Path) -> (usize, usize) {
    let data = fs::read(path).expect("the object");
    let file = object::File::parse(&*data).expect("a COFF file");
    let (mut calls, mut entries) = (0, 0);
    for section in file.sections() {
        let name = section.name().expect("a name");
        let is_code = name.starts_with(".text");
        for (_, relocation) in section.relocations() {
            let RelocationTarget::Symbol(symbol) = relocation.target() else { continue };
            let symbol = file.symbol_by_index(symbol).expect("a symbol");
            calls +=
                usize::from(is_code && symbol.name().is_ok_and(|name| name.starts_with(TRAMPOLINE_PREFIX)));
            entries += usize::from(name == COFF_SECTIONS[3]);
        }
    }
    (calls, entries)
}

/// A linked program.
struct Program {
    data: Vec<u8>,
}

impl Program {
    fn read(path: &Path) -> Self {
        Self { data: fs::read(path).expect("the program") }
    }

    fn file(&self) -> object::File<'_> {
        object::File::parse(&*self.data).expect("a PE file")
    }

    fn bytes(&self, address: u64, length: usize) -> Vec<u8> {
        let file = self.file();
        let section = file
            .sections()
            .find(|section| (section.address()..section.address() + section.size()).contains(&address))
            .unwrap_or_else(|| panic!("{address:#x} lies in a section"));
        let mut data = section.data().expect("its bytes").to_vec();
        data.resize(usize::try_from(section.size()).expect("small") + length, 0);
        let at = usize::try_from(address - section.address()).expect("small");
        data[at..at + length].to_vec()
    }

    fn u64(&self, address: u64) -> u64 {
        u64::from_le_bytes(self.bytes(address, 8).try_into().expect("eight bytes"))
    }

    fn i32(&self, address: u64) -> i64 {
        i32::from_le_bytes(self.bytes(address, 4).try_into().expect("four bytes")).into()
    }

    /// The addresses of the symbols that start like this. Those of local keys are several of one name.
    fn symbols(&self, start: &str) -> BTreeMap<u64, String> {
        let file = self.file();
        let symbols = file.symbols().filter(|symbol| matches!(symbol.section(), SymbolSection::Section(_)));
        let named = symbols.filter_map(|symbol| Some((symbol.address(), symbol.name().ok()?.to_owned())));
        named.filter(|(_, name)| name.starts_with(start)).collect()
    }

    fn address(&self, name: &str) -> u64 {
        let found: Vec<u64> =
            self.symbols(name).into_iter().filter(|(_, found)| found == name).map(|(at, _)| at).collect();
        assert_eq!(found.len(), 1, "{name}");
        found[0]
    }

    /// Checks all tables, and returns the sites.
    fn sites(&self) -> BTreeSet<u64> {
        let image = self.address(IMAGE);
        let field = |number: u64| self.u64(image + 8 + 8 * number);
        let [sites, sites_end, records, records_end, keys, keys_end, branches, branches_end, end, header] =
            std::array::from_fn(|number| field(number as u64));
        // In one section of their own, which starts with a page, without gaps.
        let file = self.file();
        let section = file.section_by_name(COFF_SECTION).expect("a section");
        assert_eq!(keys, section.address());
        assert_eq!(keys % u64::from(COFF_PAGE_SIZE), 0);
        assert_eq!([keys_end, records_end, branches_end], [records, branches, sites]);
        assert_eq!(end, sites_end + u64::from(COFF_PAGE_SIZE));
        assert!(end <= section.address() + section.size() && section.address() + section.size() < end + 8);
        assert_eq!(header, file.relative_address_base());
        for table in SECTIONS {
            self.address(&format!("{ANCHOR_PREFIX}{table}"));
        }

        let trampolines = self.symbols(TRAMPOLINE_PREFIX);
        let of_record: BTreeMap<u64, u64> = (records..records_end)
            .step_by(40)
            .filter(|record| self.u64(*record) != 0)
            .map(|record| (record, record.wrapping_add_signed(self.i32(record + 28))))
            .collect();
        for (record, trampoline) in &of_record {
            assert!(trampolines.contains_key(trampoline), "{trampoline:#x}, of the record {record:#x}");
            assert_eq!(trampoline % 8, 0);
            let signature = u32::try_from(self.i32(trampoline - 8)).expect("a signature");
            assert!([SIGNATURE, SIGNATURE_CALL_ONLY].contains(&signature), "{signature:#x}");
            assert_eq!(trampoline.wrapping_add_signed(self.i32(trampoline - 4)), *record);
        }

        let mut found = BTreeSet::new();
        for entry in (sites..sites_end).step_by(4).filter(|entry| self.i32(*entry) != 0) {
            let site = entry.wrapping_add_signed(self.i32(entry));
            let code = self.bytes(site, 6);
            let length = if code[0] == 0x0f { 6 } else { 5 };
            assert!(matches!(code[0], 0xe8 | 0xe9 | 0x0f), "{code:02x?} at {site:#x}");
            assert!(site % 8 + length <= 8, "{site:#x} lies in a word");
            let target = (site + length).wrapping_add_signed(self.i32(site + length - 4));
            assert!(
                of_record.values().any(|trampoline| *trampoline == target),
                "{site:#x} calls {target:#x}"
            );
            assert!(found.insert(site), "{site:#x} has one entry");
        }
        found
    }

    /// The functions that change what the unwinder must restore.
    fn unwound(&self) -> Vec<(u64, u64)> {
        let file = self.file();
        let base = file.relative_address_base();
        let Some(section) = file.section_by_name(".pdata") else { return Vec::new() };
        let data = section.data().expect("its bytes");
        let number =
            |bytes: &[u8]| base + u64::from(u32::from_le_bytes(bytes.try_into().expect("four bytes")));
        let functions = data.chunks_exact(12).filter(|entry| entry[..4] != [0; 4]);
        // The third byte of what the entry refers to counts the prologue's instructions of that kind.
        let changing = functions.filter(|entry| self.bytes(number(&entry[8..]), 3)[2] != 0);
        changing.map(|entry| (number(&entry[..4]), number(&entry[4..8]))).collect()
    }
}

/// The sources of a program, of which several files define the same inline functions and keys.
fn objects(scratch: &Scratch, triple: &str, flags: &[&str]) -> Vec<PathBuf> {
    let with = |name: &str, source: &str, more: &[&str]| {
        compile(scratch, triple, &ir(source), name, &[flags, more].concat())
    };
    let source = scratch.file("others.c", OTHERS);
    let others = scratch.path("others.o");
    // Without the pass, which refuses its names.
    let mut clang = llvm("clang");
    clang.arg(format!("--target={triple}")).args(["-c", "-w", "-fno-builtin"]);
    run(clang.arg(source).arg("-o").arg(&others));
    vec![
        with("machine", "machine.c", &[]),
        with("outlined", "outlined.c", &[]),
        with("first", "comdat.cpp", &["-DFIRST=first", "-fno-exceptions"]),
        with(
            "second",
            "comdat.cpp",
            &["-DFIRST=ignored", "-DSECOND=second", "-Dunwinds=again", "-fno-exceptions"],
        ),
        others,
    ]
}

/// How many calls of trampolines and entries there are in these objects, which must agree.
fn recorded(objects: &[PathBuf]) -> usize {
    let mut sum = 0;
    for object in objects {
        let (calls, entries) = calls_and_entries(object);
        assert_eq!(calls, entries, "{}", object.display());
        sum += calls;
    }
    sum
}

/// Flags of the compiler, and the linkers that get the objects, with their options.
type Builds<'a> = (&'a [&'a str], &'a [(&'a str, &'a [&'a str])]);

#[test]
fn every_call_is_recorded_and_survives_the_linker() {
    const PLAIN: &[&str] = &[];
    const UNWIND: &str = "-fasynchronous-unwind-tables";
    let gnu: &[Builds] = &[
        (&["-O0", UNWIND], &[("ld", PLAIN), ("lld", PLAIN)]),
        (&["-O2", UNWIND], &[("ld", &["--no-gc-sections"]), ("lld", &["--gc-sections"])]),
        (&["-O2", "-ffunction-sections", "-fdata-sections", UNWIND], &[("ld", PLAIN), ("lld", PLAIN)]),
        // The outliner writes no unwind information, and LLVM's assembler refuses what it leaves of it.
        (
            &[
                "-Oz",
                "-fno-exceptions",
                "-fno-asynchronous-unwind-tables",
                "-mllvm",
                "-enable-machine-outliner=always",
            ],
            &[("ld", PLAIN), ("lld", PLAIN)],
        ),
    ];
    let msvc: &[Builds] = &[
        (&["-O0", UNWIND], &[("lld-link", &["/opt:noref", "/opt:noicf"])]),
        (&["-O2", UNWIND], &[("lld-link", &["/opt:ref", "/opt:icf"])]),
        (
            &["-O2", "-ffunction-sections", "-Xclang", "-cfguard"],
            &[("lld-link", &["/opt:noref", "/guard:cf"])],
        ),
    ];
    for (triple, builds) in [(GNU, gnu), (MSVC, msvc)] {
        for (flags, links) in builds {
            let scratch = Scratch::new();
            let objects = objects(&scratch, triple, flags);
            let entries = recorded(&objects);
            assert!(entries > 40, "{triple} {flags:?}: {entries} entries");
            for (linker, options) in *links {
                let context = format!("{triple} {flags:?} {linker} {options:?}");
                let program = Program::read(&link(&scratch, linker, &objects, options));
                let sites = program.sites();
                // Two files have `inline_function`, `instance<1>` and `instance<2>`, with one call each.
                let dropped = entries - sites.len();
                assert_eq!(dropped, 3, "{context}");
                let jumps = check_prefixes(&program, &sites, &context);
                assert_eq!(
                    jumps > 0,
                    flags.contains(&UNWIND) && !flags.contains(&"-O0"),
                    "{context}: {jumps}"
                );
            }
        }
    }
}

/// GNU ld finds no reference to the entries: they go, and the tables are still whole.
#[test]
fn the_garbage_collection_of_gnu_ld_leaves_no_entries() {
    let scratch = Scratch::new();
    let objects = objects(&scratch, GNU, &["-O2"]);
    let program = Program::read(&link(&scratch, "ld", &objects, &["--gc-sections"]));
    assert_eq!(program.sites().len(), 0);
}

/// As rustc's: it makes all symbols local, and other objects bring the image's symbols as well.
#[test]
fn an_image_is_one_after_link_time_optimization() {
    let scratch = Scratch::new();
    let mut objects = objects(&scratch, GNU, &["-O2"]);
    let bitcode = ["machine", "outlined"].map(|name| {
        compile(&scratch, GNU, &ir(&format!("{name}.c")), &format!("{name}-bitcode"), &["-O2", "-emit-llvm"])
    });
    let merged = scratch.path("merged.bc");
    run(llvm("llvm-link").args(&bitcode).arg("-o").arg(&merged));
    let local = scratch.path("local.bc");
    let mut opt = llvm("opt");
    opt.args(["-passes=internalize,globaldce", "-internalize-public-api-list=call,tail,conditional,first1"]);
    run(opt.arg(&merged).arg("-o").arg(&local));
    let object = scratch.path("merged.o");
    let mut llc = llvm("llc");
    llc.arg("-load-pass-plugin").arg(plugin()).args(["-O2", "-filetype=obj"]);
    run(llc.arg(&local).arg("-o").arg(&object));
    // Before the objects with the same symbols, and after them.
    let rest = objects.split_off(2);
    for order in [[vec![object.clone()], rest.clone()].concat(), [rest, vec![object]].concat()] {
        for linker in ["ld", "lld"] {
            let program = Program::read(&link(&scratch, linker, &order, &[]));
            // Those of `call`, `tail`, `conditional` and `first1`, and of the C++ files.
            assert_eq!(program.sites().len() + 3, recorded(&order), "{linker}");
        }
    }
}

/// The unwinder takes a jump with a prefix for no end of an epilogue.
///
/// Returns how many jumps end one.
fn check_prefixes(program: &Program, sites: &BTreeSet<u64>, context: &str) -> usize {
    let unwound = program.unwound();
    let mut jumps = 0;
    for site in sites {
        let [before, code] = program.bytes(site - 1, 2).try_into().expect("two bytes");
        let is_unwound = unwound.iter().any(|(start, end)| (start..end).contains(&site));
        assert!(!is_unwound || code != 0x0f, "{context}: a conditional jump at {site:#x}");
        if code == 0xe9 && is_unwound {
            jumps += 1;
            assert_ne!(before, 0x67, "{context}: {site:#x}");
        }
    }
    jumps
}

/// The unwinder recognizes an epilogue by its instructions, one behind the other; the last is the jump.
#[test]
fn nothing_comes_between_an_epilogue_and_its_jump() {
    let scratch = Scratch::new();
    for flags in [&["-O2"][..], &["-O1", "-fno-omit-frame-pointer"]] {
        let flags = [flags, &["-fasynchronous-unwind-tables"]].concat();
        let object = compile(&scratch, GNU, &ir("tails.c"), "tails", &flags);
        assert_eq!(recorded(std::slice::from_ref(&object)), 8);
        let mut objdump = llvm("llvm-objdump");
        objdump.args(["-d", "--no-show-raw-insn", "--no-leading-addr"]);
        let text = stdout(objdump.arg(&object));
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        let is_epilogue = |line: &str| line.starts_with("pop") || line.starts_with("addq");
        let (mut jumps, mut padded) = (0, 0);
        for (at, _) in
            lines.iter().enumerate().filter(|(_, line)| line.contains("jmp") && !line.contains('*'))
        {
            // Jumps inside of a function do not follow an epilogue, and no jump has a prefix.
            assert!(lines[at].starts_with("jmp"), "{}", lines[at]);
            let start =
                (0..at).rev().find(|before| !is_epilogue(lines[*before])).expect("a function's start") + 1;
            jumps += usize::from(lines[at - 1].starts_with("pop"));
            padded += usize::from(start < at && lines[start - 1].starts_with("nop"));
        }
        // And those of the constructor and the destructor.
        assert!([8, 10].contains(&jumps), "{jumps}\n{text}");
        assert!(padded >= 4, "{padded} of 8\n{text}");
    }
}

/// What the code or the data of such sections refers to, section by section: the symbols, and what is added.
fn references(object: &Path, is_wanted: impl Fn(&str) -> bool) -> Vec<Vec<(String, i32)>> {
    let data = fs::read(object).expect("the object");
    let file = object::File::parse(&*data).expect("a COFF file");
    let wanted = file.sections().filter(|section| section.name().is_ok_and(&is_wanted));
    let references = wanted.map(|section| {
        let bytes = section.data().expect("its bytes");
        let references = section.relocations().filter_map(|(at, relocation)| {
            let RelocationTarget::Symbol(symbol) = relocation.target() else { return None };
            let name = file.symbol_by_index(symbol).and_then(|symbol| symbol.name()).expect("a name");
            // The addend is in the bytes.
            let at = usize::try_from(at).expect("small");
            Some((name.to_owned(), i32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))))
        });
        references.collect()
    });
    references.collect()
}

/// What the trampolines' code refers to, behind the record in the prefix.
fn trampolines(object: &Path) -> Vec<Vec<String>> {
    let code = references(object, |name| name.starts_with(".text"));
    let names = code.into_iter().map(|found| found.into_iter().map(|(name, _)| name).collect::<Vec<_>>());
    names.filter(|names| names.first().is_some_and(|name| name.starts_with(RECORD_PREFIX))).collect()
}

#[test]
fn a_key_of_another_dll_is_reached_through_a_pointer() {
    const SOURCE: &str = "
#include \"static_call.h\"
int target(int);
ATTRIBUTE extern struct static_call_key key__static_call_key;
ATTRIBUTE extern struct static_call_key table[2];
typedef int static_call_type(int);
int call(int x) { return ((static_call_type *)__static_call_target(&key__static_call_key))(x) + 1; }
int field(int x) { return ((static_call_type *)__static_call_target(&table[1]))(x) + 1; }
";
    let scratch = Scratch::new();
    let source = scratch.file("import.c", SOURCE);
    let record = format!("{RECORD_PREFIX}key__static_call_key");
    let cases = [
        // Declared as imported: an entry of the import table, which the record marks. A field has no entry.
        (
            GNU,
            "-DATTRIBUTE=__declspec(dllimport)",
            "__imp_key__static_call_key",
            ("__imp_key__static_call_key", 1),
            1,
        ),
        (
            MSVC,
            "-DATTRIBUTE=__declspec(dllimport)",
            "__imp_key__static_call_key",
            ("__imp_key__static_call_key", 1),
            1,
        ),
        // MinGW may import it all the same, and a field too.
        (GNU, "-DATTRIBUTE=", record.as_str(), ("key__static_call_key", 0), 2),
        (MSVC, "-DATTRIBUTE=", "key__static_call_key", ("key__static_call_key", 0), 2),
    ];
    for (triple, flag, slot, (key, addend), calls) in cases {
        let object = compile(&scratch, triple, &source, "import", &["-O1", flag]);
        let code = trampolines(&object);
        assert!(code.contains(&vec![record.clone(), slot.to_owned()]), "{triple} {flag}: {code:?}");
        let records = references(&object, |name| name.starts_with(COFF_SECTIONS[1])).concat();
        assert!(records.contains(&(key.to_owned(), addend)), "{triple} {flag}: {records:?}");
        assert_eq!(recorded(&[object]), calls, "{triple} {flag}");
    }
}

/// With Control Flow Guard's checks a trampoline jumps through the checking function.
#[test]
fn trampolines_check_their_targets_under_control_flow_guard() {
    const CHECK: &str = "__guard_dispatch_icall_fptr";
    let scratch = Scratch::new();
    for (flag, guarded) in [("-cfguard", true), ("-cfguard-no-checks", false)] {
        let object = compile(&scratch, MSVC, &ir("machine.c"), "guarded", &["-O2", "-Xclang", flag]);
        let code = trampolines(&object);
        assert!(code.len() > 1);
        let is_checked = |names: &Vec<String>| names.last().is_some_and(|name| name == CHECK);
        assert_eq!(
            code.iter().filter(|names| is_checked(names)).count(),
            if guarded { code.len() } else { 0 }
        );
    }
}

/// The pass writes nothing of its own where the runtime has no backend, and what it writes links.
#[test]
fn other_machines_load_their_keys() {
    let scratch = Scratch::new();
    for (triple, start) in [
        ("aarch64-pc-windows-msvc", "/machine:arm64"),
        ("i686-pc-windows-msvc", "/machine:x86"),
        ("arm64ec-pc-windows-msvc", "/machine:arm64ec"),
    ] {
        let object = compile(&scratch, triple, &ir("machine.c"), "other", &["-O2"]);
        let data = fs::read(&object).expect("the object");
        let file = object::File::parse(&*data).expect("a COFF file");
        let ours =
            file.sections().filter(|section| section.name().is_ok_and(|name| name.starts_with(COFF_SECTION)));
        assert_eq!(ours.count(), 0, "{triple}");
        let library = scratch.path("other.dll");
        let mut lld = llvm("lld-link");
        lld.args(["/dll", "/noentry", "/nodefaultlib", "/force:unresolved", start]);
        run(lld.arg(&object).arg(format!("/out:{}", library.display())));
        assert!(library.exists());
    }
}
