//! `strftime_now`: a date in a template. Whoever renders says what time it is.

use crate::budget;
use crate::error::Result;
use crate::text::Text;

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

/// C's strftime in the C locale, of a time without a zone: an unknown letter stays as it is written.
pub(crate) fn strftime(seconds: u64, format: &Text) -> Result<Text> {
    let mut out = Vec::new();
    let mut at = 0;
    while at < format.len() {
        budget::spend(0)?;
        let glyph = format[at];
        at += 1;
        if !glyph.is('%') {
            out.push(glyph);
            continue;
        }
        // `%-d`: without the zero before it.
        let flag = format.get(at).map(|g| g.char()).filter(|c| matches!(c, '-' | '_' | '0' | '^'));
        at += usize::from(flag.is_some());
        let letter = format.get(at).map(|g| g.char());
        at += usize::from(letter.is_some());
        let text = letter
            .and_then(|letter| field(seconds, letter, flag))
            .unwrap_or_else(|| ['%'].into_iter().chain(flag).chain(letter).collect());
        out.extend(text.chars().map(|c| glyph.with(c)));
    }
    Ok(Text::new(out))
}

fn field(seconds: u64, letter: char, flag: Option<char>) -> Option<String> {
    let (day, clock) = (seconds / 86_400, seconds % 86_400);
    let (hour, minute, second) = (clock / 3600, clock / 60 % 60, clock % 60);
    let (year, month, date) = civil(day);
    let day_of_year = day - days_to(year, 1, 1);
    let weekday = (day + 4) % 7;
    let monday = (weekday + 6) % 7;
    let (month_name, day_name) = (MONTHS[month as usize - 1], DAYS[weekday as usize]);
    let half_day = (hour + 11) % 12 + 1;
    let (week_year, week) = iso_week(year, day_of_year, monday);
    let number = |n: u64, width: usize| match flag {
        Some('-') => n.to_string(),
        Some('_') => format!("{n:width$}"),
        _ => format!("{n:0width$}"),
    };
    let spaced = |n: u64| match flag {
        Some('-') => n.to_string(),
        Some('0') => format!("{n:02}"),
        _ => format!("{n:2}"),
    };
    let text = match letter {
        'Y' => year.to_string(),
        'C' => number(year / 100, 2),
        'y' => number(year % 100, 2),
        'm' => number(month, 2),
        'd' => number(date, 2),
        'e' => spaced(date),
        'j' => number(day_of_year + 1, 3),
        'B' => month_name.to_owned(),
        'b' | 'h' => month_name[..3].to_owned(),
        'A' => day_name.to_owned(),
        'a' => day_name[..3].to_owned(),
        'w' => weekday.to_string(),
        'u' => (monday + 1).to_string(),
        'U' => number((day_of_year + 7 - weekday) / 7, 2),
        'W' => number((day_of_year + 7 - monday) / 7, 2),
        'V' => number(week, 2),
        'G' => week_year.to_string(),
        'g' => number(week_year % 100, 2),
        'H' => number(hour, 2),
        'k' => spaced(hour),
        'I' => number(half_day, 2),
        'l' => spaced(half_day),
        'M' => number(minute, 2),
        'S' => number(second, 2),
        'f' => "000000".to_owned(),
        's' => seconds.to_string(),
        'p' => if hour < 12 { "AM" } else { "PM" }.to_owned(),
        'P' => if hour < 12 { "am" } else { "pm" }.to_owned(),
        'F' => format!("{year}-{month:02}-{date:02}"),
        'D' | 'x' => format!("{month:02}/{date:02}/{:02}", year % 100),
        'T' | 'X' => format!("{hour:02}:{minute:02}:{second:02}"),
        'R' => format!("{hour:02}:{minute:02}"),
        'r' => format!("{half_day:02}:{minute:02}:{second:02} {}", if hour < 12 { "AM" } else { "PM" }),
        'c' => {
            let (day, month) = (&day_name[..3], &month_name[..3]);
            format!("{day} {month} {date:2} {hour:02}:{minute:02}:{second:02} {year}")
        }
        'n' => "\n".to_owned(),
        't' => "\t".to_owned(),
        // Python's, of a time without a zone.
        'Z' | 'z' => String::new(),
        '%' => "%".to_owned(),
        _ => return None,
    };
    Some(if flag == Some('^') { text.to_uppercase() } else { text })
}

/// The year and number of the week that a day belongs to, by ISO 8601.
fn iso_week(year: u64, day_of_year: u64, monday: u64) -> (u64, u64) {
    let week = (day_of_year + 10 - (monday + 1) + 1) / 7;
    let has_53 = |year: u64| {
        let last = |year: u64| (year + year / 4 - year / 100 + year / 400) % 7;
        last(year) == 4 || last(year - 1) == 3
    };
    match week {
        0 => (year - 1, if has_53(year - 1) { 53 } else { 52 }),
        53 if !has_53(year) => (year + 1, 1),
        _ => (year, week),
    }
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
        budget::begin();
        // Seconds by `date -u +%s`.
        for (seconds, format, expected) in [
            (0, "%d %b %Y", "01 Jan 1970"),
            (951_782_400, "%A, %B %-d, %Y (%j)", "Tuesday, February 29, 2000 (060)"),
            (1_732_999_999, "%a %e %h %y %I:%M:%S %p", "Sat 30 Nov 24 08:53:19 PM"),
            (4_107_542_400, "%F %T %H%%", "2100-03-01 00:00:00 00%"),
            (1_709_164_800, "%Q %-m/%-d %", "%Q 2/29 %"),
        ] {
            assert_eq!(strftime(seconds, &Text::plain(format)).unwrap().to_string(), expected);
        }
    }
}
