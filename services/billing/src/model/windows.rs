//! Windows of time that usage is summed by, in UTC.

use time::{Date, OffsetDateTime, UtcOffset};

/// A length of window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Grain {
    /// From a full hour of UTC.
    Hour,
    /// From midnight of UTC.
    Day,
    /// From the first of a month, in UTC.
    Month,
    /// All of time; begins at 0.
    Total,
}

impl Grain {
    /// Every one of them.
    pub const ALL: [Self; 4] = [Self::Hour, Self::Day, Self::Month, Self::Total];

    /// As the contract and the table spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hour => "HOUR",
            Self::Day => "DAY",
            Self::Month => "MONTH",
            Self::Total => "TOTAL",
        }
    }

    /// A grain that windows can be asked for by.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Hour, Self::Day, Self::Month].into_iter().find(|grain| grain.name().eq_ignore_ascii_case(name))
    }

    /// The beginning of the window that holds a moment, both in Unix seconds.
    pub fn start(self, at: i64) -> i64 {
        match self {
            Self::Hour => at - at.rem_euclid(3_600),
            Self::Day => at - at.rem_euclid(86_400),
            Self::Month => month_start(at),
            Self::Total => 0,
        }
    }
}

fn month_start(at: i64) -> i64 {
    let Ok(moment) = OffsetDateTime::from_unix_timestamp(at) else { return 0 };
    let (year, month, _) = moment.to_offset(UtcOffset::UTC).to_calendar_date();
    Date::from_calendar_date(year, month, 1).map_or(0, |first| first.midnight().assume_utc().unix_timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_begin_in_utc() {
        // 2026-02-28T23:59:59Z
        let at = 1_772_323_199;
        assert_eq!(Grain::Hour.start(at), 1_772_319_600);
        assert_eq!(Grain::Day.start(at), 1_772_236_800);
        assert_eq!(Grain::Month.start(at), 1_769_904_000);
        assert_eq!(Grain::Month.start(at + 1), at + 1);
        assert_eq!(Grain::Total.start(at), 0);
    }
}
