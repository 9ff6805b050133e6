//! An HTTP/1 response as a strict client sees it.
//!
//! Parsing is deliberately naive and separate from the product's own parser: a test that used
//! the code under test to read its output would agree with its mistakes.

/// One response, de-framed.
#[derive(Clone, Debug)]
pub struct Response {
    /// Three-digit status.
    pub status: u16,
    /// The head as received, without the blank line.
    pub head: String,
    /// Field names as sent and values without surrounding blanks, in order.
    pub fields: Vec<(String, String)>,
    /// The body, chunk framing removed.
    pub body: Vec<u8>,
}

impl Response {
    /// Parses a head that ends before its blank line.
    ///
    /// # Panics
    /// If it is not a well-formed head: the router must never emit one.
    #[track_caller]
    pub fn from_head(head: &str) -> Self {
        let mut lines = head.split("\r\n");
        let status_line = lines.next().unwrap_or_default();
        let mut words = status_line.splitn(3, ' ');
        let version = words.next().unwrap_or_default();
        assert!(matches!(version, "HTTP/1.1" | "HTTP/1.0"), "status line {status_line:?}");
        let status = words.next().and_then(|word| word.parse().ok());
        let status = status.unwrap_or_else(|| panic!("status line {status_line:?}"));
        let fields = lines.map(|line| {
            let (name, value) = line.split_once(':').unwrap_or_else(|| panic!("field {line:?}"));
            (name.to_owned(), value.trim().to_owned())
        });
        Self { status, head: head.to_owned(), fields: fields.collect(), body: Vec::new() }
    }

    /// Value of the first field of that name, any case.
    pub fn field(&self, name: &str) -> Option<&str> {
        let mut all = self.fields.iter();
        all.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// How many fields of that name there are.
    pub fn field_count(&self, name: &str) -> usize {
        self.fields.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name)).count()
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("not JSON ({error}): {}", self.text()))
    }

    /// Whether the body comes in chunks.
    pub fn is_chunked(&self) -> bool {
        self.field("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked"))
    }

    /// Announced body length.
    #[track_caller]
    pub fn content_length(&self) -> Option<usize> {
        self.field("content-length").map(|value| value.parse().expect("a decimal length"))
    }

    /// Whether the status alone says there is no body.
    pub fn is_bodiless(&self) -> bool {
        self.status < 200 || matches!(self.status, 204 | 304)
    }
}
