//! The table and the enums say the same.

use std::collections::BTreeMap;

use super::{REJECTS, RefusedIn};
use crate::{
    ChunkError, ConnectionError, FramingError, HeadError, RequestError, ResponseError, RtspError,
    TargetError,
};

const HEAD: [HeadError; 7] = [
    HeadError::BareLineBreak,
    HeadError::ObsFold,
    HeadError::FieldName,
    HeadError::SpaceBeforeColon,
    HeadError::FieldValue,
    HeadError::TooManyFields,
    HeadError::HeadTooLarge,
];
const FRAMING: [FramingError; 6] = [
    FramingError::LengthMalformed,
    FramingError::LengthRepeated,
    FramingError::CodingUnknown,
    FramingError::CodingRepeated,
    FramingError::CodingWithLength,
    FramingError::CodingInHttp10,
];
const CONNECTION: [ConnectionError; 3] =
    [ConnectionError::Malformed, ConnectionError::NominatesFraming, ConnectionError::TooManyNames];
const TARGET: [TargetError; 6] = [
    TargetError::TooLong,
    TargetError::Octet,
    TargetError::Form,
    TargetError::Authority,
    TargetError::Escape,
    TargetError::ControlOctet,
];
const CHUNK: [ChunkError; 7] = [
    ChunkError::Size,
    ChunkError::Extension,
    ChunkError::ExtensionTooLong,
    ChunkError::LineEnd,
    ChunkError::DataEnd,
    ChunkError::Trailer,
    ChunkError::TrailerTooLarge,
];
const REQUEST: [RequestError; 12] = [
    RequestError::LeadingEmptyLine,
    RequestError::Method,
    RequestError::MethodTooLong,
    RequestError::Connect,
    RequestError::RequestLine,
    RequestError::VersionSyntax,
    RequestError::VersionUnsupported,
    RequestError::HostMissing,
    RequestError::HostRepeated,
    RequestError::HostMalformed,
    RequestError::HostDisagrees,
    RequestError::Expectation,
];
const RTSP: [RtspError; 3] = [RtspError::Line, RtspError::Version, RtspError::Cseq];
const RESPONSE: [ResponseError; 2] = [ResponseError::StatusLine, ResponseError::Version];

/// Goal: no refusal without a row and no row without a refusal. Method: both sides as maps from
/// label to status and side.
#[test]
fn every_refusal_has_exactly_one_row() {
    let mut said: Vec<(&str, (u16, RefusedIn))> = Vec::new();
    said.extend(HEAD.map(|error| (error.label(), (error.status(), RefusedIn::Both))));
    said.extend(FRAMING.map(|error| (error.label(), (error.status(), RefusedIn::Both))));
    said.extend(CONNECTION.map(|error| (error.label(), (error.status(), RefusedIn::Both))));
    said.extend(CHUNK.map(|error| (error.label(), (error.status(), RefusedIn::Both))));
    said.extend(TARGET.map(|error| (error.label(), (error.status(), RefusedIn::Request))));
    said.extend(REQUEST.map(|error| (error.label(), (error.status(), RefusedIn::Request))));
    said.extend(RTSP.map(|error| (error.label(), (error.status(), RefusedIn::Request))));
    said.extend(RESPONSE.map(|error| (error.label(), (error.status(), RefusedIn::Response))));
    let rows = REJECTS.iter().map(|row| (row.label, (row.status, row.refused_in)));

    assert_eq!(said.len(), REJECTS.len());
    let said: BTreeMap<_, _> = said.into_iter().collect();
    assert_eq!(said.len(), REJECTS.len(), "two refusals share a label");
    assert_eq!(said, rows.collect::<BTreeMap<_, _>>());
}

#[test]
fn a_nested_refusal_keeps_its_label_status_and_words() {
    for error in HEAD {
        let nested = RequestError::from(error);
        assert_eq!((nested.label(), nested.status()), (error.label(), error.status()));
        assert_eq!(nested.to_string(), error.to_string());
        assert_eq!(ResponseError::from(error).label(), error.label());
        assert_eq!(ResponseError::from(error).status(), 502);
    }
    for error in TARGET {
        let nested = RequestError::from(error);
        assert_eq!((nested.label(), nested.status()), (error.label(), error.status()));
    }
}

#[test]
fn labels_are_fit_for_a_metric_and_descriptions_are_not_empty() {
    for row in REJECTS {
        let plain =
            |octet: u8| octet.is_ascii_lowercase() || octet.is_ascii_digit() || octet == b'_';
        assert!(row.label.bytes().all(plain), "{}", row.label);
        assert!(!row.description.is_empty() && !row.description.contains('|'), "{}", row.label);
    }
}
