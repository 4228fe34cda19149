//! The LLVMs that the C++ part is compiled for, by their headers. The build script asks, and `cargo xtask
//! install`, which refuses a mistaken choice before it builds or installs anything.

use std::collections::BTreeMap;
use std::fs;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The versions that `cpp/llvm_compat.h` knows.
pub(crate) const KNOWN: RangeInclusive<u32> = 18..=24;

/// The variable with the choice: a list of major versions, and of directories with an LLVM or its headers.
pub(crate) const CHOICE: &str = "STATIC_CALL_LLVM";

/// Directories with headers, by the major version of their LLVM.
pub(crate) type Headers = BTreeMap<u32, PathBuf>;

/// An item of the choice.
#[derive(Debug)]
pub(crate) enum Item {
    /// The installed LLVM of this major version.
    Installed(u32),
    /// The headers of an LLVM of this major version.
    Directory(u32, PathBuf),
}

impl Item {
    /// Reads an item.
    ///
    /// # Errors
    ///
    /// It is neither a version that we know nor a directory with headers of one.
    pub(crate) fn parse(item: &str) -> Result<Self, String> {
        let found = if let Ok(major) = item.parse() {
            Self::Installed(major)
        } else {
            let has_headers = |include: PathBuf| Some(Self::Directory(major(&include)?, include));
            [Path::new(item).join("include"), item.into()]
                .into_iter()
                .find_map(has_headers)
                .ok_or_else(|| format!("{} has {item:?}, where no headers of an LLVM are", choice()))?
        };
        let (Self::Installed(major) | Self::Directory(major, _)) = found;
        if KNOWN.contains(&major) {
            return Ok(found);
        }
        let [first, last] = [KNOWN.start(), KNOWN.end()];
        Err(format!("{} has {item}: LLVM {major}, but the pass knows LLVM {first} to {last}", choice()))
    }
}

/// The headers that the choice names, or all that we know of those at these places.
///
/// # Errors
///
/// There are none, or not all that the choice names.
pub(crate) fn find(choice: &str, places: &[PathBuf]) -> Result<Headers, String> {
    if choice.is_empty() { all(places) } else { chosen(choice, places) }
}

/// The headers at these places of LLVMs that we do not know: a sentence for each.
pub(crate) fn unknown(places: &[PathBuf]) -> Vec<String> {
    let mut unknown = Vec::new();
    for include in places {
        if let Some(major) = major(include).filter(|major| !KNOWN.contains(major)) {
            let sentence = format!("{} has LLVM {major}, which the pass does not know.", include.display());
            // `llvm-config` and the directories may both name them.
            if !unknown.contains(&sentence) {
                unknown.push(sentence);
            }
        }
    }
    unknown
}

fn all(places: &[PathBuf]) -> Result<Headers, String> {
    let mut found = Headers::new();
    for include in places {
        if let Some(major) = major(include).filter(|major| KNOWN.contains(major)) {
            found.entry(major).or_insert_with(|| include.clone());
        }
    }
    if !found.is_empty() {
        return Ok(found);
    }
    let [first, last] = [KNOWN.start(), KNOWN.end()];
    let others: String = unknown(places).iter().map(|sentence| format!(" {sentence}")).collect();
    Err(format!(
        "found no headers of LLVM {first} to {last}.{others} Install those of your compilers' LLVM (on \
         Debian: apt install llvm-22-dev), or name a directory that has them ({})",
        self::choice()
    ))
}

fn chosen(choice: &str, places: &[PathBuf]) -> Result<Headers, String> {
    let mut headers = Headers::new();
    for item in choice.split(',').map(str::trim) {
        let (version, include) = match Item::parse(item)? {
            Item::Directory(version, include) => (version, include),
            Item::Installed(version) => {
                let include = places.iter().find(|include| major(include) == Some(version));
                let include = include.ok_or_else(|| {
                    format!(
                        "found no headers of LLVM {version}, which {} has: install them (on Debian: apt \
                         install llvm-{version}-dev), or name their directory",
                        self::choice()
                    )
                })?;
                (version, include.clone())
            }
        };
        if let Some(before) = headers.insert(version, include.clone())
            && before != include
        {
            let [before, include] = [before.display(), include.display()];
            return Err(format!("{} has LLVM {version} twice: {before} and {include}", self::choice()));
        }
    }
    Ok(headers)
}

/// The error for headers that the C++ compiler, which said this, does not take.
#[cfg_attr(not(test), allow(dead_code, reason = "only the build script compiles"))]
pub(crate) fn do_not_compile(major: u32, include: &Path, said: &str) -> String {
    let error = said.lines().find(|line| line.contains("error")).or(said.lines().next());
    format!(
        "the headers of LLVM {major} in {} do not compile: {}. Leave this LLVM out of {}",
        include.display(),
        error.unwrap_or("the compiler does not say why"),
        choice()
    )
}

/// How the choice is called in messages.
fn choice() -> String {
    format!("the list of LLVMs (--llvm, or {CHOICE})")
}

/// Where headers may be installed: Debian's and Gentoo's directories, and what `llvm-config` says.
pub(crate) fn places() -> Vec<PathBuf> {
    let mut places = Vec::new();
    for directory in ["/usr/lib", "/usr/lib/llvm"] {
        let entries = fs::read_dir(directory).into_iter().flatten().flatten();
        places.extend(entries.map(|entry| entry.path().join("include")));
    }
    let programs = KNOWN.map(|major| format!("llvm-config-{major}")).chain(["llvm-config".into()]);
    for output in programs.filter_map(|program| Command::new(program).arg("--includedir").output().ok()) {
        places.push(String::from_utf8_lossy(&output.stdout).trim().into());
    }
    places
}

/// The file that has the version of the LLVM with these headers.
pub(crate) fn configuration(include: &Path) -> PathBuf {
    include.join("llvm/Config/llvm-config.h")
}

/// The major version of the LLVM that has these headers.
fn major(include: &Path) -> Option<u32> {
    let text = fs::read_to_string(configuration(include)).ok()?;
    text.lines().find_map(|line| line.strip_prefix("#define LLVM_VERSION_MAJOR ")?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Directories with the headers of these LLVMs, and one without any.
    fn install(llvms: &[u32]) -> (tempfile::TempDir, Vec<PathBuf>) {
        let root = tempfile::tempdir().expect("a temporary directory");
        let mut places = vec![root.path().join("none/include")];
        for (number, llvm) in llvms.iter().enumerate() {
            let include = root.path().join(format!("llvm-{llvm}-{number}/include"));
            let file = configuration(&include);
            fs::create_dir_all(file.parent().expect("a directory")).expect("a directory");
            let text = format!("/* its version */\n#define LLVM_VERSION_MAJOR {llvm}\n#define OTHER 1\n");
            fs::write(file, text).expect("a file");
            places.push(include);
        }
        (root, places)
    }

    fn versions(found: Result<Headers, String>) -> Vec<u32> {
        found.expect("headers").into_keys().collect()
    }

    #[track_caller]
    fn fails(found: Result<Headers, String>, words: &[&str]) {
        let problem = found.expect_err("no headers");
        for word in words {
            assert!(problem.contains(word), "no `{word}` in {problem}");
        }
    }

    #[test]
    fn all_that_are_known_are_used() {
        let (_root, places) = install(&[22, 17, 25, 18, 22]);
        let found = find("", &places).expect("headers");
        // The first place of a version counts.
        let expected = Headers::from([(18, places[4].clone()), (22, places[1].clone())]);
        assert_eq!(found, expected);
    }

    #[test]
    fn no_headers_at_all() {
        let (_root, places) = install(&[]);
        fails(
            find("", &places),
            &["found no headers of LLVM 18 to 24. Install", "apt install llvm-22-dev", CHOICE],
        );
    }

    #[test]
    fn headers_of_unknown_llvms_are_named() {
        let (_root, places) = install(&[17, 25]);
        let [old, new] = [1, 2].map(|number: usize| places[number].display().to_string());
        let named = [format!("{old} has LLVM 17, which the"), format!("{new} has LLVM 25, which the")];
        fails(find("", &places), &["found no headers of LLVM 18 to 24", &named[0], &named[1]]);
        let twice = [&*places, &places].concat();
        assert_eq!(unknown(&twice), named.each_ref().map(|start| format!("{start} pass does not know.")));
        fails(find(&new, &places), &[&new, "LLVM 25, but the pass knows LLVM 18 to 24", CHOICE]);
    }

    #[test]
    fn headers_that_do_not_compile_are_named_with_the_error() {
        let problem = |said| do_not_compile(24, Path::new("/llvm/include"), said);
        let said = problem("In file included from a.cpp:1:\na.cpp:3:4: fatal error: no such file\n  more\n");
        assert_eq!(
            said,
            "the headers of LLVM 24 in /llvm/include do not compile: a.cpp:3:4: fatal error: no such file. \
             Leave this LLVM out of the list of LLVMs (--llvm, or STATIC_CALL_LLVM)"
        );
        assert!(problem("killed\n").contains("do not compile: killed. Leave"));
        assert!(problem("").contains("does not say why"));
    }

    #[test]
    fn a_choice_of_versions_and_directories() {
        let (root, places) = install(&[18, 19, 22]);
        assert_eq!(versions(find("22, 19", &places)), [19, 22]);
        let whole = root.path().join("llvm-18-0").display().to_string();
        assert_eq!(versions(find(&format!("{whole},22"), &places)), [18, 22]);
        assert_eq!(versions(find(&places[1].display().to_string(), &[])), [18]);
        assert_eq!(versions(find("22,22", &places)), [22]);
    }

    #[test]
    fn a_mistaken_choice_is_named() {
        let (_root, places) = install(&[19, 22, 22]);
        fails(find("19,17", &places), &["17: LLVM 17, but the pass knows LLVM 18 to 24", "--llvm", CHOICE]);
        fails(find("99", &places), &["99: LLVM 99, but"]);
        fails(find("21", &places), &["found no headers of LLVM 21", "apt install llvm-21-dev", CHOICE]);
        for nowhere in ["/no/llvm", "twenty", "-1", " ", "19,,22"] {
            fails(find(nowhere, &places), &["where no headers of an LLVM are"]);
        }
        let [first, second] = [2, 3].map(|number: usize| places[number].display().to_string());
        fails(find(&format!("{first},{second}"), &places), &["LLVM 22 twice", &first, &second]);
    }
}
