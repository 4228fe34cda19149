//! Finds the paths in Rust files.
//!
//! This reads tokens instead of syntax trees, so that paths in macros count too. A path leads to the file
//! that defines the item: `crate::os::Access` leads to the file of `os::linux` if `os` only re-exports it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use proc_macro2::{Delimiter, Punct, Spacing, TokenStream, TokenTree};

use super::graph::{Arrow, Graph};

/// The names of a module and its ancestors, from the root down.
type Name = Vec<String>;

/// The limit for chains of re-exports and globs. Longer chains are circles.
const DEPTH: usize = 16;

/// Reads a package's library (its name and first file), and the first files of its other crates.
pub(super) fn read(library: Option<(&str, &Path)>, others: &[PathBuf]) -> Result<Graph> {
    let mut graph = Graph::new();
    let library = match library {
        Some((name, file)) => Some((name, Crate::read(file)?)),
        None => None,
    };
    if let Some((_, library)) = &library {
        library.add_arrows(None, &mut graph);
    }
    for file in others {
        let library = library.as_ref().map(|(name, library)| (*name, library));
        Crate::read(file)?.add_arrows(library, &mut graph);
    }
    Ok(graph)
}

/// The modules of a crate.
#[derive(Default)]
struct Crate {
    /// Several modules share a name if conditions choose between files.
    modules: BTreeMap<Name, Vec<Module>>,
    /// The definition of each macro. Exported macros are named as if the root defined them.
    macros: BTreeMap<String, Name>,
}

struct Module {
    name: Name,
    file: PathBuf,
    /// Its tokens without those of inline modules.
    tokens: Vec<String>,
    /// The names of the items that it defines.
    defined: BTreeSet<String>,
    /// The paths of `use` items, by their names in this module.
    imported: BTreeMap<String, Vec<String>>,
    /// The paths of `use …::*`.
    globs: Vec<Vec<String>>,
}

impl Crate {
    fn read(file: &Path) -> Result<Self> {
        let mut this = Self::default();
        let directory = file.parent().context("a file lies in a directory")?;
        this.read_file(Vec::new(), file, directory)?;
        Ok(this)
    }

    /// `directory` contains its child modules.
    fn read_file(&mut self, name: Name, file: &Path, directory: &Path) -> Result<()> {
        let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        let stream: TokenStream =
            text.parse().map_err(|error| anyhow::anyhow!("{}: {error}", file.display()))?;
        let mut tokens = Vec::new();
        flatten(stream, &mut tokens);
        self.read_module(name, file, directory, &without_tests(&tokens))
    }

    fn read_module(&mut self, name: Name, file: &Path, directory: &Path, tokens: &[String]) -> Result<()> {
        let beside = file.parent().context("a file lies in a directory")?;
        let mut own = Vec::new();
        let mut has_children_of_macro = false;
        let mut i = 0;
        while let Some(token) = tokens.get(i) {
            let after = |n: usize| tokens.get(i + n).map_or("", String::as_str);
            match (token.as_str(), after(1), after(2)) {
                ("mod", child, ";") => {
                    let child_name = inside(&name, child);
                    let paths = path_attributes(&own);
                    for path in &paths {
                        let file = beside.join(path);
                        let directory = file.parent().context("a file lies in a directory")?;
                        self.read_file(child_name.clone(), &file, directory)?;
                    }
                    if paths.is_empty() {
                        let (file, directory) = file_of_module(directory, child);
                        self.read_file(child_name, &file, &directory)?;
                    }
                    i += 3;
                }
                ("mod", child, "{") => {
                    let end = closing(tokens, i + 2);
                    let child_name = inside(&name, child);
                    self.read_module(child_name, file, &directory.join(child), &tokens[i + 3..end])?;
                    i = end + 1;
                }
                ("macro_rules", "!", defined) => {
                    self.macros.insert(defined.to_owned(), name.clone());
                    i += 3;
                }
                _ => {
                    has_children_of_macro |= token == "mod" && after(1) == "$" && after(3) == ";";
                    own.push(token.clone());
                    i += 1;
                }
            }
        }
        self.modules.entry(name.clone()).or_default().push(Module::new(name.clone(), file, own));
        if has_children_of_macro {
            self.read_children_of_macro(&name, directory)?;
        }
        Ok(())
    }

    /// If a macro declares modules, they are the files of the directory that are not declared otherwise.
    fn read_children_of_macro(&mut self, name: &Name, directory: &Path) -> Result<()> {
        for entry in
            fs::read_dir(directory).with_context(|| format!("cannot list {}", directory.display()))?
        {
            let path = entry?.path();
            let is_rust = path.extension().is_some_and(|extension| extension == "rs");
            let is_known = self.modules.values().flatten().any(|module| module.file == path);
            if let (true, false, Some(child)) =
                (is_rust, is_known, path.file_stem().and_then(|stem| stem.to_str()))
            {
                self.read_file(inside(name, child), &path, &directory.join(child))?;
            }
        }
        Ok(())
    }

    /// The modules to which a path in `module` leads; none if it leads to another crate.
    fn resolve(&self, module: &Module, path: &[String], depth: usize) -> Vec<&Module> {
        let start = match path.first().map(String::as_str) {
            Some("crate") => Some(Vec::new()),
            Some("self") => Some(module.name.clone()),
            Some("super") => parent(&module.name),
            _ => return self.look_up(&module.name, path, depth),
        };
        let Some(start) = start else { return Vec::new() };
        let found = self.look_up(&start, &path[1..], depth);
        if found.is_empty() { self.modules[&start].iter().collect() } else { found }
    }

    /// The modules that define what `path` means inside a module.
    fn look_up(&self, name: &Name, path: &[String], depth: usize) -> Vec<&Module> {
        let modules = || self.modules[name].iter();
        let Some((first, rest)) = path.split_first() else { return modules().collect() };
        let Some(depth) = depth.checked_sub(1) else { return Vec::new() };
        let child = match first.as_str() {
            "super" => parent(name),
            "self" => Some(name.clone()),
            child => Some(inside(name, child)),
        };
        if let Some(child) = child.filter(|child| self.modules.contains_key(child)) {
            let found = self.look_up(&child, rest, depth);
            return if found.is_empty() { self.modules[&child].iter().collect() } else { found };
        }
        let defining: Vec<_> = modules().filter(|module| module.defined.contains(first)).collect();
        if !defining.is_empty() {
            return defining;
        }
        if let Some(name) = self.macros.get(first).filter(|_| name.is_empty()) {
            return self.modules[name].iter().collect();
        }
        for module in modules() {
            if let Some(imported) = module.imported.get(first) {
                return self.resolve(module, &[imported, rest].concat(), depth);
            }
            for glob in &module.globs {
                for behind in self.resolve(module, glob, depth) {
                    let found = self.look_up(&behind.name, path, depth);
                    if !found.is_empty() {
                        return found;
                    }
                }
            }
        }
        Vec::new()
    }

    /// Adds what this crate's files import from each other, and from the library of their package.
    fn add_arrows(&self, library: Option<(&str, &Self)>, graph: &mut Graph) {
        for module in self.modules.values().flatten() {
            let (mut paths, short): (Vec<_>, Vec<_>) =
                paths(&module.tokens).into_iter().partition(|path| is_spelled_out(path));
            paths.extend(short);
            for path in paths {
                let mut found = self.resolve(module, &path, DEPTH);
                let is_here = !found.is_empty();
                if let Some((name, library)) = library
                    && !is_here
                    && path[0] == name
                {
                    found = library.look_up(&Vec::new(), &path[1..], DEPTH);
                    if found.is_empty() {
                        found = library.modules[&Vec::new()].iter().collect();
                    }
                }
                for imported in found.into_iter().filter(|imported| imported.file != module.file) {
                    let is_upward = is_here && module.name.starts_with(&imported.name);
                    graph
                        .entry((module.file.clone(), imported.file.clone()))
                        .and_modify(|arrow| arrow.is_upward |= is_upward)
                        .or_insert_with(|| Arrow { path: path.join("::"), is_upward });
                }
            }
        }
    }
}

impl Module {
    fn new(name: Name, file: &Path, tokens: Vec<String>) -> Self {
        let (mut imported, mut globs) = (BTreeMap::new(), Vec::new());
        for (at, _) in tokens.iter().enumerate().filter(|(_, token)| *token == "use") {
            for (mut path, local) in used(&tokens[at + 1..]) {
                if local == "*" {
                    path.pop();
                    globs.push(path);
                } else {
                    imported.insert(local, path);
                }
            }
        }
        let defined = tokens.windows(3).filter_map(|window| {
            let name = if window[1] == "mut" { &window[2] } else { &window[1] };
            let is_item = ["fn", "struct", "enum", "union", "trait", "type", "const", "static"]
                .contains(&window[0].as_str());
            is_item.then(|| name.clone())
        });
        Self { name, file: file.to_owned(), defined: defined.collect(), tokens, imported, globs }
    }
}

/// An absolute path is clearer in messages.
fn is_spelled_out(path: &[String]) -> bool {
    ["crate", "super", "self"].contains(&path[0].as_str())
}

fn inside(module: &Name, child: &str) -> Name {
    module.iter().cloned().chain([child.to_owned()]).collect()
}

fn parent(module: &Name) -> Option<Name> {
    module.split_last().map(|(_, parent)| parent.to_vec())
}

/// The file of a child module, and the directory of its own children.
fn file_of_module(directory: &Path, name: &str) -> (PathBuf, PathBuf) {
    let below = directory.join(name);
    let file = directory.join(format!("{name}.rs"));
    (if file.exists() { file } else { below.join("mod.rs") }, below)
}

/// The paths in the attributes of the next item.
fn path_attributes(before: &[String]) -> Vec<&str> {
    let is_end = |token: &String| [";", "{", "}"].contains(&token.as_str());
    let start = before.iter().rposition(is_end).map_or(0, |at| at + 1);
    let given = before[start..].windows(3).filter(|window| window[0] == "path" && window[1] == "=");
    given.filter_map(|window| window[2].strip_prefix('"')?.strip_suffix('"')).collect()
}

/// Tokens as text, with `::` as one of them.
fn flatten(stream: TokenStream, tokens: &mut Vec<String>) {
    let mut joint = false; // Whether the last token is the first half of `::`.
    for tree in stream {
        let is_colon = |punct: &Punct| punct.as_char() == ':' && punct.spacing() == Spacing::Joint;
        let is_half = matches!(&tree, TokenTree::Punct(punct) if is_colon(punct));
        match tree {
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Brace => ("{", "}"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::None => ("", ""),
                };
                tokens.push(open.to_owned());
                flatten(group.stream(), tokens);
                tokens.push(close.to_owned());
            }
            TokenTree::Punct(punct) if punct.as_char() == ':' && joint => {
                *tokens.last_mut().expect("the other half") = "::".to_owned();
                joint = false;
                continue;
            }
            other => tokens.push(other.to_string()),
        }
        joint = is_half;
    }
}

/// The position of the bracket that closes the one at `open`.
fn closing(tokens: &[String], open: usize) -> usize {
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        match token.as_str() {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at;
        }
    }
    tokens.len()
}

/// Removes what is under `#[cfg(test)]` or `#[cfg(all(test, …))]`, in any order.
fn without_tests(tokens: &[String]) -> Vec<String> {
    let mut kept = Vec::new();
    let mut i = 0;
    while i < tokens.len() {
        let is_attribute = tokens[i] == "#" && tokens.get(i + 1).is_some_and(|next| next == "[");
        let end = if is_attribute { closing(tokens, i + 1) } else { i };
        if is_attribute && is_for_tests(&tokens[i + 2..end]) {
            i = end_of_item(tokens, end + 1);
        } else {
            kept.extend_from_slice(&tokens[i..=end.min(tokens.len() - 1)]);
            i = end + 1;
        }
    }
    kept
}

fn is_for_tests(attribute: &[String]) -> bool {
    let attribute: Vec<&str> = attribute.iter().map(String::as_str).collect();
    match attribute.as_slice() {
        ["cfg", "(", "test", ")"] => true,
        ["cfg", "(", "all", "(", conditions @ .., ")", ")"] => {
            let conditions: Vec<_> = conditions.split(|&token| token == ",").collect();
            conditions.contains(&["test"].as_slice())
        }
        _ => false,
    }
}

/// The position after the item, statement or field that starts here.
fn end_of_item(tokens: &[String], start: usize) -> usize {
    let mut i = start;
    while let Some(token) = tokens.get(i) {
        match token.as_str() {
            ";" | "," => return i + 1,
            // The end of the enclosing block.
            ")" | "]" | "}" => return i,
            "{" => return closing(tokens, i) + 1,
            "(" | "[" => i = closing(tokens, i) + 1,
            _ => i += 1,
        }
    }
    i
}

/// The paths that a `use` item names, each with its name in this module. `tokens` starts after the word
/// `use`.
fn used(tokens: &[String]) -> Vec<(Vec<String>, String)> {
    let mut found = Vec::new();
    let end = tokens.iter().position(|token| token == ";").unwrap_or(tokens.len());
    used_below(&[], &tokens[..end], &mut found);
    found
}

fn used_below(prefix: &[String], tree: &[String], found: &mut Vec<(Vec<String>, String)>) {
    let mut path = prefix.to_vec();
    let mut tokens = tree.iter().enumerate();
    for (at, token) in tokens.by_ref() {
        match token.as_str() {
            "::" if at == 0 => return, // Another crate.
            "::" | "$" => {}
            "{" => {
                let end = closing(tree, at);
                for branch in split_at_commas(&tree[at + 1..end]) {
                    used_below(&path, branch, found);
                }
                return;
            }
            "as" => break,
            _ => path.push(token.clone()),
        }
    }
    if path.last().is_some_and(|last| last == "self") && path.len() > 1 {
        path.pop();
    }
    let local = tokens.next().map(|(_, token)| token).or(path.last()).cloned();
    found.extend(local.map(|local| (path, local)));
}

fn split_at_commas(tokens: &[String]) -> Vec<&[String]> {
    let mut parts = Vec::new();
    let (mut start, mut i) = (0, 0);
    while i < tokens.len() {
        match tokens[i].as_str() {
            "{" => i = closing(tokens, i),
            "," => {
                parts.push(&tokens[start..i]);
                start = i + 1;
            }
            _ => {}
        }
        i += 1;
    }
    parts.push(&tokens[start..]);
    parts.retain(|part| !part.is_empty());
    parts
}

/// All paths of a module in `use` items and other code, except those of items that it only re-exports.
fn paths(tokens: &[String]) -> BTreeSet<Vec<String>> {
    let next_is = |i: usize, expected: &str| tokens.get(i + 1).is_some_and(|next| next == expected);
    let end_of_use =
        |i: usize| tokens[i..].iter().position(|token| token == ";").map_or(tokens.len(), |n| i + n);
    let mut paths = BTreeSet::new();
    let mut i = 0;
    while i < tokens.len() {
        match tokens[i].as_str() {
            "use" => {
                paths.extend(used(&tokens[i + 1..]).into_iter().map(|(path, _)| path));
                i = end_of_use(i);
            }
            "pub" => {
                // `pub(in crate::writer)` imports nothing.
                if next_is(i, "(") {
                    i = closing(tokens, i + 1);
                }
                if next_is(i, "use") {
                    let end = end_of_use(i);
                    let is_used =
                        |local: &str| is_named(&tokens[..i], local) || is_named(&tokens[end..], local);
                    let exported = used(&tokens[i + 2..]).into_iter();
                    paths.extend(exported.filter(|(_, local)| is_used(local)).map(|(path, _)| path));
                    i = end;
                }
            }
            first if is_identifier(first) && (i == 0 || tokens[i - 1] != "::") => {
                let mut path = vec![first.to_owned()];
                while let [separator, next, ..] = &tokens[i + 1..]
                    && separator == "::"
                    && is_identifier(next)
                {
                    path.push(next.clone());
                    i += 2;
                }
                if path.len() > 1 {
                    paths.insert(path);
                }
            }
            _ => {}
        }
        i += 1;
    }
    paths
}

/// Whether this name starts a path, and is not a field or method.
fn is_named(tokens: &[String], name: &str) -> bool {
    let is_alone = |at: usize| at == 0 || !["::", "."].contains(&tokens[at - 1].as_str());
    is_identifier(name) && tokens.iter().enumerate().any(|(at, token)| token == name && is_alone(at))
}

fn is_identifier(token: &str) -> bool {
    token.starts_with(|first: char| first.is_alphabetic() || first == '_')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imports::graph::circles;

    /// The arrows of a package with these files: `from -> to`, or `from ^ to` for an upward one.
    fn arrows(files: &[(&str, &str)]) -> Result<Vec<String>> {
        Ok(graph(files)?
            .into_iter()
            .map(|((from, to), arrow)| {
                let sign = if arrow.is_upward { "^" } else { "->" };
                format!("{} {sign} {}", from.display(), to.display())
            })
            .collect())
    }

    fn graph(files: &[(&str, &str)]) -> Result<Graph> {
        let directory = tempfile::tempdir()?;
        for (name, text) in files {
            let file = directory.path().join(name);
            fs::create_dir_all(file.parent().context("a directory")?)?;
            fs::write(file, text)?;
        }
        let program = directory.path().join("main.rs");
        let others = if program.exists() { vec![program] } else { Vec::new() };
        let graph = read(Some(("library", &directory.path().join("lib.rs"))), &others)?;
        let relative = |file: PathBuf| anyhow::Ok(file.strip_prefix(directory.path())?.to_owned());
        graph.into_iter().map(|((from, to), arrow)| Ok(((relative(from)?, relative(to)?), arrow))).collect()
    }

    #[test]
    fn two_files_that_name_each_other_are_a_circle() -> Result<()> {
        let graph = graph(&[
            ("lib.rs", "mod a; mod b; mod c;"),
            ("a.rs", "use crate::b::B; pub struct A;"),
            ("b.rs", "pub struct B; fn f() { crate::c::g() }"),
            ("c.rs", "pub fn g() { let _: Vec<super::a::A>; }"),
        ])?;
        assert_eq!(circles(&graph).len(), 1);
        assert_eq!(circles(&graph)[0].len(), 3);
        Ok(())
    }

    #[test]
    fn declaring_is_not_importing_and_a_parent_is_upward() -> Result<()> {
        let files = [
            ("lib.rs", "mod a; struct S;"),
            ("a/mod.rs", "mod b;"),
            ("a/b.rs", "use crate::S; use super::T;"),
        ];
        assert_eq!(arrows(&files)?, ["a/b.rs ^ a/mod.rs", "a/b.rs ^ lib.rs"]);
        Ok(())
    }

    #[test]
    fn code_of_tests_may_import_anything() -> Result<()> {
        let a = "#[cfg(test)] mod tests { use crate::b::B; } #[cfg(all(loom, test))] use crate::c::C;
                 struct S { #[cfg(test)] b: crate::b::B, x: crate::d::D }
                 #[cfg(any(test, fuzzing))] use crate::e;";
        let root = "mod a; mod b; mod c; mod d; mod e;";
        let files = [("lib.rs", root), ("a.rs", a), ("b.rs", ""), ("c.rs", ""), ("d.rs", ""), ("e.rs", "")];
        assert_eq!(arrows(&files)?, ["a.rs -> d.rs", "a.rs -> e.rs"]);
        Ok(())
    }

    #[test]
    fn trees_aliases_macros_and_modules_within_a_file_are_followed() -> Result<()> {
        let a = "use crate::{b::{self as other, c}, d::*}; use std::e;
                 fn f() { other::g::h(); e::k(); }
                 mod within { pub(in crate::f) struct S; fn f() { super::super::b::k!(); } }
                 macro_rules! m { () => { $crate::f::F }; }";
        let files = [
            ("lib.rs", "mod a; mod b; mod d; mod e; mod f;"),
            ("a.rs", a),
            ("b/mod.rs", "pub mod c; pub mod g;"),
            ("b/c.rs", ""),
            ("b/g.rs", ""),
            ("d.rs", "crate::m!();"),
            ("e.rs", ""),
            ("f.rs", ""),
        ];
        let expected = [
            "a.rs -> b/c.rs",
            "a.rs -> b/g.rs",
            "a.rs -> b/mod.rs",
            "a.rs -> d.rs",
            "a.rs -> f.rs",
            "d.rs -> a.rs",
        ];
        assert_eq!(arrows(&files)?, expected);
        Ok(())
    }

    #[test]
    fn reexports_are_followed_and_are_no_imports() -> Result<()> {
        let files = [
            ("lib.rs", "mod user; mod os; pub use os::Fault;"),
            (
                "os/mod.rs",
                "mod linux; mod fault; pub(crate) use linux::*;
                 pub(crate) use fault::{self as f, Fault as Fault};",
            ),
            ("os/linux.rs", "pub(crate) struct Access; pub(crate) use super::fault::code;"),
            ("os/fault.rs", "pub(crate) enum Fault {} pub(crate) const fn code() {}"),
            ("user.rs", "use crate::os::{Access, code}; fn f() -> crate::Fault { crate::os::f::other() }"),
        ];
        assert_eq!(arrows(&files)?, ["user.rs -> os/fault.rs", "user.rs -> os/linux.rs"]);
        Ok(())
    }

    #[test]
    fn a_reexport_is_an_import_where_its_name_is_used() -> Result<()> {
        let files = [
            ("lib.rs", "mod a; mod b; mod c; mod d; pub use a::f;"),
            ("a.rs", "pub use crate::b::B; pub fn f(b: B) {}"),
            ("b.rs", "pub struct B; fn g() { crate::a::f() }"),
            ("c.rs", "pub(crate) use crate::b::{B, B as C}; fn f() { x.B(); y::C; }"),
            ("d.rs", "pub use crate::b::*; fn f() -> u8 { 2 * 3 }"),
        ];
        assert_eq!(arrows(&files)?, ["a.rs -> b.rs", "b.rs -> a.rs"]);
        Ok(())
    }

    #[test]
    fn modules_of_macros_and_of_path_attributes_are_found() -> Result<()> {
        let root = "#[cfg_attr(a, path = \"unix.rs\")] #[cfg_attr(b, path = \"other.rs\")] mod system;
                    macro_rules! m { ($n:ident) => { mod $n; } } m!(x);";
        let files = [
            ("lib.rs", root),
            ("unix.rs", "use crate::x::X;"),
            ("x.rs", "use crate::system;"),
            ("other.rs", ""),
        ];
        assert_eq!(arrows(&files)?, ["unix.rs -> x.rs", "x.rs -> other.rs", "x.rs -> unix.rs"]);
        Ok(())
    }

    #[test]
    fn a_program_imports_its_library() -> Result<()> {
        let files = [
            ("lib.rs", "pub mod a; pub use a::A; pub struct Root;"),
            ("a.rs", "pub struct A;"),
            ("main.rs", "use library::{A, Root};"),
        ];
        assert_eq!(arrows(&files)?, ["main.rs -> a.rs", "main.rs -> lib.rs"]);
        Ok(())
    }
}
