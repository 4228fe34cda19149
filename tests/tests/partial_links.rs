//! Objects that were partially linked, or whose hidden symbols were made local, before the final link.
//!
//! An image has one copy of each hidden trampoline. If one object's copy is local, the same happens as to an
//! inline function of C++: the linker keeps one copy, and an object may refer to a copy that was dropped.

use std::path::{Path, PathBuf};
use std::process::Command;

use static_call_tests::c::{Build, Compiler, check, source};
use static_call_tests::platform::platform;
use static_call_tests::{failure, link_flags, llvm, run};

const BUILDS: [Build; 2] =
    [Build { compiler: Compiler::Pass, level: "-O0" }, Build { compiler: Compiler::Pass, level: "-O3" }];

fn objects(build: Build, directory: &Path) -> [PathBuf; 2] {
    ["two_files.c", "two_files_other.c"].map(|name| {
        let object = directory.join(name).with_extension("o");
        run(build
            .compiler(false)
            .args([build.level, "-fPIE", "-c"])
            .arg(source(name))
            .arg("-o")
            .arg(&object));
        object
    })
}

/// GNU ld's `-r`, with these options.
fn partial(options: &[&str], objects: &[&Path], output: &Path) -> Command {
    let mut ld = Command::new("ld");
    ld.arg("-r").args(options).args(objects).arg("-o").arg(output);
    ld
}

fn localize(object: &Path) {
    run(Command::new("objcopy").arg("--localize-hidden").arg(object));
}

fn link(objects: &[&Path], linker: &str, output: &Path) -> Command {
    let mut command = llvm("clang");
    command
        .arg("-pie")
        .arg(format!("-fuse-ld={linker}"))
        .args(objects)
        .args(link_flags())
        .arg("-o")
        .arg(output);
    command
}

#[test]
fn objects_that_were_linked_into_one() {
    if platform().is_foreign() {
        return; // GNU ld is this machine's.
    }
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (whole, program) = (directory.path().join("whole.o"), directory.path().join("program"));
    for build in BUILDS {
        let [one, other] = objects(build, directory.path());
        run(&mut partial(&[], &[&one, &other], &whole));
        for is_localized in [false, true] {
            if is_localized {
                localize(&whole);
            }
            for linker in ["bfd", "lld"] {
                run(&mut link(&[&whole], linker, &program));
                check(build, &program, &[&program], &(0..=0));
            }
        }
    }
}

/// The linkers report the missing trampoline. (mold does not: the program then calls address zero, as it
/// would for an inline function of C++.)
#[test]
fn objects_whose_trampolines_are_local_do_not_link() {
    if platform().is_foreign() {
        return;
    }
    let directory = tempfile::tempdir().expect("a temporary directory");
    let [one, other] = objects(BUILDS[1], directory.path());
    localize(&one);
    localize(&other);
    for linker in ["bfd", "lld"] {
        let error = failure(&mut link(&[&one, &other], linker, &directory.path().join("program")));
        assert!(error.contains("__static_call_trampoline.shared") && error.contains("discarded"), "{error}");
    }
}

/// Without groups, the linker cannot know that two trampolines are the same; GNU ld refuses at once.
#[test]
fn objects_without_groups_are_refused() {
    if platform().is_foreign() {
        return;
    }
    let directory = tempfile::tempdir().expect("a temporary directory");
    let [one, other] = objects(BUILDS[1], directory.path());
    let whole = directory.path().join("whole.o");
    let error = failure(&mut partial(&["--force-group-allocation"], &[&one, &other], &whole));
    assert!(error.contains("static_call_sites"), "{error}");
}
