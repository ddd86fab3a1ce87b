//! Times of files as year, month, day, hour and minute: from nanoseconds since 1970, by the Gregorian
//! calendar.

use super::Output;

/// A time as a calendar and a clock show it, in UTC.
pub(super) struct CivilTime {
    year: u64,
    month: u64,
    day: u64,
    second_of_day: u64,
}

impl CivilTime {
    /// The second in which `ns` nanoseconds since 1970 lie; i64 reaches from 1677 to 2262.
    pub(super) fn new(ns: i64) -> Self {
        const DAY_S: i64 = 24 * 60 * 60;
        let seconds = ns.div_euclid(1_000_000_000);
        // Days to civil date: years are counted from March, so that a leap day is the last of its
        // year, in eras of 400 years, each of which has as many days.
        let days = (seconds.div_euclid(DAY_S) + 719_468) as u64;
        let (era, day) = (days / 146_097, days % 146_097);
        let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
        let day_of_year = day - (365 * year + year / 4 - year / 100);
        let month = (5 * day_of_year + 2) / 153;
        let month_from_january = if month < 10 { month + 3 } else { month - 9 };
        Self {
            year: era * 400 + year + u64::from(month_from_january <= 2),
            month: month_from_january,
            day: day_of_year - (153 * month + 2) / 5 + 1,
            second_of_day: seconds.rem_euclid(DAY_S) as u64,
        }
    }

    fn put_date(&self, out: &mut impl Output) {
        out.number(self.year, 4);
        out.put(b"-");
        out.number(self.month, 2);
        out.put(b"-");
        out.number(self.day, 2);
    }

    fn put_minute(&self, out: &mut impl Output) {
        out.number(self.second_of_day / 3600, 2);
        out.put(b":");
        out.number(self.second_of_day / 60 % 60, 2);
    }

    /// Writes it for people: `2026-11-24 13:05`.
    pub(super) fn put(&self, out: &mut impl Output) {
        self.put_date(out);
        out.put(b" ");
        self.put_minute(out);
    }

    /// Writes it for programs, as RFC 3339 has it: `2026-11-24T13:05:00Z`.
    pub(super) fn put_rfc_3339(&self, out: &mut impl Output) {
        self.put_date(out);
        out.put(b"T");
        self.put_minute(out);
        out.put(b":");
        out.number(self.second_of_day % 60, 2);
        out.put(b"Z");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::text::tests::written;

    #[test]
    fn times_are_those_of_the_calendar() {
        for (seconds, expected) in [
            (0, "1970-01-01T00:00:00Z"),
            (-1, "1969-12-31T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (1_795_525_530, "2026-11-24T13:05:30Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            let ns = seconds * 1_000_000_000;
            assert_eq!(
                written(|out| CivilTime::new(ns).put_rfc_3339(out)),
                expected
            );
        }
        assert_eq!(
            written(|out| CivilTime::new(1_795_525_530_999_999_999).put(out)),
            "2026-11-24 13:05"
        );
        assert!(written(|out| CivilTime::new(i64::MIN).put(out)).starts_with("1677-09-21"));
        assert!(written(|out| CivilTime::new(i64::MAX).put(out)).starts_with("2262-04-11"));
    }

    #[test]
    fn every_day_of_many_years_follows_the_one_before() {
        let mut before = written(|out| CivilTime::new(0).put_date(out));
        for day in 1..100_000_i64 {
            let date = written(|out| CivilTime::new(day * 86_400_000_000_000).put_date(out));
            let expected = after(&before);
            assert_eq!(date, expected);
            before = date;
        }
    }

    fn after(date: &str) -> String {
        let mut parts = date.split('-').map(|part| part.parse::<u32>().unwrap());
        let (year, month, day) = (
            parts.next().unwrap(),
            parts.next().unwrap(),
            parts.next().unwrap(),
        );
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let days = match month {
            2 => 28 + u32::from(leap),
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        let (year, month, day) = match (month, day) {
            (12, 31) => (year + 1, 1, 1),
            (_, day) if day == days => (year, month + 1, 1),
            _ => (year, month, day + 1),
        };
        format!("{year:04}-{month:02}-{day:02}")
    }
}
