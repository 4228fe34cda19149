//! Images with many sites: shared objects and programs of generated C.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::directories::output_directory;
use crate::toolchain::{Stamp, c_program, clang, link_flags, run_all};
use xtask::install::prefix;

/// The number of keys of an image that is loaded. An image that is updated has one, so that all its sites
/// change.
pub(crate) const KEYS: usize = 64;
const SITES_A_FUNCTION: usize = 100;
/// The number of sites per object. Larger images consist of several objects, and equal ones are compiled
/// once.
pub(crate) const SITES_A_FILE: usize = 5_000;

/// A shared object or a program of generated C.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Image {
    pub(crate) sites: usize,
    pub(crate) keys: usize,
    pub(crate) with_pass: bool,
    pub(crate) kind: Kind,
    /// The greatest amount of code between two sites.
    pub(crate) operations: usize,
    /// Whether each site has a page of its own.
    pub(crate) is_sparse: bool,
    /// Whether its sites are branches.
    pub(crate) has_branches: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Library,
    /// Prints when its main began, and does nothing else.
    Program,
}

impl Image {
    /// A shared object.
    pub(crate) fn library(sites: usize, keys: usize) -> Self {
        Self {
            sites,
            keys,
            with_pass: true,
            kind: Kind::Library,
            operations: 1,
            is_sparse: false,
            has_branches: false,
        }
    }

    /// A shared object whose sites are static branches.
    pub(crate) fn of_branches(sites: usize) -> Self {
        Self { has_branches: true, ..Self::library(sites, 1) }
    }

    fn name(self) -> String {
        let pass = if self.with_pass { "" } else { "-without-pass" };
        let kind = if self.kind == Kind::Program { "program" } else { "image" };
        let sparse = if self.is_sparse { "-sparse" } else { "" };
        let branches = if self.has_branches { "-branches" } else { "" };
        format!("{kind}-{}-{}-{}{sparse}{branches}{pass}", self.sites, self.keys, self.operations)
    }

    pub(crate) fn path(self) -> Result<PathBuf> {
        let end = if self.kind == Kind::Program { "" } else { ".so" };
        Ok(output_directory()?.join("images").join(format!("{}{end}", self.name())))
    }

    /// How many objects it has, besides the one with keys and entry points.
    fn parts(self) -> usize {
        self.sites.div_ceil(SITES_A_FILE)
    }

    /// Writes the C files: one with the keys, and one with the sites of each distinct part.
    pub(crate) fn sources(self) -> Result<Vec<PathBuf>> {
        let base = self.path()?.with_extension("");
        let directory = base.parent().expect("a file in a directory");
        fs::create_dir_all(directory)?;
        let mut random = fastrand::Rng::with_seed(22);
        let file = |name: &str, text: String| -> Result<PathBuf> {
            let path = directory.join(format!("{}-{name}.c", self.name()));
            fs::write(&path, text)?;
            Ok(path)
        };
        let mut files = vec![file("main", self.main_source())?];
        let full = self.sites / SITES_A_FILE;
        let rest = self.sites % SITES_A_FILE;
        if full > 0 {
            files.push(file("full", self.source(SITES_A_FILE, &mut random))?);
        }
        if rest > 0 {
            files.push(file("rest", self.source(rest, &mut random))?);
        }
        Ok(files)
    }

    /// The keys, their targets, and the function that runs all others.
    fn main_source(self) -> String {
        let mut c = String::from("#include \"static_branch.h\"\n");
        c += "long first(long x) { return x + 1; }\nlong second(long x) { return 5 * x + 7; }\n";
        for key in 0..self.keys {
            match self.has_branches {
                true => writeln!(c, "DEFINE_STATIC_KEY_FALSE(k{key});"),
                false => writeln!(c, "DEFINE_STATIC_CALL(k{key}, first);"),
            }
            .expect("memory");
        }
        for part in 0..self.parts() {
            writeln!(c, "long run_{part}(long x);").expect("memory");
        }
        c += "long run(long x)\n{\n";
        for part in 0..self.parts() {
            writeln!(c, "\tx = run_{part}(x);").expect("memory");
        }
        c += "\treturn x;\n}\n";
        if self.kind == Kind::Program {
            c += &match self.keys {
                0 => main_that_says_when(),
                _ => main_that_says_when_and("if (argc > 1) printf(\"%d\\n\", static_call_mode());"),
            };
        }
        c
    }

    fn source(self, sites: usize, random: &mut fastrand::Rng) -> String {
        let mut c = String::from("#include \"static_branch.h\"\nlong first(long x);\n");
        for key in 0..self.keys {
            match self.has_branches {
                true => writeln!(c, "DECLARE_STATIC_KEY_FALSE(k{key});"),
                false => writeln!(c, "DECLARE_STATIC_CALL(k{key}, first);"),
            }
            .expect("memory");
        }
        let (sites_a_function, aligned) =
            if self.is_sparse { (1, ", aligned(4096)") } else { (SITES_A_FUNCTION, "") };
        let functions = sites.div_ceil(sites_a_function);
        for function in 0..functions {
            writeln!(c, "__attribute__((noinline{aligned})) static long f{function}(long x)\n{{")
                .expect("memory");
            for _ in 0..sites_a_function.min(sites - function * sites_a_function) {
                let key = random.usize(..self.keys);
                let argument = argument(self.operations, random);
                match self.has_branches {
                    true => writeln!(
                        c,
                        "\tx = {argument};\n\tif (static_branch_unlikely(&k{key}))\n\t\tx = 5 * x + 7;"
                    ),
                    false => writeln!(c, "\tx = static_call(k{key}, {argument});"),
                }
                .expect("memory");
            }
            // Otherwise the last call would be a jump.
            c += "\treturn x ^ 1;\n}\n";
        }
        c += "__attribute__((visibility(\"hidden\"))) long run_part(long x)\n{\n";
        for function in 0..functions {
            writeln!(c, "\tx = f{function}(x);").expect("memory");
        }
        c + "\treturn x;\n}\n"
    }
}

/// C code of a main that prints when it began, the processor time used by then, and its total and private
/// memory. It does as little as possible, to keep its own needs out of the numbers. (wait4(2) reports a
/// greatest resident size of at least the parent's.)
pub(crate) fn main_that_says_when() -> String {
    main_that_says_when_and("")
}

fn main_that_says_when_and(statement: &str) -> String {
    "#include <stdio.h>\n#include <time.h>\n\
     static long long now(clockid_t clock)\n{\n\
     \tstruct timespec now;\n\
     \tclock_gettime(clock, &now);\n\
     \treturn 1000000000ll * now.tv_sec + now.tv_nsec;\n}\n\
     int main(int argc, char **argv)\n{\n\
     \tlong long used = now(CLOCK_PROCESS_CPUTIME_ID), began = now(CLOCK_MONOTONIC);\n\
     \tlong memory = 0, own = 0;\n\
     \tchar line[256];\n\
     \tFILE *file = fopen(\"/proc/self/smaps_rollup\", \"r\");\n\
     \twhile (file && fgets(line, sizeof line, file)) {\n\
     \t\tsscanf(line, \"Rss: %ld\", &memory);\n\
     \t\tsscanf(line, \"Private_Dirty: %ld\", &own);\n\
     \t}\n\
     \tprintf(\"%lld %lld %ld %ld\\n\", began, used, 1024 * memory, 1024 * own);\n\
     \tSTATEMENT\n\treturn !memory;\n}\n"
        .replace("STATEMENT", statement)
}

/// Some code between two sites, of all lengths.
fn argument(operations: usize, random: &mut fastrand::Rng) -> String {
    let operations = random.usize(1..=operations);
    (0..operations).fold("x".into(), |x: String, _| match random.u32(..6) {
        0 => x,
        1 => format!("({x} + {})", random.u32(1..100)),
        2 => format!("({x} ^ {})", random.u32(1_000..1_000_000_000)),
        3 => format!("({x} * {})", random.u32(3..1_000_000)),
        4 => format!("({x} >> {})", random.u32(1..8)),
        _ => format!("({x} << {})", random.u32(2..9)),
    })
}

/// Builds the missing images, with one compiler per processor at a time.
pub(crate) fn build(images: &[Image]) -> Result<()> {
    let (mut compile, mut rename, mut link, mut stamps) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for &image in images {
        let sources = image.sources()?;
        let object = |source: &Path| source.with_extension("o");
        let compilers: Vec<Command> = sources
            .iter()
            .map(|source| {
                let mut clang = clang(image.with_pass);
                clang.args(["-O1", "-fPIC", "-c"]).arg(source).arg("-o").arg(object(source));
                clang
            })
            .collect();
        let path = image.path()?;
        let mut linker = clang(false);
        if image.kind == Kind::Library {
            linker.arg("-shared");
        }
        linker.arg("-o").arg(&path).arg(object(&sources[0]));
        let mut copies = Vec::new();
        for part in 0..image.parts() {
            let is_rest = (part + 1) * SITES_A_FILE > image.sites;
            let source = if is_rest { sources.last() } else { sources.get(1) };
            let source = object(source.expect("an image with parts has files for them"));
            let copy = path.with_file_name(format!("{}-part-{part}.o", image.name()));
            let mut objcopy = Command::new("objcopy");
            objcopy.arg(format!("--redefine-sym=run_part=run_{part}")).arg(source).arg(&copy);
            copies.push(objcopy);
            linker.arg(copy);
        }
        match image.kind {
            Kind::Library => linker.args(link_flags()),
            // Images without keys contain nothing of static-call.
            Kind::Program if image.keys == 0 => &mut linker,
            Kind::Program => linker.arg(prefix().join("lib/libstatic_call.a")),
        };
        let commands: Vec<&Command> = compilers.iter().chain([&linker]).collect();
        let stamp = Stamp::new(&path, &commands, &sources)?;
        if stamp.is_stale()? {
            compile.extend(compilers);
            rename.extend(copies);
            link.push(linker);
            stamps.push(stamp);
        }
    }
    run_all(compile)?;
    run_all(rename)?;
    run_all(link)?;
    stamps.iter().try_for_each(Stamp::set)
}

/// The program that loads images, from `benches/c/image.c`.
pub(crate) fn driver() -> Result<PathBuf> {
    c_program(clang(true), "image.c", "image", &["-O2", "-pthread"])
}
