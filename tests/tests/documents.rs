//! The documents' examples in C and for the shell, and the sections of docs/troubleshooting.md.
//!
//! The examples in Rust are doctests of this package's library. Links, lengths and commands of xtask are
//! tested there.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use regex::Regex;
use static_call_tests::binary::StaticCalls;
use static_call_tests::c::{Build, Compiler};
use static_call_tests::{prefix, root, run, stdout};

/// A block of code in a document.
struct Block {
    language: String,
    code: String,
    /// The document and the line, for messages.
    place: String,
}

/// The documents for users.
fn documents() -> Vec<PathBuf> {
    let docs = fs::read_dir(root().join("docs")).expect("docs").flatten().map(|entry| entry.path());
    let mut documents: Vec<PathBuf> =
        docs.filter(|path| path.extension().is_some_and(|end| end == "md")).collect();
    documents.push(root().join("README.md"));
    documents.sort();
    documents
}

fn blocks() -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    for document in documents() {
        let text = fs::read_to_string(&document).expect("a document");
        let mut is_open = false;
        for (number, line) in text.lines().enumerate() {
            match line.trim_start().strip_prefix("```") {
                Some(_) if is_open => is_open = false,
                Some(language) => {
                    let place = format!("{}:{}", document.display(), number + 1);
                    blocks.push(Block { language: language.to_owned(), code: String::new(), place });
                    is_open = true;
                }
                None if is_open => {
                    let block = blocks.last_mut().expect("it is open");
                    block.code += line;
                    block.code.push('\n');
                }
                None => {}
            }
        }
    }
    blocks
}

#[test]
fn examples_in_rust_are_doctests() {
    let doctests = fs::read_to_string(root().join("tests/src/documents.rs")).expect("the doctests");
    let library = fs::read_to_string(root().join("tests/src/lib.rs")).expect("the library");
    assert!(library.contains("#[cfg(doctest)]\nmod documents;"));
    let examples = blocks();
    let examples: Vec<_> = examples.iter().filter(|block| block.language == "rust").collect();
    for Block { place, .. } in &examples {
        let path = place.rsplit_once(':').expect("a line").0;
        let name = path.strip_prefix(&format!("{}/", root().display())).expect("a document");
        assert!(doctests.contains(&format!("include_str!(\"../../{name}\")")), "{place} is no doctest");
    }
    assert!(examples.len() >= 6, "only {} examples were found", examples.len());
}

#[test]
fn examples_in_c_and_cpp_are_programs_that_succeed() {
    const BUILDS: [(Compiler, &str); 5] = [
        (Compiler::Pass, "-O2"),
        (Compiler::Pass, "-O0"),
        (Compiler::Clang, "-O2"),
        (Compiler::Gcc, "-O0"),
        (Compiler::Gcc, "-O2"),
    ];
    let directory = tempfile::tempdir().expect("a temporary directory");
    let mut count = 0;
    for block in blocks().iter().filter(|block| ["c", "cpp"].contains(&&*block.language)) {
        count += 1;
        let source = directory.path().join(format!("example.{}", block.language));
        fs::write(&source, &block.code).expect("a file");
        for (compiler, level) in BUILDS {
            let (build, program) = (Build { compiler, level }, directory.path().join("example"));
            let mut command = build.compiler(block.language == "cpp");
            command.arg(&source).arg("-o").arg(&program).arg(prefix().join("lib/libstatic_call.a"));
            let output = command.output().expect("a compiler");
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{}, {build:?}:\n{said}", block.place);
            let status = Command::new(&program).status().expect("the example");
            assert!(status.success(), "{}, {build:?}: {status}", block.place);
            let calls = StaticCalls::read(&program);
            let sites = if build.has_pass() { calls.checked() } else { calls.recorded.len() };
            assert_eq!(sites > 0, build.has_pass(), "{}, {build:?}: {sites} sites", block.place);
        }
    }
    assert!(count >= 5, "only {count} examples were found");
}

/// Runs them as a user would: in a home directory whose `.local` is the installation, beside an `app.c`.
#[test]
fn commands_that_compile_c_succeed() {
    let blocks = blocks();
    let app = blocks.iter().find(|block| block.language == "c" && block.place.contains("README.md"));
    let is_compiler = |block: &&Block| {
        block.language == "sh" && ["clang-22 ", " app.c "].iter().all(|word| block.code.contains(word))
    };
    let mut count = 0;
    for block in blocks.iter().filter(is_compiler) {
        count += 1;
        let home = tempfile::tempdir().expect("a temporary directory");
        std::os::unix::fs::symlink(prefix(), home.path().join(".local")).expect("a link");
        fs::write(home.path().join("app.c"), &app.expect("an example in C").code).expect("a file");
        let mut shell = Command::new("sh");
        shell.args(["-eu", "-c", &block.code]).current_dir(home.path()).env("HOME", home.path());
        run(&mut shell);
        run(Command::new(home.path().join("a.out")).env("LD_LIBRARY_PATH", prefix().join("lib")));
    }
    assert!(count >= 2, "only {count} such commands were found");
}

/// Subcommands, options and packages in the documents exist.
#[test]
fn commands_of_the_installation_exist() {
    let command = Regex::new(r"cargo static-call ([a-z]+)([^`#\n]*)").expect("a pattern");
    let option = Regex::new(r" (--[a-z-]+)").expect("a pattern");
    let package = Regex::new(r"pkg-config [^`)]*?(static-call[a-z-]*)").expect("a pattern");
    let (mut commands, mut packages) = (0, 0);
    let others = ["tests/README.md", "CONTRIBUTING.md"].map(|name| root().join(name));
    for document in documents().into_iter().chain(others) {
        let text = fs::read_to_string(&document).expect("a document");
        for found in command.captures_iter(&text) {
            let (name, arguments) = (&found[1], &found[2]);
            let mut help = match name {
                "doctor" | "inspect" | "setup" => Command::new(prefix().join("bin/cargo-static-call")),
                // Cargo's own tools, which are not installed everywhere.
                "nextest" => continue,
                _ => Command::new("cargo"),
            };
            let help = stdout(help.args([name, "--help"]));
            let known: BTreeSet<&str> =
                option.captures_iter(&help).map(|known| known.extract::<1>().1[0]).collect();
            for option in option.captures_iter(arguments) {
                assert!(known.contains(&option[1]), "{}: {}", document.display(), &found[0]);
            }
            commands += 1;
        }
        for found in package.captures_iter(&text) {
            let file = prefix().join("lib/pkgconfig").join(&found[1]).with_added_extension("pc");
            assert!(file.exists(), "{}: {}", document.display(), &found[0]);
            packages += 1;
        }
    }
    assert!(commands > 5 && packages > 3, "only {commands} commands and {packages} packages were found");
}

/// The one source file below a directory that has this text.
fn source_with(directory: &str, text: &str) -> String {
    let mut found = Vec::new();
    let mut directories = vec![root().join(directory)];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).expect("a directory").flatten() {
            let path = entry.path();
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                let source = fs::read_to_string(&path).expect("a source file");
                found.extend(source.contains(text).then_some(source));
            }
        }
    }
    assert_eq!(found.len(), 1, "files below {directory} with `{text}`");
    found.remove(0)
}

/// A literal as users see it, with `…` for each placeholder.
fn shown(literal: &str) -> String {
    let joined = Regex::new(r"\\\n\s*").expect("a pattern").replace_all(literal, "");
    let text = Regex::new(r"\{[^}]*\}").expect("a pattern").replace_all(&joined, "…");
    text.replace("\\\"", "\"")
}

/// The headings of the third level below one of the second.
fn headings(section: &str) -> BTreeSet<String> {
    let text = fs::read_to_string(root().join("docs/troubleshooting.md")).expect("a document");
    let (_, rest) = text.split_once(&format!("\n## {section}\n")).expect("a section");
    let lines = rest.lines().take_while(|line| !line.starts_with("## "));
    lines.filter_map(|line| line.strip_prefix("### ")).map(str::to_owned).collect()
}

fn all(pattern: &str, source: &str) -> BTreeSet<String> {
    let pattern = Regex::new(pattern).expect("a pattern");
    pattern.captures_iter(source).map(|found| shown(&found[1])).collect()
}

fn body<'a>(source: &'a str, start: &str, end: &str) -> &'a str {
    let (_, rest) = source.split_once(start).unwrap_or_else(|| panic!("no `{start}`"));
    rest.split_once(end).unwrap_or_else(|| panic!("no end of `{start}`")).0
}

/// The variants of an enumeration, which a macro may define.
fn enumeration<'a>(source: &'a str, name: &str) -> &'a str {
    let start = format!("enum {name} {{\n");
    let body = body(source, &start, "\n}");
    body.split_once("\n    }\n").map_or(body, |(body, _)| body)
}

const LITERAL: &str = r#""((?:[^"\\]|\\[\s\S])*)""#;

#[test]
fn each_kind_of_error_has_a_section() {
    let source = source_with("runtime/src", "pub enum ErrorKind {");
    let kinds = all(r"(?m)^\s*([A-Z]\w+)(?: = \d+)?,$", enumeration(&source, "ErrorKind"));
    let numbers =
        Regex::new(r"((?:(?:ErrorKind|Self)::\w+[\s|]*)+)=>\s*-\d+,\s*// (\w+)").expect("a pattern");
    let number = |kind: &str| {
        let line = numbers
            .captures_iter(&source)
            .find(|line| line[1].split(|c: char| !c.is_alphanumeric()).any(|word| word == kind));
        line.unwrap_or_else(|| panic!("{kind} has no errno"))[2].to_owned()
    };
    let expected: BTreeSet<String> =
        kinds.iter().map(|kind| format!("`{kind}` (`-{}`)", number(kind))).collect();
    assert!(expected.len() >= 10, "{expected:?}");
    assert_eq!(headings("Errors of an update"), expected);
}

#[test]
fn each_reason_of_a_mode_has_a_section() {
    let source = source_with("runtime/src", "fn as_c_str(self)");
    let texts = all(&format!("c{LITERAL}"), body(&source, "fn as_c_str(self)", "\n    }\n"));
    let variants = enumeration(&source, "Reason").lines().filter(|line| line.ends_with(',')).count();
    assert_eq!(texts.len(), variants, "{texts:#?}");
    assert_eq!(headings("Why the mode is what it is"), texts);
}

#[test]
fn each_line_of_the_doctor_has_a_section() {
    let source = source_with("cargo-static-call/src", "enum Finding {");
    let starts = r"(?:\b(?:Bad|Note)\(\s*(?:format!\(\s*)?|let text =\s*format!\()";
    let texts = all(&format!("{starts}{LITERAL}"), &source);
    // Other literals there: patterns, types and the text above.
    for found in Regex::new(r"\b(?:Bad|Note)\(\s*(\w*\S)").expect("a pattern").captures_iter(&source) {
        let start = &found[1];
        let is_known = start.starts_with(['"', '.'])
            || ["format!", "String,", "String)", "what)", "what,", "text,"].contains(&start);
        assert!(is_known, "a line of the doctor that this test does not see: {}", &found[0]);
    }
    let has_words = |text: &&String| text.chars().any(char::is_alphabetic);
    let expected: BTreeSet<String> = texts.iter().filter(has_words).cloned().collect();
    assert!(expected.len() >= 14, "{expected:#?}");
    let mut headings = headings("Lines of the doctor");
    // A path and an error, or an error alone, contain no fixed text.
    assert!(headings.remove("A path, or nothing, and an error"));
    assert_eq!(headings, expected);
}

#[test]
fn each_warning_of_the_wrapper_has_a_section() {
    let source = source_with("rustc-wrapper/src", "enum Unavailable {");
    let texts = all(&format!(r"write!\(\s*f,\s*{LITERAL}"), &source);
    assert!(texts.len() >= 4, "{texts:#?}");
    assert_eq!(headings("Warnings of the wrapper"), texts);
}

#[test]
fn the_table_of_platforms_and_the_readme_agree() {
    let names = |document: &str| -> BTreeSet<String> {
        let text = fs::read_to_string(root().join(document)).expect("a document");
        let table = body(&text, "\n| target | direct calls", "\n\n");
        let cells = table.lines().skip(2).filter_map(|row| row.split('|').nth(1));
        let words = Regex::new(
            r"x86-64|i686|aarch64|ARMv7|riscv64|powerpc64le|s390x|loongarch64|bare metal|every other",
        )
        .expect("a pattern");
        cells
            .flat_map(|cell| words.find_iter(cell).map(|word| word.as_str().to_owned()).collect::<Vec<_>>())
            .collect()
    };
    let readme = names("README.md");
    assert_eq!(readme, names("docs/platforms.md"));
    assert!(readme.len() >= 10, "{readme:?}");
}

#[test]
fn the_overview_of_the_header_has_its_whole_interface() {
    let header = fs::read_to_string(root().join("runtime/include/static_call.h")).expect("the header");
    let (overview, rest) = header.split_once("*/").expect("a comment at the top");
    let names = Regex::new(
        r"(?mx) ^(?:\#define\ |__STATIC_CALL_\w+\ .*?\b|.*\bint\ )
          (static_call_?\w*|DE(?:FINE|CLARE)_STATIC_CALL\w*|STATIC_CALL_\w+)\(",
    );
    let names: BTreeSet<String> = names
        .expect("a pattern")
        .captures_iter(rest)
        .map(|found| found[1].trim_end_matches("_at").trim_end_matches("_AT").to_owned())
        .collect();
    assert!(names.len() >= 15 && names.contains("static_call_seal"), "{names:?}");
    for name in names {
        // Initializers and changes of one kind share an entry.
        let name = if name.starts_with("DE") { &name } else { name.trim_end_matches("_RET0") };
        assert!(overview.contains(&format!("{name}(")), "the overview does not have {name}");
    }
}
