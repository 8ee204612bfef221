//! Ids that are numbers.

/// Declares ids that are numbers, and `for_each_number!`, which hands their names to another macro.
macro_rules! numbers {
    ($($(#[$doc:meta])* $name:ident($number:ident);)*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
            #[derive(serde::Serialize, serde::Deserialize)]
            #[serde(transparent)]
            pub struct $name(pub $number);

            impl $name {
                /// The number, for the wire.
                pub const fn get(self) -> $number {
                    self.0
                }
            }

            impl std::fmt::Display for $name {
                fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    self.0.fmt(out)
                }
            }

            impl std::str::FromStr for $name {
                type Err = std::num::ParseIntError;

                fn from_str(text: &str) -> Result<Self, Self::Err> {
                    text.parse().map(Self)
                }
            }

            impl From<$number> for $name {
                fn from(number: $number) -> Self {
                    Self(number)
                }
            }

            impl From<$name> for $number {
                fn from(id: $name) -> Self {
                    id.0
                }
            }
        )*

        /// Calls a macro with the name and the number type of each id: `call! { AccountId(i64); … }`.
        #[macro_export]
        macro_rules! for_each_number {
            ($call:ident) => {
                $call! { $($name($number);)* }
            };
        }
    };
}

#[cfg(test)]
mod tests {
    use crate::{AccountId, CollectionId};

    #[test]
    fn a_number_is_the_same_in_json_and_in_text() {
        let id = AccountId(1_000_000);
        assert_eq!(serde_json::to_string(&id).unwrap(), "1000000");
        assert_eq!(serde_json::from_str::<AccountId>("1000000").unwrap(), id);
        assert_eq!("1000000".parse(), Ok(id));
        assert_eq!(format!("{id:>9}"), "  1000000");
        let map = std::collections::BTreeMap::from([(CollectionId(-7), "x")]);
        assert_eq!(serde_json::to_string(&map).unwrap(), r#"{"-7":"x"}"#);
    }
}
