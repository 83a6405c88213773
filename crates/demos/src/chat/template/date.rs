//! `strftime_now`: today's date in a template. The page has no clock of std's, and no time zone here: the date is UTC's.

/// Seconds since 1970.
pub(super) fn now() -> u64 {
    let now = web_time::SystemTime::now().duration_since(web_time::UNIX_EPOCH);
    now.map_or(0, |since| since.as_secs())
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// C's strftime, as far as templates ask: an unknown letter stays as it is written.
pub(super) fn strftime(seconds: u64, format: &str) -> String {
    let (day, clock) = (seconds / 86_400, seconds % 86_400);
    let (hour, minute, second) = (clock / 3600, clock / 60 % 60, clock % 60);
    let (year, month, date) = civil(day);
    let day_of_year = day - days_to(year, 1, 1) + 1;
    let (month_name, day_name) = (MONTHS[month as usize - 1], DAYS[(day as usize + 4) % 7]);
    let half_day = (hour + 11) % 12 + 1;
    let mut out = String::new();
    let mut chars = format.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        // `%-d`: without the zero before it.
        let bare = chars.next_if_eq(&'-').is_some();
        let number = |n: u64, width: usize| if bare { n.to_string() } else { format!("{n:0width$}") };
        match chars.next() {
            Some('Y') => out += &year.to_string(),
            Some('y') => out += &number(year % 100, 2),
            Some('m') => out += &number(month, 2),
            Some('d') => out += &number(date, 2),
            Some('e') => out += &if bare { date.to_string() } else { format!("{date:2}") },
            Some('j') => out += &number(day_of_year, 3),
            Some('B') => out += month_name,
            Some('b' | 'h') => out += &month_name[..3],
            Some('A') => out += day_name,
            Some('a') => out += &day_name[..3],
            Some('H') => out += &number(hour, 2),
            Some('I') => out += &number(half_day, 2),
            Some('M') => out += &number(minute, 2),
            Some('S') => out += &number(second, 2),
            Some('p') => out += if hour < 12 { "AM" } else { "PM" },
            Some('F') => out += &format!("{year}-{month:02}-{date:02}"),
            Some('T') => out += &format!("{hour:02}:{minute:02}:{second:02}"),
            Some('Z') => out += "UTC",
            Some('z') => out += "+0000",
            Some('%') => out.push('%'),
            other => {
                out.push('%');
                out.extend(bare.then_some('-').into_iter().chain(other));
            }
        }
    }
    out
}

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

/// Days from 1970 to a date of the Gregorian calendar.
fn days_to(year: u64, month: u64, date: u64) -> u64 {
    let leaps = |year: u64| year / 4 - year / 100 + year / 400;
    let years = (year - 1970) * 365 + leaps(year - 1) - leaps(1969);
    years + (1..month).map(|month| days_in(year, month)).sum::<u64>() + date - 1
}

fn days_in(year: u64, month: u64) -> u64 {
    match month {
        2 => 28 + u64::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Year, month and date of a day since 1970.
fn civil(day: u64) -> (u64, u64, u64) {
    // A first guess that is never too late, then at most a year further.
    let mut year = 1970 + day / 366;
    while days_to(year + 1, 1, 1) <= day {
        year += 1;
    }
    let mut month = 1;
    while month < 12 && days_to(year, month + 1, 1) <= day {
        month += 1;
    }
    (year, month, day - days_to(year, month, 1) + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_the_calendars() {
        // Seconds by `date -u +%s`.
        for (seconds, format, expected) in [
            (0, "%d %b %Y", "01 Jan 1970"),
            (951_782_400, "%A, %B %-d, %Y (%j)", "Tuesday, February 29, 2000 (060)"),
            (1_732_999_999, "%a %e %h %y %I:%M:%S %p", "Sat 30 Nov 24 08:53:19 PM"),
            (4_107_542_400, "%F %T %H%%", "2100-03-01 00:00:00 00%"),
            (1_709_164_800, "%Q %-m/%-d %", "%Q 2/29 %"),
        ] {
            assert_eq!(strftime(seconds, format), expected);
        }
        assert!(now() > 1_700_000_000);
    }
}
