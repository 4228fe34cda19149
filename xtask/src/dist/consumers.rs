//! Users' projects, built against an archive that was unpacked outside of the repository: those of
//! `tests/consumer`, and what docs/build-systems.md says to write.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use xtask::run::{cargo, in_temporary_directory, output, root, run};

use super::made::{Made, VERSION, directory};

/// What the projects are built with.
pub(super) const PACKAGES: &[&str] = &["clang-22", "cmake", "ninja-build", "make", "meson", "pkg-config"];

/// What the consumer prints: its results, and whether both of its calls are recorded and direct.
const DIRECT: &str = "7 0 12: 2 of 2\n";

/// Builds all projects, and runs them.
pub(super) fn test(made: &Made) -> Result<()> {
    in_temporary_directory(|outside| {
        let [archive, gzip] = made.archives.each_ref();
        run(Command::new("tar").arg("-xf").arg(archive).arg("-C").arg(outside))?;
        let world = World {
            outside,
            prefix: outside.join(made.tree.file_name().context("a directory")?),
            document: fs::read_to_string(root().join("docs/build-systems.md")).context("cannot read it")?,
            archive: gzip,
        };
        world.cmake().context("CMake with an installation")?;
        world.fetch_content().context("CMake's FetchContent")?;
        for (package, clang) in [("gcc", "gcc g++"), ("clang", "clang-22 clang++-22")] {
            world.make(clang).with_context(|| format!("Make with {package}"))?;
        }
        world.meson(&world.with_sources("meson", &["meson.build"])?, &[]).context("Meson with pkg-config")?;
        world.wrap().context("Meson with a wrap")?;
        world.mixed().context("cargo with C")?;
        println!("projects of CMake, Make, Meson and cargo build direct calls against the archive");
        Ok(())
    })
}

struct World<'a> {
    outside: &'a Path,
    /// The unpacked archive.
    prefix: PathBuf,
    /// docs/build-systems.md.
    document: String,
    /// What a project gets by itself.
    archive: &'a Path,
}

impl World<'_> {
    fn cmake(&self) -> Result<()> {
        let prefix = format!("-DCMAKE_PREFIX_PATH={}", self.prefix.display());
        self.configure_and_run(&self.with_sources("cmake", &["CMakeLists.txt"])?, &[&prefix])
    }

    fn fetch_content(&self) -> Result<()> {
        let project = self.with_sources("fetch", &[])?;
        let text = format!(
            "cmake_minimum_required(VERSION 3.14...4.0)\nproject(app C CXX)\n{}\n\
             add_executable(consumer_c consumer.c)\nadd_executable(consumer_cpp consumer.cpp)\n\
             target_link_libraries(consumer_c PRIVATE StaticCall::static_call)\n\
             target_link_libraries(consumer_cpp PRIVATE StaticCall::static_call)\n",
            self.with_archive(self.block("FetchContent_Declare")?)?
        );
        fs::write(project.join("CMakeLists.txt"), text)?;
        self.configure_and_run(&project, &[])
    }

    fn configure_and_run(&self, project: &Path, options: &[&str]) -> Result<()> {
        let mut configure = self.command("cmake", "clang-22 clang++-22", project);
        configure.args(["-G", "Ninja", "-Werror=dev", "."]).args(options);
        output(&mut configure)?;
        output(Command::new("cmake").args(["--build", "."]).current_dir(project))?;
        prints_direct(project)
    }

    fn make(&self, compilers: &str) -> Result<()> {
        let project = self.with_sources(compilers, &["Makefile"])?;
        let (c, cpp) = compilers.split_once(' ').context("two compilers")?;
        let mut make = self.command("make", compilers, &project);
        output(make.args([format!("CC={c}"), format!("CXX={cpp}")]))?;
        prints_direct(&project)
    }

    fn meson(&self, project: &Path, options: &[&str]) -> Result<()> {
        let mut setup = self.command("meson", "clang-22 clang++-22", project);
        output(setup.args(["setup", "--fatal-meson-warnings", "-Dwerror=true", "build"]).args(options))?;
        output(Command::new("ninja").args(["-C", "build"]).current_dir(project))?;
        prints_direct(&project.join("build"))
    }

    fn wrap(&self) -> Result<()> {
        let project = self.with_sources("wrap", &[])?;
        fs::write(project.join("meson.build"), self.block("project('app'")?)?;
        fs::create_dir(project.join("subprojects"))?;
        let wrap = self.with_archive(self.block("[wrap-file]")?)?;
        fs::write(project.join("subprojects/static-call.wrap"), wrap)?;
        // pkg-config would find the installation first.
        self.meson(&project, &["--force-fallback-for=static-call"])
    }

    /// A package as the document says, with the crates as they are packed, the archive's tools and its pass.
    fn mixed(&self) -> Result<()> {
        let packages = directory().join("crates");
        let mut pack = cargo();
        pack.args(["package", "--quiet", "--no-verify", "--allow-dirty", "-p", "static-call"]);
        run(pack.args(["-p", "static-call-abi", "--target-dir"]).arg(&packages))?;
        let mut patches = String::from("[workspace]\n[patch.crates-io]\n");
        for name in ["static-call", "static-call-abi"] {
            let package = packages.join("package").join(format!("{name}-{VERSION}.crate"));
            run(Command::new("tar").arg("-xf").arg(package).arg("-C").arg(self.outside))?;
            patches += &format!("{name} = {{ path = \"../{name}-{VERSION}\" }}\n");
        }

        let project = self.outside.join("mixed");
        run(Command::new("cp").arg("-R").arg(root().join("tests/consumer/mixed")).arg(&project))?;
        let head = "[package]\nname = \"mixed\"\nversion = \"0.0.0\"\nedition = \"2024\"\n";
        fs::write(project.join("Cargo.toml"), format!("{head}{}{patches}", self.block("[build-dep")?))?;
        fs::write(project.join("build.rs"), self.block("cc::Build")?)?;
        fs::copy(root().join("Cargo.lock"), project.join("Cargo.lock"))?;
        let script = self.block("export CC")?.replace("build", "build --quiet --offline");
        let mut build = self.command("sh", "", &project);
        build.args(["-eu", "-c", &script]).env("STATIC_CALL_REQUIRE", "1").env_remove("CARGO_TARGET_DIR");
        output(build.env("PATH", self.path()?))?;
        let program = project.join("target/static-call/debug/mixed");
        let said = output(&mut Command::new(&program))?;
        ensure!(said == "7 0 16: 2 of 2\n", "it prints {said}");
        let mut inspect = Command::new(self.prefix.join("bin/static-call-inspect"));
        output(inspect.arg("--require-all-direct").arg(&program)).map(drop)
    }

    /// The archive's programs come first.
    fn path(&self) -> Result<std::ffi::OsString> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let directories = [self.prefix.join("bin")].into_iter().chain(std::env::split_paths(&path));
        Ok(std::env::join_paths(directories)?)
    }

    fn command(&self, program: &str, compilers: &str, directory: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir(directory).env("PKG_CONFIG_PATH", self.prefix.join("lib/pkgconfig"));
        if let Some((c, cpp)) = compilers.split_once(' ') {
            command.env("CC", c).env("CXX", cpp);
        }
        command
    }

    /// A directory with the consumer's programs and these files.
    fn with_sources(&self, name: &str, files: &[&str]) -> Result<PathBuf> {
        let project = self.outside.join(name);
        fs::create_dir(&project)?;
        for file in ["consumer.c", "consumer.cpp"].iter().chain(files) {
            fs::copy(root().join("tests/consumer").join(file), project.join(file))
                .with_context(|| format!("cannot copy {file}"))?;
        }
        Ok(project)
    }

    /// The document's block of code that has this word.
    fn block(&self, word: &str) -> Result<&str> {
        let blocks = self.document.split("```").skip(1).step_by(2);
        let mut blocks = blocks.filter_map(|block| Some(block.split_once('\n')?.1));
        let found = blocks.find(|block| block.contains(word));
        found.with_context(|| format!("docs/build-systems.md has no example with `{word}`"))
    }

    /// An example with the archive's place and sum.
    fn with_archive(&self, example: &str) -> Result<String> {
        let directory = self.archive.parent().context("a directory")?;
        let sum = output(Command::new("sha256sum").arg(self.archive))?;
        let sum = sum.split_whitespace().next().context("sha256sum prints nothing")?;
        let place = format!("file://{}", directory.display());
        let text = example.replace("https://EXAMPLE", &place).replace("=SUM", &format!("={sum}"));
        let text = text.replace("= SUM", &format!("= {sum}"));
        ensure!(text.contains(&place) && text.contains(sum), "the example gets no archive: {example}");
        // The documents show x86-64's.
        let name = self.archive.file_name().context("a file")?.to_string_lossy();
        ensure!(text.contains(&*name), "the example gets another archive than {name}");
        Ok(text)
    }
}

/// Runs what was built.
fn prints_direct(directory: &Path) -> Result<()> {
    for program in ["consumer_c", "consumer_cpp"] {
        let said = output(&mut Command::new(directory.join(program)))?;
        ensure!(said == DIRECT, "{program} prints {said}");
    }
    Ok(())
}
