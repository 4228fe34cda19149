//! Compares a matrix program's report about its calls with its source and its machine code.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use regex::Regex;
use static_call_tests::binary::{StaticCalls, keys_on_pages_of_their_own, recorded_branches};
use static_call_tests::{prefix, root, run};

/// The expected outcome of a cell.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Expected {
    /// Each call of the source has one entry in the table, and is direct.
    Direct,
    /// As `Direct`, but a compiler has copied some calls, or a linker has kept unused functions.
    Copied,
    /// As `Direct`, but these calls load their key.
    Except(&'static [u32]),
    /// All calls go through their keys, and the inspector gives this reason.
    Generic(&'static str),
    /// All calls go through patched trampolines, and the inspector gives this reason.
    Trampolines(&'static str),
}

/// The numbers of the calls in these directories or files of `tests/matrix`.
///
/// # Panics
///
/// If two calls have the same number.
pub(crate) fn calls_in(sources: &[&str]) -> BTreeSet<u32> {
    // A call of a key whose first argument is a number.
    let call = Regex::new(
        r"(?:\bKEY\.call|\bstatic_call(?:_at)?!?)\((?:[^();]*?, )?(\d+),|static_call_at\((?:.*?\), )(\d+),",
    )
    .expect("a regular expression");
    let mut numbers = BTreeSet::new();
    for source in sources {
        let path = root().join("tests/matrix").join(source);
        let files = if path.is_dir() {
            let entries = fs::read_dir(&path).expect("a directory");
            entries.map(|entry| entry.expect("a file").path()).collect()
        } else {
            vec![path]
        };
        for file in files {
            let text = fs::read_to_string(&file).expect("a source file");
            for found in call.captures_iter(&text) {
                let number = found.get(1).or(found.get(2)).expect("one of both");
                let number = number.as_str().parse().expect("a number");
                assert!(numbers.insert(number), "{}: call {number} is there twice", file.display());
            }
        }
    }
    numbers
}

/// A branch of the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Branch {
    Rust,
    C,
    Cpp,
}

impl Branch {
    fn as_str(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::C => "c",
            Self::Cpp => "cpp",
        }
    }
}

/// A program's report.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The mode.
    pub(crate) mode: String,
    /// Entries of the site tables.
    pub(crate) sites: usize,
    /// How many of them are direct.
    pub(crate) direct: usize,
    /// The direct calls of the source.
    pub(crate) reached: BTreeSet<u32>,
    /// The calls that load their key's pointer.
    pub(crate) loaded: BTreeSet<u32>,
    /// Entries of the branch tables, and how many of them are patched.
    pub(crate) branches: [usize; 2],
    /// The branches of the source that do not look at their key.
    pub(crate) patched: Vec<String>,
    /// Whether the keys could be made read-only.
    pub(crate) is_sealed: bool,
    /// How a procedural macro's own call was made inside the compiler.
    pub(crate) macros: Option<String>,
}

impl Outcome {
    /// Runs a program, which checks its results itself.
    ///
    /// # Panics
    ///
    /// If it fails.
    pub(crate) fn of(program: &mut Command) -> Self {
        for variable in ["STATIC_CALL_MODE", "STATIC_CALL_WRITER", "STATIC_CALL_LOG"] {
            program.env_remove(variable);
        }
        let output = run(program);
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        let line = |name: &str| {
            let mut lines = text.lines().filter_map(|line| line.strip_prefix(name));
            lines.next().map(|rest| rest.trim().to_owned())
        };
        let word =
            |name: &str| line(name).unwrap_or_else(|| panic!("{program:?} prints no `{name}`:\n{text}"));
        let number = |name: &str| word(name).parse().expect("a number");
        let numbers = |name: &str| word(name).split(' ').filter_map(|word| word.parse().ok()).collect();
        Self {
            mode: word("mode"),
            sites: number("sites"),
            direct: number("direct"),
            reached: numbers("reached"),
            loaded: numbers("loaded"),
            branches: {
                let counts = word("branches");
                let (entries, patched) = counts.split_once(' ').expect("two numbers");
                [entries, patched].map(|count| count.parse().expect("a number"))
            },
            patched: word("patched").split_whitespace().map(str::to_owned).collect(),
            is_sealed: word("sealed") == "yes",
            macros: line("macro"),
        }
    }

    /// Compares the report about branches with those of the source, and with the tables of the program's
    /// images: one entry for each, or more if a compiler has copied some. All of them are patched.
    ///
    /// # Panics
    ///
    /// If they do not agree.
    pub(crate) fn check_branches(&self, branches: &[Branch], may_be_copied: bool, images: &[&Path]) {
        let names: Vec<&str> = branches.iter().map(|branch| branch.as_str()).collect();
        assert_eq!(self.patched, names, "branches that do not look at their key");
        let [entries, patched] = self.branches;
        let recorded: usize = images.iter().map(|image| recorded_branches(image)).sum();
        assert_eq!((entries, patched), (recorded, recorded), "branches, and the table's entries");
        let is_right = if may_be_copied { recorded >= names.len() } else { recorded == names.len() };
        assert!(is_right, "{recorded} entries of the table for {names:?}");
    }

    /// Compares the report with the source (`calls`) and with the machine code of the program's images.
    ///
    /// # Panics
    ///
    /// If they do not agree, or if the outcome is not the expected one.
    pub(crate) fn check(&self, expected: Expected, calls: &BTreeSet<u32>, images: &[&Path]) {
        assert!(!calls.is_empty(), "the source has calls");
        if let Some(macros) = &self.macros {
            assert_eq!(macros, "inline sites 1 direct 1 reached", "the call in the compiler");
        }
        let none = BTreeSet::new();
        let without_sites = match expected {
            Expected::Generic(reason) => Some((reason, "generic", calls, &none)),
            Expected::Trampolines(reason) => Some((reason, "trampoline", &none, calls)),
            Expected::Direct | Expected::Copied | Expected::Except(_) => None,
        };
        if let Some((reason, mode, loaded, reached)) = without_sites {
            assert_eq!((&self.loaded, &self.reached), (loaded, reached), "through keys, and past them");
            // A process with branches is one whose code is patched.
            let mode = if self.patched.is_empty() { mode } else { "inline" };
            assert_eq!((self.sites, self.direct, &*self.mode), (0, 0, mode), "{self:?}");
            for image in images {
                let said = inspect(image, false);
                assert!(said.contains(reason), "the inspector does not say \"{reason}\":\n{said}");
            }
            return;
        }
        let loaded: BTreeSet<u32> = match expected {
            Expected::Except(loaded) => loaded.iter().copied().collect(),
            _ => none,
        };
        let calls = &(calls - &loaded);
        assert_eq!(self.loaded, loaded, "calls that load their key's pointer");
        assert_eq!(&self.reached, calls, "direct calls, and calls in the source");
        assert_eq!(self.mode, "inline");
        // This also checks that all branches to trampolines are recorded.
        let recorded: usize = images.iter().map(|image| StaticCalls::read(image).checked()).sum();
        assert_eq!(
            (self.sites, self.direct),
            (recorded, recorded),
            "sites and direct calls, and the table's entries"
        );
        match expected {
            Expected::Direct | Expected::Except(_) => {
                assert_eq!(recorded, calls.len(), "entries of the table, and calls in the source")
            }
            _ => {
                assert!(recorded >= calls.len(), "{recorded} entries of the table for {} calls", calls.len())
            }
        }
        if !loaded.is_empty() {
            // Without the pass, keys lie among other data.
            images.iter().for_each(|image| drop(inspect(image, false)));
            return;
        }
        let mut can_be_sealed = true;
        let mut keys = 0;
        for image in images {
            inspect(image, true);
            // mold splits a section into several, and orders them in its own way.
            if has(image, "mold ") {
                can_be_sealed = false;
            } else {
                keys += keys_on_pages_of_their_own(image);
            }
        }
        assert_eq!(keys != 0, can_be_sealed, "keys on pages of their own");
        assert_eq!(self.is_sealed, can_be_sealed, "whether the keys are sealed");
    }
}

/// Whether a file contains this text: the name of a section or a symbol, or a linker's version.
pub(crate) fn has(file: &Path, text: &str) -> bool {
    let data = fs::read(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    data.windows(text.len()).any(|window| window == text.as_bytes())
}

/// The inspector's output for a file whose calls should all be direct, or should not.
///
/// # Panics
///
/// If the inspector finds the opposite.
pub(crate) fn inspect(file: &Path, is_direct: bool) -> String {
    let mut inspector = Command::new(prefix().join("bin/static-call-inspect"));
    let output = inspector.arg("--require-all-direct").arg(file).output().expect("the inspector");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(
        output.status.code(),
        Some(if is_direct { 0 } else { 1 }),
        "the inspector's exit code:\n{said}"
    );
    said
}
