//! The kinds of differences, by the names that the Confluent Schema Registry has for them.

use std::fmt;

use serde::{Serialize, Serializer};

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident $effect:ident $text:literal;)*) => {
        /// What differs between who wrote and who reads.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Kind {
            $($(#[$doc])* $name,)*
        }

        impl Kind {
            /// All there are.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// Whether who reads may meet what their schema refuses.
            pub fn breaks(self) -> bool {
                match self { $(Self::$name => kinds!(@ $effect)),* }
            }

            /// A sentence for people.
            pub fn text(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }

            fn ident(self) -> &'static str {
                match self { $(Self::$name => stringify!($name)),* }
            }
        }
    };
    (@ fits) => { false };
    (@ breaks) => { true };
}

kinds! {
    TitleChanged fits "the title is another";
    DescriptionChanged fits "the description is another";
    DefaultChanged fits "the default is another";
    TypeExtended fits "the reader takes more types than were written";
    TypeNarrowed breaks "the reader takes fewer types than were written";
    TypeChanged breaks "the reader wants another type than was written";

    MaxLengthAdded breaks "the reader bounds the length, the writer does not";
    MaxLengthRemoved fits "the reader does not bound the length any more";
    MaxLengthIncreased fits "the reader takes longer texts than were written";
    MaxLengthDecreased breaks "the reader takes only shorter texts than may have been written";
    MinLengthAdded breaks "the reader wants a length, the writer does not";
    MinLengthRemoved fits "the reader wants no length any more";
    MinLengthIncreased breaks "the reader takes only longer texts than may have been written";
    MinLengthDecreased fits "the reader takes shorter texts than were written";
    PatternAdded breaks "the reader wants a pattern, the writer does not";
    PatternRemoved fits "the reader wants no pattern any more";
    PatternChanged breaks "the reader wants another pattern than the writer";
    FormatAdded breaks "the reader wants a format, the writer does not";
    FormatRemoved fits "the reader wants no format any more";
    FormatChanged breaks "the reader wants another format than the writer";

    MaximumAdded breaks "the reader has a maximum, the writer has none";
    MaximumRemoved fits "the reader has no maximum any more";
    MaximumIncreased fits "the reader takes greater numbers than were written";
    MaximumDecreased breaks "the reader takes only smaller numbers than may have been written";
    MinimumAdded breaks "the reader has a minimum, the writer has none";
    MinimumRemoved fits "the reader has no minimum any more";
    MinimumIncreased breaks "the reader takes only greater numbers than may have been written";
    MinimumDecreased fits "the reader takes smaller numbers than were written";
    ExclusiveMaximumAdded breaks "the reader has an exclusive maximum, the writer has none";
    ExclusiveMaximumRemoved fits "the reader has no exclusive maximum any more";
    ExclusiveMaximumIncreased fits "the reader takes greater numbers than were written";
    ExclusiveMaximumDecreased breaks "the reader takes only smaller numbers than may have been written";
    ExclusiveMinimumAdded breaks "the reader has an exclusive minimum, the writer has none";
    ExclusiveMinimumRemoved fits "the reader has no exclusive minimum any more";
    ExclusiveMinimumIncreased breaks "the reader takes only greater numbers than may have been written";
    ExclusiveMinimumDecreased fits "the reader takes smaller numbers than were written";
    MultipleOfAdded breaks "the reader wants multiples, the writer does not";
    MultipleOfRemoved fits "the reader wants no multiples any more";
    MultipleOfExpanded breaks "the reader wants multiples of more than the writer";
    MultipleOfReduced fits "the reader wants multiples of a part of what the writer does";
    MultipleOfChanged breaks "the reader wants multiples of something else";

    RequiredAttributeAdded breaks "the reader requires it, the writer does not";
    RequiredAttributeWithDefaultAdded fits "the reader requires it, but has a default for it";
    RequiredAttributeRemoved fits "the reader does not require it any more";
    MaxPropertiesAdded breaks "the reader bounds the number of properties, the writer does not";
    MaxPropertiesRemoved fits "the reader does not bound the number of properties any more";
    MaxPropertiesIncreased fits "the reader takes more properties than were written";
    MaxPropertiesDecreased breaks "the reader takes only fewer properties than may have been written";
    MinPropertiesAdded breaks "the reader wants a number of properties, the writer does not";
    MinPropertiesRemoved fits "the reader wants no number of properties any more";
    MinPropertiesIncreased breaks "the reader wants more properties than may have been written";
    MinPropertiesDecreased fits "the reader takes fewer properties than were written";
    AdditionalPropertiesAdded fits "the reader takes further properties, the writer had none";
    AdditionalPropertiesRemoved breaks "the reader takes no further properties, the writer may have some";
    AdditionalPropertiesExtended fits "the reader takes any further properties";
    AdditionalPropertiesNarrowed breaks "the reader takes only some further properties, the writer may have any";
    DependencyArrayAdded breaks "the reader wants other properties beside it, the writer does not";
    DependencyArrayRemoved fits "the reader wants no other properties beside it any more";
    DependencyArrayExtended breaks "the reader wants more properties beside it than the writer";
    DependencyArrayNarrowed fits "the reader wants fewer properties beside it than the writer";
    DependencyArrayChanged breaks "the reader wants other properties beside it than the writer";
    DependencySchemaAdded breaks "the reader wants more of the whole where it is there, the writer does not";
    DependencySchemaRemoved fits "the reader wants nothing of the whole where it is there any more";
    PropertyAddedToOpenContentModel breaks "the reader describes a property which the writer may have with any value";
    PropertyWithEmptySchemaAddedToOpenContentModel fits "the reader names a property of any value";
    RequiredPropertyAddedToUnopenContentModel breaks "the reader requires a property that the writer does not have";
    RequiredPropertyWithDefaultAddedToUnopenContentModel fits "the reader requires a property that the writer does not have, but has a default for it";
    OptionalPropertyAddedToUnopenContentModel fits "the reader knows a property that the writer does not have";
    PropertyRemovedFromOpenContentModel fits "the reader does not describe a property any more, and takes any";
    PropertyRemovedFromClosedContentModel breaks "the reader does not know a property, and takes none that it does not know";
    PropertyWithFalseRemovedFromClosedContentModel fits "the reader does not know a property that nobody could write";
    PropertyAddedIsCoveredByPartiallyOpenContentModel fits "the reader takes a property as the writer may have it";
    PropertyAddedNotCoveredByPartiallyOpenContentModel breaks "the reader does not take a property as the writer may have it";
    PropertyRemovedIsCoveredByPartiallyOpenContentModel fits "the reader takes the property among the further ones";
    PropertyRemovedNotCoveredByPartiallyOpenContentModel breaks "the reader does not take the property among the further ones";

    MaxItemsAdded breaks "the reader bounds the number of items, the writer does not";
    MaxItemsRemoved fits "the reader does not bound the number of items any more";
    MaxItemsIncreased fits "the reader takes more items than were written";
    MaxItemsDecreased breaks "the reader takes only fewer items than may have been written";
    MinItemsAdded breaks "the reader wants a number of items, the writer does not";
    MinItemsRemoved fits "the reader wants no number of items any more";
    MinItemsIncreased breaks "the reader wants more items than may have been written";
    MinItemsDecreased fits "the reader takes fewer items than were written";
    UniqueItemsAdded breaks "the reader wants no item twice, the writer may have some twice";
    UniqueItemsRemoved fits "the reader takes items twice";
    AdditionalItemsAdded fits "the reader takes further items, the writer had none";
    AdditionalItemsRemoved breaks "the reader takes no further items, the writer may have some";
    AdditionalItemsExtended fits "the reader takes any further items";
    AdditionalItemsNarrowed breaks "the reader takes only some further items, the writer may have any";
    ItemAddedToOpenContentModel breaks "the reader describes an item which the writer may have with any value";
    ItemWithEmptySchemaAddedToOpenContentModel fits "the reader names an item of any value";
    ItemAddedToClosedContentModel fits "the reader knows an item that the writer does not have";
    ItemAddedIsCoveredByPartiallyOpenContentModel fits "the reader takes an item as the writer may have it";
    ItemAddedNotCoveredByPartiallyOpenContentModel breaks "the reader does not take an item as the writer may have it";
    ItemRemovedFromOpenContentModel fits "the reader does not describe an item any more, and takes any";
    ItemRemovedFromClosedContentModel breaks "the reader does not know an item, and takes none that it does not know";
    ItemWithFalseRemovedFromClosedContentModel fits "the reader does not know an item that nobody could write";
    ItemRemovedIsCoveredByPartiallyOpenContentModel fits "the reader takes the item among the further ones";
    ItemRemovedNotCoveredByPartiallyOpenContentModel breaks "the reader does not take the item among the further ones";

    EnumArrayExtended fits "the reader knows values that the writer does not have";
    EnumArrayNarrowed breaks "the reader does not know values that the writer may have";
    EnumArrayChanged breaks "the reader knows other values than the writer may have";
    CombinedTypeExtended fits "the reader wants one of the forms where the writer has more of them";
    CombinedTypeChanged breaks "the reader combines its forms in another way than the writer";
    CombinedTypeSubschemasChanged breaks "forms of the writer have none among the reader's that takes them";
    ProductTypeExtended breaks "the reader wants more forms at once than the writer has";
    ProductTypeNarrowed fits "the reader wants fewer forms at once than the writer has";
    SumTypeExtended fits "the reader takes more forms than the writer has";
    SumTypeNarrowed breaks "the reader takes fewer forms than the writer may have";
    NotTypeExtended breaks "the reader excludes more than the writer";
    NotTypeNarrowed fits "the reader excludes less than the writer";
    /// Not of the Registry, which does not look at these keywords.
    KeywordAdded breaks "the reader has a rule that the writer has not";
    /// Likewise.
    KeywordRemoved fits "the reader does not have a rule of the writer any more";
    /// Likewise.
    KeywordChanged breaks "the reader has another rule than the writer, and it cannot be told whether it takes the same";
}

impl fmt::Display for Kind {
    /// As the Registry writes it: `MAX_LENGTH_ADDED`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, letter) in self.ident().char_indices() {
            if at > 0 && letter.is_ascii_uppercase() {
                f.write_str("_")?;
            }
            write!(f, "{}", letter.to_ascii_uppercase())?;
        }
        Ok(())
    }
}

impl Serialize for Kind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
