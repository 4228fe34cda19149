//! The programs of `tests/c`, with the pass and without, at several levels, in every mode.

use static_call_tests::c::{BUILDS, Build, Compiler, check, check_all, source};
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

#[test]
fn static_keys_of_two_files_with_one_name() {
    check_all(&["two_files.c", "two_files_other.c"]);
}

#[test]
fn null_and_return_zero() {
    check_all(&["off.c"]);
}

/// Callers of a function that leaves registers alone keep values in them, whatever a build adds to functions.
#[test]
fn null_changes_no_register() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    for build in BUILDS {
        let program = directory.path().join("program");
        let sources = ["off.c", "instrumented.c"];
        let program = build.link(&sources, &["-finstrument-functions"], &program);
        check(build, &program, &[&program], 0);
    }
}

/// Where no call is direct, since a trampoline might be out of reach, what stands for NULL is called all the same.
#[test]
fn null_where_calls_load_their_keys() {
    if !platform().is_x86() || platform().pointer != 8 {
        eprintln!("skipped: only x86-64 has these flags");
        return;
    }
    let directory = tempfile::tempdir().expect("a temporary directory");
    for build in BUILDS {
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

/// Flags that give all functions of a file another convention, but not those of the libraries.
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
    for build in BUILDS {
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
    check_all(&["lazy.c"]);
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
    check_all(&["signals.c"]);
}

#[test]
fn a_child_forked_during_an_update() {
    check_all(&["forks.c"]);
}

#[test]
fn updates_keep_to_the_protocol() {
    // The program's own mprotect, pwrite64 and syscall come before the C library's; the library's archive alone
    // is linked to them.
    for level in ["-O0", "-O2"] {
        let build = Build { compiler: Compiler::Pass, level };
        let directory = tempfile::tempdir().expect("a temporary directory");
        let flags = ["-D_GNU_SOURCE", "-ldl"];
        let program = build.link(&["protocol.c"], &flags, &directory.path().join("program"));
        check(build, &program, &[&program], 0);
    }
}

/// What link-time optimization made of what it had been made of before.
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
        check(build, &program, &[&program], 0);
    }
}

#[test]
fn a_target_sees_ordinary_frames() {
    for build in BUILDS {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let flags = ["-rdynamic", "-fno-omit-frame-pointer", "-funwind-tables", "-ldl"];
        let program = build.link(&["frames.c"], &flags, &directory.path().join("program"));
        check(build, &program, &[&program], 0);
    }
}

/// Arm has two instruction sets. The two sites of a key whose target is of the other one go through its trampoline.
#[test]
fn thumb_code() {
    if !platform().name.starts_with("arm") {
        eprintln!("skipped: the machine has no other instruction set");
        return;
    }
    for build in BUILDS {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let program = build.link(&["thumb.c"], &[], &directory.path().join("program"));
        check(build, &program, &[&program], 2);
    }
}

#[test]
fn files_that_another_thread_closes() {
    check_all(&["closed_files.c"]);
}
