//! Prints types from debug information in the syntax of the unit's language.

use std::cell::Cell;
use std::fmt::Write;

use gimli::{AttributeValue, DebuggingInformationEntry, UnitOffset, UnitRef};

use crate::budget::Budget;
use crate::dwarf::Reader;

/// The depth to which nested types are printed. Damaged ones may be circular.
const DEEPEST: u32 = 8;
/// The number of types that are printed for one function, since a few types may expand to very many.
const MOST: u32 = 200;
/// Stands for a type that is unknown or too long.
const UNKNOWN: &str = "?";

/// Reads the types of one unit.
pub struct Types<'a, 'data> {
    unit: UnitRef<'a, Reader<'data>>,
    budget: &'a Budget,
    is_rust: bool,
    left: Cell<u32>,
}

type Entry<'data> = DebuggingInformationEntry<Reader<'data>>;

impl<'a, 'data> Types<'a, 'data> {
    /// The types of this unit.
    #[must_use]
    pub fn of(unit: UnitRef<'a, Reader<'data>>, budget: &'a Budget) -> Self {
        let language = unit.entry(unit.header.root_offset());
        let language = language.ok().and_then(|root| root.attr_value(gimli::DW_AT_language));
        let is_rust = language == Some(AttributeValue::Language(gimli::DW_LANG_Rust));
        Self { unit, budget, is_rust, left: Cell::new(0) }
    }

    /// The type of a function, or a type of functions.
    pub fn of_function(&self, offset: UnitOffset) -> gimli::Result<String> {
        self.left.set(MOST);
        self.function(offset, String::new(), DEEPEST)
    }

    /// The type that a `typedef` stands for, if it is a function type.
    pub fn of_typedef(&self, offset: UnitOffset) -> gimli::Result<Option<String>> {
        match self.unit.entry(offset)?.attr_value(gimli::DW_AT_type) {
            Some(AttributeValue::UnitRef(function)) => {
                let is_function = self.unit.entry(function)?.tag() == gimli::DW_TAG_subroutine_type;
                is_function.then(|| self.of_function(function)).transpose()
            }
            _ => Ok(None),
        }
    }

    /// Whether another type may be printed.
    fn pay(&self) -> bool {
        let left = self.left.get();
        self.left.set(left.saturating_sub(1));
        left > 0 && self.budget.steps(50)
    }

    /// In C, `declared` is the declarator between the result and the parameters.
    fn function(&self, offset: UnitOffset, declared: String, depth: u32) -> gimli::Result<String> {
        let mut tree = self.unit.entries_tree(Some(offset))?;
        let root = tree.root()?;
        let result = self.type_of(root.entry(), depth)?;
        let mut parameters = Vec::new();
        let mut is_variadic = false;
        let mut children = root.children();
        while let Some(child) = children.next()? {
            if !self.budget.steps(1) {
                break;
            }
            match child.entry().tag() {
                gimli::DW_TAG_formal_parameter if !self.pay() => {
                    parameters.push("...".into());
                    break;
                }
                gimli::DW_TAG_formal_parameter => {
                    parameters.push(self.declared(child.entry(), String::new(), depth)?);
                }
                gimli::DW_TAG_unspecified_parameters => is_variadic = true,
                _ => {}
            }
        }
        // A function's definition may leave the details to the declaration that it refers to.
        if parameters.is_empty()
            && result.is_none()
            && depth > 0
            && let Some(origin) = self.origin(offset)?
        {
            return self.function(origin, declared, depth - 1);
        }
        if is_variadic {
            parameters.push("...".into());
        }
        let parameters = parameters.join(", ");
        if self.is_rust {
            let mut text = format!("fn({parameters})");
            if let Some(result) = result {
                let _ = write!(text, " -> {}", self.name(result, String::new(), depth)?);
            }
            return Ok(text);
        }
        let parameters = if parameters.is_empty() { "void" } else { &parameters };
        let declared = format!("{declared}({parameters})");
        match result {
            // A result that is a function pointer encloses the declarator.
            Some(result) => self.name(result, declared, depth),
            None => Ok(join("void", &declared)),
        }
    }

    fn origin(&self, offset: UnitOffset) -> gimli::Result<Option<UnitOffset>> {
        let entry = self.unit.entry(offset)?;
        let names = [gimli::DW_AT_abstract_origin, gimli::DW_AT_specification];
        Ok(names.into_iter().find_map(|name| match entry.attr_value(name) {
            Some(AttributeValue::UnitRef(origin)) => Some(origin),
            _ => None,
        }))
    }

    /// The offset of the type of a parameter or a function's result. Some(None): the type is in another unit.
    fn type_of(&self, entry: &Entry<'data>, depth: u32) -> gimli::Result<Option<Option<UnitOffset>>> {
        match entry.attr_value(gimli::DW_AT_type) {
            Some(AttributeValue::UnitRef(offset)) => Ok(Some(Some(offset))),
            Some(_) => Ok(Some(None)),
            None => match self.origin(entry.offset())? {
                Some(origin) if depth > 0 => {
                    let origin = self.unit.entry(origin)?;
                    self.type_of(&origin, depth - 1)
                }
                _ => Ok(None),
            },
        }
    }

    /// The type of this entry, followed by the declarator.
    fn declared(&self, entry: &Entry<'data>, declared: String, depth: u32) -> gimli::Result<String> {
        match self.type_of(entry, depth)? {
            Some(inner) => self.name(inner, declared, depth),
            None => Ok(join("void", &declared)),
        }
    }

    fn name(&self, offset: Option<UnitOffset>, declared: String, depth: u32) -> gimli::Result<String> {
        let Some(offset) = offset.filter(|_| self.pay()) else { return Ok(join(UNKNOWN, &declared)) };
        let entry = self.unit.entry(offset)?;
        let tag = entry.tag();
        if let Some(name) = entry.attr_value(gimli::DW_AT_name) {
            let name = self.unit.attr_string(name)?;
            let name = String::from_utf8_lossy(cut(name.slice()));
            let kind = match tag {
                _ if self.is_rust => "",
                gimli::DW_TAG_structure_type => "struct ",
                gimli::DW_TAG_union_type => "union ",
                gimli::DW_TAG_enumeration_type => "enum ",
                _ => "",
            };
            return Ok(join(&format!("{kind}{name}"), &declared));
        }
        let Some(depth) = depth.checked_sub(1) else { return Ok(join(UNKNOWN, &declared)) };
        if tag == gimli::DW_TAG_subroutine_type {
            return self.function(offset, declared, depth);
        }
        let pointer = match tag {
            gimli::DW_TAG_pointer_type => "*",
            gimli::DW_TAG_reference_type => "&",
            gimli::DW_TAG_rvalue_reference_type => "&&",
            gimli::DW_TAG_const_type => return self.qualified("const", &entry, declared, depth),
            gimli::DW_TAG_volatile_type => return self.qualified("volatile", &entry, declared, depth),
            gimli::DW_TAG_restrict_type => return self.declared(&entry, declared, depth),
            gimli::DW_TAG_array_type => return self.declared(&entry, format!("{declared}[]"), depth),
            _ => return Ok(join(UNKNOWN, &declared)),
        };
        let mut declared = format!("{pointer}{declared}");
        if let Some(inner) = self.type_of(&entry, depth)?.flatten()
            && matches!(
                self.unit.entry(inner)?.tag(),
                gimli::DW_TAG_subroutine_type | gimli::DW_TAG_array_type
            )
        {
            declared = format!("({declared})");
        }
        self.declared(&entry, declared, depth)
    }

    /// A qualified type: `const struct s`, but `struct s *const`, where the qualifier is the pointer's own.
    fn qualified(
        &self,
        qualifier: &str,
        entry: &Entry<'data>,
        declared: String,
        depth: u32,
    ) -> gimli::Result<String> {
        if !self.is_pointer(entry, depth)? {
            return Ok(format!("{qualifier} {}", self.declared(entry, declared, depth)?));
        }
        let declared = if declared.is_empty() { qualifier.into() } else { format!("{qualifier} {declared}") };
        self.declared(entry, declared, depth)
    }

    /// Whether this is a pointer, with any qualifiers.
    fn is_pointer(&self, entry: &Entry<'data>, depth: u32) -> gimli::Result<bool> {
        let Some(inner) = self.type_of(entry, depth)?.flatten() else { return Ok(false) };
        let inner = self.unit.entry(inner)?;
        match (inner.tag(), depth.checked_sub(1)) {
            (gimli::DW_TAG_pointer_type, _) => Ok(inner.attr_value(gimli::DW_AT_name).is_none()),
            (
                gimli::DW_TAG_const_type | gimli::DW_TAG_volatile_type | gimli::DW_TAG_restrict_type,
                Some(depth),
            ) => self.is_pointer(&inner, depth),
            _ => Ok(false),
        }
    }
}

/// A type's name, followed by the declarator.
fn join(name: &str, declared: &str) -> String {
    if declared.is_empty() { name.into() } else { format!("{name} {declared}") }
}

/// The start of a name, if it is too long.
fn cut(name: &[u8]) -> &[u8] {
    const LONGEST: usize = 200;
    &name[..name.len().min(LONGEST)]
}
