//! Linkers put the sections of the keys, the records and the sites side by side, on pages that contain
//! nothing else.

use std::path::{Path, PathBuf};

use static_call_tests::binary::{StaticCalls, keys_on_pages_of_their_own};
use static_call_tests::platform::platform;
use static_call_tests::{Scratch, clang, execute, link_flags, plain_clang, plugin, root, run};

/// GNU ld, LLD and, if installed, gold, each with the flags that change what it keeps.
fn linkers() -> Vec<(&'static str, &'static [&'static [&'static str]])> {
    let mut linkers: Vec<(&str, &[&[&str]])> = vec![
        (
            "bfd",
            &[
                &[],
                &["-Wl,--gc-sections"],
                &["-Wl,--gc-sections,-z,start-stop-gc"],
                &["-Wl,-z,start-stop-gc"],
            ],
        ),
        ("lld", &[&[], &["-Wl,--gc-sections"], &["-Wl,--gc-sections,-z,nostart-stop-gc"]]),
    ];
    if platform().has_gold() {
        linkers.push(("gold", &[&[], &["-Wl,--gc-sections"]]));
    }
    linkers
}

const KINDS: [&str; 3] = ["-pie", "-no-pie", "-shared"];

fn object(scratch: &Scratch, source: &Path, flags: &[&str]) -> PathBuf {
    let name = source.file_name().expect("a file").display();
    let object = scratch.path(&format!("{name}{}.o", flags.concat()));
    run(clang().args(["-c", "-fPIC"]).args(flags).arg(source).arg("-o").arg(&object));
    object
}

fn link(scratch: &Scratch, linker: &str, kind: &str, flags: &[&str], objects: &[&PathBuf]) -> PathBuf {
    let linked = scratch.path("linked");
    let mut command = plain_clang("clang++");
    command.arg(format!("-fuse-ld={linker}")).arg(kind).args(flags).args(objects).args(link_flags());
    run(command.arg("-pthread").arg("-o").arg(&linked));
    linked
}

/// Links in every way, and runs the programs. At least `keys` keys are called.
fn check_all(scratch: &Scratch, objects: &[&PathBuf], keys: usize) {
    for (linker, ways) in linkers() {
        for (flags, kind) in ways.iter().flat_map(|flags| KINDS.map(|kind| (flags, kind))) {
            let linked = link(scratch, linker, kind, flags, objects);
            check(&linked, kind, keys, &format!("{linker} {flags:?} {kind}"));
        }
    }
}

fn check(linked: &Path, kind: &str, keys: usize, how: &str) {
    let found = keys_on_pages_of_their_own(linked);
    assert!(StaticCalls::read(linked).checked() >= keys || kind == "-shared", "{how}");
    // Nothing calls a shared object's functions here, so the linker may drop all of them.
    if kind != "-shared" {
        assert!(found >= keys, "{how}: {found} keys");
        run(&mut execute(linked));
    }
}

fn program(name: &str) -> PathBuf {
    root().join("tests/c").join(name)
}

/// Other data in sections unknown to linkers, before, between and after ours; and a key that is not called.
const ORPHANS: &str = "#include <static_call.h>
int f(int x) { return x + 1; }
__attribute__((section(\"early\"))) int before = 1;
__attribute__((section(\"early\"))) struct static_call_key elsewhere = STATIC_CALL_INIT(f);
static DEFINE_STATIC_CALL(called, f);
DEFINE_STATIC_CALL(not_called, f);
__attribute__((section(\"late\"))) int behind = 2;
int orphans(int x) { before += behind; return static_call(called, x) + behind; }
";
const MAIN: &str = "int orphans(int);\nint main(void) { return orphans(1) != 4; }\n";

#[test]
fn c_programs() {
    let scratch = Scratch::new();
    let flags = ["-O2", "-ffunction-sections", "-fdata-sections"];
    let part = |name: &str| object(&scratch, &program(name), &flags);
    check_all(&scratch, &[&part("two_files.c"), &part("two_files_other.c")], 2);
    check_all(&scratch, &[&object(&scratch, &program("plain.c"), &["-O0"])], 3);
}

#[test]
fn cpp_programs() {
    let scratch = Scratch::new();
    check_all(&scratch, &[&object(&scratch, &program("scopes.cpp"), &["-O1", "-std=c++17"])], 3);
}

#[test]
fn sections_of_the_users_own() {
    let scratch = Scratch::new();
    let (orphans, main) = (scratch.file("orphans.c", ORPHANS), scratch.file("main.c", MAIN));
    for (level, is_main_first) in [("-O0", false), ("-O2", true)] {
        let [orphans, main] = [&orphans, &main].map(|source| object(&scratch, source, &[level]));
        check_all(&scratch, &if is_main_first { [&main, &orphans] } else { [&orphans, &main] }, 1);
    }
}

/// The image is registered, and its keys can be protected.
#[test]
fn keys_that_are_not_called() {
    let scratch = Scratch::new();
    let text = "#include <static_call.h>\n\
                void f(void) {}\n\
                DEFINE_STATIC_CALL(key, f);\n\
                struct static_call_key table[10] = {STATIC_CALL_INIT(f)};\n\
                int main(void) {\n\
                \tstruct static_call_info info;\n\
                \tstatic_call_process_info(&info);\n\
                \treturn info.images != 1 || info.keys != 0 || info.sites != 0;\n\
                }\n";
    let other = "#include <static_call.h>\n\
                 void g(void) {}\n\
                 DEFINE_STATIC_CALL(first, g);\n\
                 __attribute__((section(\"own\"))) int other = 3;\n\
                 DEFINE_STATIC_CALL(other_key, g);\n";
    let (source, other) = (scratch.file("keys.c", text), scratch.file("other.c", other));
    check_all(&scratch, &[&object(&scratch, &source, &["-O2"]), &object(&scratch, &other, &["-O2"])], 0);
    let load = format!("-Wl,--load-pass-plugin={}", plugin().display());
    for lto in ["-flto=full", "-flto=thin"] {
        let [first, second] = [&source, &other].map(|source| object(&scratch, source, &["-O2", lto]));
        for kind in KINDS {
            for objects in [[&first, &second], [&second, &first]] {
                check(&link(&scratch, "lld", kind, &[&load], &objects), kind, 0, lto);
            }
        }
    }
}

/// Link-time optimization changes the order in which the linker meets the sections.
#[test]
fn link_time_optimization() {
    if !platform().is_representative() {
        eprintln!("skipped: LLD orders sections in the same way on every machine");
        return;
    }
    let scratch = Scratch::new();
    let load = format!("-Wl,--load-pass-plugin={}", plugin().display());
    let (orphans, main) = (scratch.file("orphans.c", ORPHANS), scratch.file("main.c", MAIN));
    let sources = [&main, &orphans, &program("two_files.c"), &program("two_files_other.c")];
    let [native_main, native_orphans, native_plain, native_other] =
        &sources.map(|source| object(&scratch, source, &["-O2"]));
    for lto in ["-flto=full", "-flto=thin"] {
        let [main, orphans, plain, other] = &sources.map(|source| object(&scratch, source, &["-O2", lto]));
        for objects in [
            // `main` inlines a function with sites, and defines nothing of ours.
            [main, orphans],
            [orphans, main],
            [main, native_orphans],
            [native_main, orphans],
            [plain, other],
            // The anchors are those of the first object, whose code comes last.
            [plain, native_other],
            [native_plain, other],
        ] {
            for flags in [&[&*load] as &[_], &[&load, "-Wl,--gc-sections"]] {
                for kind in KINDS {
                    let linked = link(&scratch, "lld", kind, &[flags, &[lto]].concat(), &objects);
                    check(&linked, kind, 1, &format!("{lto} {kind} {flags:?} {objects:?}"));
                }
            }
        }
    }
}
