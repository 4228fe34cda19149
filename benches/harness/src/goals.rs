//! The goals, and whether they are met here.

use crate::model::{Report, Table, Unit};
use crate::rows::{
    FORBIDDEN, NO_PASS, PASS, POINTER_OF_GCC, POINTER_OF_GCC_ALONE, POINTER_WITHOUT_PASS, SEALED,
    STATIC_OF_GCC, WITHOUT_PASS,
};
use crate::statistics::{Summary, slope};

pub(crate) struct Goal {
    pub(crate) figure: String,
    pub(crate) wanted: String,
    pub(crate) measured: String,
    pub(crate) verdict: Verdict,
    /// Why it is missed, as far as we know.
    pub(crate) obstacle: Option<&'static str>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Verdict {
    Met,
    /// The goal lies within the measured range.
    Unclear,
    Missed,
    /// Not measured.
    Unknown,
}

impl Verdict {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Met => "met",
            Self::Unclear => "unclear",
            Self::Missed => "missed",
            Self::Unknown => "unknown",
        }
    }
}

#[derive(Clone, Copy)]
enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

impl Bound {
    fn holds(self, value: f64) -> bool {
        match self {
            Self::AtMost(bound) => value <= bound,
            Self::AtLeast(bound) => value >= bound,
        }
    }

    /// The verdict that holds for the whole range.
    fn judge(self, measured: &Measured) -> Verdict {
        match [measured.low, measured.high].map(|end| self.holds(end)) {
            [true, true] => Verdict::Met,
            [false, false] => Verdict::Missed,
            _ => Verdict::Unclear,
        }
    }

    /// Whether one value misses the bound by more than another.
    fn is_worse(self, one: f64, other: f64) -> bool {
        match self {
            Self::AtMost(_) => one > other,
            Self::AtLeast(_) => one < other,
        }
    }
}

/// A measured value: a median, its range, and both as text.
struct Measured {
    median: f64,
    low: f64,
    high: f64,
    text: String,
}

impl Measured {
    fn new(unit: Unit, summary: &Summary) -> Self {
        let Summary { median, low, high, .. } = *summary;
        Self { median, low, high, text: unit.show_range(summary) }
    }

    /// Adds words to its name.
    fn and(mut self, words: &str) -> Self {
        self.text += words;
        self
    }
}

const TOO_SLOW: &str = "on a busy machine, a compiler's processor time varies by more than this from run to \
     run; only its instruction count resolves one percent. The tables of compile times give the share of the \
     two stages. The rest is loading the plugin, compiling static calls instead of indirect ones, and, with \
     rustc, the wrapper (about 2 ms).";

impl Goal {
    /// If `measured` has more than one value, the worst one decides.
    fn new(figure: &str, wanted: &str, bound: Bound, measured: impl IntoIterator<Item = Measured>) -> Self {
        let worst =
            measured.into_iter().map(|measured| (bound.judge(&measured), measured)).reduce(|worst, other| {
                let is_worse = other.0 > worst.0
                    || (other.0 == worst.0 && bound.is_worse(other.1.median, worst.1.median));
                if is_worse { other } else { worst }
            });
        let (verdict, measured) = match worst {
            Some((verdict, Measured { text, .. })) => (verdict, text),
            None => (Verdict::Unknown, "not measured".into()),
        };
        Self { figure: figure.into(), wanted: wanted.into(), measured, verdict, obstacle: None }
    }

    fn because(mut self, obstacle: &'static str) -> Self {
        let is_in_doubt = matches!(self.verdict, Verdict::Missed | Verdict::Unclear);
        self.obstacle = is_in_doubt.then_some(obstacle);
        self
    }
}

pub(crate) fn goals(report: &Report) -> Vec<Goal> {
    vec![
        Goal::new(
            "static call, inline / direct: the worst of all work loads",
            "≤ 1.02",
            Bound::AtMost(1.02),
            work_loads(&report.tables),
        )
        .because(
            "the loops have the same instructions (checked; target/bench/raw/code-*.txt), except for up to 5 \
             prefixes that keep a static call within an aligned word of 8 bytes. They move the code behind \
             them by a few bytes (`neighbours_direct_16` and `neighbours_static_16`, \
             code-c-o3-retpoline.txt). The second copy of the direct loop differs from the first only in its \
             address. If its ratio is as far from 1, the address alone explains the difference. Without a \
             second copy, the effect of the address is unknown.",
        ),
        Goal::new(
            "the same, dependent chain: the worst place in a cache line",
            "≤ 1.02",
            Bound::AtMost(1.02),
            places(&report.tables, "places"),
        )
        .because(
            "the loops have the same instructions and start at the same place in a cache line (both are \
             checked; `chain_direct_*` and `chain_static_*`, target/bench/raw/code-*-o3-plain.txt). They \
             still differ in the rest of their addresses and in what ran before: a processor may run such a \
             loop at one of two speeds (table One call, dependent chain).",
        ),
        Goal::new(
            "the same, whole programs: the worst input",
            "≤ 1.02",
            Bound::AtMost(1.02),
            programs(&report.tables, false),
        )
        .because(
            "a program's speed depends on where its functions lie, which the range shows: the linker has \
             placed them several times at random.",
        ),
        Goal::new(
            "retpolined pointer / static call, dependent chain",
            "≥ 7",
            Bound::AtLeast(7.0),
            columns(report, "calls-chain", "pointer, retpolines", " to static"),
        )
        .because("a retpoline costs one mispredicted return, whose price depends on the processor."),
        Goal::new(
            "without the pass, static call / direct, dependent chain",
            "≤ 1.35",
            Bound::AtMost(1.35),
            columns(report, "calls-chain", WITHOUT_PASS, " to direct"),
        ),
        Goal::new(
            "without the pass, pointer / static call: the worst of all work loads",
            "≥ 0.98",
            Bound::AtLeast(0.98),
            ["chain", "throughput", "neighbours", "flush"].into_iter().flat_map(|work| {
                columns(report, &format!("calls-{work}"), "pointer, without the pass", " to static")
            }),
        )
        .because(
            "a call through a trampoline takes two jumps, and the branch predictor must know both, which may \
             matter when many sites compete for it.",
        ),
        Goal::new(
            "without the pass, retpolined pointer / static call, dependent chain",
            "≥ 7",
            Bound::AtLeast(7.0),
            columns(report, "calls-chain", POINTER_WITHOUT_PASS, " to static"),
        )
        .because("the price of a retpoline depends on the processor."),
        Goal::new(
            "dispatched function / direct, with the pass: the worst program and work load",
            "≤ 1.02",
            Bound::AtMost(1.02),
            dispatched(report.table("dispatch"), "dispatch to direct", |row| row.starts_with(PASS)),
        )
        .because(
            "the loops have the same instructions at other addresses; the second copy shows what that does.",
        ),
        Goal::new(
            "the same without the pass",
            "≤ 1.35",
            Bound::AtMost(1.35),
            dispatched(report.table("dispatch"), "dispatch to direct", |row| row.starts_with(NO_PASS)),
        ),
        Goal::new(
            "dispatched function / atomic pointer where updates are refused",
            "≤ 1.05",
            Bound::AtMost(1.05),
            dispatched(report.table("dispatch"), "dispatch to pointer", |row| {
                row.ends_with(SEALED) || row.ends_with(FORBIDDEN)
            }),
        ),
        Goal::new(
            "first call of a dispatched function",
            "≤ 20 µs",
            Bound::AtMost(20_000.0),
            column(report.table("dispatch"), "first call", Unit::Nanoseconds, |_| true),
        )
        .because(
            "with trampolines the choice is made at load. Without them the first call makes it, and the \
             process's very first one runs the runtime's code for the first time (12 page faults) and has \
             the standard library ask for all features (some ten CPUID instructions, which enter the host if \
             the machine is virtual). Another function's first call then takes a few microseconds.",
        ),
        Goal::new(
            "the same, of another function later",
            "≤ 20 µs",
            Bound::AtMost(20_000.0),
            column(report.table("dispatch"), "another function's first call", Unit::Nanoseconds, |_| true),
        ),
        Goal::new(
            "key that is a pointer / atomic pointer: the worst program and work load",
            "≤ 1.05",
            Bound::AtMost(1.05),
            dispatched(report.table("dispatch-keys"), "pointer key to pointer", |_| true),
        )
        .because("a call through a trampoline takes two jumps where a pointer takes one call."),
        Goal::new(
            "method of an object / key of a function: the worst program and work load",
            "≤ 1.02",
            Bound::AtMost(1.02),
            dispatched(report.table("dispatch-keys"), "method to key", |_| true),
        )
        .because("a method takes the object's address as one argument more."),
        Goal::new(
            "gcc with static-call-as, static call, inline / direct, dependent chain",
            "≤ 1.02",
            Bound::AtMost(1.02),
            columns(report, "calls-chain", STATIC_OF_GCC, " to direct"),
        )
        .because("the loops have the same instructions but for a prefix (checked), at other addresses."),
        Goal::new(
            "gcc alone, pointer / static call: the worst of all work loads",
            "≥ 0.98",
            Bound::AtLeast(0.98),
            ["chain", "throughput", "neighbours", "flush"].into_iter().flat_map(|work| {
                let row = POINTER_OF_GCC_ALONE[0];
                let ratio = columns(report, &format!("calls-{work}"), row, " to static");
                ratio.into_iter().map(move |ratio| ratio.and(&format!(", {work}")))
            }),
        )
        .because(
            "a call through a trampoline takes two jumps, and the branch predictor must know both, which may \
             matter when many sites compete for it.",
        ),
        Goal::new(
            "without the pass, pointer / static call, 1 to 4,096 sites: the worst",
            "≥ 0.91",
            Bound::AtLeast(1.0 / 1.1),
            ["rust", "c", "gcc"].into_iter().flat_map(|name| {
                let table = format!("calls-sites-{name}");
                let ratios = branches(report, &table, "pointer to static, without the pass", |_| true);
                ratios.into_iter().map(move |ratio| ratio.and(&format!(" sites, {name}")))
            }),
        )
        .because(
            "each call takes two jumps, and both take a place in the branch predictor: a loop over more \
             sites than it has places runs as fast as it mispredicts. In some processes, a trampoline lies \
             where its jump disturbs the predictor (docs/limitations.md).",
        ),
        Goal::new(
            "gcc, retpolined pointer / static call, dependent chain, with static-call-as and alone",
            "≥ 7",
            Bound::AtLeast(7.0),
            [POINTER_OF_GCC, POINTER_OF_GCC_ALONE[1]]
                .into_iter()
                .flat_map(|row| columns(report, "calls-chain", row, " to static")),
        )
        .because("the price of a retpoline depends on the processor."),
        Goal::new(
            "without the pass, a key's first update in a process with threads, over a later one",
            "≤ 5 µs",
            Bound::AtMost(5_000.0),
            cell(
                report,
                "update-trampolines",
                "two, of which one sleeps",
                "first less later",
                Unit::Nanoseconds,
            ),
        )
        .because("the first update copies the page of code, which is a page fault."),
        Goal::new(
            "without the pass, update of one key's trampoline",
            "≤ 5 µs",
            Bound::AtMost(5_000.0),
            cell(report, "update-trampolines", "one", "later", Unit::Nanoseconds),
        )
        .because("it takes two system calls to open and close a page, and one to serialize."),
        Goal::new(
            "hook that is off / no hook: the worst place in a cache line",
            "≤ 1.02",
            Bound::AtMost(1.02),
            places(&report.tables, "hooks-places"),
        )
        .because(
            "the hook adds a 5-byte nop with up to 5 prefixes, most of them for alignment, and two moves \
             that preserve the argument. The loop is about twice as long and spans two cache lines instead \
             of one (`hook_none_32` and `hook_static_32`, target/bench/raw/code-*-o3-plain.txt). A branch \
             makes it equally long (table A hook that is off / no hook, by place in a cache line); at the \
             other places the ratio is 1. A preserve_most function needs no moves.",
        ),
        Goal::new(
            "the same, whole programs: the worst input",
            "≤ 1.02",
            Bound::AtMost(1.02),
            programs(&report.tables, true),
        )
        .because(
            "in the interpreter, whose loop does only about six other things, the arguments are loaded into \
             registers even while the hook is off, and no value can stay in a caller-saved register. The \
             table An interpreter with its hook off separates this cost from the nop's, and shows the speed \
             of a loop with a branch instead.",
        ),
        Goal::new(
            "update, window writer, a site of 1,000 to 100,000 (some 300 a page), in a process with no other \
             thread",
            "≤ 20 ns",
            Bound::AtMost(20.0),
            updates(report),
        )
        .because(
            "an update's system calls take about as long as an update of one site (table Update of one key), \
             which is little per site for 1,000 sites. The rest is work per site: looking it up, comparing \
             it and writing it. If another virtual machine's thread shares the core, this takes half as long \
             again, for tenths of a second in one process \
             (target/bench/raw/update-1000-sites-window-*.txt).",
        ),
        Goal::new(
            "its slope from 1,000 to 100,000 sites (1 is linear; less where a part does not depend on the \
             sites)",
            "≤ 1.05",
            Bound::AtMost(1.05),
            slope_of(report, "update-sites", "window"),
        )
        .because(
            "some work grows faster than the number of sites. If only the last step is steeper, a cache has \
                  become too small.",
        ),
        Goal::new(
            "static-keys / static call, update of 1,000 sites",
            "≥ 100",
            Bound::AtLeast(100.0),
            cell(report, "update-peers", "1,000", "static-keys to static-call", Unit::Ratio),
        )
        .because(
            "static-keys takes a few system calls for each site, and we take a few for all: how dear \
                  these are depends on the machine.",
        ),
        Goal::new(
            "update of one site, window writer",
            "≤ 3 µs",
            Bound::AtMost(3_000.0),
            cell(report, "update-sites", "1", "window", Unit::Nanoseconds),
        )
        .because(
            "two system calls change the pages' rights, one asks for them, one serializes, and two hold \
             signals off.",
        ),
        Goal::new(
            "update of one site, alias, as in a process that forbids writable code",
            "≤ 0.6 µs",
            Bound::AtMost(600.0),
            cell(report, "update-sites", "1", "alias", Unit::Nanoseconds),
        )
        .because(
            "four system calls: `membarrier`, the question whether the code can be read, and two that hold \
             signals off. How dear they are depends on the machine.",
        ),
        Goal::new(
            "update of 1,000 sites, alias, a site",
            "≤ 10 ns",
            Bound::AtMost(10.0),
            cell(report, "update-sites", "1,000", "alias, a site", Unit::Nanoseconds),
        )
        .because("each word is looked up, compared, stored and read back."),
        Goal::new(
            "callers' rate at 1,000 updates a second, alias",
            "≥ 98.5 %",
            Bound::AtLeast(98.5),
            cell(report, "callers", "alias, 1,000", "rate kept", Unit::Percent),
        )
        .because("an update interrupts each caller once, and in a virtual machine that involves the host."),
        Goal::new(
            "the same at 10,000",
            "≥ 87 %",
            Bound::AtLeast(87.0),
            cell(report, "callers", "alias, 10,000", "rate kept", Unit::Percent),
        )
        .because("the same, ten times as often."),
        Goal::new(
            "longest pause of a caller during an update, window writer, p99.99, above that without updates",
            "≤ 50 µs",
            Bound::AtMost(50_000.0),
            pause(report),
        )
        .because(
            "an update interrupts a caller's processor three times (table Number of pauses of a caller per \
             update), and in a virtual machine each interruption involves the host. Half of these pauses are \
             no longer than the median in the table Single pauses, which is far below the goal. Since only a \
             period's longest pause counts here, each pause above the goal was a single one. The caller \
             waits for no thread meanwhile. The machine's own pauses are as long as the goal, so only the \
             difference to periods without updates says anything.",
        ),
        Goal::new(
            "start-up, 100,000 sites, a site",
            "≤ 30 ns",
            Bound::AtMost(30.0),
            cell(report, "start", "100,000", "a site", Unit::Nanoseconds),
        )
        .because(
            "each entry is checked against the code, the trampoline and the record before the site is \
             patched (the table Instructions counts this), and each page of code with sites is copied (page \
             faults in the table Start-up of a program).",
        ),
        Goal::new(
            "its slope from 1,000 to 100,000 sites (1 is linear; less where a part does not depend on the \
             sites)",
            "≤ 1.05",
            Bound::AtMost(1.05),
            slope_of(report, "start", "more"),
        )
        .because(
            "some work grows faster than the number of sites. If only the last step is steeper, a cache has \
                  become too small.",
        ),
        Goal::new(
            "start-up of a program with one key, over none",
            "≤ 100 µs",
            Bound::AtMost(100_000.0),
            cell(report, "start", "1", "more", Unit::Nanoseconds),
        )
        .because(
            "the runtime finds the image and makes its pages writable while it patches, which takes system \
                  calls and page faults (table Start-up of a program).",
        ),
        Goal::new(
            "bytes a site in the file, table and padding",
            "≤ 6",
            Bound::AtMost(6.0),
            cell(report, "size", "a site: table and padding", "bytes", Unit::Bytes),
        )
        .because(
            "each site has an entry of 4 bytes, one prefix, and as many more prefixes as its alignment \
                  needs.",
        ),
        Goal::new(
            "bytes a site in memory, 100,000 sites, none of which has run",
            "≤ 6",
            Bound::AtMost(6.0),
            cell(report, "start", "100,000", "more memory a site", Unit::Bytes),
        )
        .because(
            "its table entry has 4 bytes. The rest is code: patching at start-up turns each page with sites \
             into a private copy in memory, whereas without the pass a page is read only when it runs, and \
             is shared (table Start-up of a program: \"its own\" and page faults). The sites of a page share \
             that cost: about 300 of them in a page of 4,096 bytes, because this program does nothing but \
             call.",
        ),
        Goal::new(
            "branch that is off / no branch: tiny loop, loop with a call, four live doubles; the worst place",
            "≤ 1.02",
            Bound::AtMost(1.02),
            branches(report, "branches-places", "static branch to none", |row| !row.starts_with("hash")),
        )
        .because(
            "the branch is one instruction of five bytes and one to four prefixes (`tiny_key_*`, \
             target/bench/raw/code-branches.txt): the loop is longer, and may lie in two cache lines where \
             the other lies in one.",
        ),
        Goal::new(
            "branch that is off / no branch: hash of 16 bytes, interpreter",
            "≤ 1.05",
            Bound::AtMost(1.05),
            branches(report, "branches-off", "static branch to none", |row| row.starts_with("hash"))
                .into_iter()
                .chain(interpreter(report, "time to none", "static branch")),
        )
        .because(
            "a compiler does not unroll a loop with a branch (`hash_*`, target/bench/raw/code-branches.txt), \
             and does not copy an interpreter's dispatch with one into each arm: an instruction takes a \
             no-op and a jump more. docs/internals/measuring.md has the machine code and what was tried.",
        ),
        Goal::new(
            "branch that is off / relaxed load and branch: the worst loop",
            "≤ 1.00",
            Bound::AtMost(1.0),
            branches(report, "branches-off", "static branch to load", |_| true)
                .into_iter()
                .chain(interpreter(report, "time to that with a load", "static branch")),
        )
        .because("where both cost nothing, the ratio is 1 and noise."),
        Goal::new(
            "lazy call that is off / static call that is off, interpreter",
            "≤ 0.95",
            Bound::AtMost(0.95),
            interpreter(report, "time to that with a static call", "lazy call"),
        ),
        Goal::new(
            "update of branches, a site of 1,000 to 100,000",
            "≤ 20 ns",
            Bound::AtMost(20.0),
            ["1,000", "10,000", "100,000"].into_iter().flat_map(|sites| {
                let time = cell(report, "branches-update", sites, "window, a site", Unit::Nanoseconds)?;
                Some(time.and(&format!(", {sites} branches")))
            }),
        )
        .because("an update's system calls, and the work at each site: look it up, compare, write."),
        Goal::new(
            "its slope from 1,000 to 100,000 branches",
            "≤ 1.05",
            Bound::AtMost(1.05),
            slope_of(report, "branches-update", "window"),
        )
        .because("a cache that is too small for so many sites, if the last step is steeper."),
        Goal::new(
            "static-keys / static branch, update of 1,000 sites",
            "≥ 100",
            Bound::AtLeast(100.0),
            cell(report, "branches-peers", "1,000", "static-keys to static branch", Unit::Ratio),
        )
        .because("static-keys makes a few system calls for each site, whose price depends on the machine."),
        Goal::new(
            "bytes a branch in the file, table and padding",
            "≤ 14",
            Bound::AtMost(14.0),
            cell(report, "branches-size", "table and padding", "bytes", Unit::Bytes),
        )
        .because("an entry has 12 bytes; one prefix is always there, and others align the branch."),
        Goal::new(
            "compile time with 1,000 sites",
            "≤ 1 % more",
            Bound::AtMost(1.0),
            compile_times(report, "1,000"),
        )
        .because(TOO_SLOW),
        Goal::new(
            "compile time without static calls",
            "≤ 0.5 % more",
            Bound::AtMost(0.5),
            compile_times(report, "0"),
        )
        .because(TOO_SLOW),
        Goal::new(
            "compile time of a site, over no pass",
            "≤ 2 µs",
            Bound::AtMost(2e3),
            compile_times_of(report, "a site"),
        )
        .because(TOO_SLOW),
        Goal::new(
            "compile time of a key, over no pass",
            "≤ 150 µs",
            Bound::AtMost(150e3),
            compile_times_of(report, "a key"),
        )
        .because(
            "a key's trampoline is a function, which each of the compiler's passes visits, and assembler, \
             for which LLVM starts a parser; its record is a constant in a section of its own.",
        ),
        Goal::new(
            "clean build of a crate with one key, no wrapper, over libc alone",
            "≤ 2 s",
            Bound::AtMost(2e9),
            cell(report, "build-crate", "dev", "more", Unit::Nanoseconds),
        )
        .because("it is the time to compile static-call itself, once in a program, and its build script."),
        Goal::new(
            "assembling 1 MB without static calls, with static-call-as / without",
            "≤ 1.01",
            Bound::AtMost(1.01),
            cell(report, "build-as", "gcc -c", "ratio", Unit::Ratio),
        )
        .because(
            "static-call-as is a program more that starts, searches the text for trampolines, and becomes \
             the assembler: about a millisecond. A hundredth of this time is less than any program's start \
             takes (a shell that does nothing but run the assembler makes this 1.02).",
        ),
    ]
}

fn cell(report: &Report, table: &str, row: &str, column: &str, unit: Unit) -> Option<Measured> {
    Some(Measured::new(unit, report.cell(table, row, column)?))
}

/// A column's values, each with its row's name.
fn column(
    table: Option<&Table>,
    column: &str,
    unit: Unit,
    is_wanted: impl Fn(&str) -> bool,
) -> Vec<Measured> {
    let Some(table) = table else { return Vec::new() };
    let rows = table.rows.iter().filter(|row| is_wanted(&row.name));
    let value = |row: &str| Some(Measured::new(unit, table.cell(row, column)?).and(&format!(", {row}")));
    rows.filter_map(|row| value(&row.name)).collect()
}

fn branches(report: &Report, table: &str, name: &str, is_wanted: impl Fn(&str) -> bool) -> Vec<Measured> {
    column(report.table(table), name, Unit::Ratio, is_wanted)
}

/// The ratios of a chain of calls, and of independent ones.
fn dispatched(table: Option<&Table>, name: &str, is_wanted: impl Fn(&str) -> bool) -> Vec<Measured> {
    let of = |name: &str| column(table, name, Unit::Ratio, &is_wanted);
    let independent = of(&format!("independent: {name}")).into_iter().map(|found| found.and(", independent"));
    of(name).into_iter().chain(independent).collect()
}

/// The same of one row of the interpreter.
fn interpreter(report: &Report, column: &str, row: &str) -> Vec<Measured> {
    branches(report, "branches-interpreter", column, |name| name == row)
}

/// A row's ratios in the columns whose name ends so.
fn columns(report: &Report, table: &str, row: &str, end: &str) -> Vec<Measured> {
    let Some(table) = report.table(table) else { return Vec::new() };
    let columns = table.columns.iter().filter(|column| column.name.ends_with(end));
    let ratio = |name: &str| {
        let ratio = Measured::new(Unit::Ratio, table.cell(row, name)?);
        Some(ratio.and(&format!(", {}", name.trim_end_matches(end))))
    };
    columns.filter_map(|column| ratio(&column.name)).collect()
}

/// The ratio of a static call's time to a direct call's, and that of the direct call's second copy, if there
/// is one: how far the latter is from 1 shows what a different address alone does.
fn to_direct(place: &str, ratio: Option<&Summary>, copy: Option<&Summary>) -> Option<Measured> {
    let ratio = Measured::new(Unit::Ratio, ratio?);
    let of_copy = match copy.map(|copy| copy.median) {
        Some(copy) if (copy - 1.0).abs() >= (ratio.median - 1.0).abs() => {
            format!("a second copy is as far from 1 there: {copy:.3}")
        }
        Some(copy) => format!("a second copy {copy:.3} there"),
        None => "all functions placed at random".into(),
    };
    Some(ratio.and(&format!(", {place}; {of_copy}")))
}

/// All tables of calls: one of forms has rows of inline static calls, one of numbers of sites has columns.
fn work_loads(tables: &[Table]) -> Vec<Measured> {
    const STATIC: &str = "static call, inline";
    let is_of_calls = |table: &&Table| table.id.starts_with("calls-");
    let mut found = Vec::new();
    for table in tables.iter().filter(is_of_calls) {
        for row in &table.rows {
            let place = |what: &str| format!("{}, {what}{}", table.title, row.name);
            if let Some(build) = row.name.strip_prefix(STATIC) {
                let copy = format!("direct, a second copy{build}");
                for language in ["Rust", "C"] {
                    let column = format!("{language} to direct");
                    let [ratio, copy] = [&row.name, &copy].map(|row| table.cell(row, &column));
                    found.extend(to_direct(&place(&format!("{language}, ")), ratio, copy));
                }
            }
            let [ratio, copy] =
                ["static to direct", "second copy to direct"].map(|column| table.cell(&row.name, column));
            found.extend(to_direct(&place(""), ratio, copy));
        }
    }
    found
}

/// Each place and language separately.
fn places(tables: &[Table], id: &str) -> Vec<Measured> {
    let is_of_places = |table: &&Table| table.id.starts_with(id);
    let tables = tables.iter().filter(is_of_places);
    let cells = tables.flat_map(|table| {
        let cell = |row: &str, language: &str| {
            let copy = table.cell(row, &format!("{language}, second copy"));
            to_direct(&format!("{language}, {row} bytes into a line"), table.cell(row, language), copy)
        };
        table.rows.iter().flat_map(move |row| ["Rust", "C"].map(|language| cell(&row.name, language)))
    });
    cells.flatten().collect()
}

/// The programs whose hooks are off, or all others. The tables contain rates, so a time is the reciprocal.
fn programs(tables: &[Table], are_hooks_off: bool) -> Vec<Measured> {
    let tables = tables.iter().filter(|table| table.id.starts_with("programs-"));
    let rows = tables.flat_map(|table| {
        let rows = table.rows.iter().filter(move |row| row.name.ends_with(" off") == are_hooks_off);
        rows.filter_map(|row| {
            let time = table.cell(&row.name, "static to direct")?.map(|rate| 1.0 / rate);
            to_direct(&row.name, Some(&time), None)
        })
    });
    rows.collect()
}

fn updates(report: &Report) -> Vec<Measured> {
    const JUST_RUN: &str = "window, just run, a site";
    let ns = Unit::Nanoseconds;
    // On one processor, callers and the updating thread take turns.
    let has_others = report.machine.processors > 1;
    let one_site = [("0", "without other threads"), ("1", "beside one that calls")];
    let one_site = one_site.into_iter().take(if has_others { 2 } else { 1 }).filter_map(|(others, words)| {
        let time = report.cell("update-threads", &format!("{others} that call, besides"), "window")?;
        Some(format!("{} {words}", ns.show(time.median)))
    });
    let one_site: Vec<String> = one_site.collect();
    let of = |(sites, column): (&str, &str)| {
        let time = cell(report, "update-sites", sites, column, ns)?;
        let mut words =
            format!(", {sites} sites{}", if column == JUST_RUN { " that have just run" } else { "" });
        if let Some(sparse) = report.cell("update-sites", sites, "window, one a page, a site") {
            words += &format!("; if each has a page of its own {}", ns.show(sparse.median));
        }
        if !one_site.is_empty() {
            words += &format!("; of a key with one site, an update takes {} in all", one_site.join(", and "));
        }
        let beside = report.cell("update-threads", "1 that call, besides", "window, a site of 1,000");
        if let Some(time) = beside.filter(|_| has_others) {
            words += &format!("; of 1,000, {} a site beside one that calls", ns.show(time.median));
        }
        Some(time.and(&words))
    };
    let rows = ["1,000", "10,000", "100,000"];
    rows.into_iter().flat_map(|row| [(row, "window, a site"), (row, JUST_RUN)]).filter_map(of).collect()
}

/// Starts at 1,000 sites, where fixed costs matter little. The range is that of the slopes that the ranges of
/// the points allow: one end as high and the other as low as possible.
fn slope_of(report: &Report, table: &str, column: &str) -> Option<Measured> {
    let mut points = report.table(table)?.points(column);
    points.retain(|(sites, _)| (1_000.0..=100_000.0).contains(sites));
    let middle = points.iter().map(|(sites, _)| sites.ln()).sum::<f64>() / points.len() as f64;
    let turned = |is_up: bool| {
        let turned = points.iter().map(|&(sites, time)| {
            let is_high = (sites.ln() > middle) == is_up;
            let is_end = (sites.ln() - middle).abs() > 1e-6;
            (
                sites,
                if !is_end {
                    time.median
                } else if is_high {
                    time.high
                } else {
                    time.low
                },
            )
        });
        slope(&turned.collect::<Vec<_>>())
    };
    let medians: Vec<(f64, f64)> = points.iter().map(|&(sites, time)| (sites, time.median)).collect();
    let (median, low, high) = (slope(&medians)?, turned(false)?, turned(true)?);
    let text = format!("{median:.3} ({low:.3} to {high:.3})");
    Some(Measured { median, low, high, text })
}

fn pause(report: &Report) -> Option<Measured> {
    let with = report.cell("pauses", "p99.99", "window")?;
    let without = report.cell("pauses", "p99.99", "no updates")?;
    let [median, low, high] =
        [with.median - without.median, with.low - without.high, with.high - without.low];
    let show = |time: &Summary| Unit::Nanoseconds.show_range(time);
    let text =
        format!("{}: {} with updates, {} without", Unit::Nanoseconds.show(median), show(with), show(without));
    Some(Measured { median, low, high, text })
}

/// By instructions if they were counted, because times vary on a busy machine.
fn compile_times(report: &Report, sites: &str) -> Vec<Measured> {
    let compilers = [("build-clang", "clang"), ("build-rustc", "rustc")];
    let more = compilers.into_iter().filter_map(|(table, compiler)| {
        let more = |column| Some(report.cell(table, sites, column)?.map(|ratio| 100.0 * (ratio - 1.0)));
        let time = more("ratio")?;
        Some(match more("ratio of instructions") {
            Some(instructions) => Measured::new(Unit::Percent, &instructions).and(&format!(
                " in instructions, {compiler}; {} in processor time",
                Unit::Percent.show_range(&time)
            )),
            None => Measured::new(Unit::Percent, &time).and(&format!(" in processor time, {compiler}")),
        })
    });
    more.collect()
}

/// What one more costs, by each compiler.
fn compile_times_of(report: &Report, what: &str) -> Vec<Measured> {
    let of = |compiler| {
        let row = format!("{what}, {compiler}");
        let more = cell(report, "build-each", &row, "over no pass", Unit::Nanoseconds)?;
        let plain = report.cell("build-each", &row, "over plain calls")?;
        Some(more.and(&format!(", {compiler}; over plain calls {}", Unit::Nanoseconds.show_range(plain))))
    };
    ["clang", "rustc"].into_iter().filter_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Part;

    fn table<const N: usize>(id: &str, columns: [(&str, Unit); N], rows: &[(&str, [f64; N])]) -> Table {
        let mut table = Table::new(Part::Calls, id, id, "", &[], "").columns(columns);
        for (name, cells) in rows {
            table.row(*name, cells.map(|cell| if cell == 0.0 { None } else { Summary::exactly(cell) }));
        }
        table
    }

    fn goal(bound: Bound, measured: Vec<Measured>) -> (Verdict, String) {
        let goal = Goal::new("figure", "wanted", bound, measured);
        (goal.verdict, goal.measured)
    }

    #[test]
    fn a_range_that_holds_the_goal_is_unclear() {
        let measured =
            |samples: [f64; 3]| Measured::new(Unit::Ratio, &Summary::of(samples).expect("samples"));
        let judge = |bound, samples| goal(bound, vec![measured(samples)]).0;
        assert_eq!(judge(Bound::AtMost(2.0), [1.0, 1.5, 2.0]), Verdict::Met);
        assert_eq!(judge(Bound::AtMost(2.0), [1.0, 1.5, 2.1]), Verdict::Unclear);
        assert_eq!(judge(Bound::AtMost(2.0), [2.1, 2.2, 3.0]), Verdict::Missed);
        assert_eq!(judge(Bound::AtLeast(2.0), [2.1, 2.2, 3.0]), Verdict::Met);
        assert_eq!(goal(Bound::AtLeast(2.0), Vec::new()).0, Verdict::Unknown);
        // A certain miss outweighs a worse median that may be noise.
        let (verdict, text) =
            goal(Bound::AtMost(2.0), vec![measured([1.0, 4.0, 9.0]), measured([2.1, 2.2, 2.3])]);
        assert_eq!((verdict, text.as_str()), (Verdict::Missed, "2.20 (2.10 to 2.30)"));
    }

    #[test]
    fn the_worst_ratio_counts_whatever_its_copy_is() {
        let forms = table(
            "calls-chain",
            [("Rust to direct", Unit::Ratio), ("C to direct", Unit::Ratio)],
            &[
                ("direct, a second copy", [1.0, 1.2]),
                ("static call, inline", [1.05, 1.1]),
                ("static call, generic", [9.0, 9.0]),
            ],
        );
        let sites = table(
            "calls-sites-c",
            [("static to direct", Unit::Ratio), ("second copy to direct", Unit::Ratio)],
            &[("64", [1.09, 1.0])],
        );
        let mut tables = vec![forms, sites];
        let (_, text) = goal(Bound::AtMost(1.02), work_loads(&tables));
        assert_eq!(
            text,
            "1.100, calls-chain, C, static call, inline; a second copy is as far from 1 there: 1.200"
        );
        // A row without a second copy counts as well.
        let fenced = [("static call, inline, LVI", [1.0, 1.3])];
        tables.push(table(
            "calls-x",
            [("Rust to direct", Unit::Ratio), ("C to direct", Unit::Ratio)],
            &fenced,
        ));
        let (_, text) = goal(Bound::AtMost(1.02), work_loads(&tables));
        assert!(text.starts_with("1.300,") && text.ends_with("placed at random"), "{text}");
        assert!(places(&tables, "places").is_empty());
    }

    #[test]
    fn dependent_and_independent_calls_of_a_dispatched_function_count() {
        let columns =
            ["dispatch to direct", "independent: dispatch to direct"].map(|name| (name, Unit::Ratio));
        let rows = [("the pass", [1.0, 1.01]), ("the pass, sealed", [1.005, 1.0]), ("no pass", [1.25, 1.3])];
        let table = table("dispatch", columns, &rows);
        let worst = |row: &str| {
            let found = dispatched(Some(&table), "dispatch to direct", |name| name.starts_with(row));
            goal(Bound::AtMost(1.02), found)
        };
        assert_eq!(worst(PASS), (Verdict::Met, "1.010, the pass, independent".into()));
        assert_eq!(worst(NO_PASS), (Verdict::Missed, "1.300, no pass, independent".into()));
        assert!(dispatched(None, "dispatch to direct", |_| true).is_empty());
    }

    #[test]
    fn a_rate_that_is_less_is_a_time_that_is_more() {
        let mut programs_table = table(
            "programs-rates",
            [("static to direct", Unit::Ratio)],
            &[("a", [0.8]), ("b, hook off", [0.5])],
        );
        programs_table.row("c", [Summary::of([0.5, 0.9, 1.0])]);
        let found = |off| {
            let found = programs(std::slice::from_ref(&programs_table), off);
            found.iter().map(|found| (found.low, found.high)).collect::<Vec<_>>()
        };
        assert_eq!(found(false), [(1.25, 1.25), (1.0, 2.0)]);
        assert_eq!(found(true), [(2.0, 2.0)]);
        let places_table = table(
            "places",
            [("Rust", Unit::Ratio), ("Rust, second copy", Unit::Ratio), ("C", Unit::Ratio)],
            &[("0", [1.0, 1.0, 1.01]), ("48", [1.4, 1.0, 0.0])],
        );
        let medians: Vec<f64> = places(&[places_table], "places").iter().map(|place| place.median).collect();
        assert_eq!(medians, [1.0, 1.01, 1.4]);
    }
}
