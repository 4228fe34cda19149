//! Keys across executables and shared objects.

use static_call_tests::binary::StaticCalls;
use static_call_tests::c::{
    BUILDS, Build, Compiler, Report, check, in_mode, modes, modes_and_writers, source,
};
use static_call_tests::platform::platform;
use static_call_tests::{prefix, run};

#[test]
fn keys_are_shared_between_images() {
    for build in BUILDS {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let at = |name: &str| directory.path().join(name);
        let left = build.shared_object("shared_left.c", &at("libleft.so"));
        let right = build.shared_object("shared_right.c", &at("libright.so"));
        let program = build.link_exporting("shared.c", &[&left, &right], &at("program"));
        // Calls out of the program into a shared object, and the other way round: far away. An emulator puts them
        // side by side, but not closer than some calls reach; and with 32 bits some reach everything.
        let far = match platform() {
            platform if !platform.calls_other_images => 6,
            platform if platform.is_foreign() && platform.reach > 1 << 20 => 0,
            _ => 5,
        };
        check(build, &program, &[&program, &left, &right], far);
    }
}

#[test]
fn targets_in_other_images() {
    for build in BUILDS {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let library = directory.path().join("libforeign.so");
        let mut compiler = build.compiler(true);
        compiler.args(["-fPIC", "-shared"]).arg(source("foreign_library.cpp")).arg("-o").arg(&library);
        run(&mut compiler);
        let library = library.to_str().expect("UTF-8");
        for kind in ["-pie", "-no-pie"] {
            let flags = [kind, if kind == "-pie" { "-fPIE" } else { "-fno-pie" }, library];
            let program = build.link(&["foreign.cpp"], &flags, &directory.path().join("program"));
            for (mode, (writer, _)) in modes_and_writers() {
                run(in_mode(&program, mode).env("STATIC_CALL_WRITER", writer));
            }
        }
    }
}

/// A shared object that comes when code may not be written any more.
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

/// AArch64's landing pads: a window over code gives it back as guarded as it was.
#[test]
fn guarded_code() {
    if !platform().name.starts_with("aarch64") {
        eprintln!("skipped: only AArch64 guards code");
        return;
    }
    let build = Build { compiler: Compiler::PassShared, level: "-O2" };
    let directory = tempfile::tempdir().expect("a temporary directory");
    // The C library's own start files have no landing pads.
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

/// Both linked statically with the runtime, which neither exports.
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
    for build in BUILDS {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let at = |name: &str| directory.path().join(name);
        let first = build.shared_object("plugin.c", &at("first.so"));
        let second = at("second.so");
        std::fs::copy(&first, &second).expect("a copy");
        let program = build.link_exporting("plugin_host.c", &[], &at("program"));
        let sites = StaticCalls::read(&program).checked();
        assert_eq!(StaticCalls::read(&first).checked() > 0, build.has_pass());
        for &mode in modes() {
            let output = run(in_mode(&program, mode).args([&first, &second]));
            let report = Report::find(&output.stdout);
            assert_eq!(report.sites, sites, "{build:?}, {mode:?}: after the last was unloaded");
            assert_eq!(report.images, usize::from(build.has_pass()), "{build:?}, {mode:?}");
        }
    }
}

/// Before and after, with a plugin that comes later, and with a key that cannot be protected.
#[test]
fn sealed_programs() {
    for build in BUILDS {
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
