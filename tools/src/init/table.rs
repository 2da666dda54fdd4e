//! A table, as far as whoever was asked knows it.

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Table {
    /// What Hasura calls its database.
    pub(super) source: String,
    pub(super) schema: String,
    pub(super) name: String,
    pub(super) comment: Option<String>,
    /// In the order of the table.
    pub(super) columns: Vec<Column>,
    /// Whether these are all of its columns.
    pub(super) is_complete: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) name: String,
    /// Its type in the database's words, if it is known.
    pub(super) written: Option<String>,
    pub(super) nullable: bool,
    /// The values of an enum.
    pub(super) values: Vec<String>,
    pub(super) comment: Option<String>,
    /// Whether it is a part of the primary key.
    pub(super) is_key: bool,
}

impl Table {
    /// `public.orders`
    pub(super) fn full_name(&self) -> String {
        format!("{}.{}", self.schema, self.name)
    }

    /// As a catalog has it.
    pub(super) fn id(&self) -> catalog::Table {
        catalog::Table { schema: self.schema.clone(), name: self.name.clone() }
    }

    /// Whether a catalog can name it: `schema.name` is parted at its first dot.
    pub(super) fn has_name(&self) -> bool {
        !self.full_name().contains(['"', '\0', '\n']) && catalog::Table::parse(&self.full_name()) == Some(self.id())
    }
}
