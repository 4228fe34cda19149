//! Images with several executable segments, and the pages that an update writes.

use static_call_tests::binary::StaticCalls;
use static_call_tests::c::{Build, Compiler, Report, in_mode, modes_and_writers, source};
use static_call_tests::platform::platform;
use static_call_tests::run;

const PASS: Build = Build { compiler: Compiler::Pass, level: "-O2" };

/// Linker scripts, huge pages for hot code and overlays make a second segment, read-only or writable.
#[test]
fn several_executable_segments() {
    if platform().is_foreign() {
        eprintln!("skipped: the linkers are this machine's");
        return;
    }
    let directory = tempfile::tempdir().expect("a temporary directory");
    let at = |name: &str| directory.path().join(name);
    for level in ["-O0", "-O2"] {
        let build = Build { level, ..PASS };
        for (kind, linkers) in [("fixed", &["bfd", "lld"][..]), ("writable", &["bfd", "lld", "mold"])] {
            let object = at("segments.o");
            let mut compiler = build.compiler(false);
            let pic = if kind == "fixed" { "-fno-pie" } else { "-fPIE" };
            compiler.args([pic, "-c"]).arg(source("segments.c")).arg("-o").arg(&object);
            run(&mut compiler);
            if kind == "writable" {
                let mut objcopy = std::process::Command::new("objcopy");
                run(objcopy.args(["--set-section-flags", ".hot_text=alloc,load,code"]).arg(&object));
            }
            for linker in linkers {
                let mut flags = vec![object.display().to_string(), format!("-fuse-ld={linker}")];
                if kind == "fixed" {
                    // Far enough away that the map of pages has too few bits for all pages in between.
                    flags.extend(["-no-pie".into(), "-Wl,--section-start=.hot_text=0x18000000".into()]);
                }
                let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
                let program = build.link(&[], &flags, &at("program"));
                let all = code_segments(&program);
                assert!(all.len() >= 2, "{linker}, {kind}: executable segments end at {all:x?}");
                for (mode, (writer, _)) in modes_and_writers() {
                    let output = run(in_mode(&program, mode).env("STATIC_CALL_WRITER", writer));
                    let report = Report::find(&output.stdout);
                    let direct = if matches!(mode, None | Some("inline")) { 5 } else { 0 };
                    let case = format!("{level}, {linker}, {kind}, {mode:?}, {writer}");
                    assert_eq!((report.sites, report.direct), (5, direct), "{case}: {report:?}");
                }
            }
        }
    }
}

/// The ends of a file's executable segments.
fn code_segments(program: &std::path::Path) -> Vec<u64> {
    use object::read::elf::{FileHeader, ProgramHeader};
    let data = std::fs::read(program).expect("the program");
    let header = object::elf::FileHeader64::<object::Endianness>::parse(&*data).expect("an ELF file");
    let endian = header.endian().expect("a byte order");
    let segments = header.program_headers(endian, &*data).expect("program headers");
    let is_code = |it: &&object::elf::ProgramHeader64<_>| {
        it.p_type(endian) == object::elf::PT_LOAD && it.p_flags(endian).0 & object::elf::PF_X.0 != 0
    };
    segments.iter().filter(is_code).map(|it| it.p_vaddr(endian) + it.p_memsz(endian)).collect()
}

/// A segment may end in the middle of a word of eight bytes.
#[test]
fn a_call_in_the_last_word_of_a_segment() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let at = |name: &str| directory.path().join(name);
    for level in ["-O1", "-O2"] {
        let build = Build { level, ..PASS };
        let object = |name: &str, define: &str| {
            let mut compiler = build.compiler(false);
            compiler.args(["-fPIC", "-c", define]).arg(source("last_word.c")).arg("-o").arg(at(name));
            run(&mut compiler);
            at(name)
        };
        let library = at("library.so");
        let mut compiler = build.compiler(false);
        // Without start files, the last function ends the code.
        compiler.args(["-shared", "-nostartfiles"]);
        compiler.args([object("first.o", "-DLIBRARY"), object("last.o", "-DLAST")]).arg("-o").arg(&library);
        run(&mut compiler);
        let program = build.link_exporting("last_word.c", &[&library], &at("program"));
        let sites = StaticCalls::read(&library).recorded;
        let last = sites.iter().max().expect("a site");
        if platform().word == 8 && platform().pointer == 8 {
            let ends = code_segments(&library);
            assert!(
                ends.iter().any(|end| (last + 1..last / 8 * 8 + 8).contains(end)),
                "{last:#x}, {ends:x?}"
            );
        }
        for (mode, (writer, _)) in modes_and_writers() {
            let report = Report::find(&run(in_mode(&program, mode).env("STATIC_CALL_WRITER", writer)).stdout);
            let direct = if matches!(mode, None | Some("inline")) { sites.len() } else { 0 };
            assert_eq!(
                (report.sites, report.direct),
                (sites.len(), direct),
                "{mode:?}, {writer}: {report:?}"
            );
        }
    }
}

/// During an update, only pages with its calls are writable. Writable pages stay writable, and missing code
/// is an error.
#[test]
fn windows_are_as_narrow_as_the_pages_with_calls() {
    if platform().is_foreign() || platform().page != 4096 {
        eprintln!("skipped: the emulator does not tell what may be done with a page");
        return;
    }
    let directory = tempfile::tempdir().expect("a temporary directory");
    for level in ["-O0", "-O2"] {
        let build = Build { level, ..PASS };
        let program = build.link(&["windows.c"], &["-ldl"], &directory.path().join("program"));
        for (mode, (writer, _)) in modes_and_writers() {
            run(in_mode(&program, mode).env("STATIC_CALL_WRITER", writer));
        }
    }
}

/// An update reads neither a missing page after a call nor an unreadable page with a call.
#[test]
fn a_call_at_the_end_of_a_page() {
    if platform().is_foreign() || !platform().name.starts_with("x86_64") {
        eprintln!("skipped: the program is x86-64 code, and an emulator does not report what is readable");
        return;
    }
    let directory = tempfile::tempdir().expect("a temporary directory");
    let program = PASS.link(&["page_ends.c"], &[], &directory.path().join("program"));
    for (mode, (writer, _)) in modes_and_writers() {
        run(in_mode(&program, mode).env("STATIC_CALL_WRITER", writer));
    }
}

/// XRay patches code in the same process, before and after updates.
#[test]
fn xray_patches_in_turns() {
    if platform().is_foreign() || !platform().name.starts_with("x86_64") {
        eprintln!("skipped: XRay's library is this machine's");
        return;
    }
    let directory = tempfile::tempdir().expect("a temporary directory");
    let flags = ["-fxray-instrument", "-fxray-instruction-threshold=1"];
    let program = PASS.link(&["xray.c"], &flags, &directory.path().join("program"));
    for (mode, (writer, _)) in modes_and_writers() {
        run(in_mode(&program, mode).env("STATIC_CALL_WRITER", writer));
    }
}
