//! RFC 3339 to µs since the epoch and back, in UTC, without a clock.

/// `2026-11-19T10:00Z`, seconds and fraction optional, zone required (`Z` or `±hh:mm`).
pub(crate) fn parse(text: &str) -> Option<u64> {
    let (date, rest) = text.split_at_checked(10)?;
    let rest = rest.strip_prefix(['T', 't', ' '])?;
    let zone_at = rest.find(['Z', 'z', '+', '-'])?;
    let (clock, zone) = rest.split_at(zone_at);
    let days = days_since_epoch(date)?;
    let us = days * 86_400_000_000 + clock_us(clock)? - zone_us(zone)?;
    u64::try_from(us).ok()
}

/// `2026-11-19T10:00:00.000001Z`; a fraction only where there is one.
pub fn format(us: u64) -> String {
    let (seconds, fraction) = (us / 1_000_000, us % 1_000_000);
    let (year, month, day) = date_of((seconds / 86_400) as i64);
    let (h, m, s) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    let clock = format!("{year:04}-{month:02}-{day:02}T{h:02}:{m:02}:{s:02}");
    match fraction {
        0 => format!("{clock}Z"),
        _ => format!(
            "{clock}.{}Z",
            format!("{fraction:06}").trim_end_matches('0')
        ),
    }
}

/// `2026-11-19 10:00:00` of a time in ns that may lie before the epoch.
pub(crate) fn format_mtime(mtime_ns: i64) -> String {
    let seconds = mtime_ns.div_euclid(1_000_000_000);
    let (year, month, day) = date_of(seconds.div_euclid(86_400));
    let of_day = seconds.rem_euclid(86_400);
    let (h, m, s) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}-{month:02}-{day:02} {h:02}:{m:02}:{s:02}")
}

/// The same with all nine digits: times are kept in ns.
pub(crate) fn format_mtime_ns(mtime_ns: i64) -> String {
    let fraction = mtime_ns.rem_euclid(1_000_000_000);
    format!("{}.{fraction:09} UTC", format_mtime(mtime_ns))
}

fn number(text: &str, digits: usize) -> Option<i64> {
    let plain = text.len() == digits && text.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

fn days_since_epoch(date: &str) -> Option<i64> {
    let mut parts = date.split('-');
    let year = number(parts.next()?, 4)?;
    let month = number(parts.next()?, 2)?;
    let day = number(parts.next()?, 2)?;
    let known = (1..=12).contains(&month) && day >= 1 && parts.next().is_none();
    let days = known.then(|| days_of(year, month, day))?;
    // 31 April would come out as 1 May.
    (date_of(days) == (year, month, day)).then_some(days)
}

fn clock_us(clock: &str) -> Option<i64> {
    let (whole, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let mut parts = whole.split(':');
    let hours = number(parts.next()?, 2)?;
    let minutes = number(parts.next()?, 2)?;
    let seconds = match parts.next() {
        Some(seconds) => number(seconds, 2)?,
        None if clock.contains('.') => return None,
        None => 0,
    };
    let sane = hours < 24 && minutes < 60 && seconds <= 60 && parts.next().is_none();
    let digits = fraction.len();
    let fraction = number(fraction, digits).filter(|_| (1..=9).contains(&digits))?;
    let fraction_us = fraction * 1_000_000 / 10_i64.pow(digits as u32);
    sane.then_some(((hours * 60 + minutes) * 60 + seconds) * 1_000_000 + fraction_us)
}

fn zone_us(zone: &str) -> Option<i64> {
    let sign = match zone.as_bytes().first()? {
        b'Z' | b'z' => return (zone.len() == 1).then_some(0),
        b'+' => 1,
        _ => -1,
    };
    let (hours, minutes) = zone[1..].split_once(':')?;
    let (hours, minutes) = (number(hours, 2)?, number(minutes, 2)?);
    let sane = hours < 24 && minutes < 60;
    sane.then_some(sign * (hours * 60 + minutes) * 60_000_000)
}

/// Days from 1970-01-01 in the proleptic Gregorian calendar (Howard Hinnant's `days_from_civil`).
fn days_of(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The inverse of `days_of` (`civil_from_days`).
fn date_of(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_moments() {
        assert_eq!(parse("1970-01-01T00:00Z"), Some(0));
        let ten = parse("2026-11-19T10:00Z");
        assert_eq!(ten, Some(1_795_082_400_000_000));
        assert_eq!(parse("2026-11-19T12:00:00+02:00"), ten);
        assert_eq!(parse("2026-11-19T04:30:00.000-05:30"), ten);
        assert_eq!(parse("2026-11-19T10:00:00.5Z"), ten.map(|us| us + 500_000));
        assert_eq!(format_mtime(-1), "1969-12-31 23:59:59");
    }

    #[test]
    fn what_is_no_moment_is_refused() {
        for text in [
            "",
            "2026-11-19",
            "2026-11-19T10:00",
            "2026-02-30T10:00Z",
            "2026-13-01T10:00Z",
            "2026-11-19T24:00Z",
            "2026-11-19T10:60Z",
            "2026-11-19T10:00:00.Z",
            "2026-11-19T10Z",
            "2026-11-19T10:00ZZ",
            "+026-11-19T10:00Z",
            "1969-12-31T23:59Z",
            "ä026-11-19T10:00Z",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_back(us in 0..253_402_300_799_999_999_u64) {
            prop_assert_eq!(parse(&format(us)), Some(us));
        }

        #[test]
        fn no_text_panics(text in "[0-9TZ:.+-]{0,30}") {
            let _ = parse(&text);
        }
    }
}
