//! Types as the language writes them that a unit of debug information was compiled from.

use gimli::{AttributeValue, DebuggingInformationEntry, UnitOffset, UnitRef};

use crate::dwarf::Reader;

/// Types of types of types: nobody reads on, and damaged ones go in circles.
const DEEPEST: u32 = 8;

/// Reads the types of one unit.
pub struct Types<'a, 'data> {
    unit: UnitRef<'a, Reader<'data>>,
    is_rust: bool,
}

impl<'a, 'data> Types<'a, 'data> {
    /// Those of this unit.
    #[must_use]
    pub fn of(unit: UnitRef<'a, Reader<'data>>) -> Self {
        let language = unit.entry(unit.header.root_offset());
        let language = language.ok().and_then(|root| root.attr_value(gimli::DW_AT_language));
        Self { unit, is_rust: language == Some(AttributeValue::Language(gimli::DW_LANG_Rust)) }
    }

    /// A function's type.
    pub fn of_function(&self, offset: UnitOffset) -> gimli::Result<String> {
        self.function(offset, DEEPEST)
    }

    fn function(&self, offset: UnitOffset, depth: u32) -> gimli::Result<String> {
        let mut tree = self.unit.entries_tree(Some(offset))?;
        let root = tree.root()?;
        let result = self.type_of(root.entry(), depth)?;
        let mut parameters = Vec::new();
        let mut children = root.children();
        while let Some(child) = children.next()? {
            match child.entry().tag() {
                gimli::DW_TAG_formal_parameter => {
                    let void = || "void".to_owned();
                    parameters.push(self.type_of(child.entry(), depth)?.unwrap_or_else(void));
                }
                gimli::DW_TAG_unspecified_parameters => parameters.push("...".into()),
                _ => {}
            }
            if parameters.len() > 64 {
                break;
            }
        }
        // The function's code may say less than its declaration, which it names.
        if parameters.is_empty()
            && result.is_none()
            && depth > 0
            && let Some(origin) = self.origin(offset)?
        {
            return self.function(origin, depth - 1);
        }
        let parameters = parameters.join(", ");
        Ok(match (self.is_rust, result) {
            (true, None) => format!("fn({parameters})"),
            (true, Some(result)) => format!("fn({parameters}) -> {result}"),
            (false, result) => {
                let parameters = if parameters.is_empty() { "void" } else { &parameters };
                format!("{} ({parameters})", result.as_deref().unwrap_or("void"))
            }
        })
    }

    fn origin(&self, offset: UnitOffset) -> gimli::Result<Option<UnitOffset>> {
        let entry = self.unit.entry(offset)?;
        let names = [gimli::DW_AT_abstract_origin, gimli::DW_AT_specification];
        Ok(names.into_iter().find_map(|name| match entry.attr_value(name) {
            Some(AttributeValue::UnitRef(origin)) => Some(origin),
            _ => None,
        }))
    }

    fn type_of(
        &self,
        entry: &DebuggingInformationEntry<Reader<'data>>,
        depth: u32,
    ) -> gimli::Result<Option<String>> {
        match entry.attr_value(gimli::DW_AT_type) {
            Some(AttributeValue::UnitRef(offset)) => Ok(Some(self.name(offset, depth)?)),
            Some(_) => Ok(Some("?".into())), // In another unit.
            None => match self.origin(entry.offset())? {
                Some(origin) if depth > 0 => {
                    let origin = self.unit.entry(origin)?;
                    self.type_of(&origin, depth - 1)
                }
                _ => Ok(None),
            },
        }
    }

    fn name(&self, offset: UnitOffset, depth: u32) -> gimli::Result<String> {
        let entry = self.unit.entry(offset)?;
        if let Some(name) = entry.attr_value(gimli::DW_AT_name) {
            let name = self.unit.attr_string(name)?;
            let name = gimli::Reader::to_string_lossy(&name)?.into_owned();
            return Ok(match entry.tag() {
                gimli::DW_TAG_structure_type if !self.is_rust => format!("struct {name}"),
                gimli::DW_TAG_union_type if !self.is_rust => format!("union {name}"),
                gimli::DW_TAG_enumeration_type if !self.is_rust => format!("enum {name}"),
                _ => name,
            });
        }
        let Some(depth) = depth.checked_sub(1) else { return Ok("?".into()) };
        if entry.tag() == gimli::DW_TAG_subroutine_type {
            return self.function(offset, depth);
        }
        let inner = self.type_of(&entry, depth)?;
        let of = |text: &str| inner.clone().map_or_else(|| text.to_owned(), |inner| format!("{inner}{text}"));
        let void = || inner.clone().unwrap_or_else(|| "void".into());
        Ok(match entry.tag() {
            gimli::DW_TAG_pointer_type => format!("{} *", void()),
            gimli::DW_TAG_reference_type => format!("{} &", void()),
            gimli::DW_TAG_rvalue_reference_type => format!("{} &&", void()),
            gimli::DW_TAG_const_type => format!("const {}", void()),
            gimli::DW_TAG_volatile_type => format!("volatile {}", void()),
            gimli::DW_TAG_restrict_type => void(),
            gimli::DW_TAG_array_type => of("[]"),
            _ => "?".into(),
        })
    }
}
