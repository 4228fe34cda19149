//! The programs of `tests/c`, with and without the pass, at several levels and in every mode.

use static_call_tests::c::{Build, Compiler, Report, builds, some_builds};
use static_call_tests::c::{check, check_all, check_builds, in_mode, modes, source};
use static_call_tests::platform::platform;
use static_call_tests::{execute, link_flags, run};

#[test]
fn the_proposal_to_the_letter() {
    check_all(&["proposal.c"]);
    check_all(&["proposal.cpp"]);
}

#[test]
fn keys_in_files_functions_arrays_and_structs() {
    check_all(&["keys.c"]);
}

#[test]
fn keys_in_cpp() {
    check_all(&["keys.cpp"]);
}

#[test]
fn keys_in_namespaces_classes_and_templates() {
    check_all(&["scopes.cpp"]);
}

/// Keys in a module itself and in headers that it includes, exported or not; and the header as a header unit.
#[test]
fn keys_in_modules_of_cpp20() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let at = |name: &str| directory.path().join(name);
    for compiler in [Compiler::Pass, Compiler::Clang] {
        for level in ["-O0", "-O3"] {
            let build = Build { compiler, level };
            let clang = |arguments: &[&str]| {
                let mut clang = build.compiler(true);
                clang
                    .args([
                        "-std=c++20",
                        "-Wno-experimental-header-units",
                        "-Wno-unused-command-line-argument",
                    ])
                    .args(arguments);
                clang
            };
            run(clang(&["--precompile"]).arg(source("module_codec.cppm")).arg("-o").arg(at("codec.pcm")));
            run(clang(&["-c"]).arg(at("codec.pcm")).arg("-o").arg(at("codec.o")));
            run(build.compiler(false).arg("-c").arg(source("module_key.c")).arg("-o").arg(at("key.o")));
            let codec = format!("-fmodule-file=codec={}", at("codec.pcm").display());
            let mut header = clang(&["-fmodule-header=system", "-xc++-system-header", "static_call.h"]);
            run(header.arg("-o").arg(at("header.pcm")));
            let unit = format!("-fmodule-file={}", at("header.pcm").display());
            for header in [&[][..], &["-DHEADER_UNIT", &*unit]] {
                let mut link = clang(&[&*codec]);
                link.args(header).arg(source("module_main.cpp")).args([at("codec.o"), at("key.o")]);
                run(link.args(link_flags()).arg("-o").arg(at("program")));
                check(build, &at("program"), &[&at("program")], &(0..=0));
            }
        }
    }
}

#[test]
fn static_keys_of_two_files_with_one_name() {
    check_all(&["two_files.c", "two_files_other.c"]);
}

#[test]
fn null_and_return_zero() {
    check_all(&["off.c"]);
}

/// Callers keep values in the registers that a function preserves, whatever instrumentation is on.
#[test]
fn null_changes_no_register() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    for &build in builds() {
        let program = directory.path().join("program");
        let sources = ["off.c", "instrumented.c"];
        let program = build.link(&sources, &["-finstrument-functions"], &program);
        check(build, &program, &[&program], &(0..=0));
    }
}

/// If trampolines might be out of reach, calls load their keys and call the function that represents NULL.
#[test]
fn null_where_calls_load_their_keys() {
    if !platform().is_x86() || platform().pointer != 8 {
        eprintln!("skipped: only x86-64 has these flags");
        return;
    }
    let directory = tempfile::tempdir().expect("a temporary directory");
    for &build in builds() {
        for flags in [&["-mcmodel=medium"][..], &["-mcmodel=large", "-fno-pic", "-no-pie"]] {
            run(&mut execute(&build.link(&["off.c"], flags, &directory.path().join("program"))));
        }
    }
}

#[test]
fn arguments_and_results_of_every_kind() {
    check_all(&["signatures.c"]);
}

#[test]
fn calling_conventions_of_32_bit_x86() {
    if !platform().is_x86() || platform().pointer != 4 {
        eprintln!("skipped: only i686 has these conventions");
        return;
    }
    check_all(&["conventions.c"]);
}

/// Flags that give a file's functions another convention than the libraries'.
#[test]
fn conventions_of_whole_files() {
    const PROGRAM: &str = "#include <static_call.h>\n\
         int one(int x) { return x + 1; }\n\
         int two(int x) { return x + 2; }\n\
         DEFINE_STATIC_CALL(key, one);\n\
         int main(void) {\n\
         \tstruct static_call_info info;\n\
         \tif (static_call(key, 1) != 2 || static_call_update(key, two) || static_call(key, 1) != 3)\n\
         \t\treturn 1;\n\
         \tstatic_call_process_info(&info);\n\
         \treturn static_call_query(key) != two || info.keys > 1;\n\
         }\n";
    if !platform().is_x86() || platform().pointer != 4 {
        eprintln!("skipped: only i686 has these flags");
        return;
    }
    let directory = tempfile::tempdir().expect("a temporary directory");
    let source = directory.path().join("program.c");
    std::fs::write(&source, PROGRAM).expect("a file");
    for &build in builds() {
        for flag in ["-mregparm=3", "-mrtd"] {
            let program = directory.path().join("program");
            let mut compiler = build.compiler(false);
            run(compiler.args([build.level, flag]).arg(&source).arg("-o").arg(&program).args(link_flags()));
            run(&mut execute(&program));
        }
    }
}

#[test]
fn batches_are_made_whole_and_undone() {
    check_all(&["batch.c"]);
}

#[test]
fn lazy_dispatch_by_eight_threads() {
    check_builds(some_builds(), &["lazy.c"]);
}

#[test]
fn before_main_and_after_it() {
    check_all(&["lifecycle.c"]);
}

#[test]
fn longjmp_fork_and_recursion() {
    check_all(&["control.c"]);
}

#[test]
fn exceptions_leave_targets() {
    check_all(&["exceptions.cpp"]);
}

#[test]
fn signal_handlers_are_told_that_an_update_is_under_way() {
    check_builds(some_builds(), &["signals.c"]);
}

/// By `fork`, `_Fork` and clone(2).
#[test]
fn children_made_during_updates() {
    check_builds(some_builds(), &["forks.c"]);
}

/// Children of `vfork` share the memory, but no signal handlers.
#[test]
fn children_that_share_the_memory() {
    check_builds(some_builds(), &["vforks.c"]);
}

/// With fork hooks, a mutex held during updates, malloc, and signal handlers that update or fork.
#[test]
fn fork_waits_for_nobody_who_waits_for_an_update() {
    check_builds(some_builds(), &["fork_signals.c"]);
}

#[test]
fn updates_keep_to_the_protocol() {
    for level in ["-O0", "-O2"] {
        let build = Build { compiler: Compiler::Pass, level };
        let directory = tempfile::tempdir().expect("a temporary directory");
        let program = build.link(&["protocol.c"], &["-ldl"], &directory.path().join("program"));
        check(build, &program, &[&program], &(0..=0));
    }
}

/// In a process with threads, registering for membarrier waits for all processors. So the library registers
/// before there are threads, never in an update, and not at all if nothing will be patched.
#[test]
fn the_kernel_is_prepared_before_there_are_threads() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    for (compiler, more, sites) in [
        (Compiler::Pass, &[][..], true),
        (Compiler::Pass, &["-DNO_CALLS"], false),
        (Compiler::Clang, &[], false),
    ] {
        let build = Build { compiler, level: "-O2" };
        let flags = [&["-ldl"], more].concat();
        let program = build.link(&["membarriers.c"], &flags, &directory.path().join("program"));
        for &mode in modes() {
            // If no image has sites, trampolines are patched at once only on request.
            let is_patched = match mode {
                Some("generic") => false,
                Some("trampoline") => sites || build.has_trampolines(),
                _ => sites,
            };
            let expected = if is_patched { "1" } else { "0" };
            let output = run(in_mode(&program, mode).arg(expected));
            let said = String::from_utf8_lossy(&output.stdout);
            let reason = match (sites, mode) {
                (_, Some("generic")) => "STATIC_CALL_MODE asks for it",
                (true, None) => "calls are patched",
                (true, _) => "",
                (false, _) if build.has_trampolines() => "",
                (false, _) => "no call in this process was made direct",
            };
            assert!(said.contains(reason), "{build:?}, {more:?}, {mode:?}: {said}");
            // No mode promises direct calls where none is recorded.
            let expected = match mode {
                Some("generic") => 0,
                _ if !sites => usize::from(build.has_trampolines()),
                Some("trampoline") => 1,
                _ => 2,
            };
            assert_eq!(Report::find(&output.stdout).mode, expected, "{build:?}, {more:?}, {mode:?}: {said}");
        }
    }
}

/// Repeated link-time optimization may leave two descriptors.
#[test]
fn an_image_with_two_descriptors() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let again = directory.path().join("again.o");
    let mut plain = Build { compiler: Compiler::Clang, level: "-O2" }.compiler(false);
    run(plain.arg("-c").arg(source("two_descriptors_again.c")).arg("-o").arg(&again));
    for level in ["-O0", "-O3"] {
        let build = Build { compiler: Compiler::Pass, level };
        let flags = [again.to_str().expect("UTF-8")];
        let program = build.link(&["two_descriptors.c"], &flags, &directory.path().join("program"));
        check(build, &program, &[&program], &(0..=0));
    }
}

#[test]
fn a_target_sees_ordinary_frames() {
    for &build in builds() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let flags = ["-rdynamic", "-fno-omit-frame-pointer", "-funwind-tables", "-ldl"];
        let program = build.link(&["frames.c"], &flags, &directory.path().join("program"));
        check(build, &program, &[&program], &(0..=0));
    }
}

/// Arm has two instruction sets. The two sites of a key with a target in the other set go through its
/// trampoline.
#[test]
fn thumb_code() {
    if !platform().name.starts_with("arm") {
        eprintln!("skipped: the machine has no other instruction set");
        return;
    }
    for &build in builds() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let program = build.link(&["thumb.c"], &[], &directory.path().join("program"));
        check(build, &program, &[&program], &(2..=2));
    }
}

#[test]
fn files_that_another_thread_closes() {
    check_builds(some_builds(), &["closed_files.c"]);
}

/// GNU as accepts no quotes around the symbol that a section is linked to.
#[test]
fn names_that_gnu_as_has_to_take() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    for level in ["-O0", "-O3"] {
        let build = Build { compiler: Compiler::Pass, level };
        let flags = ["-fno-integrated-as", "-Wno-dollar-in-identifier-extension"];
        // If LLVM merges globals, GNU as refuses the resulting names.
        let mut without = Build { compiler: Compiler::Clang, level }.compiler(false);
        without.args(flags).arg("-c").arg(source("names.c")).arg("-o").arg(directory.path().join("names.o"));
        if !without.output().expect("clang").status.success() {
            assert!(!cfg!(target_arch = "x86_64") || platform().is_foreign(), "{without:?} failed");
            eprintln!("skipped: GNU as refuses the names at {level} without the pass too");
            continue;
        }
        let program = build.link(&["names.c"], &flags, &directory.path().join("program"));
        check(build, &program, &[&program], &(0..=0));
    }
}

/// LLD may split a merged module before it generates code. The program is right, but whether its image is
/// registered depends on the partition.
#[test]
fn partitions_of_a_merged_module() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let build = Build { compiler: Compiler::Pass, level: "-O3" };
    let pass = format!("-Wl,--load-pass-plugin={}", static_call_tests::plugin().display());
    for partitions in ["-Wl,--lto-partitions=2", "-Wl,--lto-partitions=5"] {
        let flags = ["-flto", "-fuse-ld=lld", &pass, partitions];
        let sources = ["two_files.c", "two_files_other.c"];
        let program = build.link(&sources, &flags, &directory.path().join("program"));
        run(&mut execute(&program));
    }
}
