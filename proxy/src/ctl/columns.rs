//! Tables for people: columns as wide as what is in them, two spaces apart.

/// Rows under a heading. A number stands right, everything else left.
pub fn columns(head: &[&str], rows: &[Vec<String>]) -> String {
    let cell = |row: &Vec<String>, at: usize| row.get(at).map_or(0, |text| text.chars().count());
    let widths: Vec<usize> = head
        .iter()
        .enumerate()
        .map(|(at, name)| rows.iter().map(|row| cell(row, at)).max().unwrap_or(0).max(name.len()))
        .collect();
    let is_number: Vec<bool> = (0..head.len())
        .map(|at| rows.iter().all(|row| row.get(at).is_some_and(|text| is_number(text))))
        .collect();
    let mut text = String::new();
    let names = head.iter().map(|name| (*name).to_owned()).collect();
    for row in std::iter::once(&names).chain(rows) {
        let line: Vec<String> = row
            .iter()
            .zip(widths.iter().zip(&is_number))
            .map(|(text, (&width, right))| match right {
                true => format!("{text:>width$}"),
                false => format!("{text:<width$}"),
            })
            .collect();
        text.push_str(line.join("  ").trim_end());
        text.push('\n');
    }
    text
}

fn is_number(text: &str) -> bool {
    text == "-" || !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// What others wrote, without anything a terminal would obey.
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stand_right_and_text_left() {
        let row = |key: &str, nodes: &str| vec![key.to_owned(), nodes.to_owned(), "x".to_owned()];
        let told = columns(&["KEY", "NODES", "Z"], &[row("a.example", "2"), row("b", "10")]);
        assert_eq!(told, "KEY        NODES  Z\na.example      2  x\nb             10  x\n");
        assert_eq!(columns(&["KEY"], &[]), "KEY\n");
    }

    #[test]
    fn nothing_a_terminal_would_obey_is_printed() {
        assert_eq!(printable("a\u{1b}[2Jb\n"), "a\u{fffd}[2Jb\u{fffd}");
    }
}
