//! Which octets may stand where: one 256-entry table per grammar rule of RFC 9110 and 9112.

/// `token` (RFC 9110 5.6.2): methods, field names, connection options.
pub(crate) const fn is_token(octet: u8) -> bool {
    TOKEN[octet as usize]
}

/// Octets of a Host value or authority: names, IPv4, bracketed IPv6, port. No userinfo, escapes
/// or lists, which RFC 3986 would allow and routers read in different ways.
pub(crate) const fn is_host(octet: u8) -> bool {
    HOST[octet as usize]
}

/// Field value octets (RFC 9110 5.5): HTAB, SP, visible ASCII and obs-text.
pub(crate) const fn is_field_value(octet: u8) -> bool {
    octet == b'\t' || (octet >= b' ' && octet != 0x7f)
}

/// Optional whitespace (RFC 9110 5.6.3).
pub(crate) const fn is_ows(octet: u8) -> bool {
    octet == b' ' || octet == b'\t'
}

/// Optional whitespace removed from both ends.
pub(crate) fn trim_ows(mut text: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = text
        && is_ows(*first)
    {
        text = rest;
    }
    while let [rest @ .., last] = text
        && is_ows(*last)
    {
        text = rest;
    }
    text
}

const fn table(letters_and: &[u8]) -> [bool; 256] {
    let mut table = [false; 256];
    let mut octet = 0;
    while octet < 256 {
        table[octet] = (octet as u8).is_ascii_alphanumeric();
        octet += 1;
    }
    let mut index = 0;
    while index < letters_and.len() {
        table[letters_and[index] as usize] = true;
        index += 1;
    }
    table
}

static TOKEN: [bool; 256] = table(b"!#$%&'*+-.^_`|~");
static HOST: [bool; 256] = table(b".-_:[]");
