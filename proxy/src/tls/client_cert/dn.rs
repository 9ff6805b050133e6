//! A distinguished name on one line, as OpenSSL's `X509_NAME_oneline` writes it.
//!
//! Applications behind uWSGI compare `HTTPS_DN` with texts they know from there, so order, short names
//! and escapes are OpenSSL 3's. What cannot be printed becomes `\xHH`, hence the line is a safe value
//! of a header field whatever the certificate holds.

use std::fmt::Write as _;

use x509_parser::der_parser::oid::Oid;
use x509_parser::prelude::X509Name;

/// Writes `name`. Attributes of one set are joined by `+`, sets by `/`.
pub(super) fn one_line(name: &X509Name<'_>) -> String {
    let mut line = String::new();
    for set in name.iter_rdn() {
        for (at, attribute) in set.iter().enumerate() {
            line.push(if at == 0 { '/' } else { '+' });
            push_type(attribute.attr_type(), &mut line);
            line.push('=');
            let value = attribute.attr_value();
            let step = if value.tag().0 == GENERAL_STRING { stride(value.data) } else { 1 };
            for byte in value.data.iter().skip(step - 1).step_by(step) {
                push_octet(*byte, &mut line);
            }
        }
    }
    line
}

/// Tag of GeneralString, in which old software put four octets per character.
const GENERAL_STRING: u32 = 27;

/// How far apart the octets that say something are.
fn stride(value: &[u8]) -> usize {
    let is_wide = value.len().is_multiple_of(4)
        && value.iter().enumerate().all(|(at, byte)| at % 4 == 3 || *byte == 0);
    if is_wide { 4 } else { 1 }
}

fn push_octet(octet: u8, line: &mut String) {
    match octet {
        b'/' | b'+' => {
            line.push('\\');
            line.push(char::from(octet));
        }
        b' '..=b'~' => line.push(char::from(octet)),
        _ => {
            let _ = write!(line, "\\x{octet:02X}");
        }
    }
}

fn push_type(oid: &Oid<'_>, line: &mut String) {
    let number = oid.to_id_string();
    let known = SHORT_NAMES.iter().find(|(oid, _)| *oid == number);
    line.push_str(known.map_or(&number, |(_, short)| short));
}

/// OpenSSL's short names of the attributes that occur in subjects.
const SHORT_NAMES: &[(&str, &str)] = &[
    ("2.5.4.3", "CN"),
    ("2.5.4.4", "SN"),
    ("2.5.4.5", "serialNumber"),
    ("2.5.4.6", "C"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.9", "street"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.12", "title"),
    ("2.5.4.13", "description"),
    ("2.5.4.14", "searchGuide"),
    ("2.5.4.15", "businessCategory"),
    ("2.5.4.16", "postalAddress"),
    ("2.5.4.17", "postalCode"),
    ("2.5.4.18", "postOfficeBox"),
    ("2.5.4.19", "physicalDeliveryOfficeName"),
    ("2.5.4.20", "telephoneNumber"),
    ("2.5.4.21", "telexNumber"),
    ("2.5.4.22", "teletexTerminalIdentifier"),
    ("2.5.4.23", "facsimileTelephoneNumber"),
    ("2.5.4.24", "x121Address"),
    ("2.5.4.25", "internationaliSDNNumber"),
    ("2.5.4.26", "registeredAddress"),
    ("2.5.4.27", "destinationIndicator"),
    ("2.5.4.28", "preferredDeliveryMethod"),
    ("2.5.4.34", "seeAlso"),
    ("2.5.4.41", "name"),
    ("2.5.4.42", "GN"),
    ("2.5.4.43", "initials"),
    ("2.5.4.44", "generationQualifier"),
    ("2.5.4.45", "x500UniqueIdentifier"),
    ("2.5.4.46", "dnQualifier"),
    ("2.5.4.49", "distinguishedName"),
    ("2.5.4.51", "houseIdentifier"),
    ("2.5.4.54", "dmdName"),
    ("2.5.4.65", "pseudonym"),
    ("2.5.4.72", "role"),
    ("2.5.4.97", "organizationIdentifier"),
    ("2.5.4.98", "c3"),
    ("2.5.4.99", "n3"),
    ("2.5.4.100", "dnsName"),
    ("0.9.2342.19200300.100.1.1", "UID"),
    ("0.9.2342.19200300.100.1.3", "mail"),
    ("0.9.2342.19200300.100.1.5", "favouriteDrink"),
    ("0.9.2342.19200300.100.1.6", "roomNumber"),
    ("0.9.2342.19200300.100.1.8", "userClass"),
    ("0.9.2342.19200300.100.1.9", "host"),
    ("0.9.2342.19200300.100.1.20", "homeTelephoneNumber"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("0.9.2342.19200300.100.1.37", "associatedDomain"),
    ("0.9.2342.19200300.100.1.40", "personalTitle"),
    ("0.9.2342.19200300.100.1.41", "mobileTelephoneNumber"),
    ("0.9.2342.19200300.100.1.42", "pagerTelephoneNumber"),
    ("0.9.2342.19200300.100.1.43", "friendlyCountryName"),
    ("0.9.2342.19200300.100.1.44", "uid"),
    ("0.9.2342.19200300.100.1.45", "organizationalStatus"),
    ("0.9.2342.19200300.100.1.48", "buildingName"),
    ("1.2.840.113549.1.9.1", "emailAddress"),
    ("1.2.840.113549.1.9.2", "unstructuredName"),
    ("1.2.840.113549.1.9.7", "challengePassword"),
    ("1.2.840.113549.1.9.8", "unstructuredAddress"),
    ("1.2.840.113549.1.9.20", "friendlyName"),
    ("1.3.6.1.4.1.311.60.2.1.1", "jurisdictionL"),
    ("1.3.6.1.4.1.311.60.2.1.2", "jurisdictionST"),
    ("1.3.6.1.4.1.311.60.2.1.3", "jurisdictionC"),
    ("1.3.6.1.4.1.311.20.2.3", "msUPN"),
    ("1.2.643.100.1", "OGRN"),
    ("1.2.643.100.3", "SNILS"),
    ("1.2.643.100.5", "OGRNIP"),
    ("1.2.643.3.131.1.1", "INN"),
];
