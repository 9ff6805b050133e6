//! The dashboard: one page that asks `/overview.json` again and again.
//!
//! The page is the same for everybody and holds nothing of the router, so it needs no token. It
//! loads nothing from anywhere: its policy admits the style and the script inside it, by their
//! digests, and requests to where it came from.

use aws_lc_rs::digest::{SHA256, digest};
use axum::http::HeaderValue;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The page.
pub(super) const PAGE: &str = include_str!("dashboard.html");
/// What a browser sees at `/`.
pub(super) const DOORSTEP: &str = include_str!("doorstep.html");

/// The policy of a page with at most one style and one script.
pub(super) fn policy(page: &str) -> HeaderValue {
    let allowed = |tag: &str| match between(page, tag) {
        Some(text) => format!("'sha256-{}'", STANDARD.encode(digest(&SHA256, text.as_bytes()))),
        None => "'none'".to_owned(),
    };
    let policy = format!(
        "default-src 'none'; script-src {}; style-src {}; connect-src 'self'; img-src data:; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        allowed("script"),
        allowed("style"),
    );
    HeaderValue::from_str(&policy).expect("visible ASCII only")
}

/// What stands between `<tag>` and `</tag>`.
fn between<'p>(page: &'p str, tag: &str) -> Option<&'p str> {
    let (_, rest) = page.split_once(&format!("<{tag}>"))?;
    rest.split_once(&format!("</{tag}>")).map(|(inner, _)| inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_load_nothing_and_put_no_text_into_markup() {
        for page in [PAGE, DOORSTEP] {
            for part in ["src=", "@import", "url(http", "//cdn", "style=\"", " onclick="] {
                assert!(!page.contains(part), "{part}");
            }
            for way in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("] {
                assert!(!page.contains(way), "{way}");
            }
            assert_eq!(page.matches("<style>").count(), 1);
            assert!(page.matches("<script>").count() <= 1);
        }
    }

    #[test]
    fn policy_admits_the_digest_of_the_script_alone() {
        let policy = policy("<style>a{}</style><script>alert(1)</script>");
        let policy = policy.to_str().unwrap();
        // printf 'alert(1)' | openssl dgst -sha256 -binary | base64
        let script = "script-src 'sha256-bhHHL3z2vDgxUt0W3dWQOrprscmda2Y5pLsLg4GF+pI='";
        assert!(policy.contains(script), "{policy}");
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    }
}
