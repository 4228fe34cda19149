//! Keys across executables and shared objects.

use std::path::Path;

use static_call_tests::binary::{StaticCalls, is_registered};
use static_call_tests::c::{
    Build, Compiler, Report, builds, check, in_mode, modes, modes_and_writers, some_builds, source, writers,
};
use static_call_tests::platform::platform;
use static_call_tests::{prefix, run};

#[test]
fn keys_are_shared_between_images() {
    for &build in builds() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let at = |name: &str| directory.path().join(name);
        let left = build.shared_object("shared_left.c", &at("libleft.so"));
        let right = build.shared_object("shared_right.c", &at("libright.so"));
        let program = build.link_exporting("shared.c", &[&left, &right], &at("program"));
        // Five calls lead from the program into a shared object or back. The kernel maps these far apart. An
        // emulator maps them wherever its own address space has room, so distances vary from run to run.
        let far = match platform() {
            platform if !platform.calls_other_images => 6..=6,
            platform if platform.is_foreign() && platform.reach > 1 << 20 => 0..=5,
            _ => 5..=5,
        };
        check(build, &program, &[&program, &left, &right], &far);
    }
}

#[test]
fn targets_in_other_images() {
    for &build in some_builds() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let library = directory.path().join("libforeign.so");
        let mut compiler = build.compiler(true);
        compiler.args(["-fPIC", "-shared"]).arg(source("foreign_library.cpp")).arg("-o").arg(&library);
        run(&mut compiler);
        let library = library.to_str().expect("UTF-8");
        for kind in ["-pie", "-no-pie"] {
            let flags = [kind, if kind == "-pie" { "-fPIE" } else { "-fno-pie" }, library];
            let program = build.link(&["foreign.cpp"], &flags, &directory.path().join("program"));
            for (mode, (writer, _)) in build.runs() {
                run(in_mode(&program, mode).env("STATIC_CALL_WRITER", writer));
            }
        }
    }
}

/// A shared object that is loaded after the process has lost the right to write code.
#[test]
fn a_shared_object_that_may_not_be_patched() {
    let build = Build { compiler: Compiler::Pass, level: "-O2" };
    let directory = tempfile::tempdir().expect("a temporary directory");
    let plugin = build.shared_object("plugin.c", &directory.path().join("plugin.so"));
    let program = build.link_exporting("restricted_dlopen.c", &[], &directory.path().join("program"));
    for &mode in modes() {
        let mut command = in_mode(&program, mode);
        let output = command.env("STATIC_CALL_WRITER", "window").arg(&plugin).output().expect("it runs");
        if platform().is_foreign() && output.status.code() == Some(77) {
            eprintln!("SKIPPED: {command:?}: the emulator does not know seccomp(2)");
        } else {
            assert!(output.status.success(), "{command:?}: {output:?}");
        }
    }
}

/// After an update, AArch64 code still requires landing pads.
#[test]
fn guarded_code() {
    if !platform().name.starts_with("aarch64") {
        eprintln!("skipped: only AArch64 guards code");
        return;
    }
    let build = Build { compiler: Compiler::PassShared, level: "-O2" };
    let directory = tempfile::tempdir().expect("a temporary directory");
    // The C library's start files have no landing pads.
    let flags = ["-mbranch-protection=standard", "-nostartfiles", "-Wl,-z,force-bti"];
    let library = directory.path().join("library.so");
    let mut compiler = build.compiler(false);
    compiler.args(["-shared", "-fPIC"]).args(flags).arg(source("guarded_library.c")).arg("-o").arg(&library);
    run(&mut compiler);
    let library = library.to_str().expect("UTF-8");
    let program = build.link(&["guarded.c"], &[library], &directory.path().join("program"));
    for &mode in modes() {
        run(&mut in_mode(&program, mode));
    }
}

/// The program and a shared object link the runtime statically, and neither exports it.
#[test]
fn two_runtimes_that_share_a_key() {
    let build = Build { compiler: Compiler::Pass, level: "-O2" };
    let directory = tempfile::tempdir().expect("a temporary directory");
    let archive = prefix().join("lib/libstatic_call.a").display().to_string();
    let hidden = ["-fPIC", "-shared", "-Wl,--exclude-libs,ALL", &archive];
    let plugin = build.link(&["plugin.c"], &hidden, &directory.path().join("plugin.so"));
    let exported = ["-Wl,--export-dynamic-symbol=host_key__static_call_key", "-ldl"];
    let program = build.link(&["two_runtimes.c"], &exported, &directory.path().join("program"));
    for &mode in modes() {
        run(in_mode(&program, mode).arg(&plugin));
    }
}

#[test]
fn shared_objects_come_and_go() {
    for &build in builds() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let at = |name: &str| directory.path().join(name);
        let first = build.shared_object("plugin.c", &at("first.so"));
        let second = at("second.so");
        std::fs::copy(&first, &second).expect("a copy");
        let program = build.link_exporting("plugin_host.c", &[], &at("program"));
        let sites = |image: &Path| {
            let calls = StaticCalls::read(image);
            if build.has_pass() { calls.checked() } else { calls.recorded.len() }
        };
        assert_eq!(sites(&first) > 0, build.has_pass());
        let sites = sites(&program);
        for &mode in modes() {
            let output = run(in_mode(&program, mode).args([&first, &second]));
            let report = Report::find(&output.stdout);
            assert_eq!(report.sites, sites, "{build:?}, {mode:?}: after the last was unloaded");
            assert_eq!(report.images, usize::from(is_registered(&program)), "{build:?}, {mode:?}");
        }
    }
}

/// Before and after the seal, with a plugin that is loaded later, and with a key that cannot be protected.
#[test]
fn sealed_programs() {
    for &build in builds() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let plugin = build.shared_object("plugin.c", &directory.path().join("plugin.so"));
        for source in ["sealed.c", "sealed_struct.c"] {
            let program = build.link_exporting(source, &[], &directory.path().join("program"));
            for (mode, (writer, _)) in modes_and_writers() {
                run(in_mode(&program, mode).env("STATIC_CALL_WRITER", writer).arg(&plugin));
            }
        }
    }
}

/// The seal's result with plugins that are registered, refused, or unknown to any runtime, and that may have
/// their own.
#[test]
fn the_seal_tells_of_every_image() {
    if platform().is_emulated() {
        eprintln!("skipped: an emulator does not report what is mapped or writable");
        return;
    }
    let directory = tempfile::tempdir().expect("a temporary directory");
    let pass = Build { compiler: Compiler::Pass, level: "-O2" };
    let archive = prefix().join("lib/libstatic_call.a").display().to_string();
    let program = pass.link_exporting("sealed_truth.c", &[], &directory.path().join("exports"));
    let exported = ["-Wl,--export-dynamic-symbol=host_key__static_call_key", "-ldl"];
    let hides = pass.link(&["sealed_truth.c"], &exported, &directory.path().join("hides"));
    let own = ["-Wl,--exclude-libs,ALL", archive.as_str()];
    let clang = Build { compiler: Compiler::Clang, level: "-O2" };
    let cases: [(&str, &Path, Build, &[&str], bool); 7] = [
        ("the program's runtime", &program, pass, &[], true),
        ("the program's runtime, in a struct", &program, pass, &["-DIN_STRUCT"], false),
        ("without the pass", &program, clang, &[], false),
        ("a runtime of its own", &hides, pass, &own, true),
        ("refused", &hides, pass, &["-DSHARES", own[0], own[1]], true),
        ("a runtime of its own, in a struct", &hides, pass, &["-DIN_STRUCT", own[0], own[1]], false),
        ("a runtime of its own, without the pass", &hides, clang, &own, false),
    ];
    for (what, program, build, flags, is_sealed) in cases {
        let plugin = directory.path().join("plugin.so");
        let mut compiler = build.compiler(false);
        compiler.args(["-fPIC", "-shared", "-fvisibility=hidden"]).arg(source("sealed_truth_plugin.c"));
        run(compiler.args(flags).arg("-o").arg(&plugin));
        for (mode, (writer, _)) in modes_and_writers() {
            // A refused image is refused from the start, and the key of a late image was not updated.
            for when in ["early", "late"] {
                let mut command = in_mode(program, mode);
                command.env("STATIC_CALL_WRITER", writer).arg(&plugin);
                eprintln!("{what}, {mode:?}, {writer}, {when}");
                run(command.args([when, if is_sealed { "sealed" } else { "not" }]));
            }
        }
    }
}

/// No write to memory that is still writable redirects a call.
#[test]
fn writes_after_the_seal() {
    if platform().is_foreign() {
        eprintln!("skipped: thousands of forks take minutes in an emulator");
        return;
    }
    {
        let build = Build { compiler: Compiler::PassShared, level: "-O2" };
        let directory = tempfile::tempdir().expect("a temporary directory");
        let descriptor = "-Wl,--defsym=image_descriptor=__static_call_image";
        let flags = ["-fvisibility=hidden", "-rdynamic", "-ldl", descriptor];
        let plugin = directory.path().join("plugin.so");
        let mut compiler = build.compiler(false);
        compiler.args(["-fPIC", "-shared", "-fvisibility=hidden", descriptor]);
        run(compiler.arg(source("sealed_writes_plugin.c")).arg("-o").arg(&plugin));
        let program = build.link(&["sealed_writes.c"], &flags, &directory.path().join("program"));
        for (writer, number) in writers() {
            let output = run(in_mode(&program, None).env("STATIC_CALL_WRITER", writer).arg(&plugin));
            let report = Report::find(&output.stdout);
            assert_eq!((report.writer, report.images), (*number, 2), "{build:?}");
            eprintln!("{writer}: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
    }
}

/// However a program ends, and whatever it unloads meanwhile, unmapped memory is not touched, and calls
/// follow updates to the very end.
#[test]
fn programs_that_end() {
    const WAYS: [(&str, &str); 9] = [
        ("handler before", "at last\n"),
        ("handler after", "at last\n"),
        ("handler, caller only", "at last\n"),
        ("destructor", "at last\n"),
        ("last thread", "at last\n"),
        ("both stay", "at last, both\n"),
        ("quick_exit", "at last\n"),
        ("_exit", ""),
        ("", "at last\n"),
    ];
    for level in ["-O0", "-O3"] {
        let build = Build { compiler: Compiler::PassShared, level };
        let directory = tempfile::tempdir().expect("a temporary directory");
        let at = |name: &str| directory.path().join(name);
        let runtime = prefix().join("lib").display().to_string();
        let flags = ["-fPIC", "-shared", "-fvisibility=hidden"];
        let key = build.link(&["exit_key.c"], &flags, &at("key.so"));
        let caller = build.link(&["exit_caller.c"], &flags, &at("caller.so"));
        let late = at("late.so");
        std::fs::copy(&caller, &late).expect("a copy");
        let plain = at("plain");
        let mut compiler = Build { compiler: Compiler::Clang, level }.compiler(false);
        run(compiler.arg(source("exit_host.c")).arg("-ldl").arg("-o").arg(&plain));
        let with_calls = build.link(&["exit_host.c"], &["-DHAS_CALLS", "-ldl"], &at("with_calls"));
        for host in [&plain, &with_calls] {
            for (mode, (writer, _)) in modes_and_writers() {
                for (way, printed) in WAYS {
                    let mut command = in_mode(host, mode);
                    command.env("STATIC_CALL_WRITER", writer).arg(way).args([&key, &caller]);
                    command.env("LATE_PLUGIN", &late);
                    let output = run(command.env("LD_LIBRARY_PATH", &runtime));
                    assert_eq!(String::from_utf8_lossy(&output.stdout), printed, "{command:?}");
                }
            }
        }
    }
}

/// The process ends while another thread updates, and an exit handler unloads an image: before the library's
/// own exit handler, or after it.
#[test]
fn programs_that_end_beside_updates() {
    let build = Build { compiler: Compiler::PassShared, level: "-O2" };
    let directory = tempfile::tempdir().expect("a temporary directory");
    let at = |name: &str| directory.path().join(name);
    let flags = ["-fPIC", "-shared", "-fvisibility=hidden"];
    let key = build.link(&["exit_key.c"], &flags, &at("key.so"));
    let caller = build.link(&["exit_caller.c"], &flags, &at("caller.so"));
    let host = build.link(&["exit_host.c"], &["-DHAS_CALLS", "-ldl"], &at("host"));
    for (mode, (writer, _)) in modes_and_writers() {
        for way in ["beside updates", "beside updates, last"].repeat(5) {
            let mut command = in_mode(&host, mode);
            run(command.env("STATIC_CALL_WRITER", writer).arg(way).args([&key, &caller]));
        }
    }
}
