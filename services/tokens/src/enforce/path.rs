use portolan_path::{Ambiguous, StrictPath};

/// A longer path, or one of more segments, is refused.
const PATH_BYTES_MAX: usize = 8 * 1024;
const SEGMENTS_MAX: usize = 64;

/// Reads the path of a request target, without its query, within the bounds of the edge, which are looked at first.
///
/// # Errors
/// For a path beyond the bounds, and for one that two readers may understand differently.
pub fn read(path: &str) -> Result<StrictPath<'_>, Ambiguous> {
    if path.len() > PATH_BYTES_MAX {
        return Err(Ambiguous);
    }
    let segments = path.strip_suffix('/').unwrap_or(path).bytes().filter(|byte| *byte == b'/').count();
    if segments > SEGMENTS_MAX { Err(Ambiguous) } else { StrictPath::parse(path) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bounds_are_those_of_the_edge() {
        let most = "/a".repeat(SEGMENTS_MAX);
        for path in [most.clone(), format!("{most}/"), format!("/{}", "a".repeat(PATH_BYTES_MAX - 1))] {
            assert!(read(&path).is_ok(), "{} bytes", path.len());
        }
        for path in [format!("{most}/a"), format!("{most}/a/"), format!("/{}", "a".repeat(PATH_BYTES_MAX))] {
            assert_eq!(read(&path), Err(Ambiguous), "{} bytes", path.len());
            assert!(StrictPath::parse(&path).is_ok(), "wider bounds hold elsewhere");
        }
    }

    #[test]
    fn what_has_two_readings_is_refused() {
        assert_eq!(read("/a/%62/").unwrap().segments, ["a", "b"]);
        for path in ["", "a", "//", "/a/../b", "/a%2fb", "/a%252e", "/a;b", "/a\\b"] {
            assert_eq!(read(path), Err(Ambiguous), "{path}");
        }
    }
}
