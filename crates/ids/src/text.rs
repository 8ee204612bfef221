//! Ids that are text.

/// Declares ids that are text, and `for_each_text!`, which hands their names to another macro.
macro_rules! texts {
    ($($(#[$doc:meta])* $name:ident;)*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
            #[derive(serde::Serialize, serde::Deserialize)]
            #[serde(transparent)]
            pub struct $name(String);

            impl $name {
                /// An id of this text.
                pub fn new(text: impl Into<String>) -> Self {
                    Self(text.into())
                }

                /// The text, for the wire.
                pub fn as_str(&self) -> &str {
                    &self.0
                }

                /// Whether nothing is named.
                pub fn is_empty(&self) -> bool {
                    self.0.is_empty()
                }
            }

            impl std::fmt::Display for $name {
                fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    self.0.fmt(out)
                }
            }

            impl std::borrow::Borrow<str> for $name {
                fn borrow(&self) -> &str {
                    &self.0
                }
            }

            impl PartialEq<str> for $name {
                fn eq(&self, other: &str) -> bool {
                    self.0 == other
                }
            }

            impl PartialEq<&str> for $name {
                fn eq(&self, other: &&str) -> bool {
                    self.0 == *other
                }
            }

            impl From<String> for $name {
                fn from(text: String) -> Self {
                    Self(text)
                }
            }

            impl From<&str> for $name {
                fn from(text: &str) -> Self {
                    Self(text.to_owned())
                }
            }

            impl From<$name> for String {
                fn from(id: $name) -> Self {
                    id.0
                }
            }
        )*

        /// Calls a macro with the name of each id: `call! { OrganizationId; … }`.
        #[macro_export]
        macro_rules! for_each_text {
            ($call:ident) => {
                $call! { $($name;)* }
            };
        }
    };
}

#[cfg(test)]
mod tests {
    use crate::OrganizationId;

    #[test]
    fn a_text_is_the_same_in_json_and_found_by_its_text() {
        let id = OrganizationId::new("acme");
        assert_eq!(serde_json::to_string(&id).unwrap(), "\"acme\"");
        assert_eq!(serde_json::from_str::<OrganizationId>("\"acme\"").unwrap(), id);
        assert_eq!(format!("{id:<6}|"), "acme  |");
        let set = std::collections::HashSet::from([id]);
        assert!(set.contains("acme"));
    }
}
