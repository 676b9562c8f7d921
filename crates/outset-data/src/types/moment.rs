//! Ways of writing a date, and the moments that they mean.

use super::parse_number;
use crate::table::number_text;
use jiff::civil::{DateTime, date};
use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::Offset;
use jiff::{Timestamp, Unit};
use serde::{Deserialize, Serialize};

/// A way of writing dates: `iso`, `number`, or a pattern such as `%d.%m.%Y`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DateFormat(pub String);

/// Days as they are commonly written, in words and as a pattern. Where days and months can be mistaken for each other in
/// every cell of a column, the earlier pattern wins.
const DAYS: [(&str, &str); 18] = [
    ("year-month", "%Y-%m"),
    ("year/month/day", "%Y/%m/%d"),
    ("year.month.day", "%Y.%m.%d"),
    ("month/day/year", "%m/%d/%Y"),
    ("day/month/year", "%d/%m/%Y"),
    ("day.month.year", "%d.%m.%Y"),
    ("day-month-year", "%d-%m-%Y"),
    ("month-day-year", "%m-%d-%Y"),
    ("month/day/year", "%m/%d/%y"),
    ("day/month/year", "%d/%m/%y"),
    ("day.month.year", "%d.%m.%y"),
    ("day-month-year", "%d-%b-%Y"),
    ("day-month-year", "%d-%b-%y"),
    ("month day, year", "%b %d, %Y"),
    ("month day, year", "%B %d, %Y"),
    ("day month year", "%d %b %Y"),
    ("day month year", "%d %B %Y"),
    ("年月日", "%Y年%m月%d日"),
];

/// Times of day that may follow.
const TIMES: [&str; 6] = ["", " %H:%M", " %H:%M:%S", " %H:%M:%S%.f", " %I:%M %p", " %I:%M:%S %p"];

impl DateFormat {
    /// Dates and moments as ISO 8601 writes them, those with an offset by their own clock.
    pub fn iso() -> Self {
        Self("iso".to_owned())
    }

    /// Years (2011), days (20110131), or seconds or milliseconds since 1970.
    pub fn number() -> Self {
        Self("number".to_owned())
    }

    /// The first common way that fits every text; `None` if there are none or none fits.
    pub fn detect<'a>(texts: impl Iterator<Item = &'a str> + Clone) -> Option<Self> {
        let first = texts.clone().next()?;
        if !first.contains(|letter: char| letter.is_ascii_digit()) || first.len() > 40 {
            return None;
        }
        let patterns =
            DAYS.iter().flat_map(|(_, day)| TIMES.iter().map(move |time| Self(format!("{day}{time}"))));
        std::iter::once(Self::iso())
            .chain(patterns)
            .filter(|format| format.parse(first).is_some())
            .find(|format| texts.clone().all(|text| format.parse(text).is_some()))
    }

    /// The moment that a text means.
    pub fn parse(&self, text: &str) -> Option<DateTime> {
        let text = text.trim();
        let moment = match self.0.as_str() {
            "iso" => parse_iso(text),
            "number" => parse_number(text).and_then(moment_of_number),
            pattern => parse_pattern(pattern, text),
        }?;
        (1000..=2999).contains(&moment.year()).then_some(moment)
    }

    /// Tells whether digits alone may be dates of this way, as they are of `%Y%m`.
    ///
    /// The common patterns all ask for marks, and seconds since 1970 are what a number means in any case.
    pub fn is_digits(&self) -> bool {
        let pattern = self.0.as_str();
        let is_common = || {
            DAYS.iter().any(|(_, day)| pattern.strip_prefix(day).is_some_and(|rest| TIMES.contains(&rest)))
        };
        !matches!(pattern, "iso" | "number" | "%s") && !is_common()
    }

    /// The moment that a number in a column of this way means.
    pub fn of_number(&self, number: f64) -> Option<DateTime> {
        if !self.is_digits() {
            return moment_of_number(number);
        }
        // A number has lost the zeros at the end of its fraction, so that none can be read by a pattern.
        if number.fract() == 0.0 { self.parse(&number_text(number)) } else { None }
    }

    /// Writes a moment this way.
    pub fn write(&self, moment: DateTime) -> String {
        match self.0.as_str() {
            "iso" if moment.time() == jiff::civil::Time::midnight() => moment.date().to_string(),
            "iso" => moment.round(Unit::Second).unwrap_or(moment).to_string(),
            "number" => moment.date().strftime("%Y%m%d").to_string(),
            // A pattern may ask for more than a moment knows, such as a time zone.
            pattern => jiff::fmt::strtime::format(pattern, moment).unwrap_or_else(|_| moment.to_string()),
        }
    }

    /// The way in words: `year-month-day`, `month/day/year`.
    pub fn words(&self) -> String {
        match self.0.as_str() {
            "iso" => "year-month-day".to_owned(),
            "number" => "a number".to_owned(),
            pattern => {
                let known = DAYS.iter().find(|(_, day)| {
                    pattern.strip_prefix(day).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
                });
                known.map_or_else(|| format!("`{pattern}`"), |(words, _)| (*words).to_owned())
            }
        }
    }
}

fn parse_iso(text: &str) -> Option<DateTime> {
    let bytes = text.as_bytes();
    if bytes.len() < 10 || bytes[4] != b'-' || !bytes[..4].iter().all(u8::is_ascii_digit) {
        return None;
    }
    let local = text.parse::<DateTime>().ok();
    local.or_else(|| text.parse::<Timestamp>().ok().map(|moment| Offset::UTC.to_datetime(moment)))
}

fn parse_pattern(pattern: &str, text: &str) -> Option<DateTime> {
    if !pattern.contains("%d") && !pattern.contains("%e") && !pattern.contains("%j") {
        // What is left open is the first: the day of a month, and the month of a year that stands alone.
        let (open, first) = if pattern == "%Y" { ("%m %d", "1 1") } else { ("%d", "1") };
        let day = BrokenDownTime::parse(format!("{pattern} {open}"), format!("{text} {first}")).ok()?;
        return day.to_datetime().ok();
    }
    BrokenDownTime::parse(pattern, text).ok()?.to_datetime().ok()
}

/// The moment that a number means: a year, a day written without marks, or seconds or milliseconds since 1970.
pub fn moment_of_number(number: f64) -> Option<DateTime> {
    if !(1000.0..1e14).contains(&number) {
        return None;
    }
    if number < 3000.0 {
        return jiff::civil::Date::new(number as i16, 1, 1).ok().map(DateTime::from);
    }
    let digits = number as i64;
    if number.fract() == 0.0 && (10_000_101..30_000_000).contains(&digits) {
        let (year, month, day) = (digits / 10_000, digits / 100 % 100, digits % 100);
        return jiff::civil::Date::new(year as i16, month as i8, day as i8).ok().map(DateTime::from);
    }
    let milliseconds = if number < 1e11 { number * 1000.0 } else { number };
    Timestamp::from_millisecond(milliseconds as i64).ok().map(|moment| Offset::UTC.to_datetime(moment))
}

/// Days since 1970, with the time of day as a fraction.
pub fn days(moment: DateTime) -> f64 {
    Offset::UTC.to_timestamp(moment).map_or(0.0, |moment| moment.as_millisecond() as f64 / 86_400_000.0)
}

/// The moment so many days since 1970.
pub fn moment_of_days(days: f64) -> DateTime {
    Timestamp::from_millisecond((days * 86_400_000.0) as i64)
        .map_or(date(1970, 1, 1).at(0, 0, 0, 0), |moment| Offset::UTC.to_datetime(moment))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(texts: &[&str], format: &str, last: &str) {
        let found = DateFormat::detect(texts.iter().copied());
        assert_eq!(found.as_ref().map(|format| format.0.as_str()), Some(format), "{texts:?}");
        let moment = found.and_then(|format| format.parse(texts[texts.len() - 1]));
        assert_eq!(moment.unwrap().to_string(), last, "{texts:?}");
    }

    #[test]
    fn common_ways_of_writing_dates() {
        check(&["2011-01-01", "2012-12-31"], "iso", "2012-12-31T00:00:00");
        check(&["2016-07-01 13:00:00"], "iso", "2016-07-01T13:00:00");
        check(&["2016-07-01T13:00:00.5"], "iso", "2016-07-01T13:00:00.5");
        check(&["2024-03-10T23:30:00Z"], "iso", "2024-03-10T23:30:00");
        check(&["2024-03-10T23:30:00+02:00"], "iso", "2024-03-10T23:30:00");
        check(&["1949-01", "1949-12"], "%Y-%m", "1949-12-01T00:00:00");
        check(&["1/1/2007", "12/28/2009"], "%m/%d/%Y", "2009-12-28T00:00:00");
        check(&["1/2/2007", "28/12/2009"], "%d/%m/%Y", "2009-12-28T00:00:00");
        check(&["31.12.2020"], "%d.%m.%Y", "2020-12-31T00:00:00");
        check(&["31.12.20"], "%d.%m.%y", "2020-12-31T00:00:00");
        check(&["7/14/24 9:05 PM"], "%m/%d/%y %I:%M %p", "2024-07-14T21:05:00");
        check(&["Mar 5, 2021"], "%b %d, %Y", "2021-03-05T00:00:00");
        check(&["5 March 2021"], "%d %B %Y", "2021-03-05T00:00:00");
        check(&["2021年3月5日"], "%Y年%m月%d日", "2021-03-05T00:00:00");
    }

    #[test]
    fn other_texts_are_no_dates() {
        for texts in
            [&["c:6669"][..], &["12"], &["a"], &["2011-13-01"], &["2011-01-01", "soon"], &["1.2.3.4"], &[]]
        {
            assert_eq!(DateFormat::detect(texts.iter().copied()), None, "{texts:?}");
        }
    }

    #[test]
    fn numbers_mean_years_days_or_seconds() {
        for (number, expected) in [
            (2011.0, "2011-01-01T00:00:00"),
            (20_110_131.0, "2011-01-31T00:00:00"),
            (1_700_000_000.0, "2023-11-14T22:13:20"),
            (1_700_000_000_000.0, "2023-11-14T22:13:20"),
        ] {
            assert_eq!(moment_of_number(number).unwrap().to_string(), expected);
        }
        assert_eq!(moment_of_number(20_111_399.0), None);
        assert_eq!(moment_of_number(f64::NAN), None);
    }

    #[test]
    fn numbers_are_read_by_a_pattern_of_digits() {
        for (format, number, expected) in [
            ("%Y%m", 201_101.0, Some("2011-01-01T00:00:00")),
            ("%Y%m", 201_113.0, None),
            ("%Y%m", 201_101.5, None),
            ("%d%m%Y", 31_012_011.0, Some("2011-01-31T00:00:00")),
            ("%Y", 2011.0, Some("2011-01-01T00:00:00")),
            ("number", 20_110_131.0, Some("2011-01-31T00:00:00")),
            ("%m/%d/%Y", 2011.0, Some("2011-01-01T00:00:00")),
            ("%Y%m", f64::NAN, None),
        ] {
            let moment = DateFormat(format.to_owned()).of_number(number).map(|moment| moment.to_string());
            assert_eq!(moment.as_deref(), expected, "{number} as {format}");
        }
    }

    #[test]
    fn moments_are_written_as_they_are_read() {
        assert_eq!(
            DateFormat("%d %z".to_owned()).write(date(2011, 1, 31).at(5, 0, 0, 0)),
            "2011-01-31T05:00:00"
        );
        for (format, text) in [("iso", "2011-01-31"), ("%m/%d/%Y", "01/31/2011"), ("number", "20110131")] {
            let format = DateFormat(format.to_owned());
            let moment = format.parse(text).unwrap();
            assert_eq!(format.write(moment_of_days(days(moment))), text);
        }
    }
}
