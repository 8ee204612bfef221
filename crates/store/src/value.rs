/// The database type of a null: Postgres must know it, because a prepared statement fixes its argument types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is the type of its name")]
pub enum Type {
    I64,
    F64,
    Text,
    Bytes,
}

/// One argument of a statement. `Option<T>` converts into a null of the type of `T`.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "each holds a value of the type of its name; `Null` says of which type it is none")]
pub enum Value {
    Null(Type),
    I64(i64),
    F64(f64),
    Text(String),
    Bytes(Vec<u8>),
}

/// The arguments of a statement, in the order of their markers: `args![account_id, &name, note]`.
#[macro_export]
macro_rules! args {
    ($($value:expr),* $(,)?) => {
        ::std::vec::Vec::<$crate::Value>::from([$($crate::Value::from($value)),*])
    };
}

impl Value {
    /// Its size in bytes.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Null(_) => 0,
            Self::I64(_) | Self::F64(_) => 8,
            Self::Text(text) => text.len(),
            Self::Bytes(bytes) => bytes.len(),
        }
    }
}

/// Values of one Rust type: how they convert, and the type of their null.
trait Bind: Into<Value> {
    const TYPE: Type;
}

impl<T: Bind> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null(T::TYPE), Into::into)
    }
}

macro_rules! bind {
    ($($from:ty, $type:ident, $value:ident => $convert:expr;)*) => {$(
        impl From<$from> for Value {
            fn from($value: $from) -> Self {
                Self::$type($convert)
            }
        }
        impl Bind for $from {
            const TYPE: Type = Type::$type;
        }
    )*};
}

bind! {
    i64, I64, value => value;
    &i64, I64, value => *value;
    i32, I64, value => i64::from(value);
    u32, I64, value => i64::from(value);
    bool, I64, value => i64::from(value);
    f64, F64, value => value;
    String, Text, value => value;
    &String, Text, value => value.clone();
    &str, Text, value => value.to_owned();
    Vec<u8>, Bytes, value => value;
    &Vec<u8>, Bytes, value => value.clone();
    &[u8], Bytes, value => value.to_vec();
}

macro_rules! bind_numbers {
    ($($name:ident($number:ident);)*) => {
        bind! {$(
            portolan_ids::$name, I64, value => value.get().into();
            &portolan_ids::$name, I64, value => value.get().into();
        )*}
    };
}

portolan_ids::for_each_number!(bind_numbers);

macro_rules! bind_texts {
    ($($name:ident;)*) => {
        bind! {$(
            portolan_ids::$name, Text, value => value.into();
            &portolan_ids::$name, Text, value => value.as_str().to_owned();
        )*}
    };
}

portolan_ids::for_each_text!(bind_texts);
