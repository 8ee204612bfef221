//! A section of the configuration as a struct: values are texts, and the type of a field says how one is read.

use serde::{
    Deserializer,
    de::{DeserializeOwned, Error as _, IntoDeserializer, Visitor, value::MapDeserializer},
    forward_to_deserialize_any,
};

type Problem = serde::de::value::Error;

/// Reads the keys of a section, each a field of `T`.
pub(crate) fn read<'s, T: DeserializeOwned>(
    section: &str,
    values: impl Iterator<Item = (&'s str, &'s str)>,
) -> Result<T, String> {
    let values = values.map(|(key, text)| (key, Text { section, key, text }));
    let map: MapDeserializer<'_, _, Problem> = MapDeserializer::new(values);
    T::deserialize(map).map_err(|problem| problem.to_string())
}

/// The text of a value, with its key for what is said of it.
#[derive(Clone, Copy)]
struct Text<'s> {
    section: &'s str,
    key: &'s str,
    text: &'s str,
}

impl Text<'_> {
    fn is_no(self, what: &str) -> Problem {
        Problem::custom(format!("{}.{} must be {what}, not `{}`", self.section, self.key, self.text))
    }

    fn named(self, problem: &Problem) -> Problem {
        Problem::custom(format!("{}.{}: {problem}", self.section, self.key))
    }
}

impl<'de> IntoDeserializer<'de, Problem> for Text<'_> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

macro_rules! whole_numbers {
    ($($read:ident $visit:ident),+) => {
        $(fn $read<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
            let number = self.text.parse().map_err(|_| self.is_no("a whole number"))?;
            visitor.$visit(number).map_err(|problem: Problem| self.named(&problem))
        })+
    };
}

impl<'de> Deserializer<'de> for Text<'_> {
    type Error = Problem;

    whole_numbers!(
        deserialize_i64 visit_i64, deserialize_i32 visit_i32, deserialize_u64 visit_u64, deserialize_u32 visit_u32,
        deserialize_u16 visit_u16
    );

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        visitor.visit_str(self.text).map_err(|problem: Problem| self.named(&problem))
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        match self.text {
            "true" => visitor.visit_bool(true),
            "false" => visitor.visit_bool(false),
            _ => Err(self.is_no("`true` or `false`")),
        }
    }

    /// Empty is unset.
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        if self.text.is_empty() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Problem> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Problem> {
        let word: serde::de::value::StrDeserializer<'_, Problem> = self.text.into_deserializer();
        word.deserialize_enum(name, variants, visitor).map_err(|problem| self.named(&problem))
    }

    forward_to_deserialize_any! {
        i8 i16 i128 u8 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct
        identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Section {
        word: Word,
        text: String,
        number: i64,
        flag: bool,
        maybe: Option<u32>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "kebab-case")]
    enum Word {
        BuiltIn,
    }

    const GOOD: [(&str, &str); 5] =
        [("word", "built-in"), ("text", "12"), ("number", "-7"), ("flag", "true"), ("maybe", "")];

    #[test]
    fn a_section_is_a_struct() {
        let read: Section = read("s", GOOD.into_iter()).unwrap();
        let text = "12".to_owned();
        assert_eq!(read, Section { word: Word::BuiltIn, text, number: -7, flag: true, maybe: None });
    }

    #[test]
    fn a_value_that_cannot_be_used_is_named() {
        for (key, value) in [("word", "paid"), ("number", "many"), ("flag", "yes"), ("maybe", "-1")] {
            let values = GOOD.map(|(known, good)| (known, if known == key { value } else { good }));
            let problem = super::read::<Section>("s", values.into_iter()).unwrap_err();
            assert!(problem.starts_with(&format!("s.{key}")) && problem.contains(value), "{problem}");
        }
        let unknown = GOOD.into_iter().chain([("tekst", "x")]);
        assert!(super::read::<Section>("s", unknown).unwrap_err().contains("tekst"));
    }
}
