//! The options of subscriptions: of servers, and of vassals in the same file.

use super::{Rule, Rules};
use crate::config::catalog::Opt;
use crate::import::answers;

/// Those of servers, then those of vassals.
pub const RULES: Rules = &[
    ("subscription-tolerance", Rule::Seconds(&[Opt::Tolerance])),
    ("subscription-tolerance-inactive", Rule::Seconds(&[Opt::ToleranceInactive])),
    ("subscription-algo", Rule::By(answers::algorithm)),
    ("subscription-dotsplit", Rule::On(Opt::Dotsplit)),
    ("subscription-mountpoint", Rule::Moot("always on: the longest mountpoint wins")),
    ("subscription-mountpoints", Rule::Moot("always on: the longest mountpoint wins")),
    ("subscription-vassal-required", Rule::On(Opt::VassalRequired)),
    ("subscriptions-sign-check", Rule::By(answers::sign_check)),
    ("subscriptions-sign-check-tolerance", Rule::Seconds(&[Opt::SignTolerance])),
    ("subscriptions-sign-skip-uid", Rule::Same(Opt::SignSkipUid)),
    ("subscriptions-use-credentials", Rule::On(Opt::UseCredentials)),
    ("subscriptions-credentials-check", Rule::Path(Opt::CredentialsCheck)),
    ("subscription-notify-socket", Rule::Stays(VASSAL)),
    ("subscription-clear-on-shutdown", Rule::Stays(VASSAL)),
    ("subscribe-to", Rule::Stays(VASSAL)),
    ("subscribe", Rule::Stays(VASSAL)),
    ("st", Rule::Stays(VASSAL)),
    ("subscribe2", Rule::Stays(VASSAL)),
    ("subscribe-freq", Rule::Stays(VASSAL)),
    ("subscribe-with-modifier1", Rule::Stays(VASSAL)),
    ("start-unsubscribed", Rule::Stays(VASSAL)),
    ("unsubscribe-on-graceful-reload", Rule::Stays(VASSAL)),
];

const VASSAL: &str = "a vassal's, which needs no change";
