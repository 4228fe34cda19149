//! Which facts are cached between calls, and when they are not.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use crate::world::{COMPILATION, Call, WRAPPER, World};

/// The cache's files.
fn entries(world: &World) -> Vec<PathBuf> {
    let directory = fs::read_dir(world.path("cache/static-call")).unwrap();
    directory.map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn the_compiler_is_asked_once() {
    let world = World::new();
    for _ in 0..3 {
        assert!(world.call(COMPILATION).run().has_pass());
    }
    assert_eq!(world.times_asked(), 1);
    assert_eq!(entries(&world).len(), 2, "the compiler's and the plugin's; no drafts");
}

#[test]
fn another_compiler_at_the_same_path_is_asked_again() {
    let world = World::new();
    assert!(world.call(COMPILATION).run().has_pass());
    world.install_rustc("1.94.0", "21.1.8");
    assert!(!world.call(COMPILATION).run().has_pass());
    assert_eq!(world.times_asked(), 2);
    assert_eq!(entries(&world).len(), 2, "the new entry replaces the old");
}

#[test]
fn a_corrupted_entry_is_ignored_and_rewritten() {
    let world = World::new();
    let hash = world.call(COMPILATION).run().hash().to_owned();
    let damage: [fn(&str) -> Vec<u8>; 4] = [
        |_| Vec::new(),
        |_| vec![0xff; 100],
        |text| text[..text.len() / 2].into(),
        |text| format!("{}0", text.replace("LLVM version: 22", "LLVM version: 21")).into(),
    ];
    for (round, damage) in damage.iter().enumerate() {
        for entry in entries(&world) {
            let text = fs::read_to_string(&entry).unwrap();
            fs::write(&entry, damage(&text)).unwrap();
        }
        for _ in 0..2 {
            let outcome = world.call(COMPILATION).run();
            assert!(outcome.has_pass(), "{outcome:?}");
            assert_eq!(outcome.hash(), hash);
        }
        assert_eq!(world.times_asked(), round + 2);
    }
}

/// In a directory that others can write, they could forge facts about a compiler.
#[test]
fn a_directory_that_others_may_write_is_no_cache() {
    let world = World::new();
    assert!(world.call(COMPILATION).run().has_pass());
    let directory = world.path("cache/static-call");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&directory), 0o700);
    for (round, shared) in [0o720, 0o702, 0o777].into_iter().enumerate() {
        fs::set_permissions(&directory, fs::Permissions::from_mode(shared)).unwrap();
        assert!(world.call(COMPILATION).run().has_pass());
        assert_eq!(world.times_asked(), round + 2, "{shared:o}");
    }
    fs::rename(&directory, world.path("elsewhere")).unwrap();
    symlink(world.path("elsewhere"), &directory).unwrap();
    fs::set_permissions(world.path("elsewhere"), fs::Permissions::from_mode(0o700)).unwrap();
    assert!(world.call(COMPILATION).run().has_pass());
    assert_eq!(world.times_asked(), 5, "a link");
}

#[test]
fn no_link_is_followed_in_the_cache() {
    let world = World::new();
    assert!(world.call(COMPILATION).run().has_pass());
    let victim = world.path("victim");
    for entry in entries(&world) {
        let text = fs::read(&entry).unwrap();
        fs::write(&victim, &text).unwrap();
        // The path of the draft, which contains the process ID: the shell becomes the wrapper.
        let script = world.path("with-links");
        let text = format!("#!/bin/sh\nln -s {0} {1}.$$\nexec \"$@\"\n", victim.display(), entry.display());
        world.install_program(&script, &text);
        fs::remove_file(&entry).unwrap();
        symlink(&victim, &entry).unwrap();
        let before = world.times_asked();
        let call = || Call::new(&world, &script).env("STATIC_CALL_PASS", world.plugin());
        let call = || call().args([Path::new(WRAPPER), &world.rustc()]).args(COMPILATION);
        assert!(call().run().has_pass());
        assert!(!fs::symlink_metadata(&entry).unwrap().is_symlink(), "it was written anew");
        assert!(world.times_asked() <= before + 1);
        fs::write(&victim, "mine").unwrap();
        fs::remove_file(&entry).unwrap();
        assert!(call().run().has_pass());
        assert_eq!(fs::read_to_string(&victim).unwrap(), "mine");
        assert!(fs::symlink_metadata(&entry).unwrap().is_file());
    }
}

#[test]
fn a_cache_that_cannot_be_written_is_no_error() {
    let world = World::new();
    let call = || world.call(COMPILATION).env("XDG_CACHE_HOME", world.plugin());
    for _ in 0..2 {
        let outcome = call().run();
        assert!(outcome.has_pass(), "{outcome:?}");
        assert_eq!(outcome.stderr, "");
    }
    assert_eq!(world.times_asked(), 2);
}

#[test]
fn the_cache_is_in_the_home_or_in_a_private_temporary_directory() {
    let world = World::new();
    let call = || world.call(COMPILATION).env_remove("XDG_CACHE_HOME");
    call().env("HOME", world.path("home")).run();
    assert!(world.path("home/.cache/static-call").is_dir());
    // The specification says to ignore a relative path.
    call().env("HOME", world.path("home")).env("XDG_CACHE_HOME", "relative").run();
    assert!(!world.path("relative").exists());
    assert_eq!(world.times_asked(), 1);

    call().run();
    call().run();
    assert_eq!(world.times_asked(), 2);
    let temporary = fs::read_dir(world.path("tmp")).unwrap().next().unwrap().unwrap();
    let mode = |mode| fs::set_permissions(temporary.path(), fs::Permissions::from_mode(mode));
    mode(0o777).unwrap();
    assert!(call().run().has_pass());
    assert_eq!(world.times_asked(), 3, "anybody may have written there");
    mode(0o700).unwrap();
    call().run();
    assert_eq!(world.times_asked(), 3);
}

#[test]
fn a_compiler_outside_a_toolchain_is_asked_each_time() {
    let world = World::new();
    let script = world.path("scripts/bin/rustc");
    world.install_wrapper("scripts/bin/rustc");
    world.install_compiler(&script, "1.95.0", "22.1.2");
    for round in 1..3 {
        assert!(world.bare_call([&script]).args(COMPILATION).run().has_pass());
        assert_eq!(world.times_asked(), round);
    }
}

#[test]
fn a_bare_name_is_looked_up() {
    let world = World::new();
    let call = || world.bare_call(["rustc"]).args(COMPILATION);
    let path = std::env::join_paths([world.path("toolchain/bin"), "/usr/bin".into(), "/bin".into()]);
    let path = path.unwrap();
    for _ in 0..2 {
        assert!(call().env("PATH", &path).run().has_pass());
    }
    assert_eq!(world.times_asked(), 1);
}

/// A rustup proxy answers for the toolchain that is selected when and where it runs.
#[test]
fn a_rustup_proxy_is_remembered_only_for_a_toolchain_named_in_the_environment() {
    let world = World::new();
    let rustup = world.path("cargo/bin/rustup");
    let script = "#!/bin/sh\ncase $1 in +*) RUSTUP_TOOLCHAIN=${1#+}; shift ;; esac\n\
         exec \"$RUSTUP_HOME/toolchains/${RUSTUP_TOOLCHAIN-old}/bin/rustc\" \"$@\"\n";
    world.install_wrapper("cargo/bin/rustup");
    world.install_program(&rustup, script);
    let proxy = rustup.with_file_name("rustc");
    symlink("rustup", &proxy).unwrap();
    for (name, release, llvm) in [("new", "1.95.0", "22.1.2"), ("old", "1.94.0", "21.1.8")] {
        let toolchain = world.path("rustup/toolchains").join(name);
        fs::create_dir_all(toolchain.join("lib/rustlib")).unwrap();
        fs::create_dir_all(toolchain.join("bin")).unwrap();
        world.install_compiler(&toolchain.join("bin/rustc"), release, llvm);
    }
    let call = || world.bare_call([&proxy]).env("RUSTUP_HOME", world.path("rustup"));

    for _ in 0..2 {
        assert!(call().env("RUSTUP_TOOLCHAIN", "new").args(COMPILATION).run().has_pass());
        assert!(!call().env("RUSTUP_TOOLCHAIN", "old").args(COMPILATION).run().has_pass());
    }
    assert_eq!(world.times_asked(), 2, "once per toolchain");

    for round in 1..3 {
        assert!(!call().args(COMPILATION).run().has_pass());
        assert_eq!(world.times_asked(), 2 + round, "the default may have changed");
    }

    let outcome = call().env("RUSTUP_TOOLCHAIN", "old").args(["+new"]).args(COMPILATION).run();
    assert!(outcome.has_pass(), "{outcome:?}");
    let outcome = call().args(["+new", "--version"]).run();
    outcome.assert_untouched(&["--version"]);
}
