//! The cost of a call, in Rust and in C. `benches/src/calls.rs` says how it is measured.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::bench::Bench;
use crate::code::{self, Loop, Stubs};
use crate::counters;
use crate::directories::raw_directory;
use crate::model::{Part, Table, Unit};
use crate::rows::{POINTER_OF_GCC, POINTER_OF_GCC_ALONE, POINTER_WITHOUT_PASS, STATIC_OF_GCC, WITHOUT_PASS};
use crate::samples::Runs;
use crate::statistics::Summary;
use crate::toolchain::{c_program, c_source, clang, gcc, rust_program, without_pass};

const SOURCES: [&str; 2] = ["benches/src/calls.rs", "benches/c/calls.c"];
/// The copies of a loop, named after how many bytes into a cache line the code before the loop starts.
pub(crate) const PLACES: [u32; 4] = [0, 16, 32, 48];
/// The number of consecutive call instructions.
const SITES: [usize; 7] = [1, 4, 16, 64, 256, 1_024, 4_096];

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Language {
    Rust,
    C,
}

impl Language {
    const ALL: [Self; 2] = [Self::Rust, Self::C];

    fn as_str(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::C => "c",
        }
    }
}

/// A way to compile.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Mitigation {
    None,
    Retpoline,
    /// A retpoline that the program defines.
    ExternalRetpoline,
    /// A thunk that the program defines: a fence and a jump.
    ExternalFence,
    /// A fence before every indirect branch and every return.
    Lvi,
    /// No mitigation and no pass.
    WithoutPass,
    /// A retpoline, without the pass.
    RetpolineWithoutPass,
    /// The same four with gcc, in C: `static-call-as` takes the pass's place.
    Gcc,
    GccRetpoline,
    GccAlone,
    GccAloneRetpoline,
}

impl Mitigation {
    const ALL: [Self; 11] = [
        Self::None,
        Self::Retpoline,
        Self::ExternalRetpoline,
        Self::ExternalFence,
        Self::Lvi,
        Self::WithoutPass,
        Self::RetpolineWithoutPass,
        Self::Gcc,
        Self::GccRetpoline,
        Self::GccAlone,
        Self::GccAloneRetpoline,
    ];

    fn is_gcc(self) -> bool {
        matches!(self, Self::Gcc | Self::GccRetpoline | Self::GccAlone | Self::GccAloneRetpoline)
    }

    /// Whether its calls are recorded.
    fn has_pass(self) -> bool {
        let is_without = matches!(self, Self::WithoutPass | Self::RetpolineWithoutPass);
        !(is_without || matches!(self, Self::GccAlone | Self::GccAloneRetpoline))
    }

    /// Whether a C compiler puts a retpoline into the PLT.
    fn has_retpolines_in_plt(self) -> bool {
        matches!(self, Self::Retpoline | Self::RetpolineWithoutPass)
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::None => "plain",
            Self::Retpoline => "retpoline",
            Self::ExternalRetpoline => "external-retpoline",
            Self::ExternalFence => "external-fence",
            Self::Lvi => "lvi",
            Self::WithoutPass => "without-pass",
            Self::RetpolineWithoutPass => "retpoline-without-pass",
            Self::Gcc => "gcc",
            Self::GccRetpoline => "gcc-retpoline",
            Self::GccAlone => "gcc-alone",
            Self::GccAloneRetpoline => "gcc-alone-retpoline",
        }
    }

    fn rust_flags(self) -> &'static str {
        match self {
            Self::None | Self::WithoutPass => "",
            Self::Retpoline | Self::RetpolineWithoutPass => {
                "-Zretpoline -Cunsafe-allow-abi-mismatch=retpoline"
            }
            Self::ExternalRetpoline => {
                "-Zretpoline-external-thunk -Cunsafe-allow-abi-mismatch=retpoline,retpoline-external-thunk \
                 --cfg bench_thunk=\"retpoline\""
            }
            Self::ExternalFence => {
                "-Zretpoline-external-thunk -Cunsafe-allow-abi-mismatch=retpoline,retpoline-external-thunk \
                 --cfg bench_thunk=\"lfence\""
            }
            Self::Lvi => "-Ctarget-feature=+lvi-cfi",
            Self::Gcc | Self::GccRetpoline | Self::GccAlone | Self::GccAloneRetpoline => {
                unreachable!("there is no Rust of gcc's")
            }
        }
    }

    fn c_flags(self) -> Vec<String> {
        let thunk = |file: &str| {
            vec![
                "-mretpoline-external-thunk".into(),
                "-mretpoline".into(),
                c_source(file).display().to_string(),
            ]
        };
        match self {
            Self::None | Self::WithoutPass => Vec::new(),
            // A call of an ifunc jumps through the PLT, which is the linker's.
            Self::Retpoline | Self::RetpolineWithoutPass => {
                ["-mretpoline", "-fuse-ld=lld", "-Wl,-z,retpolineplt", HARDENED].map(str::to_owned).into()
            }
            Self::Gcc | Self::GccAlone => GCC.map(str::to_owned).into(),
            Self::GccRetpoline | Self::GccAloneRetpoline => {
                GCC.into_iter().chain(["-mindirect-branch=thunk", HARDENED]).map(str::to_owned).collect()
            }
            Self::ExternalRetpoline => thunk("thunk-retpoline.s"),
            Self::ExternalFence => thunk("thunk-lfence.s"),
            Self::Lvi => vec!["-mlvi-cfi".into()],
        }
    }

    /// The thunk of indirect calls, by a part of its name.
    fn thunk(self) -> Option<&'static str> {
        match self {
            Self::None | Self::WithoutPass | Self::Gcc | Self::GccAlone => None,
            Self::GccRetpoline | Self::GccAloneRetpoline => Some("__x86_indirect_thunk"),
            Self::Retpoline | Self::RetpolineWithoutPass => Some("llvm_retpoline"),
            Self::ExternalRetpoline | Self::ExternalFence => Some("__x86_indirect_thunk"),
            Self::Lvi => Some("llvm_lvi_thunk"),
        }
    }
}

/// Makes the header's trampolines retpolines.
const HARDENED: &str = "-DSTATIC_CALL_RETPOLINES";

/// gcc keeps equal functions apart, forgets what it knows of a function that it calls directly, and leaves
/// instructions in their order: so the loops differ in their calls alone. GNU as warns of an empty space
/// before a loop.
const GCC: [&str; 5] =
    ["-fno-ipa-icf", "-fno-ipa-ra", "-fno-ipa-stack-alignment", "-fno-schedule-insns2", "-Wa,--no-warn"];

/// Whether the program has the work loads with many sites.
const HAVE_SITES: [Mitigation; 5] =
    [Mitigation::None, Mitigation::Retpoline, Mitigation::WithoutPass, Mitigation::Gcc, Mitigation::GccAlone];

/// A form in a build and a mode: a row of a table.
struct Row {
    name: &'static str,
    mitigation: Mitigation,
    mode: &'static str,
    form: &'static str,
}

const fn row(name: &'static str, mitigation: Mitigation, mode: &'static str, form: &'static str) -> Row {
    Row { name, mitigation, mode, form }
}

const INLINE: &str = "inline";
const TRAMPOLINE: &str = "trampoline";
const GENERIC: &str = "generic";

const ROWS: [Row; 44] = [
    row("inlined code", Mitigation::None, INLINE, "inlined"),
    row("direct", Mitigation::None, INLINE, "direct"),
    row("direct, a second copy", Mitigation::None, INLINE, "again"),
    row("static call, inline", Mitigation::None, INLINE, "static"),
    row("static call, trampoline", Mitigation::None, TRAMPOLINE, "static"),
    row("static call, generic", Mitigation::None, GENERIC, "static"),
    row("pointer", Mitigation::None, INLINE, "pointer"),
    row("dyn Trait, table of functions", Mitigation::None, INLINE, "object"),
    row("enum match, switch", Mitigation::None, INLINE, "choice"),
    row("ifunc", Mitigation::None, INLINE, "ifunc"),
    row("direct, retpolines", Mitigation::Retpoline, INLINE, "direct"),
    row("direct, a second copy, retpolines", Mitigation::Retpoline, INLINE, "again"),
    row("static call, inline, retpolines", Mitigation::Retpoline, INLINE, "static"),
    row("static call, trampoline, retpolines", Mitigation::Retpoline, TRAMPOLINE, "static"),
    row("static call, generic, retpolines", Mitigation::Retpoline, GENERIC, "static"),
    row("pointer, retpolines", Mitigation::Retpoline, INLINE, "pointer"),
    row("dyn Trait, table of functions, retpolines", Mitigation::Retpoline, INLINE, "object"),
    row("enum match, switch, retpolines", Mitigation::Retpoline, INLINE, "choice"),
    row("ifunc, retpolines", Mitigation::Retpoline, INLINE, "ifunc"),
    row("static call, inline, external retpoline", Mitigation::ExternalRetpoline, INLINE, "static"),
    row("static call, generic, external retpoline", Mitigation::ExternalRetpoline, GENERIC, "static"),
    row("pointer, external retpoline", Mitigation::ExternalRetpoline, INLINE, "pointer"),
    row("static call, inline, external lfence", Mitigation::ExternalFence, INLINE, "static"),
    row("static call, generic, external lfence", Mitigation::ExternalFence, GENERIC, "static"),
    row("pointer, external lfence", Mitigation::ExternalFence, INLINE, "pointer"),
    row("direct, LVI", Mitigation::Lvi, INLINE, "direct"),
    row("static call, inline, LVI", Mitigation::Lvi, INLINE, "static"),
    row("pointer, LVI", Mitigation::Lvi, INLINE, "pointer"),
    // Without recorded sites, the mode is trampoline, whatever is asked for.
    row(WITHOUT_PASS, Mitigation::WithoutPass, TRAMPOLINE, "static"),
    row("pointer, without the pass", Mitigation::WithoutPass, TRAMPOLINE, "pointer"),
    row("static call, without the pass, retpolines", Mitigation::RetpolineWithoutPass, TRAMPOLINE, "static"),
    row(POINTER_WITHOUT_PASS, Mitigation::RetpolineWithoutPass, TRAMPOLINE, "pointer"),
    row("direct, gcc", Mitigation::Gcc, INLINE, "direct"),
    row("direct, a second copy, gcc", Mitigation::Gcc, INLINE, "again"),
    row(STATIC_OF_GCC, Mitigation::Gcc, INLINE, "static"),
    row("pointer, gcc", Mitigation::Gcc, INLINE, "pointer"),
    row("direct, gcc, retpolines", Mitigation::GccRetpoline, INLINE, "direct"),
    row("direct, a second copy, gcc, retpolines", Mitigation::GccRetpoline, INLINE, "again"),
    row("static call, inline, gcc, retpolines", Mitigation::GccRetpoline, INLINE, "static"),
    row(POINTER_OF_GCC, Mitigation::GccRetpoline, INLINE, "pointer"),
    row("static call, gcc alone", Mitigation::GccAlone, TRAMPOLINE, "static"),
    row(POINTER_OF_GCC_ALONE[0], Mitigation::GccAlone, TRAMPOLINE, "pointer"),
    row("static call, gcc alone, retpolines", Mitigation::GccAloneRetpoline, TRAMPOLINE, "static"),
    row(POINTER_OF_GCC_ALONE[1], Mitigation::GccAloneRetpoline, TRAMPOLINE, "pointer"),
];

/// A way to run a program, in a process of its own.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Setting {
    language: Language,
    mitigation: Mitigation,
    mode: &'static str,
    /// The prefix of the work loads' names.
    work: &'static str,
}

/// The tables of forms: work load, id, title, explanation.
const WORK_LOADS: [[&str; 4]; 4] = [
    [
        "chain",
        "calls-chain",
        "One call, dependent chain",
        "Each call's result is the next call's argument. The function has two instructions. A processor may \
         run the same loop at one of two speeds, depending on its address and on what ran before. \
         Nanoseconds are a median over all rounds and places, so they may belong to either speed. A ratio is \
         computed for each round and place, so its median belongs to most pairs. A form may therefore take \
         more nanoseconds than direct at a ratio of 1.",
    ],
    ["throughput", "calls-throughput", "One call, throughput", "The calls are independent of each other."],
    [
        "neighbours",
        "calls-neighbours",
        "Two calls, one of them unpredictable",
        "The other call goes through a table to one of sixteen functions at random, in the same way in all \
         forms. It is usually mispredicted, and disturbs the history that predicts ours. With retpolines, it \
         is a retpoline too.",
    ],
    [
        "flush",
        "calls-flush",
        "One call, after unrelated code",
        "The first pass over 256 sites, after 32,768 jumps of other code have displaced them in the branch \
         predictor and in the first-level instruction cache. The cost of reading the clock twice is divided \
         among the calls.",
    ],
];

type Found = HashMap<Setting, Runs>;
type Programs = HashMap<(Language, Mitigation), PathBuf>;

/// All of part 1 except the instruction counts.
pub(crate) fn measure(bench: &mut Bench) -> Result<()> {
    for level in bench.quick_or_full(&[3][..], &[3, 2]) {
        // The chain also shows what a lower level does to the others.
        let is_main = *level == 3;
        let has_sites = |mitigation| is_main && HAVE_SITES.contains(&mitigation);
        let programs =
            build(bench, *level, &Mitigation::ALL.map(|mitigation| (mitigation, has_sites(mitigation))))?;
        if !is_main {
            let found = measure_work(bench, &programs, "chain", *level, |_| true)?;
            bench.add(table_of_forms(&found, WORK_LOADS[0], *level));
            continue;
        }
        let mut found = Found::new();
        for work in ["chain", "throughput", "neighbours", "sites", "flush"] {
            if work == "flush" && !cfg!(target_arch = "x86_64") {
                bench.report.miss("calls after unrelated code", "what makes it forget is x86-64 code");
                continue;
            }
            // The longer work loads are slow, and the short ones show what the other builds change.
            let is_short = matches!(work, "chain" | "throughput");
            let is_wanted = |row: &Row| {
                let is_main = row.mode == INLINE || !row.mitigation.has_pass();
                is_short || is_main && HAVE_SITES.contains(&row.mitigation)
            };
            bench.attempt(&format!("calls, {work}"), |bench| {
                found.extend(measure_work(bench, &programs, work, *level, is_wanted)?);
                Ok(())
            })?;
        }
        for work in ["hook", "leaf"] {
            let is_wanted = |row: &Row| row.mitigation == Mitigation::None && row.mode == INLINE;
            bench.attempt(&format!("calls, {work}"), |bench| {
                found.extend(measure_work(bench, &programs, work, *level, is_wanted)?);
                Ok(())
            })?;
        }
        add_tables(bench, &programs, *level, &found)?;
        if let Some(program) = programs.get(&(Language::Rust, Mitigation::None)) {
            counters::measure(bench, program)?;
        }
    }
    Ok(())
}

/// The dependent chain alone.
pub(crate) fn measure_chain(bench: &mut Bench) -> Result<()> {
    let is_wanted = |mitigation: &Mitigation| {
        !matches!(mitigation, Mitigation::ExternalRetpoline | Mitigation::ExternalFence | Mitigation::Lvi)
    };
    let wanted: Vec<Mitigation> = Mitigation::ALL.into_iter().filter(is_wanted).collect();
    let wanted: Vec<(Mitigation, bool)> = wanted.iter().map(|&mitigation| (mitigation, false)).collect();
    let programs = build(bench, 3, &wanted)?;
    let found = measure_work(bench, &programs, "chain", 3, |row| is_wanted(&row.mitigation))?;
    let table = table_of_forms(&found, WORK_LOADS[0], 3);
    bench.add(table);
    Ok(())
}

/// Runs all programs for a work load, in turns.
fn measure_work(
    bench: &Bench,
    programs: &Programs,
    work: &'static str,
    level: u32,
    is_wanted: impl Fn(&Row) -> bool,
) -> Result<Found> {
    let mut kinds: Vec<(Mitigation, &str)> = Vec::new();
    for row in ROWS.iter().filter(|row| is_wanted(row)) {
        if !kinds.contains(&(row.mitigation, row.mode)) {
            kinds.push((row.mitigation, row.mode));
        }
    }
    let times = match work {
        // After a flush, what the processor remembers depends on addresses, which differ in each process.
        "flush" => bench.quick_or_full(9, 49),
        _ => bench.quick_or_full(3, 9),
    };
    let rounds = match work {
        "flush" => "10",
        "sites" | "neighbours" => bench.quick_or_full("25", "60"),
        _ => bench.quick_or_full("60", "160"),
    };
    let (mut settings, mut commands) = (Vec::new(), Vec::new());
    for (mitigation, mode) in kinds {
        for language in Language::ALL {
            let Some(program) = programs.get(&(language, mitigation)) else { continue };
            let [language_name, mitigation_name] = [language.as_str(), mitigation.as_str()];
            let name = format!("calls {work} {language_name}-o{level} {mitigation_name} {mode}");
            let mut command = Command::new(program);
            command.args([rounds, work]).env("STATIC_CALL_MODE", mode);
            settings.push(Setting { language, mitigation, mode, work });
            commands.push((name, command));
        }
    }
    Ok(settings.into_iter().zip(bench.in_turns(times, commands)?).collect())
}

/// Nanoseconds of a form, over all places.
pub(crate) fn nanoseconds(runs: &Runs, work: &str, form: &str) -> Option<Summary> {
    runs.of(|samples| {
        PLACES.iter().flat_map(|place| samples.named(&format!("{work}/{form}/{place}")).to_vec()).collect()
    })
}

/// The ratios of two forms, of pairs from the same round and place.
pub(crate) fn ratio(runs: &Runs, work: &str, form: &str, to: &str, places: &[u32]) -> Option<Summary> {
    let at = |form: &str, place: &u32| format!("{work}/{form}/{place}");
    runs.of(|samples| {
        places.iter().flat_map(|place| samples.ratios(&at(form, place), &at(to, place))).collect()
    })
}

fn of_level(level: u32, id: &str, title: &str) -> (String, String) {
    if level == 3 {
        (id.into(), title.into())
    } else {
        (format!("{id}-o{level}"), format!("{title}, -O{level}"))
    }
}

fn add_tables(bench: &mut Bench, programs: &Programs, level: u32, found: &Found) -> Result<()> {
    for work in WORK_LOADS {
        bench.add(table_of_forms(found, work, level));
    }
    if cfg!(target_arch = "x86_64") {
        bench.add(table_of_places(programs, found, level)?);
    }
    const BUILDS: [Mitigation; 3] = [Mitigation::None, Mitigation::Retpoline, Mitigation::WithoutPass];
    bench.add(table_of_sites(found, Language::Rust, "rust", "Rust", BUILDS, level));
    bench.add(table_of_sites(found, Language::C, "c", "C", BUILDS, level));
    let of_gcc = [Mitigation::Gcc, Mitigation::GccRetpoline, Mitigation::GccAlone];
    bench.add(table_of_sites(found, Language::C, "gcc", "C compiled by gcc", of_gcc, level));
    bench.add(table_of_hooks(found, level));
    bench.add(table_of_hook_places(found, level));
    Ok(())
}

fn table_of_forms(found: &Found, [work, id, title, about]: [&'static str; 4], level: u32) -> Table {
    let (id, title) = of_level(level, id, title);
    let mut table = Table::new(Part::Calls, &id, &title, "form", &SOURCES, about).columns([
        ("Rust", Unit::Nanoseconds),
        ("Rust to direct", Unit::Ratio),
        ("Rust to static", Unit::Ratio),
        ("C", Unit::Nanoseconds),
        ("C to direct", Unit::Ratio),
        ("C to static", Unit::Ratio),
    ]);
    for Row { name, mitigation, mode, form } in ROWS {
        let mut cells = Vec::new();
        for language in Language::ALL {
            let Some(runs) = found.get(&Setting { language, mitigation, mode, work }) else {
                cells.extend([None, None, None]);
                continue;
            };
            cells.push(nanoseconds(runs, work, form));
            cells.push(ratio(runs, work, form, "direct", &PLACES));
            let is_best = mode == INLINE || !mitigation.has_pass();
            cells.push(if is_best { ratio(runs, work, form, "static", &PLACES) } else { None });
        }
        if cells.iter().any(Option::is_some) {
            table.row(name, cells);
        }
    }
    table
}

fn table_of_places(programs: &Programs, found: &Found, level: u32) -> Result<Table> {
    let (id, title) = of_level(level, "places", "Static call, inline / direct, by place in a cache line");
    let about = "The dependent chain, by how many bytes into a cache line a loop starts. Where a ratio is \
                 not 1, the same instructions run faster or slower at another address; the second copy of \
                 the direct loop shows by how much. A pair stands out if one of its loops happens to run at \
                 the processor's other speed (see One call, dependent chain).";
    let mut table = Table::new(Part::Calls, &id, &title, "place", &SOURCES, about).columns([
        ("Rust", Unit::Ratio),
        ("Rust, second copy", Unit::Ratio),
        ("C", Unit::Ratio),
        ("C, second copy", Unit::Ratio),
    ]);
    let mut starts = Vec::new();
    for language in Language::ALL {
        let program = programs.get(&(language, Mitigation::None));
        starts.push(program.map_or_else(|| Ok(Vec::new()), |program| starts_of_chains(program))?);
    }
    let mut all: Vec<u64> = starts.iter().flatten().map(|(start, _)| *start).collect();
    all.sort_unstable();
    all.dedup();
    for start in all {
        let cells = Language::ALL.into_iter().zip(&starts).flat_map(|(language, starts)| {
            let setting = Setting { language, mitigation: Mitigation::None, mode: INLINE, work: "chain" };
            let here: Vec<u32> =
                starts.iter().filter(|(known, _)| *known == start).map(|(_, place)| *place).collect();
            let at = |form| ratio(found.get(&setting)?, "chain", form, "direct", &here);
            [at("static"), at("again")]
        });
        table.row(start.to_string(), cells.collect::<Vec<_>>());
    }
    Ok(table)
}

/// How many bytes into a cache line the copies of the chain's loop start, with their names. `check_code` has
/// checked that the direct and the static loop start at the same place.
fn starts_of_chains(program: &Path) -> Result<Vec<(u64, u32)>> {
    let functions = code::functions(program)?;
    let start = |place: u32| {
        let name = format!("chain_direct_{place}");
        let body = functions.get(&name).and_then(|function| Loop::of(function));
        Ok((body.with_context(|| format!("{name} has no loop"))?.start % 64, place))
    };
    PLACES.into_iter().map(start).collect()
}

/// `builds` are one that records calls, one with retpolines, and one that does not record them.
fn table_of_sites(
    found: &Found,
    language: Language,
    id: &str,
    name: &str,
    builds: [Mitigation; 3],
    level: u32,
) -> Table {
    let source = match language {
        Language::Rust => SOURCES[0],
        Language::C => SOURCES[1],
    };
    let (id, title) =
        of_level(level, &format!("calls-sites-{id}"), &format!("Calls from many sites, {name}"));
    let about = "A loop over this many call instructions, as a dependent chain. Between two runs of one \
                 form, all other forms run, so many sites compete for the branch predictor.";
    let mut table = Table::new(Part::Calls, &id, &title, "sites", &[source], about).columns([
        ("direct", Unit::Nanoseconds),
        ("static call", Unit::Nanoseconds),
        ("static to direct", Unit::Ratio),
        ("second copy to direct", Unit::Ratio),
        ("pointer", Unit::Nanoseconds),
        ("pointer to direct", Unit::Ratio),
        ("pointer, retpolines", Unit::Nanoseconds),
        ("pointer to direct, retpolines", Unit::Ratio),
        ("pointer to static, without the pass", Unit::Ratio),
    ]);
    let of = |mitigation, mode| found.get(&Setting { language, mitigation, mode, work: "sites" });
    let Some(plain) = of(builds[0], INLINE) else { return table };
    let (mitigated, without) = (of(builds[1], INLINE), of(builds[2], TRAMPOLINE));
    for sites in SITES {
        let work = format!("sites{sites}");
        table.counted(
            sites,
            [
                nanoseconds(plain, &work, "direct"),
                nanoseconds(plain, &work, "static"),
                ratio(plain, &work, "static", "direct", &PLACES),
                ratio(plain, &work, "again", "direct", &PLACES),
                nanoseconds(plain, &work, "pointer"),
                ratio(plain, &work, "pointer", "direct", &PLACES),
                mitigated.and_then(|runs| nanoseconds(runs, &work, "pointer")),
                mitigated.and_then(|runs| ratio(runs, &work, "pointer", "direct", &PLACES)),
                without.and_then(|runs| ratio(runs, &work, "pointer", "static", &PLACES)),
            ],
        );
    }
    table
}

fn table_of_hooks(found: &Found, level: u32) -> Table {
    let (id, title) = of_level(level, "hooks", "A hook that is off");
    let about = "In a loop that also calls a function, and in one that calls nothing else (a leaf), each \
                 compared with the same loop without a hook. The hook's argument is evaluated even while it \
                 is off. Callers of a preserve_most function (clang) keep their values in registers.";
    let mut table = Table::new(Part::Calls, &id, &title, "hook", &SOURCES, about).columns([
        ("Rust", Unit::Nanoseconds),
        ("Rust to none", Unit::Ratio),
        ("Rust, leaf to none", Unit::Ratio),
        ("C", Unit::Nanoseconds),
        ("C to none", Unit::Ratio),
        ("C, leaf to none", Unit::Ratio),
    ]);
    let hooks = [
        ("none", "none"),
        ("none, a second copy", "again"),
        ("static call, off", "static"),
        ("static call of a preserve_most function, off", "preserving"),
        ("relaxed load and branch", "branch"),
        ("load of a pointer, null", "pointer"),
        ("static-keys 0.8", "static-keys"),
    ];
    for (name, form) in hooks {
        let cells = Language::ALL.into_iter().flat_map(|language| {
            let of =
                |work| found.get(&Setting { language, mitigation: Mitigation::None, mode: INLINE, work });
            [
                of("hook").and_then(|runs| nanoseconds(runs, "hook", form)),
                of("hook").and_then(|runs| ratio(runs, "hook", form, "none", &PLACES)),
                of("leaf").and_then(|runs| ratio(runs, "leaf", form, "none", &PLACES)),
            ]
        });
        table.row(name, cells.collect::<Vec<_>>());
    }
    table
}

/// A median over all places would hide one place at which a hook slows the loop.
fn table_of_hook_places(found: &Found, level: u32) -> Table {
    let (id, title) =
        of_level(level, "hooks-places", "A hook that is off / no hook, by place in a cache line");
    let about = "The same loops, by how many bytes into a cache line the code before the loop starts. A loop \
                 with a hook or a branch is longer, and may span two lines where the loop without one fits \
                 in one. The second copy is that of the loop without a hook.";
    let mut table = Table::new(Part::Calls, &id, &title, "place", &SOURCES, about).columns([
        ("Rust", Unit::Ratio),
        ("Rust, second copy", Unit::Ratio),
        ("Rust, load and branch", Unit::Ratio),
        ("C", Unit::Ratio),
        ("C, second copy", Unit::Ratio),
        ("C, load and branch", Unit::Ratio),
        ("C, preserve_most", Unit::Ratio),
    ]);
    for (work, end) in [("hook", ""), ("leaf", ", leaf")] {
        for place in PLACES {
            let of = |language, form| {
                let setting = Setting { language, mitigation: Mitigation::None, mode: INLINE, work };
                ratio(found.get(&setting)?, work, form, "none", &[place])
            };
            let forms = ["static", "again", "branch"];
            let cells = Language::ALL.into_iter().flat_map(|language| forms.map(|form| of(language, form)));
            table.row(
                format!("{place}{end}"),
                cells.chain([of(Language::C, "preserving")]).collect::<Vec<_>>(),
            );
        }
    }
    table
}

/// Builds every program and checks its machine code. Some programs have the work loads with many sites.
fn build(bench: &mut Bench, level: u32, mitigations: &[(Mitigation, bool)]) -> Result<Programs> {
    let is_x86 = cfg!(target_arch = "x86_64");
    if !is_x86 {
        bench.report.miss(
            "calls: retpolines, fences, places in a cache line, flushes, the look at the machine code",
            "these are about x86-64",
        );
    }
    let mut programs = Programs::new();
    for &(mitigation, has_sites) in mitigations {
        if mitigation != Mitigation::None && !is_x86 {
            continue;
        }
        for language in Language::ALL {
            if language == Language::Rust && mitigation.is_gcc() {
                continue;
            }
            let short = if has_sites { "" } else { "-short" };
            let name = format!("{}-o{level}-{}{short}", language.as_str(), mitigation.as_str());
            bench.step(format!("building calls {name}"));
            let program = match language {
                Language::Rust => rust_program("static-call-bench-calls", &name, |cargo| {
                    if !mitigation.has_pass() {
                        without_pass(cargo);
                    }
                    cargo.env("CARGO_PROFILE_RELEASE_OPT_LEVEL", level.to_string());
                    cargo.args(has_sites.then_some("--features=many-sites"));
                    if mitigation != Mitigation::None {
                        cargo.env("RUSTFLAGS", mitigation.rust_flags()).env("RUSTC_BOOTSTRAP", "1");
                    }
                }),
                Language::C => {
                    let level = format!("-O{level}");
                    let mut flags = mitigation.c_flags();
                    flags.extend((!has_sites).then(|| "-DSHORT_ONLY".into()));
                    let flags: Vec<&str> =
                        std::iter::once(&*level).chain(flags.iter().map(String::as_str)).collect();
                    let compiler = if mitigation.is_gcc() { gcc } else { clang };
                    c_program(compiler(mitigation.has_pass()), "calls.c", &name, &flags)
                }
            };
            let program = match program {
                Ok(program) => program,
                Err(error) if mitigation != Mitigation::None => {
                    bench
                        .report
                        .miss(format!("calls: {name}"), format!("the compiler does not build it: {error}"));
                    continue;
                }
                Err(error) => return Err(error),
            };
            if is_x86 {
                check_code(&program, mitigation, has_sites, &name)
                    .with_context(|| format!("in the machine code of {}", program.display()))?;
            }
            programs.insert((language, mitigation), program);
        }
    }
    Ok(programs)
}

/// Checks that the program measures what the report claims: except for prefixes and nops, the direct and the
/// static loop must have the same instructions at the same place, and only the pointer may go through a
/// thunk.
fn check_code(program: &Path, mitigation: Mitigation, has_sites: bool, name: &str) -> Result<()> {
    let functions = code::functions(program)?;
    let is_ours = |name: &&String| {
        let is_called =
            ["target", "other", "on_word", "thunk", "retpoline"].iter().any(|part| name.contains(part));
        is_called || WORK_NAMES.iter().any(|work| name.starts_with(work))
    };
    code::write(&functions, is_ours, &raw_directory()?.join(format!("code-{name}.txt")))?;
    let body = |work: &str, form: &str, place: u32| {
        let name = format!("{work}_{form}_{place}");
        functions
            .get(&name)
            .and_then(|function| Loop::of(function))
            .with_context(|| format!("{name} has no loop"))
    };
    // The functions that no pointer may call directly.
    let is_known = |callee: &String| callee.contains("target") || callee.contains("other");
    for work in ["chain", "throughput", "neighbours"] {
        for place in PLACES {
            let [direct, again, static_call] =
                [body(work, "direct", place)?, body(work, "again", place)?, body(work, "static", place)?];
            for other in [&again, &static_call] {
                ensure!(
                    direct.instructions == other.instructions,
                    "{work}_direct_{place} is {:?}, and another loop {:?}",
                    direct.instructions,
                    other.instructions
                );
                ensure!(
                    work == "neighbours" || direct.start % 64 == other.start % 64,
                    "the loops lie at {:#x} and {:#x}",
                    direct.start,
                    other.start
                );
            }
        }
    }
    for sites in SITES.into_iter().filter(|_| has_sites) {
        let [direct, static_call] =
            [body(&format!("sites{sites}"), "direct", 0)?, body(&format!("sites{sites}"), "static", 0)?];
        ensure!(
            direct.callees.len() == sites && static_call.callees.len() == sites,
            "{} direct calls and {} static ones instead of {sites}",
            direct.callees.len(),
            static_call.callees.len()
        );
        ensure!(
            direct.instructions == static_call.instructions,
            "the loops of {sites} sites are not the same instructions"
        );
        let pointer = body(&format!("sites{sites}"), "pointer", 0)?.callees;
        ensure!(
            pointer.len() == sites && !pointer.iter().any(is_known),
            "of {} calls through a pointer instead of {sites}, the compiler has made some direct",
            pointer.len()
        );
    }
    if functions.contains_key("chain_ifunc_0") {
        let stubs = Stubs::of(program)?;
        for place in PLACES {
            for work in ["chain", "throughput", "neighbours"] {
                let callees = body(work, "ifunc", place)?.callees;
                let is_jump = callees.iter().find_map(|callee| stubs.jumps(code::destination(callee)?));
                let is_jump = is_jump.with_context(|| {
                    format!(
                        "no call of {work}_ifunc_{place} goes through the PLT, but {callees:?}: has the \
                             compiler run the resolver?"
                    )
                })?;
                ensure!(
                    is_jump != mitigation.has_retpolines_in_plt(),
                    "the PLT's entry of {work}_ifunc_{place} {}",
                    if is_jump { "jumps where it should go through a retpoline" } else { "is no jump" }
                );
            }
        }
    }
    for place in PLACES {
        let none = body("hook", "none", place)?;
        for form in ["static", "preserving"] {
            if form == "static" || functions.contains_key(&format!("hook_{form}_{place}")) {
                let callees = body("hook", form, place)?.callees;
                ensure!(
                    callees.len() == none.callees.len() + 1,
                    "the loop of hook_{form}_{place} calls {callees:?}"
                );
            }
        }
        for form in ["branch", "pointer"] {
            let other = body("hook", form, place)?.instructions;
            ensure!(
                other.len() > none.instructions.len() + 1,
                "the loop of hook_{form}_{place} is but {other:?}"
            );
        }
        let callees = body("chain", "pointer", place)?.callees;
        let thunks = callees.iter().filter(|callee| callee.contains("thunk") || callee.contains("retpoline"));
        match (mitigation.thunk(), thunks.collect::<Vec<_>>().as_slice()) {
            (None, []) => {}
            (Some(thunk), [callee]) if callee.contains(thunk) => {}
            (wanted, _) => bail!("the pointer's loop calls {callees:?} instead of the thunk {wanted:?}"),
        }
        for work in ["chain", "throughput", "neighbours"] {
            let callees = body(work, "pointer", place)?.callees;
            ensure!(
                !callees.iter().any(is_known),
                "the compiler has made the pointer's call direct: {work}_pointer_{place} calls {callees:?}"
            );
        }
    }
    Ok(())
}

/// The prefix of all loops' names.
const WORK_NAMES: [&str; 6] = ["chain_", "throughput_", "neighbours_", "hook_", "leaf_", "sites"];
