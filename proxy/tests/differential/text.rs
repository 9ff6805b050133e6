//! Bytes as text for people: in failure messages and in the generated document.

/// Longest rendering; the middle of a longer one is left out.
const SHOWN: usize = 150;

/// Bytes with escapes, cut in the middle if they are many.
pub fn escaped(bytes: &[u8]) -> String {
    let (head, tail) = match bytes.len() {
        0..=SHOWN => (bytes, &[][..]),
        length => (&bytes[..SHOWN * 2 / 3], &bytes[length - SHOWN / 4..]),
    };
    let mut text = plain(head);
    if !tail.is_empty() {
        let left_out = bytes.len() - head.len() - tail.len();
        text.push_str(&format!(" …{left_out} bytes… {}", plain(tail)));
    }
    text
}

fn plain(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in bytes {
        match byte {
            b'\r' => text.push_str("\\r"),
            b'\n' => text.push_str("\\n"),
            b'\t' => text.push_str("\\t"),
            b' '..=b'~' => text.push(char::from(*byte)),
            _ => text.push_str(&format!("\\x{byte:02x}")),
        }
    }
    text
}

/// `text` as code in a cell of a Markdown table.
pub fn code_cell(text: &str) -> String {
    let text = text.replace('|', "\\|");
    if text.contains('`') { format!("`` {text} ``") } else { format!("`{text}`") }
}
