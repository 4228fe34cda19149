//! The questions to debug information, and its answers.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::rc::Rc;

use crate::name::demangle;

/// What to look up in debug information.
#[derive(Clone, Debug, Default)]
pub struct Questions {
    /// Instructions whose source is wanted.
    pub places: Vec<u64>,
    /// The addresses of functions whose types are wanted.
    pub functions: HashSet<u64>,
    /// The addresses of keys whose definitions and types are wanted.
    pub keys: HashSet<u64>,
}

/// What debug information says.
#[derive(Clone, Debug, Default)]
pub struct Answers {
    /// The source of each instruction, by address: the innermost inlined function first.
    pub places: HashMap<u64, Vec<Place>>,
    /// The compiler that made each instruction, by address.
    pub compilers: HashMap<u64, Rc<str>>,
    /// The functions' types, by address.
    pub functions: HashMap<u64, String>,
    /// The variables that are keys, by address.
    pub keys: HashMap<u64, Variable>,
    /// The types of keys in C, by the name of the variable.
    pub types: HashMap<String, String>,
    /// The code that loads a key's pointer because it was compiled without the pass: inlined copies of the
    /// functions that C's header and Rust's macros then use.
    pub loads: Vec<Load>,
    /// What could not be read, in words.
    pub missing: Option<String>,
}

impl Answers {
    /// Whether an instruction is in a key's Rust method `call`. None: its function is unknown.
    #[must_use]
    pub fn is_in_call_method(&self, address: u64) -> Option<bool> {
        let places = self.places.get(&address)?;
        let is_known = places.iter().any(|place| place.function.is_some());
        is_known.then(|| places.iter().any(Place::is_call_method))
    }
}

/// The definition of a key in the source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Variable {
    /// The file, as it was given to the compiler.
    pub file: Option<String>,
    /// The line of its definition.
    pub line: Option<u32>,
    /// The type of its function.
    pub ty: Option<String>,
}

/// Code that loads a key's pointer.
#[derive(Clone, Debug)]
pub struct Load {
    /// Its addresses; at least one range.
    pub ranges: Vec<Range<u64>>,
    /// Its source, the innermost function first.
    pub places: Vec<Place>,
    /// The compiler that made it.
    pub compiler: Option<Rc<str>>,
}

/// A place in the source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The function, which may be inlined into the next one of a list.
    pub function: Option<String>,
    /// The file, as it was given to the compiler.
    pub file: Option<String>,
    /// The line.
    pub line: Option<u32>,
}

impl Place {
    fn is_rust(&self) -> bool {
        self.file.as_ref().is_some_and(|file| file.ends_with(".rs"))
    }

    /// Whether this is in the method `call` that `define!` makes for a key. Line tables alone have only the
    /// last part of a function's path.
    fn is_call_method(&self) -> bool {
        self.function.as_ref().is_some_and(|name| match name.strip_suffix("::call") {
            Some(path) => path.contains("::_::") || path.starts_with('<'),
            None => name == "call" && self.is_rust(),
        })
    }

    fn is_load(&self) -> bool {
        let name = self.function.as_deref();
        name.is_some_and(|name| is_loader(name.as_bytes()) || name == LOADER)
    }
}

/// The part of a chain that the user wrote. A call in a macro's expansion is attributed to the user's code
/// around it, or to no place at all.
#[must_use]
pub fn written(places: &[Place]) -> &[Place] {
    let macros = places.iter().position(Place::is_call_method);
    let macros = macros.or_else(|| places.iter().rposition(Place::is_load));
    let written = &places[macros.map_or(0, |last| last + 1)..];
    // A place without a function is the macro's own line.
    if written.first().is_some_and(|place| place.function.is_none() && place.is_rust()) {
        &[]
    } else {
        written
    }
}

const LOADER: &str = "static_call::private::load";

/// Whether this is the symbol of a function that returns the pointer in a key.
pub(crate) fn is_loader(symbol: &[u8]) -> bool {
    const RUST: &[u8] = b"static_call";
    symbol == static_call_abi::INTRINSIC.as_bytes()
        // Demangling is slow, so skip names that cannot match.
        || symbol.len() < 1000
            && symbol.windows(RUST.len()).any(|part| part == RUST)
            && demangle(symbol) == LOADER
}
