//! The encoding of a text file: recognised over the whole file, then decoded to UTF-8 on the way.

use super::error::SourceError;
use super::input::{CHUNK, Input, for_each_chunk};
use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{EUC_KR, Encoding, GB18030, GBK, UTF_8, UTF_16BE, UTF_16LE};
use encoding_rs::{
    ISO_8859_2, ISO_8859_4, WINDOWS_1250, WINDOWS_1252, WINDOWS_1254, WINDOWS_1257, WINDOWS_1258,
};
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Bytes with letters beyond ASCII that the guess is made from.
const EVIDENCE: usize = 1 << 22;

/// A text file whose encoding is known.
#[derive(Clone, Debug)]
pub(super) struct TextFile {
    pub(super) input: Input,
    encoding: &'static Encoding,
    /// Bytes of the byte order mark.
    mark: usize,
    /// Line ends in the file: at least as many as there are rows, up to one.
    pub(super) lines: usize,
    /// What the user should know about broken UTF-8.
    note: Option<String>,
    /// Whether reading met bytes that are none of the encoding; only for UTF-8 they are counted before.
    broken: Arc<AtomicBool>,
}

/// What one look at the whole file tells.
#[derive(Default)]
struct Survey {
    lines: usize,
    nul: bool,
    /// Valid characters beyond ASCII, if the file is UTF-8.
    wide: usize,
    /// Places that are not UTF-8.
    broken: usize,
    first_broken_line: usize,
    /// End of the last piece, where a character may be cut.
    tail: Vec<u8>,
    /// Pieces that hold letters beyond ASCII.
    evidence: Vec<u8>,
}

impl TextFile {
    /// Recognises the encoding, or takes the one that the user names; `None` if the file is no text.
    pub(super) fn new(input: Input, label: Option<&str>) -> Result<Option<Self>, SourceError> {
        let named = match label {
            Some(label) => {
                let unknown = || SourceError::UnknownEncoding { found: label.to_owned() };
                Some(Encoding::for_label(label.trim().as_bytes()).ok_or_else(unknown)?)
            }
            None => None,
        };
        let mut survey = Survey::default();
        let look = |chunk: &[u8]| {
            survey.take(chunk);
            true
        };
        for_each_chunk(input.open()?, look).map_err(|source| input.failed(source))?;
        survey.end();
        let marked = Encoding::for_bom(&input.head);
        let encoding = match (named, marked) {
            // The mark tells the order of the bytes, which the label `utf-16` leaves open.
            (Some(named), Some((marked, _))) if is_utf16(named) && is_utf16(marked) => marked,
            (Some(named), _) => named,
            (None, Some((marked, _))) => marked,
            (None, None) if survey.nul => match utf16(&input.head) {
                Some(encoding) => encoding,
                None => return Ok(None),
            },
            (None, None) => survey.guess(),
        };
        let mark = marked.filter(|(marked, _)| *marked == encoding).map_or(0, |(_, length)| length);
        let note = (encoding == UTF_8 && survey.broken > 0).then(|| {
            let places =
                if survey.broken == 1 { "1 place".into() } else { format!("{} places", survey.broken) };
            format!(
                "`{}` is not valid UTF-8 in {places}, first in line {}, read as `\u{fffd}`",
                input.shown, survey.first_broken_line
            )
        });
        let mut input = input;
        input.forget_head();
        Ok(Some(Self { input, encoding, mark, lines: survey.lines, note, broken: Arc::default() }))
    }

    /// What the user should know about the decoding, once the text is read.
    pub(super) fn note(&self) -> Option<String> {
        self.note.clone().or_else(|| {
            let (path, encoding) = (&self.input.shown, self.encoding());
            let broken = self.broken.load(Ordering::Relaxed);
            broken.then(|| format!("`{path}` is not valid {encoding} in some places, read as `\u{fffd}`"))
        })
    }

    /// Name of the encoding for people: `UTF-8`, `GB18030`, `Windows-1252`.
    pub(super) fn encoding(&self) -> String {
        let name = self.encoding.name();
        match name.strip_prefix("windows-") {
            Some(page) => format!("Windows-{page}"),
            None if name == "gb18030" => "GB18030".to_owned(),
            None => name.to_owned(),
        }
    }

    /// Opens the text from the start, as UTF-8 without a byte order mark.
    pub(super) fn open(&self) -> Result<Box<dyn Read + Send>, SourceError> {
        let mut bytes = self.input.open()?;
        io::copy(&mut bytes.by_ref().take(self.mark as u64), &mut io::sink())
            .map_err(|source| self.input.failed(source))?;
        if self.encoding == UTF_8 && self.note.is_none() {
            return Ok(bytes);
        }
        Ok(Box::new(Decoded {
            bytes,
            decoder: self.encoding.new_decoder_without_bom_handling(),
            raw: vec![0; CHUNK],
            text: vec![0; CHUNK * 2],
            ready: 0..0,
            ended: false,
            broken: Arc::clone(&self.broken),
        }))
    }

    /// The first characters of the text; the last one may be cut.
    pub(super) fn head(&self, size: usize) -> Result<Vec<u8>, SourceError> {
        let mut head = Vec::new();
        self.open()?.take(size as u64).read_to_end(&mut head).map_err(|source| self.input.failed(source))?;
        Ok(head)
    }
}

impl Survey {
    fn take(&mut self, chunk: &[u8]) {
        self.lines += chunk.iter().filter(|byte| **byte == b'\n').count();
        if chunk.is_ascii() && self.tail.is_empty() {
            self.nul |= chunk.contains(&0);
            return;
        }
        self.nul |= chunk.contains(&0);
        let room = EVIDENCE.saturating_sub(self.evidence.len());
        self.evidence.extend_from_slice(&chunk[..chunk.len().min(room)]);
        let lines_before = self.lines - chunk.iter().filter(|byte| **byte == b'\n').count();
        let joined;
        let mut rest = if self.tail.is_empty() {
            chunk
        } else {
            joined = [self.tail.as_slice(), chunk].concat();
            joined.as_slice()
        };
        let whole = rest;
        loop {
            match std::str::from_utf8(rest) {
                Ok(text) => {
                    self.wide += text.bytes().filter(|byte| *byte >= 0xc0).count();
                    self.tail = Vec::new();
                    return;
                }
                Err(error) => {
                    let valid = error.valid_up_to();
                    self.wide += rest[..valid].iter().filter(|byte| **byte >= 0xc0).count();
                    let Some(length) = error.error_len() else {
                        self.tail = rest[valid..].to_vec();
                        return;
                    };
                    let before = &whole[..whole.len() - rest.len() + valid];
                    self.break_at(lines_before + before.iter().filter(|byte| **byte == b'\n').count() + 1);
                    rest = &rest[valid + length..];
                    if self.broken > 10_000 && self.broken > self.wide {
                        // Certainly not UTF-8; the exact number no longer matters.
                        self.tail = Vec::new();
                        return;
                    }
                }
            }
        }
    }

    fn end(&mut self) {
        if !self.tail.is_empty() {
            self.break_at(self.lines + 1);
        }
    }

    fn break_at(&mut self, line: usize) {
        if self.broken == 0 {
            self.first_broken_line = line;
        }
        self.broken += 1;
    }

    /// Guesses the encoding of a text without a mark.
    fn guess(&self) -> &'static Encoding {
        // A few broken characters among many good ones do not make another encoding.
        if self.broken == 0 || self.wide > 20 * self.broken {
            return UTF_8;
        }
        let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
        detector.feed(&self.evidence, true);
        let guess = detector.guess(None, Utf8Detection::Deny);
        let pairs = ChinesePairs::count(&self.evidence);
        if guess == GBK || pairs.nearly_all() && !(guess == EUC_KR && pairs.may_be_korean()) {
            GB18030
        } else if is_latin(guess) && self.reads_as_windows_1252(guess) {
            WINDOWS_1252
        } else {
            guess
        }
    }

    /// Tells whether Windows-1252 gives the same text as another Latin encoding, or there is too little to tell them
    /// apart.
    fn reads_as_windows_1252(&self, guess: &'static Encoding) -> bool {
        let few = self.evidence.iter().filter(|byte| **byte >= 0x80).count() < 8;
        few || guess.decode_without_bom_handling(&self.evidence).0
            == WINDOWS_1252.decode_without_bom_handling(&self.evidence).0
    }
}

/// Tells whether an encoding writes one of the languages with Latin letters in single bytes.
fn is_latin(encoding: &'static Encoding) -> bool {
    [WINDOWS_1250, WINDOWS_1252, WINDOWS_1254, WINDOWS_1257, WINDOWS_1258, ISO_8859_2, ISO_8859_4]
        .contains(&encoding)
}

/// How the bytes beyond ASCII lie in pairs of the common Chinese characters and marks of GB 2312.
///
/// In Western texts such bytes stand alone between ASCII letters. The statistics behind a guess need more text than a
/// short table has.
#[derive(Default)]
struct ChinesePairs {
    pairs: usize,
    /// Pairs that Korean text does not use for its letters.
    beyond_korean: usize,
    others: usize,
}

impl ChinesePairs {
    fn count(bytes: &[u8]) -> Self {
        let mut found = Self::default();
        let mut rest = bytes;
        while let [first, tail @ ..] = rest {
            rest = tail;
            match tail {
                _ if *first < 0x80 => {}
                [second, behind @ ..]
                    if matches!(first, 0xa1..=0xa3 | 0xb0..=0xd7) && matches!(second, 0xa1..=0xfe) =>
                {
                    found.pairs += 1;
                    found.beyond_korean += usize::from(*first > 0xc8);
                    rest = behind;
                }
                _ => found.others += 1,
            }
        }
        found
    }

    fn nearly_all(&self) -> bool {
        self.pairs > 9 * self.others
    }

    fn may_be_korean(&self) -> bool {
        self.pairs >= 8 && self.beyond_korean == 0
    }
}

/// Tells whether an encoding is UTF-16, whatever the order of its bytes.
fn is_utf16(encoding: &'static Encoding) -> bool {
    encoding == UTF_16LE || encoding == UTF_16BE
}

/// Recognises UTF-16 without a mark by its ASCII characters, whose other byte is zero.
fn utf16(head: &[u8]) -> Option<&'static Encoding> {
    let (pairs, _) = head.as_chunks::<2>();
    let plain = |byte: u8| matches!(byte, b'\t' | b'\n' | b'\r' | b' '..=b'~');
    let little = pairs.iter().filter(|pair| pair[1] == 0 && plain(pair[0])).count();
    let big = pairs.iter().filter(|pair| pair[0] == 0 && plain(pair[1])).count();
    let (encoding, found, other) =
        if little >= big { (UTF_16LE, little, big) } else { (UTF_16BE, big, little) };
    // Every row has at least its line end and delimiters in ASCII; a binary file has zeros on both sides.
    let ascii_pairs = pairs.iter().filter(|pair| plain(pair[0]) && plain(pair[1])).count();
    let enough = found * 50 >= pairs.len() && found > 20 * other && ascii_pairs * 2 <= pairs.len();
    let decodes = encoding.decode_without_bom_handling_and_without_replacement(&head[..pairs.len() * 2]);
    let clean = decodes.is_some_and(|text| !text.contains('\0'));
    // The last character of a long head may be cut within a surrogate pair.
    let whole = clean
        || head.len() > 64 && {
            let cut = &head[..(pairs.len() - 1) * 2];
            encoding
                .decode_without_bom_handling_and_without_replacement(cut)
                .is_some_and(|text| !text.contains('\0'))
        };
    (enough && whole).then_some(encoding)
}

/// Decodes a stream to UTF-8; what cannot be decoded becomes U+FFFD.
struct Decoded {
    bytes: Box<dyn Read + Send>,
    decoder: encoding_rs::Decoder,
    raw: Vec<u8>,
    text: Vec<u8>,
    ready: std::ops::Range<usize>,
    ended: bool,
    /// Told once something cannot be decoded.
    broken: Arc<AtomicBool>,
}

impl Decoded {
    fn fill(&mut self) -> io::Result<()> {
        while self.ready.is_empty() && !self.ended {
            let size = match self.bytes.read(&mut self.raw) {
                Ok(size) => size,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            self.ended = size == 0;
            // Every encoding's bytes grow at most threefold, and each call decodes all that it is given.
            let room = self.decoder.max_utf8_buffer_length(size).unwrap_or(size * 3 + 16);
            self.text.resize(room.max(self.text.len()), 0);
            let (_, _, written, is_broken) =
                self.decoder.decode_to_utf8(&self.raw[..size], &mut self.text, self.ended);
            if is_broken {
                self.broken.store(true, Ordering::Relaxed);
            }
            self.ready = 0..written;
        }
        Ok(())
    }
}

impl Read for Decoded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.fill()?;
        let size = buffer.len().min(self.ready.len());
        let from = self.ready.start;
        buffer[..size].copy_from_slice(&self.text[from..from + size]);
        self.ready.start += size;
        Ok(size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use encoding_rs::{BIG5, SHIFT_JIS, WINDOWS_1251};

    fn open(bytes: &[u8], label: Option<&str>) -> Option<TextFile> {
        TextFile::new(Input::stream(bytes, "x").unwrap(), label).unwrap()
    }

    /// Encodes a text and expects both the name and the text back.
    fn check(text: &str, bytes: &[u8], expected: &str) {
        let file = open(bytes, None).expect("a text");
        let mut read = String::new();
        file.open().unwrap().read_to_string(&mut read).unwrap();
        assert_eq!((file.encoding().as_str(), read.as_str()), (expected, text));
    }

    fn utf16_bytes(text: &str, little: bool) -> Vec<u8> {
        text.encode_utf16()
            .flat_map(|unit| if little { unit.to_le_bytes() } else { unit.to_be_bytes() })
            .collect()
    }

    #[test]
    fn unicode() {
        let text = "姓名,城市\n张三,北京\n";
        check(text, text.as_bytes(), "UTF-8");
        check(text, &[b"\xef\xbb\xbf", text.as_bytes()].concat(), "UTF-8");
        check(text, &[b"\xff\xfe".as_slice(), &utf16_bytes(text, true)].concat(), "UTF-16LE");
        check(text, &[b"\xfe\xff".as_slice(), &utf16_bytes(text, false)].concat(), "UTF-16BE");
        check(text, &utf16_bytes(text, true), "UTF-16LE");
        check(text, &utf16_bytes(text, false), "UTF-16BE");
        check("a,b\n1,2\n", &utf16_bytes("a,b\n1,2\n", true), "UTF-16LE");
    }

    #[test]
    fn chinese_in_short_files() {
        for text in [
            "姓名,年龄\n张三,30\n李四,25\n",
            "性别,收入\n男,1200\n女,800\n",
            "价格;面积\n3,5;80\n",
            "城市,人口\n北京,2171\n上海,2424\n",
            "评论,标签\n\"房间很大，服务不错！\",好\n",
            "name,note\nA,好\n",
            "朱镕基,堃\n1,2\n",
        ] {
            check(text, &GB18030.encode(text).0, "GB18030");
        }
    }

    #[test]
    fn western_in_short_files() {
        for text in [
            "name,city\nMüller,Köln\nJosé,Málaga\n",
            "café,prix\ncrème,3\n",
            "Größe;Farbe\n1,5;grün\n",
            "price\n5 €\n7 €\n",
            "name\nÅse\nØystein\n",
            "a,b\nnaïve,“quoted”\n",
            "città,età\nForlì,5\n",
        ] {
            check(text, &WINDOWS_1252.encode(text).0, "Windows-1252");
        }
    }

    #[test]
    fn others() {
        let polish = "imię,miasto\nŁukasz,Łódź\nŻaneta,Gdańsk\nMałgorzata,Częstochowa\n";
        check(polish, &WINDOWS_1250.encode(polish).0, "Windows-1250");
        let russian = "имя,город\nИван,Москва\nМария,Казань\nПётр,Новгород\n";
        check(russian, &WINDOWS_1251.encode(russian).0, "Windows-1251");
        let japanese = "名前,都市\nたなか,とうきょう\nすずき,おおさか\n";
        check(japanese, &SHIFT_JIS.encode(japanese).0, "Shift_JIS");
        let korean = "이름,도시\n김철수,서울\n이영희,부산\n";
        check(korean, &EUC_KR.encode(korean).0, "EUC-KR");
        let taiwan = "姓名,城市\n陳小明,臺北市\n林美麗,高雄市\n張國華,臺中市\n";
        check(taiwan, &BIG5.encode(taiwan).0, "Big5");
    }

    #[test]
    fn letters_far_down_are_seen() {
        let mut text = "a,b\n".to_owned();
        text.extend(std::iter::repeat_n("1,2\n", 400_000));
        text.push_str("3,Müller\n");
        check(&text, &WINDOWS_1252.encode(&text).0, "Windows-1252");
        check(&text, text.as_bytes(), "UTF-8");
    }

    #[test]
    fn a_few_broken_characters_are_replaced_and_told() {
        let mut bytes = "名\n".repeat(30).into_bytes();
        bytes.extend(b"x\xffy\n");
        let file = open(&bytes, None).unwrap();
        assert_eq!(
            file.note.as_deref(),
            Some("`x` is not valid UTF-8 in 1 place, first in line 31, read as `\u{fffd}`")
        );
        assert!(String::from_utf8(file.head(1 << 20).unwrap()).unwrap().ends_with("x\u{fffd}y\n"));
    }

    #[test]
    fn what_another_encoding_lacks_is_told_once_it_is_read() {
        let bytes = [&GB18030.encode("名字\n").0[..], b"x\xff\n"].concat();
        let file = open(&bytes, Some("gb18030")).unwrap();
        assert_eq!(file.note(), None);
        assert!(String::from_utf8(file.head(99).unwrap()).unwrap().contains('\u{fffd}'));
        assert_eq!(
            file.note().as_deref(),
            Some("`x` is not valid GB18030 in some places, read as `\u{fffd}`")
        );
        let sound = open(&bytes[..5], Some("gb18030")).unwrap();
        assert_eq!((sound.head(99).unwrap(), sound.note()), ("名字\n".as_bytes().to_vec(), None));
    }

    #[test]
    fn the_mark_tells_the_order_of_bytes() {
        for little in [true, false] {
            let bytes = utf16_bytes("\u{feff}名\n", little);
            let file = open(&bytes, Some("utf-16")).unwrap();
            assert_eq!(file.encoding(), if little { "UTF-16LE" } else { "UTF-16BE" });
            assert_eq!(file.head(99).unwrap(), "名\n".as_bytes());
        }
    }

    #[test]
    fn named_encodings() {
        let bytes = GB18030.encode("名字\n").0;
        assert_eq!(open(&bytes, Some("gbk")).unwrap().head(99).unwrap(), "名字\n".as_bytes());
        let error = TextFile::new(Input::stream(&bytes[..], "x").unwrap(), Some("gb99")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`data.encoding` is `gb99`, but must be the name of an encoding such as `utf-8` or `gb18030`"
        );
    }

    #[test]
    fn binary_is_no_text() {
        assert!(open(&[0, 1, 2, 3, 0, 0, 7, 0, 9, 9, 200, 0], None).is_none());
        assert!(open(b"a,b\n1,\0\n", None).is_none());
    }
}
