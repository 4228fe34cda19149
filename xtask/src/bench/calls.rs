//! The cost of a call, in Rust and in C. `benches/src/calls.rs` says how it is measured.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use super::{clang, code, directory, goal, link_flags, maximum, median, minimum, rust_program, table};
use crate::run::{output, root, run};

/// How often each program runs: programs take turns, too.
const RUNS: usize = 5;
const PLACES: [u32; 4] = [0, 16, 32, 48];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Language {
    Rust,
    C,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Direct,
    Static,
    Pointer,
}

impl Form {
    fn as_str(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Static => "static",
            Self::Pointer => "pointer",
        }
    }
}

/// A way to run the program that measures calls: which build, and in which mode.
#[derive(Clone, Copy)]
struct Setting {
    retpolines: bool,
    mode: &'static str,
}

const INLINE: Setting = Setting { retpolines: false, mode: "inline" };
const TRAMPOLINE: Setting = Setting { retpolines: false, mode: "trampoline" };
const GENERIC: Setting = Setting { retpolines: false, mode: "generic" };
const RETPOLINE: Setting = Setting { retpolines: true, mode: "inline" };
const SETTINGS: [Setting; 4] = [INLINE, TRAMPOLINE, GENERIC, RETPOLINE];

/// The rows of the tables: which form in which setting.
const ROWS: [(&str, usize, Form); 6] = [
    ("direct", 0, Form::Direct),
    ("static call", 0, Form::Static),
    ("trampoline (patched jump)", 1, Form::Static),
    ("trampoline (not patched: generic)", 2, Form::Static),
    ("pointer", 0, Form::Pointer),
    ("pointer, retpolines", 3, Form::Pointer),
];

/// One line of a program's output.
struct Sample {
    round: usize,
    form: Form,
    place: u32,
    nanoseconds: f64,
}

/// What one run of a program says.
struct Run(Vec<Sample>);

impl Run {
    fn parse(text: &str) -> Result<Self> {
        let sample = |line: &str| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let [round, form, place, nanoseconds] = words[..] else { return None };
            let forms = [Form::Direct, Form::Static, Form::Pointer];
            Some(Sample {
                round: round.parse().ok()?,
                form: forms.into_iter().find(|known| known.as_str() == form)?,
                place: place.parse().ok()?,
                nanoseconds: nanoseconds.parse().ok()?,
            })
        };
        let samples = text.lines().map(|line| sample(line).with_context(|| format!("a line `{line}`")));
        Ok(Self(samples.collect::<Result<_>>()?))
    }

    fn nanoseconds(&self, form: Form) -> f64 {
        median(self.0.iter().filter(|sample| sample.form == form).map(|sample| sample.nanoseconds))
    }

    /// Median of the ratios of two forms, each pair of the same round and at one of these places.
    fn ratio(&self, form: Form, to: Form, places: &[u32]) -> f64 {
        let of = |form| self.0.iter().filter(move |sample| sample.form == form);
        let pairs: HashMap<_, _> = of(to).map(|s| ((s.round, s.place), s.nanoseconds)).collect();
        let at_places = of(form).filter(|sample| places.contains(&sample.place));
        median(at_places.filter_map(|s| Some(s.nanoseconds / pairs.get(&(s.round, s.place))?)))
    }
}

/// All runs of the programs of one language and optimization level, by setting.
struct Measured {
    runs: [Vec<Run>; SETTINGS.len()],
}

impl Measured {
    fn nanoseconds(&self, setting: usize, form: Form) -> f64 {
        median(self.runs[setting].iter().map(|run| run.nanoseconds(form)))
    }

    fn ratios(&self, setting: usize, form: Form, to: Form) -> impl Iterator<Item = f64> {
        self.runs[setting].iter().map(move |run| run.ratio(form, to, &PLACES))
    }

    fn ratio(&self, setting: usize, form: Form, to: Form) -> f64 {
        median(self.ratios(setting, form, to))
    }

    /// The ratio to a direct call at the place in a cache line where it is worst.
    fn worst_place(&self, setting: usize, form: Form) -> f64 {
        let at = |place| median(self.runs[setting].iter().map(|run| run.ratio(form, Form::Direct, &[place])));
        maximum(PLACES.map(at))
    }
}

/// Measures everything, prints the tables and says whether the goals are met.
pub(super) fn measure() -> Result<()> {
    for level in [2, 3] {
        let [rust, c] = measure_level(level)?;
        for (language, measured) in [("Rust", &rust), ("C", &c)] {
            println!("\n{language}, -O{level}");
            print(measured);
            let ratio = measured.ratio(0, Form::Static, Form::Direct);
            goal("a static call costs at most 1.02 × a direct call", ratio <= 1.02, format!("{ratio:.3} ×"));
            let ratio = measured.ratio(3, Form::Pointer, Form::Static);
            goal("and a fifth of a retpolined pointer", ratio >= 5.0, format!("a {ratio:.1}th"));
        }
    }
    println!();
    Ok(())
}

fn print(measured: &Measured) {
    let mut rows = table(["form", "ns/call", "to direct", "runs", "worst place"]);
    for (name, setting, form) in ROWS {
        let ratios = || measured.ratios(setting, form, Form::Direct);
        rows.add_row([
            name.into(),
            format!("{:.2}", measured.nanoseconds(setting, form)),
            format!("{:.3}", measured.ratio(setting, form, Form::Direct)),
            format!("{:.3} to {:.3}", minimum(ratios()), maximum(ratios())),
            format!("{:.3}", measured.worst_place(setting, form)),
        ]);
    }
    println!("{rows}");
}

/// Prints the cost of a call of each form, in Rust and in C, at `-O3`.
pub(super) fn print_side_by_side() -> Result<()> {
    let [rust, c] = measure_level(3)?;
    let mut rows = table(["form", "Rust ns/call", "to direct", "C ns/call", "to direct"]);
    for (name, setting, form) in ROWS {
        let cells = [&rust, &c].map(|measured| {
            let ratio = measured.ratio(setting, form, Form::Direct);
            [format!("{:.2}", measured.nanoseconds(setting, form)), format!("{ratio:.2}")]
        });
        rows.add_row(std::iter::once(name.to_owned()).chain(cells.into_iter().flatten()));
    }
    println!("{rows}");
    Ok(())
}

/// Rust's and C's.
fn measure_level(level: u32) -> Result<[Measured; 2]> {
    let languages = [Language::Rust, Language::C];
    let mut programs = Vec::new();
    for language in languages {
        for retpolines in [false, true] {
            let program = build(language, level, retpolines)?;
            check_code(&program, retpolines)
                .with_context(|| format!("in the machine code of {}", program.display()))?;
            programs.push((language, retpolines, program));
        }
    }
    let mut measured = [(); 2].map(|()| Measured { runs: Default::default() });
    for _ in 0..RUNS {
        for (index, Setting { retpolines, mode }) in SETTINGS.into_iter().enumerate() {
            for (language, _, program) in programs.iter().filter(|program| program.1 == retpolines) {
                let text = output(Command::new(program).env("STATIC_CALL_MODE", mode))?;
                let run = Run::parse(&text).with_context(|| format!("{} printed", program.display()))?;
                measured[usize::from(*language == Language::C)].runs[index].push(run);
            }
        }
    }
    Ok(measured)
}

fn build(language: Language, level: u32, retpolines: bool) -> Result<PathBuf> {
    let suffix = if retpolines { "-retpolines" } else { "" };
    match language {
        Language::Rust => {
            let directory = directory()?.join(format!("rust-o{level}{suffix}"));
            rust_program("static-call-bench-calls", &directory, |cargo| {
                cargo.env("CARGO_PROFILE_RELEASE_OPT_LEVEL", level.to_string());
                if retpolines {
                    cargo
                        .env("RUSTFLAGS", "-Zretpoline -Cunsafe-allow-abi-mismatch=retpoline")
                        .env("RUSTC_BOOTSTRAP", "1");
                }
            })
        }
        Language::C => {
            let program = directory()?.join(format!("c-o{level}{suffix}"));
            let mut clang = clang(true);
            clang.arg(format!("-O{level}")).arg(root().join("benches/c/calls.c")).arg("-o").arg(&program);
            if retpolines {
                clang.arg("-mretpoline");
            }
            run(clang.args(link_flags()))?;
            Ok(program)
        }
    }
}

/// Whether the program measures what we say it does: the direct and the static loop are the same
/// instructions in the same place, and only the retpolined pointer goes through a retpoline.
fn check_code(program: &Path, retpolines: bool) -> Result<()> {
    let functions = code::functions(program)?;
    for place in PLACES {
        let body = |form: Form| {
            let name = format!("{}_{place}", form.as_str());
            functions
                .get(&name)
                .and_then(|function| code::Loop::of(function))
                .with_context(|| format!("{name} has no loop"))
        };
        let [direct, static_call, pointer] = [body(Form::Direct)?, body(Form::Static)?, body(Form::Pointer)?];
        ensure!(
            direct.instructions == static_call.instructions,
            "the direct loop is {:?}, and the static one {:?}",
            direct.instructions,
            static_call.instructions
        );
        ensure!(
            direct.start % 64 == static_call.start % 64,
            "the loops lie at {:#x} and {:#x}",
            direct.start,
            static_call.start
        );
        let is_retpoline =
            |callee: &String| callee.contains("retpoline") || callee.contains("indirect_thunk");
        if pointer.callees.iter().any(is_retpoline) != retpolines {
            bail!("the pointer's loop calls {:?}", pointer.callees);
        }
        ensure!(
            pointer.callees.iter().all(|callee| !callee.contains("target")),
            "the compiler has made the pointer's call direct"
        );
    }
    Ok(())
}
