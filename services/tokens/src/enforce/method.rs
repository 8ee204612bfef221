/// Methods that every server knows.
const COMMON: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// The method of a request, when it has one reading.
///
/// Methods are told apart by case (RFC 9110, 9.1), and many servers fold it all the same: what is not written in upper
/// case is one method to the edge and another to its upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Method<'a> {
    /// In capital letters.
    pub name: &'a str,
    /// A server that does not know a method may take it for another one.
    pub is_common: bool,
}

impl<'a> Method<'a> {
    /// Nothing for a method of two readings.
    pub fn parse(name: &'a str) -> Option<Self> {
        if COMMON.contains(&name) {
            return Some(Self { name, is_common: true });
        }
        let plain = |byte: u8| byte.is_ascii_uppercase() || byte == b'-';
        let is_readable = !name.is_empty() && name.len() <= 32 && name.bytes().all(plain);
        is_readable.then_some(Self { name, is_common: false })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_is_written_in_upper_case() {
        for common in COMMON {
            assert_eq!(Method::parse(common), Some(Method { name: common, is_common: true }));
            let lower = common.to_ascii_lowercase();
            let mixed = format!("{}{}", &common[..1], &lower[1..]);
            for other in [lower, mixed, format!(" {common}"), format!("{common}\t"), format!("{common}_")] {
                assert_eq!(Method::parse(&other), None, "{other}");
            }
        }
        assert_eq!(Method::parse("PROPFIND"), Some(Method { name: "PROPFIND", is_common: false }));
        assert_eq!(Method::parse(""), None);
    }
}
